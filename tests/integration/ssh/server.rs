//! An SSH server on loopback, built from the server's side of the library's machines.

use std::io::{ErrorKind, Read, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, ScopedJoinHandle};
use std::time::Duration;

use connect::ssh::algorithms::{Offer, Role};
use connect::ssh::connection::{ChannelId, Connection, Event, Source};
use connect::ssh::error::Error;
use connect::ssh::message;
use connect::ssh::private_key::{KeyFile, PrivateKey, PublicKeyLine};
use connect::ssh::public_key::PublicKey;
use connect::ssh::transport::{self, Limits, Settings, Transport};
use connect::ssh::wire::{Reader, Write};

use crate::kit::*;

/// The interval between looks at the connection and at the channel.
const STEP: Duration = Duration::from_millis(2);

/// Returns the path of a key in the test kit.
pub(crate) fn key_path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kit/ssh_keys")).join(name)
}

/// Returns a copy of a key that only this user can read.
pub(crate) fn key_file(name: &str) -> TempPath {
    TempPath::private(name, std::fs::read(key_path(name)).unwrap())
}

fn private_key(name: &str) -> PrivateKey {
    KeyFile::parse(&std::fs::read(key_path(name)).unwrap()).unwrap().into_private_key(None).unwrap()
}

/// Returns a public key or a certificate of the test kit, as a line without its comment.
pub(crate) fn public_line(name: &str) -> String {
    let line = std::fs::read_to_string(key_path(name)).unwrap();
    line.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

pub(crate) fn blob(name: &str) -> Vec<u8> {
    PublicKeyLine::parse_file(&std::fs::read(key_path(name)).unwrap()).unwrap().blob().to_vec()
}

pub(crate) fn fingerprint(name: &str) -> String {
    PublicKey::parse(&blob(name)).unwrap().fingerprint()
}

/// A request to log in.
pub(crate) struct Login<'a> {
    pub(crate) method: &'a str,
    /// The fields after the name of the method.
    pub(crate) fields: &'a [u8],
}

impl Login<'_> {
    /// Returns the password of a request with this method.
    pub(crate) fn password(&self) -> Option<&str> {
        if self.method != "password" {
            return None;
        }
        let mut reader = Reader::new(self.fields);
        reader.bool().unwrap();
        Some(reader.text().unwrap())
    }
}

