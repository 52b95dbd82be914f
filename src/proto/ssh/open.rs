//! The negotiation of a channel.

use std::mem;

use super::dialogue::Dialogue;
use super::failure::{Failure, Stage};
use super::notes::{self, Notes};
use super::target::ChannelTarget;
use super::{Decision, Login};
use crate::proto::{Limit, Step, Wire};
use crate::secret::Secret;
use crate::ssh::algorithms::Role;
use crate::ssh::cipher::{Cipher, Random};
use crate::ssh::client_auth::{self, ClientAuth};
use crate::ssh::connection::{ChannelId, Connection, Event};
use crate::ssh::error::Error as SshError;
use crate::ssh::known_hosts::Answer;
use crate::ssh::transport::{self, Limits, Settings, Transport};
use crate::text::printable;

mod negotiation;

/// The reason to refuse channels that the server asks for (RFC 4254 §5.1).
const PROHIBITED: u32 = 1;

/// The number of bytes to receive at once.
const CHUNK: usize = 64 * 1024;

/// The name and version of the program in the identification line (RFC 4253 §4.2).
const SOFTWARE: &str = concat!("connect_", env!("CARGO_PKG_VERSION"));

/// The negotiation of a login and, with a target, of a channel to it.
pub struct OpenChannel {
    login: Login,
    /// `None` to leave all channels to the user of the connection.
    target: Option<ChannelTarget>,
    random: Random,
    phase: Phase,
    dialogue: Dialogue,
    /// The server lacks strict key exchange, and has selected this algorithm, which needs it. The
    /// next connection offers no such algorithm.
    strict_only_algorithm: Option<&'static str>,
    /// The methods that the server accepts are known, and reported.
    has_methods: bool,
    notes: Notes,
}

/// A question about a host key, and the failure if the user does not say yes.
struct HostKeyQuestion {
    question: String,
    refusal: String,
}

enum Phase {
    /// No connection is open.
    Start,
    /// Identification and key exchange.
    Handshake(Box<Transport>),
    /// The user decides about the host key.
    AskHostKey(Box<Transport>, HostKeyQuestion),
    Login(Box<Transport>, Box<ClientAuth>),
    Opening(Box<Connection>, ChannelId),
    Open(Box<Connection>, ChannelId),
    /// The user is logged in, and there is no target.
    LoggedIn(Box<Connection>),
    /// Connect again, without the algorithms that are not safe with this server.
    Again,
    /// The negotiation has failed. The bytes are the last ones for the server.
    Failed(Vec<u8>, Box<Failure>),
    /// The connection was taken.
    Taken,
}

impl OpenChannel {
    /// Creates the negotiation of a channel to `target`. Without a target, the negotiation ends
    /// after the login.
    #[must_use]
    pub fn new(login: Login, target: Option<ChannelTarget>, random: Random) -> Self {
        Self {
            target,
            random,
            phase: Phase::Start,
            dialogue: Dialogue::default(),
            strict_only_algorithm: None,
            has_methods: false,
            notes: Notes::new(login.is_quiet),
            login,
        }
    }

    /// Takes the channel, once it is open, and the server's name for messages.
    pub fn take(&mut self) -> Option<(Connection, ChannelId, String)> {
        match mem::replace(&mut self.phase, Phase::Taken) {
            Phase::Open(mut connection, channel) => {
                connection.stop_log();
                Some((*connection, channel, mem::take(&mut self.login.server)))
            }
            other => {
                self.phase = other;
                None
            }
        }
    }

    /// Takes the connection of a login without a target, and the server's name for messages.
    pub fn take_connection(&mut self) -> Option<(Connection, String)> {
        match mem::replace(&mut self.phase, Phase::Taken) {
            Phase::LoggedIn(mut connection) => {
                connection.stop_log();
                Some((*connection, mem::take(&mut self.login.server)))
            }
            other => {
                self.phase = other;
                None
            }
        }
    }

    fn start(&mut self) -> Result<(), SshError> {
        let mut offer = self.login.offer.clone();
        self.login.host_keys.arrange(&mut offer.host_keys);
        if self.strict_only_algorithm.is_some() {
            offer.remove_strict_only();
        }
        let is_logged = self.login.is_logged;
        let settings = Settings {
            offer,
            host_keys: Vec::new(),
            software: SOFTWARE,
            limits: Limits::default(),
            is_logged,
        };
        self.phase = Phase::Handshake(Box::new(Transport::new(Role::Client, settings, self.random)?));
        Ok(())
    }

