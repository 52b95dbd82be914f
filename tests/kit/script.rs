//! Scripts: the steps that a fake peer performs on a connection.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::gate::Gate;
use super::server::{Server, Session};
use super::show::show;
use super::{Digest, copy, data, proxy};

/// The result of a step. The error says what went wrong.
pub(crate) type StepResult = Result<(), String>;

/// Returns an empty script.
pub(crate) fn script() -> Script {
    Script { steps: Vec::new() }
}

/// Steps for one connection.
///
/// After the last step, the connection is closed cleanly: its write side is shut down, and bytes
/// that still arrive are read and discarded. Use [`Script::close`] or [`Script::reset`] to end the
/// connection differently.
#[derive(Clone)]
pub(crate) struct Script {
    pub(super) steps: Vec<Step>,
}

#[derive(Clone)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) action: Action,
}

#[derive(Clone)]
pub(super) enum Action {
    /// Separate from `Run`, so that [`Script::early`] can append to the bytes.
    Send(Vec<u8>),
    Run(Arc<dyn Fn(&mut Session) -> StepResult + Send + Sync>),
}

impl Script {
    /// Adds a custom step. Failure reports show its `name`.
    pub(crate) fn then(
        mut self,
        name: impl Display,
        run: impl Fn(&mut Session) -> StepResult + Send + Sync + 'static,
    ) -> Self {
        self.steps.push(Step { name: name.to_string(), action: Action::Run(Arc::new(run)) });
        self
    }

    /// Adds the steps of another script.
    pub(crate) fn followed_by(mut self, more: Self) -> Self {
        self.steps.extend(more.steps);
        self
    }

    /// Starts a server that expects one connection and runs this script on it.
    pub(crate) fn serve(self) -> Server {
        Server::each([self])
    }

    /// Runs the script on an established connection and returns the bytes that the script read. The
    /// script ends at the first step that fails. Reads and writes time out after `limit`.
    pub(crate) fn run_on(self, stream: TcpStream, limit: Duration) -> Vec<u8> {
        Session::detached(stream, limit).run(&self)
    }

    // Steps that receive

    /// Expects exactly these bytes next. All `expect…` steps record what they read.
    pub(crate) fn expect(self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref().to_vec();
        self.then(format!("expect {}", show(&bytes)), move |session| {
            let mut got = Vec::new();
            while got.len() < bytes.len() {
                let more = session.receive_up_to(bytes.len() - got.len())?;
                got.extend_from_slice(&more);
                // Compare after each read: after a mismatch, the remaining bytes may never come.
                if more.is_empty() || !bytes.starts_with(&got) {
                    return Err(format!("expected {}\n     got {}", show(&bytes), show(&got)));
                }
            }
            Ok(())
        })
    }

    /// Reads any bytes up to and including `end`.
    pub(crate) fn expect_until(self, end: impl AsRef<[u8]>) -> Self {
        let end = end.as_ref().to_vec();
        self.then(format!("expect something that ends in {}", show(&end)), move |session| {
            session.receive_until(&end).map(drop)
        })
    }

    /// Expects this many bytes of any value.
    pub(crate) fn expect_bytes(self, count: usize) -> Self {
        self.then(format!("expect {count} bytes"), move |session| session.receive(count).map(drop))
    }

    /// Makes the receive buffer small, so that the kernel buffers little unread data.
    pub(crate) fn small_window(self) -> Self {
        self.then("make the receive window small", |session| {
            let socket = socket2::SockRef::from(session.stream());
            socket.set_recv_buffer_size(64 * 1024).map_err(|error| error.to_string())
        })
    }

    /// Expects EOF, with no bytes before it.
    pub(crate) fn expect_eof(self) -> Self {
        self.then("expect EOF", |session| {
            let got = session.receive_up_to(1000)?;
            if got.is_empty() { Ok(()) } else { Err(format!("got {} instead", show(&got))) }
        })
    }

    /// Expects EOF or a reset, with no bytes before it. A client that closes with unread input
    /// sends a reset.
    pub(crate) fn expect_disconnect(self) -> Self {
        self.then("expect the client to disconnect", |session| {
            let got = session.receive_or_reset(1000)?;
            if got.is_empty() { Ok(()) } else { Err(format!("got {} instead", show(&got))) }
        })
    }

    /// Expects a reset, with no bytes before it. EOF is a failure.
    pub(crate) fn expect_reset(self) -> Self {
        self.then("expect a reset", |session| match Read::read(&mut session.stream(), &mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
            other => Err(format!("got {other:?} instead")),
        })
    }

    /// Expects neither bytes nor EOF for this long.
    pub(crate) fn expect_silence(self, time: Duration) -> Self {
        self.then(format!("expect silence for {time:?}"), move |session| {
            let got = session.receive_within(1000, time)?;
            got.map_or(Ok(()), |got| Err(format!("got {} instead", show(&got))))
        })
    }