/// The answer to a request to log in.
pub(crate) enum Reply {
    Success,
    /// The methods that can continue, and whether this one succeeded.
    Failure(&'static [&'static str], bool),
    /// The key would be accepted.
    KeyOk,
    /// Ask these questions, and pass the answers to the next call as the method `answers`.
    Ask(&'static [(&'static str, bool)]),
    /// The password has expired.
    ChangePassword,
    Banner(&'static str),
    Disconnect(u32, &'static str),
    Close,
}

type Auth = Box<dyn FnMut(&Login<'_>) -> Vec<Reply> + Send>;

/// The other end of a channel. Called again and again until it returns `false`.
pub(crate) type Target = Box<dyn FnMut(&mut Connection, ChannelId) -> bool + Send>;

/// The result of a request for a channel.
pub(crate) enum Channel {
    Open(Target),
    Refuse(u32, &'static str),
    /// Close the connection.
    Close,
    /// Never answer.
    Ignore,
    Disconnect(u32, &'static str),
}

/// The settings of a server.
pub(crate) struct Setup {
    pub(crate) offer: Offer,
    pub(crate) limits: Limits,
    /// The name of the host key in the test kit.
    pub(crate) host_key: &'static str,
    pub(crate) auth: Auth,
    pub(crate) channel: Box<dyn FnMut() -> Channel + Send>,
    /// Serves all channels instead of `channel`. Called with each event, and with `None` again and
    /// again.
    pub(crate) handler: Option<Handler>,
    /// The number of connections.
    pub(crate) connections: usize,
}

/// Serves all channels of a connection. Returns `false` to close it.
pub(crate) type Handler = Box<dyn FnMut(&mut Connection, Option<Event>) -> bool + Send>;

impl Setup {
    /// A server that accepts the key `user` and echoes.
    pub(crate) fn new() -> Self {
        Self {
            offer: offer(),
            limits: Limits::default(),
            host_key: "host",
            auth: accept_key("user.pub"),
            channel: Box::new(|| Channel::Open(echo())),
            handler: None,
            connections: 1,
        }
    }

    pub(crate) fn auth(self, auth: impl FnMut(&Login<'_>) -> Vec<Reply> + Send + 'static) -> Self {
        Self { auth: Box::new(auth), ..self }
    }

    pub(crate) fn channel(self, channel: impl FnMut() -> Channel + Send + 'static) -> Self {
        Self { channel: Box::new(channel), ..self }
    }

    /// Starts the server.
    pub(crate) fn start(self) -> SshServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let known = format!("[127.0.0.1]:{port} {}\n", public_line(&format!("{}.pub", self.host_key)));
        let setup = self;
        let serve = move || {
            let service = Service {
                offer: setup.offer,
                limits: setup.limits,
                host_key: setup.host_key,
                auth: Mutex::new(setup.auth),
                channel: Mutex::new(setup.channel),
                handler: Mutex::new(setup.handler),
            };
            thread::scope(|scope| {
                let serve = |_| {
                    let (stream, _) = listener.accept().unwrap();
                    stream.set_read_timeout(Some(STEP)).unwrap();
                    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
                    scope.spawn(|| service.serve(stream))
                };
                let connections: Vec<_> = (0..setup.connections).map(serve).collect();
                let finish = |connection: ScopedJoinHandle<'_, Seen>| {
                    connection.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                };
                connections.into_iter().map(finish).collect()
            })
        };
        SshServer {
            port,
            known_hosts: TempPath::file("known_hosts", known),
            key: key_file("user"),
            thread: thread::spawn(serve),
        }
    }
}

/// A server whose connections run in parallel.
struct Service {
    offer: Offer,
    limits: Limits,
    host_key: &'static str,
    auth: Mutex<Auth>,
    channel: Mutex<Box<dyn FnMut() -> Channel + Send>>,
    handler: Mutex<Option<Handler>>,
}

impl Service {
    fn serve(&self, stream: TcpStream) -> Seen {
        let settings = Settings {
            offer: self.offer.clone(),
            host_keys: vec![Arc::new(private_key(self.host_key))],
            software: "test",
            limits: self.limits,
            is_logged: true,
        };
        let transport = Transport::new(Role::Server, settings, random).unwrap();
        let mut seen = Seen::default();
        let mut peer = Peer { stream, transport };
        seen.end = match self.converse(&mut peer, &mut seen) {
            Ok(connection) => self.serve_channels(peer.stream, connection, &mut seen),
            Err(end) => Some(end),
        };
        seen
    }

    /// Answers until the user is logged in.
    fn converse(&self, peer: &mut Peer, seen: &mut Seen) -> Result<Connection, Error> {
        loop {
            let message = peer.message()?;
            let mut reader = Reader::new(&message[1..]);
            match message[0] {
                message::SERVICE_REQUEST => {
                    let mut accept = vec![message::SERVICE_ACCEPT];
                    accept.put_string(reader.string().unwrap());
                    peer.send(&accept)?;
                }
                message::USERAUTH_REQUEST => {
                    assert_eq!((reader.text(), reader.text()), (Ok("me"), Ok("ssh-connection")));
                    let method = reader.text().unwrap();
                    let login = Login { method, fields: reader.rest() };
                    seen.methods.push(login.method.to_owned());
                    if method == "publickey" && !verify(&peer.transport, &message, &login) {
                        seen.methods.push("invalid signature".into());
                    }
                    if self.reply(peer, &login)? {
                        return Ok(Connection::new(std::mem::replace(&mut peer.transport, dummy())));
                    }
                }
                message::USERAUTH_INFO_RESPONSE => {
                    let login = Login { method: "answers", fields: &message[1..] };
                    if self.reply(peer, &login)? {
                        return Ok(Connection::new(std::mem::replace(&mut peer.transport, dummy())));
                    }
                }
                other => panic!("unexpected message {other}"),
            }
        }
    }

    /// Answers a request to log in. Returns `true` if the user is logged in.
    fn reply(&self, peer: &mut Peer, login: &Login<'_>) -> Result<bool, Error> {
        let replies = (self.auth.lock().unwrap())(login);
        for reply in replies {
            let mut answer = Vec::new();
            match reply {
                Reply::Success => {
                    peer.send(&[message::USERAUTH_SUCCESS])?;
                    return Ok(true);
                }
                Reply::Failure(methods, is_partial) => {
                    answer.put_u8(message::USERAUTH_FAILURE).put_name_list(methods).put_bool(is_partial);
                }
                Reply::KeyOk => {
                    let mut query = Reader::new(login.fields);
                    query.bool().unwrap();
                    let (algorithm, key) = (query.text().unwrap(), query.string().unwrap());
                    answer.put_u8(message::USERAUTH_60).put_string(algorithm).put_string(key);
                }
                Reply::Ask(questions) => {
                    answer.put_u8(message::USERAUTH_60).put_string("").put_string("Welcome").put_string("");
                    answer.put_u32(u32::try_from(questions.len()).unwrap());
                    for (question, is_visible) in questions {
                        answer.put_string(question).put_bool(*is_visible);
                    }
                }
                Reply::ChangePassword => {
                    answer.put_u8(message::USERAUTH_60).put_string("Too old.").put_string("");
                }
                Reply::Banner(text) => {
                    answer.put_u8(message::USERAUTH_BANNER).put_string(text).put_string("");
                }
                Reply::Disconnect(reason, text) => {
                    peer.transport.disconnect(reason, text);
                    peer.flush()?;
                    return Err(Error::Closed);
                }
                Reply::Close => return Err(Error::Closed),
            }
            peer.send(&answer)?;
        }
        Ok(false)
    }

    /// Serves the channels up to the end of the connection. Returns its cause.
    fn serve_channels(
        &self,
        mut stream: TcpStream,
        mut connection: Connection,
        seen: &mut Seen,
    ) -> Option<Error> {
        let mut targets: Vec<(ChannelId, Target)> = Vec::new();
        let mut buffer = vec![0; 32 * 1024];
        // Process messages that arrived together with the last request to log in.
        let mut received = 0;
        loop {
            if let Err(error) = connection.receive(&buffer[..received]) {
                return Some(error);
            }
            while let Some(event) = connection.next_event() {
                if let Some(handler) = &mut *self.handler.lock().unwrap() {
                    handler(&mut connection, Some(event));
                    continue;
                }
                match event {
                    Event::Asked(id, kind, data) => {
                        let mut reader = Reader::new(&data);
                        let target = reader.text().unwrap().to_owned();
                        let port = (kind == "direct-tcpip").then(|| format!(":{}", reader.u32().unwrap()));
                        seen.targets.push(format!("{kind} {target}{}", port.unwrap_or_default()));
                        let opened = (self.channel.lock().unwrap())();
                        match opened {
                            Channel::Open(each) => {
                                connection.accept(id).unwrap();
                                targets.push((id, each));
                            }
                            Channel::Refuse(reason, text) => connection.refuse(id, reason, text).unwrap(),
                            Channel::Close => return None,
                            Channel::Ignore => {}
                            Channel::Disconnect(reason, text) => connection.disconnect_with(reason, text),
                        }
                    }
                    Event::GlobalRequest(name, wants_answer, _) => {
                        seen.requests.push(name);
                        if wants_answer {
                            connection.answer_global(None).unwrap();
                        }
                    }
                    _ => {}
                }
            }
            if let Some(handler) = &mut *self.handler.lock().unwrap()
                && !handler(&mut connection, None)
            {
                return None;
            }
            targets.retain_mut(|(id, each)| each(&mut connection, *id));
            connection.on_time(Duration::ZERO).unwrap();
            seen.key_exchanges += connection
                .take_log()
                .iter()
                .filter(|entry| !entry.is_sent && entry.number == message::NEWKEYS)
                .count();
            let output = connection.transport().output().to_vec();
            connection.sent(output.len());
            if stream.write_all(&output).is_err() {
                return None;
            }
            received = match stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => count,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => 0,
                Err(_) => return None,
            };
        }
    }
}

/// Returns the offer of a server with an Ed25519 key.
pub(crate) fn offer() -> Offer {
    Offer { host_keys: vec!["ssh-ed25519"], ..Offer::default() }
}

/// Returns a transport that is never used.
fn dummy() -> Transport {
    let settings = Settings {
        offer: Offer::default(),
        host_keys: Vec::new(),
        software: "none",
        limits: Limits::default(),
        is_logged: false,
    };
    Transport::new(Role::Client, settings, random).unwrap()
}

fn random() -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}

/// Checks the signature of a request, if it has one.
fn verify(transport: &Transport, message: &[u8], login: &Login<'_>) -> bool {
    let mut reader = Reader::new(login.fields);
    let has_signature = reader.bool().unwrap();
    let (algorithm, key) = (reader.text().unwrap(), reader.string().unwrap());
    if !has_signature {
        return true;
    }
    let signature = reader.string().unwrap();
    let mut signed = Vec::new();
    signed.put_string(transport.session_id()).put(&message[..message.len() - 4 - signature.len()]);
    match PublicKey::parse(key) {
        Ok(key) => key.verifies(algorithm, &signed, signature),
        // A certificate of the key `user`.
        Err(_) => PublicKey::parse(&blob("user.pub")).unwrap().verifies("ssh-ed25519", &signed, signature),
    }
}

/// A connection before the user is logged in.
struct Peer {
    stream: TcpStream,
    transport: Transport,
}

impl Peer {
    fn flush(&mut self) -> Result<(), Error> {
        let output = self.transport.output().to_vec();
        self.transport.sent(output.len());
        self.stream.write_all(&output).map_err(|_| Error::Closed)
    }

    fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        self.transport.send(&[message])?;
        self.flush()
    }

    fn message(&mut self) -> Result<Vec<u8>, Error> {
        let mut buffer = [0; 4096];
        loop {
            while let Some(event) =
                self.transport.next_event().inspect_err(|_| drop(self.stream.shutdown(Shutdown::Write)))?
            {
                if event == transport::Event::Message {
                    return Ok(self.transport.message().to_vec());
                }
            }
            self.flush()?;
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(Error::Closed),
                Ok(count) => self.transport.receive(&buffer[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return Err(Error::Closed),
            }
        }
    }
}

/// The observations of a server on one connection.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The methods of the requests to log in.
    pub(crate) methods: Vec<String>,
    /// The type and the target of each request for a channel.
    pub(crate) targets: Vec<String>,
    /// The requests for the connection.
    pub(crate) requests: Vec<String>,
    /// The key exchanges after the login.
    pub(crate) key_exchanges: usize,
    /// The error that ended the connection.
    pub(crate) end: Option<Error>,
}