    /// Sends nothing to the server before it has proved that it owns a trusted key.
    fn host_key(&mut self) -> Result<(), SshError> {
        let Phase::Handshake(transport) = &mut self.phase else { return Ok(()) };
        let Some(presented) = transport.host_key() else { return Ok(()) };
        let key = format!("{} {}", presented.key().short_name(), presented.key().fingerprint());
        match self.login.host_keys.check(presented) {
            Decision::Trust(reason) => {
                self.notes.fact(format!("host key {key}: {reason}"));
                self.log_in(true)
            }
            Decision::Add(notice) => {
                self.notes.fact(format!("host key {key}: unknown, accepted"));
                self.notes.message(notice);
                self.add_host_key();
                self.log_in(true)
            }
            Decision::Restrict(warning) => {
                self.notes.fact(format!("host key {key}: not trusted, no password is sent"));
                self.notes.message(format!("warning: {warning}"));
                self.log_in(false)
            }
            Decision::Ask { question, refusal } => {
                if let Phase::Handshake(transport) = mem::replace(&mut self.phase, Phase::Taken) {
                    self.phase = Phase::AskHostKey(transport, HostKeyQuestion { question, refusal });
                }
                Ok(())
            }
            Decision::Refuse(reason) => Err(SshError::HostKey(reason)),
        }
    }

    fn add_host_key(&mut self) {
        if let Some(message) = self.login.host_keys.accept() {
            self.notes.message(message);
        }
    }

    /// Continues after the user's answer, which is `yes`, `no` or the fingerprint.
    fn host_key_answer(&mut self, answer: Result<Secret, String>) -> Result<(), SshError> {
        let Phase::AskHostKey(transport, asked) = &mut self.phase else { return Ok(()) };
        let answer = answer.ok().zip(transport.host_key()).map_or(Answer::Reject, |(answer, key)| {
            Answer::parse(&String::from_utf8_lossy(answer.expose()), key.key())
        });
        match answer {
            Answer::Accept => {
                self.notes.fact("host key accepted by the user".into());
                self.add_host_key();
                self.log_in(true)
            }
            Answer::Unclear => {
                "Please type 'yes', 'no' or the fingerprint: ".clone_into(&mut asked.question);
                Ok(())
            }
            Answer::Reject | Answer::Mismatch => Err(SshError::HostKey(mem::take(&mut asked.refusal))),
        }
    }

    fn log_in(&mut self, allows_passwords: bool) -> Result<(), SshError> {
        let (Phase::Handshake(transport) | Phase::AskHostKey(transport, _)) = &mut self.phase else {
            return Ok(());
        };
        transport.trust_host_key()?;
        let identities = self.login.signers.iter().map(|signer| signer.identity()).collect();
        let mut auth = ClientAuth::new(self.login.user.as_bytes(), identities, allows_passwords);
        auth.set_session_id(transport.session_id());
        if self.login.asks_for_methods {
            auth.ask_for_methods();
        }
        match mem::replace(&mut self.phase, Phase::Taken) {
            Phase::Handshake(transport) | Phase::AskHostKey(transport, _) => {
                self.phase = Phase::Login(transport, Box::new(auth));
            }
            other => self.phase = other,
        }
        Ok(())
    }

    /// Requests the channel (RFC 4254 §7.2).
    fn open_channel(&mut self) -> Result<(), SshError> {
        // The keys are no longer needed.
        self.login.signers.clear();
        self.dialogue = Dialogue::default();
        let transport = match mem::replace(&mut self.phase, Phase::Taken) {
            Phase::Login(transport, auth) => {
                let accepted =
                    auth.tried().last().map_or_else(|| "no authentication".into(), ToString::to_string);
                self.notes.fact(format!("user {} accepted: {accepted}", self.user()));
                transport
            }
            other => {
                self.phase = other;
                return Ok(());
            }
        };
        for reason in mem::take(&mut self.login.unusable) {
            self.notes.message(format!("warning: {reason}"));
        }
        let mut connection = Box::new(Connection::new(*transport));
        let Some(target) = &self.target else {
            self.phase = Phase::LoggedIn(connection);
            return Ok(());
        };
        let channel = connection.open(target.kind(), &target.data(None))?;
        let channel = channel.ok_or(SshError::Violation("the first channel could not be opened"))?;
        self.phase = Phase::Opening(connection, channel);
        // Process what has arrived together with the success of the login.
        self.process(&[])
    }