    /// Reads up to EOF or a reset and records the bytes.
    pub(crate) fn drain(self) -> Self {
        self.then("drain to EOF", |session| {
            while !session.receive_or_reset(64 * 1024)?.is_empty() {}
            Ok(())
        })
    }

    /// Reads up to EOF and records only the [`Digest`].
    pub(crate) fn sink(self) -> Self {
        self.then("sink up to EOF", |session| session.sink(u64::MAX))
    }

    /// Reads this many bytes and records only their [`Digest`].
    pub(crate) fn sink_bytes(self, count: u64) -> Self {
        self.then(format!("sink {count} bytes"), move |session| session.sink(count))
    }

    // Steps that read the client's side of a proxy negotiation

    /// Reads a SOCKS5 greeting, which may offer any methods.
    pub(crate) fn read_greeting(self) -> Self {
        self.then("read a SOCKS5 greeting", |session| {
            proxy::read_greeting(session).map(drop).map_err(|error| error.to_string())
        })
    }

    /// Reads a user name and a password (RFC 1929) and records them.
    pub(crate) fn read_login(self) -> Self {
        self.then("read user and password", |session| session.read_login().map(drop))
    }

    /// Reads a SOCKS5 request and records its target.
    pub(crate) fn read_socks5_request(self) -> Self {
        self.then("read a SOCKS5 request", |session| {
            let target = proxy::read_socks5_request(session).map_err(|error| error.to_string())?;
            session.record().target = Some(target);
            Ok(())
        })
    }

    /// Reads a SOCKS4 or SOCKS4a request and records its user name and target.
    pub(crate) fn read_socks4_request(self) -> Self {
        self.then("read a SOCKS4 request", |session| {
            let (user, target) = proxy::read_socks4_request(session).map_err(|error| error.to_string())?;
            let mut record = session.record();
            (record.user, record.target) = (Some(user), Some(target));
            Ok(())
        })
    }

    /// Reads the head of a CONNECT request, and records the head and the target.
    pub(crate) fn read_connect_request(self) -> Self {
        self.then("read a CONNECT request", |session| session.read_connect_request().map(drop))
    }

    // Steps that send

    /// Sends these bytes in one write.
    pub(crate) fn send(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref().to_vec();
        self.steps.push(Step { name: "send".to_owned(), action: Action::Send(bytes) });
        self
    }

    /// Appends these bytes to the preceding `send` step (or the proxy's reply), so that both are
    /// sent in the same write.
    pub(crate) fn early(mut self, bytes: impl AsRef<[u8]>) -> Self {
        match self.steps.last_mut().map(|step| &mut step.action) {
            Some(Action::Send(sent)) => sent.extend_from_slice(bytes.as_ref()),
            _ => panic!("`early` needs a `send` step before it"),
        }
        self
    }

    /// Sends these bytes in pieces, each in its own segment, with a pause after each piece.
    pub(crate) fn send_slowly(self, bytes: impl AsRef<[u8]>, piece: usize, pause: Duration) -> Self {
        let bytes = bytes.as_ref().to_vec();
        self.then(format!("send {} in pieces of {piece}", show(&bytes)), move |session| {
            for piece in bytes.chunks(piece) {
                session.send(piece)?;
                thread::sleep(pause);
            }
            Ok(())
        })
    }

    /// Sends the stream [`data`]`(seed, count)`.
    pub(crate) fn send_data(self, seed: u64, count: u64) -> Self {
        self.then(format!("send {count} bytes of data"), move |session| {
            let sent = copy(&mut data(seed, count), &mut session.stream());
            sent.map(drop).map_err(|error| format!("sending: {error}"))
        })
    }

    /// Echoes everything up to EOF, then half-closes. A reset is an end, too, because a listener
    /// resets its sessions when a signal stops it.
    pub(crate) fn echo(self) -> Self {
        self.then("echo", |session| {
            loop {
                let bytes = session.receive_or_reset(64 * 1024)?;
                if bytes.is_empty() {
                    // Fails after a reset.
                    let _ = session.half_close();
                    return Ok(());
                }
                session.send(&bytes)?;
            }
        })
    }

    /// Sends [`data`]`(seed, count)` in the background while the next steps run. At its end, the
    /// script waits until everything has been sent.
    pub(crate) fn send_in_background(self, seed: u64, count: u64) -> Self {
        self.then(format!("start to send {count} bytes of data"), move |session| {
            session.spawn(move |stream| copy(&mut data(seed, count), &mut &*stream).map(drop));
            Ok(())
        })
    }

    /// Sends until every buffer on the path is full.
    pub(crate) fn fill(self) -> Self {
        self.then("fill the connection", |session| {
            fill_up(&mut session.stream());
            Ok(())
        })
    }

