//! A TLS terminator in front of a fake peer, like stunnel in front of a real one.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};

use super::Server;
use super::pki::{Authority, Identity};

/// The end of the program's TLS stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsEnd {
    /// The program sent `close_notify`.
    CloseNotify,
    /// The program sent EOF, a fatal alert or an invalid record instead of `close_notify`.
    Truncated,
    Reset,
}

/// The result of a connection's handshake, and how the connection ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handshake {
    /// The server name from SNI.
    pub(crate) name: Option<String>,
    /// The terminator's error if the handshake failed.
    pub(crate) failure: Option<String>,
    /// The end of the stream; `None` while it is open or if the handshake failed.
    pub(crate) end: Option<TlsEnd>,
}

/// The terminator's reaction to EOF from the server behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ending {
    /// Sends `close_notify`, but keeps forwarding the program's data.
    #[default]
    CloseNotify,
    /// Sends EOF without `close_notify`.
    Truncate,
    Reset,
    /// Sends a TLS record that cannot be decrypted.
    Garbage,
}

/// Builder for a TLS terminator that forwards the decrypted data to another server.
pub(crate) struct TlsFront {
    config: ServerConfig,
    ending: Ending,
    byte_by_byte: bool,
    early_data: &'static [u8],
}

/// A running TLS terminator. `{front}` formats as `127.0.0.1:port`.
pub(crate) struct TlsServer {
    address: SocketAddr,
    handshakes: Arc<Mutex<Vec<Handshake>>>,
}

impl TlsFront {
    /// Creates a terminator that has this certificate and supports all TLS versions.
    pub(crate) fn new(identity: &Identity) -> Self {
        Self::with_versions(identity, rustls::ALL_VERSIONS, None)
    }

    /// Creates a terminator that requires a client certificate issued by `clients`.
    pub(crate) fn requiring_client_certificate(
        identity: &Identity,
        clients: &Authority,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        Self::with_versions(identity, versions, Some(clients))
    }