    /// Takes the next step. Returns `None` if the driver has nothing to do for it.
    fn take_step(&mut self) -> Result<Option<Step>, SshError> {
        let step = match &mut self.phase {
            Phase::Start => {
                self.start()?;
                return Ok(None);
            }
            Phase::Handshake(transport) => send_or_receive(transport),
            Phase::AskHostKey(_, asked) => {
                Step::Ask { prompt: asked.question.clone(), is_visible: true, is_new: false }
            }
            Phase::Login(transport, auth) => {
                if let Some(question) = self.dialogue.next_question() {
                    return Ok(Some(question));
                }
                match auth.step()? {
                    client_auth::Step::Send(message) => {
                        transport.send(&[&message])?;
                        return Ok(None);
                    }
                    client_auth::Step::Receive => send_or_receive(transport),
                    client_auth::Step::Done => {
                        self.open_channel()?;
                        return Ok(None);
                    }
                    step => return Ok(self.dialogue.step(step, auth, &mut self.login)),
                }
            }
            Phase::Opening(connection, _) => {
                let output = connection.transport().output().to_vec();
                connection.sent(output.len());
                self.notes.traffic(connection.take_log());
                send_or_receive_bytes(output)
            }
            Phase::Open(..) | Phase::LoggedIn(_) => Step::Done,
            Phase::Again => Step::Reconnect,
            Phase::Failed(..) | Phase::Taken => return Err(SshError::Closed),
        };
        if let Phase::Handshake(transport) | Phase::Login(transport, _) = &mut self.phase {
            self.notes.traffic(transport.take_log());
        }
        Ok(Some(step))
    }

    fn process(&mut self, bytes: &[u8]) -> Result<(), SshError> {
        let result = self.process_events(bytes);
        match &mut self.phase {
            Phase::Handshake(transport) | Phase::AskHostKey(transport, _) | Phase::Login(transport, _) => {
                self.notes.traffic(transport.take_log());
            }
            Phase::Opening(connection, _) | Phase::Open(connection, _) | Phase::LoggedIn(connection) => {
                self.notes.traffic(connection.take_log());
            }
            Phase::Start | Phase::Again | Phase::Failed(..) | Phase::Taken => {}
        }
        result
    }

    fn process_events(&mut self, bytes: &[u8]) -> Result<(), SshError> {
        match &mut self.phase {
            Phase::Handshake(transport) => {
                let is_identified = transport.peer_identification().is_some();
                transport.receive(bytes);
                let event = transport.next_event();
                if let Some(line) = transport.peer_identification().filter(|_| !is_identified) {
                    self.notes.log.push_back(format!("received the identification {}", printable(line)));
                }
                self.handshake_event(event)
            }
            Phase::Login(transport, _) => {
                transport.receive(bytes);
                self.login_events()
            }
            Phase::Opening(connection, _) => {
                let received = connection.receive(bytes);
                self.opening_events()?;
                // The session reports what has ended an open channel.
                if matches!(self.phase, Phase::Open(..)) { Ok(()) } else { received }
            }
            _ => Ok(()),
        }
    }