    /// Sends until the client resets the connection. A client that closes it is a failure.
    pub(crate) fn send_until_reset(self) -> Self {
        self.then("send until a reset", |session| {
            loop {
                match session.stream().write(&[b'.'; 4096]) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
                    Err(error) => return Err(format!("got {error:?} instead")),
                }
            }
        })
    }

    /// Sends [`data`]`(seed, count)` while reading up to EOF into the record's [`Digest`].
    pub(crate) fn exchange(self, seed: u64, count: u64) -> Self {
        self.send_in_background(seed, count).sink()
    }

    /// Sends until the client is gone. Fails if the client still accepts bytes after `limit`.
    pub(crate) fn send_until_refused(self, limit: Duration) -> Self {
        self.then("send until the client is gone", move |session| {
            let start = Instant::now();
            while session.stream().write(&[b'.'; 1000]).is_ok() {
                if start.elapsed() > limit {
                    return Err(format!("the client still took bytes after {limit:?}"));
                }
                thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        })
    }

    // Steps that wait, close or relay

    /// Does nothing for this long.
    pub(crate) fn pause(self, time: Duration) -> Self {
        self.then(format!("pause for {time:?}"), move |_| {
            thread::sleep(time);
            Ok(())
        })
    }

    /// Waits until the gate is open.
    pub(crate) fn wait_for(self, gate: &Gate) -> Self {
        let gate = gate.clone();
        self.then("wait for a gate", move |_| {
            let open = gate.wait_for(super::TIMEOUT);
            if open { Ok(()) } else { Err("nobody opened it".to_owned()) }
        })
    }

    /// Opens a gate, so that the test can wait for this point in the script.
    pub(crate) fn open(self, gate: &Gate) -> Self {
        let gate = gate.clone();
        self.then("open a gate", move |_| {
            gate.open();
            Ok(())
        })
    }

    /// Keeps the connection open and idle until the server is finished or dropped.
    pub(crate) fn hold(self) -> Self {
        self.then("hold", |session| {
            session.hold();
            Ok(())
        })
    }

    /// Shuts down the write side, so that the client reads EOF.
    pub(crate) fn half_close(self) -> Self {
        self.then("half-close", Session::half_close)
    }

    /// Closes the connection at once. If unread bytes have arrived, the kernel sends a reset.
    pub(crate) fn close(self) -> Self {
        self.then("close", |session| {
            session.close();
            Ok(())
        })
    }

    /// Resets the connection. The client may lose data that it has not read yet.
    pub(crate) fn reset(self) -> Self {
        self.then("reset", |session| {
            let lingers = proxy::reset_on_close(session.stream());
            session.close();
            lingers.map_err(|error| error.to_string())
        })
    }

    /// Relays to the target that the client requested, which must be on loopback.
    pub(crate) fn relay(self) -> Self {
        self.then("relay to the requested target", |session| {
            let target = session.record().target.clone().ok_or("the client requested no target")?;
            session.relay(&target)
        })
    }

    /// Relays to this `host:port`, regardless of the target that the client requested.
    pub(crate) fn relay_to(self, target: impl Display) -> Self {
        let target = target.to_string();
        self.then(format!("relay to {target}"), move |session| session.relay(&target))
    }
}

impl Session {
    /// Reads `count` bytes into the record's digest, or up to EOF if `count` is [`u64::MAX`].
    fn sink(&mut self, count: u64) -> StepResult {
        let mut digest = self.record().digest.take().unwrap_or_else(Digest::new);
        let (early, stream) = self.unread_and_stream();
        let mut source = early.chain(stream).take(count);
        let result = copy(&mut source, &mut digest);
        let missing = source.limit();
        let all = digest.len;
        self.record().digest = Some(digest);
        match result {
            Err(error) => Err(format!("after {all} bytes: {error}")),
            Ok(_) if count < u64::MAX && missing > 0 => {
                Err(format!("EOF after {all} bytes, {missing} too early"))
            }
            Ok(_) => Ok(()),
        }
    }

    /// Reads, records and returns a user name and a password (RFC 1929).
    pub(super) fn read_login(&mut self) -> Result<(String, String), String> {
        let (user, password) = proxy::read_login(self).map_err(|error| error.to_string())?;
        let mut record = self.record();
        (record.user, record.password) = (Some(user.clone()), Some(password.clone()));
        Ok((user, password))
    }

    /// Reads the head of a CONNECT request, records the head and the target, and returns the head.
    pub(crate) fn read_connect_request(&mut self) -> Result<String, String> {
        let head = proxy::read_head(self).map_err(|error| error.to_string())?;
        let target = proxy::connect_target(&head).map_err(|error| error.to_string())?.to_owned();
        let mut record = self.record();
        (record.target, record.head) = (Some(target), Some(head.clone()));
        Ok(head)
    }
}

/// Writes until every buffer on the path is full.
pub(crate) fn fill_up(stream: &mut &TcpStream) {
    stream.set_nonblocking(true).unwrap();
    for _ in 0..20 {
        while stream.write(&[b'.'; 4096]).is_ok() {}
        thread::sleep(Duration::from_millis(20));
    }
    stream.set_nonblocking(false).unwrap();
}