    /// Creates a terminator that supports only these TLS versions. If `clients` is given, clients
    /// need a certificate from that CA.
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
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        // `with_single_cert` would reject a certificate that it cannot parse, or with another key.
        let key = provider.key_provider.load_private_key(identity.private_key()).unwrap();
        let certified = CertifiedKey::new(identity.chain.clone(), key);
        let config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        Self { config, ending: Ending::CloseNotify, byte_by_byte: false, early_data: b"" }
    }

    /// Ends the stream without `close_notify`.
    pub(crate) fn without_close_notify(self) -> Self {
        Self { ending: Ending::Truncate, ..self }
    }

    /// Ends the connection with a reset.
    pub(crate) fn resetting(self) -> Self {
        Self { ending: Ending::Reset, ..self }
    }

    /// Ends the stream with a TLS record that cannot be decrypted.
    pub(crate) fn ending_in_garbage(self) -> Self {
        Self { ending: Ending::Garbage, ..self }
    }

    /// Sends everything one byte at a time.
    pub(crate) fn byte_by_byte(self) -> Self {
        Self { byte_by_byte: true, ..self }
    }

    /// Sends these bytes right after the server's part of the handshake, without waiting for the
    /// client's `Finished` (0.5-RTT data).
    pub(crate) fn sending_early(mut self, bytes: &'static [u8]) -> Self {
        self.config.send_half_rtt_data = true;
        // Send no tickets: a client that overlooked the early data would otherwise find it when a
        // ticket arrives.
        self.config.send_tls13_tickets = 0;
        Self { early_data: bytes, ..self }
    }

    /// Starts the terminator in front of this server.
    pub(crate) fn in_front_of(self, server: &Server) -> TlsServer {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let handshakes = Arc::<Mutex<Vec<Handshake>>>::default();
        let (server, all, config) = (server.to_string(), Arc::clone(&handshakes), Arc::new(self.config));
        thread::spawn(move || {
            // The thread runs until the test process exits.
            for index in 0.. {
                let stream = super::accept(&listener);
                let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
                // rustls buffers the data until it may be sent.
                tls.writer().write_all(self.early_data).unwrap();
                lock(&all).push(Handshake::default());
                let session = Session {
                    stream,
                    server: server.clone(),
                    ending: self.ending,
                    byte_by_byte: self.byte_by_byte,
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
    /// Returns the port number.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Waits until the only connection has ended and returns its handshake.
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
        panic!("no connection ended: {:?}", lock(&self.handshakes));
    }
}

impl fmt::Display for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

struct Session {
    stream: TcpStream,
    server: String,
    ending: Ending,
    byte_by_byte: bool,
    all: Arc<Mutex<Vec<Handshake>>>,
    index: usize,
}

impl Session {
    fn record(&self, change: impl FnOnce(&mut Handshake)) {
        change(&mut lock(&self.all)[self.index]);
    }

    fn run(self, mut tls: ServerConnection) {
        self.stream.set_nodelay(true).unwrap();
        while tls.is_handshaking() {
            if let Err(error) = self.step_handshake(&mut tls) {
                let _ = self.send(&mut tls);
                self.record(|handshake| handshake.failure = Some(error.to_string()));
                return;
            }
        }
        let _ = self.send(&mut tls);
        let name = tls.server_name().map(str::to_owned);
        self.record(|handshake| handshake.name = name);
        let far = TcpStream::connect(&self.server).unwrap();
        far.set_nodelay(true).unwrap();
        // Lock `out` before releasing `tls`, so that records are sent in the order they were
        // encrypted.
        let (tls, out) = (Mutex::new(tls), Mutex::new(()));
        thread::scope(|scope| {
            scope.spawn(|| self.outward(&tls, &out, &far));
            let end = self.inward(&tls, &out, &far);
            self.record(|handshake| handshake.end = Some(end));
            let _ = far.shutdown(if end == TlsEnd::CloseNotify { Shutdown::Write } else { Shutdown::Both });
        });
    }

    fn step_handshake(&self, tls: &mut ServerConnection) -> io::Result<()> {
        self.send(tls)?;
        if tls.is_handshaking() {
            if tls.read_tls(&mut &self.stream)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            tls.process_new_packets().map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Forwards from the program to the server.
    fn inward(&self, tls: &Mutex<ServerConnection>, out: &Mutex<()>, mut far: &TcpStream) -> TlsEnd {
        let mut records = vec![0; 64 * 1024];
        let mut plain = Vec::new();
        // Data may have arrived with the last handshake message.
        let ended = lock(tls).reader().read_to_end(&mut plain).is_ok();
        let _ = far.write_all(&plain);
        plain.clear();
        if ended {
            return TlsEnd::CloseNotify;
        }
        loop {
            let count = match (&self.stream).read(&mut records) {
                Ok(0) => return TlsEnd::Truncated,
                Ok(count) => count,
                Err(_) => return TlsEnd::Reset,
            };
            let mut rest = &records[..count];
            let mut ended = false;
            let mut tls = lock(tls);
            while !rest.is_empty() && !ended {
                tls.read_tls(&mut rest).unwrap();
                if tls.process_new_packets().is_err() {
                    return TlsEnd::Truncated;
                }
                ended = tls.reader().read_to_end(&mut plain).is_ok();
            }
            if tls.wants_write() {
                let _out = lock(out);
                let _ = self.send(&mut tls);
            }
            drop(tls);
            // If the server no longer reads, discard the data.
            let _ = far.write_all(&plain);
            plain.clear();
            if ended {
                return TlsEnd::CloseNotify;
            }
        }
    }

    /// Forwards from the server to the program.
    fn outward(&self, tls: &Mutex<ServerConnection>, out: &Mutex<()>, mut far: &TcpStream) {
        let mut plain = vec![0; 16 * 1024];
        loop {
            let Ok(count) = far.read(&mut plain) else {
                // The server reset the connection, or (on Windows) the other thread shut it down.
                return drop(self.stream.shutdown(Shutdown::Both));
            };
            let mut records = Vec::new();
            let mut tls = lock(tls);
            if count == 0 {
                match self.ending {
                    Ending::CloseNotify => tls.send_close_notify(),
                    Ending::Truncate => return drop(self.stream.shutdown(Shutdown::Write)),
                    Ending::Reset => {
                        let linger = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
                        linger.unwrap();
                        // The other thread's read now returns EOF. That thread then closes the
                        // socket, which sends the reset.
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
        let piece = if self.byte_by_byte { 1 } else { records.len().max(1) };
        records.chunks(piece).try_for_each(|piece| (&self.stream).write_all(piece))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