    fn handshake_event(&mut self, event: Result<Option<transport::Event>, SshError>) -> Result<(), SshError> {
        match event {
            Ok(Some(transport::Event::HostKey)) => self.host_key(),
            Ok(_) => Ok(()),
            Err(SshError::NotStrict(name)) if self.strict_only_algorithm.is_none() => {
                self.notes.log.push_back(format!("no strict key exchange: connecting again without {name}"));
                self.strict_only_algorithm = Some(name);
                self.phase = Phase::Again;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn login_events(&mut self) -> Result<(), SshError> {
        let Phase::Login(transport, auth) = &mut self.phase else { return Ok(()) };
        // Messages after the success are for the layer above.
        while !auth.is_done()
            && let Some(event) = transport.next_event()?
        {
            match event {
                transport::Event::Message => auth.receive(transport.message())?,
                transport::Event::Extensions => {
                    if let Some(names) = transport.signature_algorithms() {
                        auth.set_signature_algorithms(names);
                    }
                }
                transport::Event::Established => {
                    if let Some(text) = notes::algorithms(transport) {
                        self.notes.fact(text);
                    }
                    let uses = |cipher| {
                        transport
                            .algorithms()
                            .is_some_and(|it| it.to_server.0 == cipher || it.to_client.0 == cipher)
                    };
                    if !transport.is_strict() && uses(Cipher::ChaCha20Poly1305) {
                        self.notes.message(format!(
                            "warning: {} lacks strict key exchange: chacha20-poly1305@openssh.com is used because \
                             --ssh-ciphers names it",
                            self.login.server
                        ));
                    }
                }
                transport::Event::HostKey => {}
            }
            for text in auth.take_banners() {
                self.notes.banner(&self.login.server, &text);
            }
            if let Some(methods) = auth.methods().filter(|_| !self.has_methods) {
                self.has_methods = true;
                let methods = printable(methods.join(", ").as_bytes());
                self.notes.fact(format!("the server accepts {methods}"));
            }
        }
        Ok(())
    }

    fn opening_events(&mut self) -> Result<(), SshError> {
        let Phase::Opening(connection, channel) = &mut self.phase else { return Ok(()) };
        let channel = *channel;
        while let Some(event) = connection.next_event() {
            match event {
                Event::Opened(opened) if opened == channel => {
                    if let Phase::Opening(connection, channel) = mem::replace(&mut self.phase, Phase::Taken) {
                        self.phase = Phase::Open(connection, channel);
                    }
                    return Ok(());
                }
                Event::Refused(_, reason, text) => return Err(SshError::ChannelRefused { reason, text }),
                Event::GlobalRequest(_, true, _) => connection.answer_global(None)?,
                Event::Asked(id, ..) => connection.refuse(id, PROHIBITED, "no channels are accepted")?,
                _ => {}
            }
        }
        Ok(())
    }

    fn stage(&self) -> Stage {
        match &self.phase {
            Phase::Start => Stage::Identification,
            Phase::Handshake(transport) if transport.peer_identification().is_none() => Stage::Identification,
            Phase::Handshake(_) | Phase::AskHostKey(..) | Phase::Again => Stage::KeyExchange,
            // The end of the first key exchange belongs to it.
            Phase::Login(transport, _) if transport.algorithms().is_none() => Stage::KeyExchange,
            Phase::Login(..) => Stage::Login,
            Phase::Opening(..) | Phase::Open(..) | Phase::LoggedIn(_) | Phase::Failed(..) | Phase::Taken => {
                Stage::Channel
            }
        }
    }

    fn user(&self) -> String {
        printable(self.login.user.as_bytes())
    }

    fn failure(&self, cause: SshError) -> Failure {
        let cause = match (cause, self.strict_only_algorithm) {
            // The server offers nothing but algorithms that are not safe.
            (SshError::NothingInCommon { .. }, Some(name)) => SshError::NotStrict(name),
            (cause, _) => cause,
        };
        Failure {
            cause,
            stage: self.stage(),
            user: self.user().into(),
            target: self.target.as_ref().map(ToString::to_string).unwrap_or_default().into(),
            unusable: self.login.unusable.clone(),
        }
    }

    /// Ends the negotiation, and sends DISCONNECT with the reason if the server can read it.
    fn fail(&mut self, cause: SshError) {
        let failure = Box::new(self.failure(cause));
        let mut last = Vec::new();
        if let Some((reason, text)) = failure.farewell() {
            match &mut self.phase {
                Phase::Handshake(transport)
                | Phase::AskHostKey(transport, _)
                | Phase::Login(transport, _) => {
                    transport.disconnect(reason, text);
                    last.extend_from_slice(transport.output());
                    self.notes.traffic(transport.take_log());
                }
                Phase::Opening(connection, _) => {
                    connection.disconnect_with(reason, text);
                    last.extend_from_slice(connection.transport().output());
                    self.notes.traffic(connection.take_log());
                }
                _ => {}
            }
        }
        self.phase = Phase::Failed(last, failure);
    }
}

fn send_or_receive(transport: &mut Transport) -> Step {
    let output = transport.output().to_vec();
    transport.sent(output.len());
    send_or_receive_bytes(output)
}

fn send_or_receive_bytes(output: Vec<u8>) -> Step {
    if output.is_empty() { Step::Receive(Limit::Bytes(CHUNK)) } else { Step::Send(Wire::public(output)) }
}
