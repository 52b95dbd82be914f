//! TLS in front of a fake peer: what stunnel does in front of a real one.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};

use super::Server;
use super::pki::{Authority, Identity};

/// How the stream of the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsEnd {
    /// With `close_notify`.
    Proper,
    /// Without it.
    CutOff,
    Reset,
}

/// What a connection brought.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handshake {
    /// The name that was asked for.
    pub(crate) name: Option<String>,
    /// Whether it came to its end, as far as this side knows; and if not, why.
    pub(crate) failure: Option<String>,
    pub(crate) end: Option<TlsEnd>,
}

/// What it does at the end of what the peer behind it has to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ending {
    /// `close_notify`, and what the program still says is passed on.
    #[default]
    Proper,
    /// The connection is closed without it.
    CutOff,
    Reset,
    /// Bytes that are no record.
    Garbage,
}

/// A TLS server to be, that passes on to another server what it decrypts.
pub(crate) struct TlsFront {
    config: ServerConfig,
    ending: Ending,
    bytewise: bool,
    ahead: &'static [u8],
}

/// One that runs. As `{front}` it is `127.0.0.1:port`.
pub(crate) struct TlsServer {
    address: SocketAddr,
    handshakes: Arc<Mutex<Vec<Handshake>>>,
}

impl TlsFront {
    /// It shows this certificate.
    pub(crate) fn new(identity: &Identity) -> Self {
        Self::with_versions(identity, rustls::ALL_VERSIONS, None)
    }

    /// It wants a certificate by this authority.
    pub(crate) fn requiring_client_certificate(
        identity: &Identity,
        clients: &Authority,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        Self::with_versions(identity, versions, Some(clients))
    }

    /// It speaks these versions only.
    pub(crate) fn with_versions(
        identity: &Identity,
        versions: &[&'static SupportedProtocolVersion],
        clients: Option<&Authority>,
    ) -> Self {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.certificate()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let config = builder.with_single_cert(identity.chain.clone(), identity.private_key()).unwrap();
        Self { config, ending: Ending::Proper, bytewise: false, ahead: b"" }
    }

    /// It ends without `close_notify`.
    pub(crate) fn without_close_notify(self) -> Self {
        Self { ending: Ending::CutOff, ..self }
    }

    /// It ends with a reset.
    pub(crate) fn resetting(self) -> Self {
        Self { ending: Ending::Reset, ..self }
    }

    /// It ends with bytes that are no TLS.
    pub(crate) fn ending_in_garbage(self) -> Self {
        Self { ending: Ending::Garbage, ..self }
    }

    /// All that it sends leaves it byte by byte.
    pub(crate) fn byte_by_byte(self) -> Self {
        Self { bytewise: true, ..self }
    }

    /// It says this right behind its part of the handshake, without waiting for the rest of it (0.5-RTT data).
    pub(crate) fn sending_early(mut self, bytes: &'static [u8]) -> Self {
        self.config.send_half_rtt_data = true;
        // Nothing follows that would bring what was forgotten to mind.
        self.config.send_tls13_tickets = 0;
        Self { ahead: bytes, ..self }
    }

    /// Starts it in front of this server.
    pub(crate) fn in_front_of(self, server: &Server) -> TlsServer {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let handshakes = Arc::<Mutex<Vec<Handshake>>>::default();
        let (behind, all, config) = (server.to_string(), Arc::clone(&handshakes), Arc::new(self.config));
        thread::spawn(move || {
            // The thread goes with the test's process.
            for index in 0.. {
                let stream = super::accept(&listener);
                let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
                // It is kept until it may be sent.
                tls.writer().write_all(self.ahead).unwrap();
                lock(&all).push(Handshake::default());
                let session = Session {
                    stream,
                    behind: behind.clone(),
                    ending: self.ending,
                    bytewise: self.bytewise,
                    all: Arc::clone(&all),
                    index,
                };
                thread::spawn(move || session.run(tls));
            }
        });
        TlsServer { address, handshakes }
    }
}

impl TlsServer {
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The only connection, once it has ended.
    #[track_caller]
    pub(crate) fn only_handshake(&self) -> Handshake {
        for _ in 0..600 {
            let handshakes = lock(&self.handshakes).clone();
            assert!(handshakes.len() < 2, "{handshakes:?}");
            match handshakes.first() {
                Some(first) if first.end.is_some() || first.failure.is_some() => return first.clone(),
                _ => thread::sleep(Duration::from_millis(20)),
            }
        }
        panic!("no connection has ended: {:?}", lock(&self.handshakes));
    }
}

impl fmt::Display for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

struct Session {
    stream: TcpStream,
    behind: String,
    ending: Ending,
    bytewise: bool,
    all: Arc<Mutex<Vec<Handshake>>>,
    index: usize,
}

impl Session {
    fn note(&self, change: impl FnOnce(&mut Handshake)) {
        change(&mut lock(&self.all)[self.index]);
    }