/// A running server.
pub(crate) struct SshServer {
    port: u16,
    pub(crate) known_hosts: TempPath,
    pub(crate) key: TempPath,
    thread: JoinHandle<Vec<Seen>>,
}

impl SshServer {
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns a run of the program through the server, with the host key in a file and no key.
    pub(crate) fn connect(&self, args: impl AsRef<str>) -> Program {
        let (port, known_hosts) = (self.port, self.known_hosts.display());
        connect(format!(
            "-x ssh://me@127.0.0.1:{port} --ssh-agent off --ssh-known-hosts {known_hosts} {} host.example 22",
            args.as_ref()
        ))
    }

    /// Returns the arguments of a run with the key `user`.
    pub(crate) fn args(&self, args: &str) -> String {
        let (port, known_hosts, key) = (self.port, self.known_hosts.display(), self.key.display());
        format!(
            "-x ssh://me@127.0.0.1:{port} --ssh-agent off --ssh-known-hosts {known_hosts} -i {key} {args} \
             host.example 22"
        )
    }

    /// Returns such a run with the key `user`.
    pub(crate) fn connect_with_key(&self, args: impl AsRef<str>) -> Program {
        self.connect(format!("-i {} {}", self.key.display(), args.as_ref()))
    }

    /// Waits for the end of all connections.
    #[track_caller]
    pub(crate) fn finish(self) -> Vec<Seen> {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Waits for the end of the only connection.
    #[track_caller]
    pub(crate) fn finish_one(self) -> Seen {
        let mut all = self.finish();
        assert_eq!(all.len(), 1);
        all.remove(0)
    }
}

/// Accepts this key or certificate of the test kit, and offers passwords as well.
pub(crate) fn accept_key(name: &'static str) -> Auth {
    Box::new(move |login| {
        let mut reader = Reader::new(login.fields);
        let is_signed = login.method == "publickey" && reader.bool().unwrap();
        let is_right = login.method == "publickey" && {
            reader.text().unwrap();
            reader.string().unwrap() == blob(name)
        };
        vec![match (is_right, is_signed) {
            (true, true) => Reply::Success,
            (true, false) => Reply::KeyOk,
            _ => Reply::Failure(&["publickey", "password"], false),
        }]
    })
}

/// Sends everything back. Closes the channel after EOF.
pub(crate) fn echo() -> Target {
    let (mut pending, mut has_ended) = (Vec::new(), false);
    Box::new(move |connection, channel| {
        let mut buffer = vec![0; 16 * 1024];
        while pending.len() < 256 * 1024 && !has_ended {
            match connection.read(channel, Source::Data, &mut buffer).unwrap() {
                Some(0) => has_ended = true,
                Some(count) => pending.extend_from_slice(&buffer[..count]),
                None => break,
            }
        }
        let written = connection.write(channel, &pending).unwrap();
        pending.drain(..written);
        if has_ended && pending.is_empty() {
            connection.send_eof(channel).unwrap();
            connection.close_sending(channel).unwrap();
            return false;
        }
        true
    })
}