    fn run(self, mut tls: ServerConnection) {
        self.stream.set_nodelay(true).unwrap();
        while tls.is_handshaking() {
            if let Err(error) = self.shake_hands(&mut tls) {
                let _ = self.send(&mut tls);
                self.note(|handshake| handshake.failure = Some(error.to_string()));
                return;
            }
        }
        let _ = self.send(&mut tls);
        let name = tls.server_name().map(str::to_owned);
        self.note(|handshake| handshake.name = name);
        let far = TcpStream::connect(&self.behind).unwrap();
        far.set_nodelay(true).unwrap();
        // Locked together, in this order, so that records leave in the order in which they are made.
        let (tls, out) = (Mutex::new(tls), Mutex::new(()));
        thread::scope(|scope| {
            scope.spawn(|| self.outward(&tls, &out, &far));
            let end = self.inward(&tls, &out, &far);
            self.note(|handshake| handshake.end = Some(end));
            let _ = far.shutdown(if end == TlsEnd::Proper { Shutdown::Write } else { Shutdown::Both });
        });
    }

    fn shake_hands(&self, tls: &mut ServerConnection) -> io::Result<()> {
        self.send(tls)?;
        if tls.is_handshaking() {
            if tls.read_tls(&mut &self.stream)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            tls.process_new_packets().map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// From the program to the server behind.
    fn inward(&self, tls: &Mutex<ServerConnection>, out: &Mutex<()>, mut far: &TcpStream) -> TlsEnd {
        let mut records = vec![0; 64 * 1024];
        let mut plain = Vec::new();
        // What came with the last of the handshake.
        let _ = lock(tls).reader().read_to_end(&mut plain);
        let _ = far.write_all(&plain);
        plain.clear();
        loop {
            let count = match (&self.stream).read(&mut records) {
                Ok(0) => return TlsEnd::CutOff,
                Ok(count) => count,
                Err(_) => return TlsEnd::Reset,
            };
            let mut rest = &records[..count];
            let mut ended = false;
            let mut tls = lock(tls);
            while !rest.is_empty() && !ended {
                tls.read_tls(&mut rest).unwrap();
                if tls.process_new_packets().is_err() {
                    return TlsEnd::CutOff;
                }
                ended = tls.reader().read_to_end(&mut plain).is_ok();
            }
            if tls.wants_write() {
                let _out = lock(out);
                let _ = self.send(&mut tls);
            }
            drop(tls);
            // If nobody behind takes it, it is read away.
            let _ = far.write_all(&plain);
            plain.clear();
            if ended {
                return TlsEnd::Proper;
            }
        }
    }

    /// From the server behind to the program.
    fn outward(&self, tls: &Mutex<ServerConnection>, out: &Mutex<()>, mut far: &TcpStream) {
        let mut plain = vec![0; 16 * 1024];
        loop {
            let Ok(count) = far.read(&mut plain) else {
                // It was shut down by the other thread, or was reset.
                return drop(self.stream.shutdown(Shutdown::Both));
            };
            let mut records = Vec::new();
            let mut tls = lock(tls);
            if count == 0 {
                match self.ending {
                    Ending::Proper => tls.send_close_notify(),
                    Ending::CutOff => return drop(self.stream.shutdown(Shutdown::Write)),
                    Ending::Reset => {
                        let linger = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
                        linger.unwrap();
                        // The other thread ends, and then the last of it is closed.
                        return drop(self.stream.shutdown(Shutdown::Read));
                    }
                    Ending::Garbage => {
                        return drop(
                            (&self.stream).write_all(b"\x17\x03\x03\x00\x20 no record, at all, nowhere....."),
                        );
                    }
                }
            } else {
                tls.writer().write_all(&plain[..count]).unwrap();
            }
            while tls.wants_write() {
                tls.write_tls(&mut records).unwrap();
            }
            let out = lock(out);
            drop(tls);
            if self.write(&records).is_err() || count == 0 {
                return;
            }
            drop(out);
        }
    }

    fn send(&self, tls: &mut ServerConnection) -> io::Result<()> {
        let mut records = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut records)?;
        }
        self.write(&records)
    }

    fn write(&self, records: &[u8]) -> io::Result<()> {
        let piece = if self.bytewise { 1 } else { records.len().max(1) };
        records.chunks(piece).try_for_each(|piece| (&self.stream).write_all(piece))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
