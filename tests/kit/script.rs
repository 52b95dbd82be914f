//! What a fake peer does on a connection, step by step.

use std::fmt::Display;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::gate::Gate;
use super::server::{Server, Session};
use super::show::show;
use super::{Digest, copy, data};

/// The result of a step: what went wrong, with what was expected and what came.
pub(crate) type Done = Result<(), String>;

/// Starts an empty script.
pub(crate) fn script() -> Script {
    Script { steps: Vec::new() }
}

/// Steps for one connection. At the script's end the connection is closed politely: its write
/// side is shut down, and what still comes is read and thrown away. ([`Script::close`] and
/// [`Script::reset`] are the other ways.)
pub(crate) struct Script {
    pub(crate) steps: Vec<Step>,
}

pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) action: Action,
}

pub(crate) enum Action {
    /// A step of its own, so that [`Script::early`] can add to it.
    Send(Vec<u8>),
    Run(Box<dyn FnOnce(&mut Session) -> Done + Send>),
}

impl Script {
    /// Any step: `name` stands in the report when it fails.
    pub(crate) fn then(
        mut self,
        name: impl Display,
        run: impl FnOnce(&mut Session) -> Done + Send + 'static,
    ) -> Self {
        self.steps.push(Step { name: name.to_string(), action: Action::Run(Box::new(run)) });
        self
    }

    /// The steps of another script.
    pub(crate) fn followed_by(mut self, more: Self) -> Self {
        self.steps.extend(more.steps);
        self
    }

    /// Starts a server with this script for its only connection.
    pub(crate) fn serve(self) -> Server {
        Server::each([self])
    }

    // What the peer receives

    /// Exactly these bytes come next. They are recorded, as with all `expect…` steps.
    pub(crate) fn expect(self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref().to_vec();
        self.then(format!("expect {}", show(&bytes)), move |session| {
            let mut got = Vec::new();
            while got.len() < bytes.len() {
                let more = session.receive_up_to(bytes.len() - got.len())?;
                got.extend_from_slice(&more);
                // Compared as it comes: a wrong start must not wait for bytes that never come.
                if more.is_empty() || !bytes.starts_with(&got) {
                    return Err(format!("expected {}\n     got {}", show(&bytes), show(&got)));
                }
            }
            Ok(())
        })
    }

    /// Something comes that ends in `end`; it is recorded.
    pub(crate) fn expect_until(self, end: impl AsRef<[u8]>) -> Self {
        let end = end.as_ref().to_vec();
        self.then(format!("expect something that ends in {}", show(&end)), move |session| {
            session.receive_until(&end).map(drop)
        })
    }

    /// So many bytes come, whatever they are.
    pub(crate) fn expect_bytes(self, count: usize) -> Self {
        self.then(format!("expect {count} bytes"), move |session| session.receive(count).map(drop))
    }

    /// Lets the system take little ahead of the steps that read.
    pub(crate) fn small_window(self) -> Self {
        self.then("make the window small", |session| {
            let socket = socket2::SockRef::from(session.stream());
            socket.set_recv_buffer_size(64 * 1024).map_err(|error| error.to_string())
        })
    }

    /// The other side ends its stream here, and has sent nothing more.
    pub(crate) fn expect_eof(self) -> Self {
        self.then("expect the end of the stream", |session| {
            let got = session.receive_up_to(1000)?;
            if got.is_empty() { Ok(()) } else { Err(format!("instead {} came", show(&got))) }
        })
    }

    /// The other side goes away, by closing or by a reset, and has sent nothing more. (It makes
    /// it a reset if it had not read everything.)
    pub(crate) fn expect_disconnect(self) -> Self {
        self.then("expect the other side to go away", |session| {
            let got = session.receive_or_reset(1000)?;
            if got.is_empty() { Ok(()) } else { Err(format!("instead {} came", show(&got))) }
        })
    }

    /// The other side breaks the connection off, and has sent nothing more: a clean end would not do.
    pub(crate) fn expect_reset(self) -> Self {
        self.then("expect a reset", |session| match Read::read(&mut session.stream(), &mut [0]) {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(()),
            other => Err(format!("instead there was {other:?}")),
        })
    }

    /// Nothing comes for so long, and the stream does not end either.
    pub(crate) fn expect_silence(self, time: Duration) -> Self {
        self.then(format!("expect silence for {time:?}"), move |session| {
            let got = session.receive_within(1000, time)?;
            got.map_or(Ok(()), |got| Err(format!("instead {} came", show(&got))))
        })
    }

    /// Everything up to the end of the stream, or a reset, is read and recorded.
    pub(crate) fn drain(self) -> Self {
        self.then("drain to the end of the stream", |session| {
            while !session.receive_or_reset(64 * 1024)?.is_empty() {}
            Ok(())
        })
    }

    /// Everything up to the end of the stream is read; only its [`Digest`] is recorded.
    pub(crate) fn sink(self) -> Self {
        self.then("sink up to the end of the stream", |session| session.sink(u64::MAX))
    }

    /// So many bytes are read; only their [`Digest`] is recorded.
    pub(crate) fn sink_bytes(self, count: u64) -> Self {
        self.then(format!("sink {count} bytes"), move |session| session.sink(count))
    }

    // What the peer sends

    /// Sends these bytes in one write.
    pub(crate) fn send(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref().to_vec();
        self.steps.push(Step { name: "send".to_owned(), action: Action::Send(bytes) });
        self
    }

    /// Adds these bytes to the `send` (or the proxy's last reply) just before it, so that both
    /// travel in one segment.
    pub(crate) fn early(mut self, bytes: impl AsRef<[u8]>) -> Self {
        match self.steps.last_mut().map(|step| &mut step.action) {
            Some(Action::Send(sent)) => sent.extend_from_slice(bytes.as_ref()),
            _ => panic!("nothing is sent just before"),
        }
        self
    }

    /// Sends these bytes in pieces, each in a segment of its own, with a pause after each.
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

    /// Sends all that comes back to where it came from, to the end of the stream.
    pub(crate) fn echo(self) -> Self {
        self.then("echo", |session| {
            loop {
                let bytes = session.receive_up_to(64 * 1024)?;
                if bytes.is_empty() {
                    return session.half_close();
                }
                session.send(&bytes)?;
            }
        })
    }

    /// Starts to send [`data`]`(seed, count)`, and goes on with the next step meanwhile. At the
    /// script's end all of it must have been sent.
    pub(crate) fn send_in_background(self, seed: u64, count: u64) -> Self {
        self.then(format!("start to send {count} bytes of data"), move |session| {
            session.spawn(move |stream| copy(&mut data(seed, count), &mut &*stream).map(drop));
            Ok(())
        })
    }

    /// Sends until everything on the way is full.
    pub(crate) fn fill(self) -> Self {
        self.then("send what there is room for", |session| {
            fill_up(&mut session.stream());
            Ok(())
        })
    }

    /// Sends [`data`]`(seed, count)` and at the same time reads up to the end of the stream into
    /// the record's [`Digest`].
    pub(crate) fn exchange(self, seed: u64, count: u64) -> Self {
        self.send_in_background(seed, count).sink()
    }

    /// Sends until the other side is gone; fails if it still takes bytes after `limit`.
    pub(crate) fn send_until_refused(self, limit: Duration) -> Self {
        self.then("send until the other side is gone", move |session| {
            let start = Instant::now();
            while session.stream().write(&[b'.'; 1000]).is_ok() {
                if start.elapsed() > limit {
                    return Err(format!("it still took bytes after {limit:?}"));
                }
                thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        })
    }

    // When, and how it ends

    /// Does nothing for a while.
    pub(crate) fn pause(self, time: Duration) -> Self {
        self.then(format!("pause for {time:?}"), move |_| {
            thread::sleep(time);
            Ok(())
        })
    }

    /// Waits until somebody opens the gate.
    pub(crate) fn wait_for(self, gate: &Gate) -> Self {
        let gate = gate.clone();
        self.then("wait for a gate", move |_| {
            let open = gate.wait_for(super::TIMEOUT);
            if open { Ok(()) } else { Err("nobody opened it".to_owned()) }
        })
    }

    /// Opens a gate: the test can wait for this point of the script.
    pub(crate) fn open(self, gate: &Gate) -> Self {
        let gate = gate.clone();
        self.then("open a gate", move |_| {
            gate.open();
            Ok(())
        })
    }

    /// Keeps the connection open without a word until the test calls [`Server::finish`].
    pub(crate) fn hold(self) -> Self {
        self.then("hold", |session| {
            session.hold();
            Ok(())
        })
    }

    /// Shuts the write side down: the other side sees the end of the stream.
    pub(crate) fn half_close(self) -> Self {
        self.then("half-close", Session::half_close)
    }

    /// Closes at once. With bytes that came and were not read, the system makes it a reset.
    pub(crate) fn close(self) -> Self {
        self.then("close", |session| {
            session.close();
            Ok(())
        })
    }

    /// Resets the connection. What the other side has not read by then may be lost to it.
    pub(crate) fn reset(self) -> Self {
        self.then("reset", |session| {
            let linger = socket2::SockRef::from(session.stream()).set_linger(Some(Duration::ZERO));
            session.close();
            linger.map_err(|error| error.to_string())
        })
    }

    /// Relays to the target that the client asked this proxy for, which must be on loopback.
    pub(crate) fn relay(self) -> Self {
        self.then("relay to the target asked for", |session| {
            let target = session.record().target.clone().ok_or("no target was asked for")?;
            session.relay(&target)
        })
    }

    /// Relays to this address, `host:port`, whatever the client asked for.
    pub(crate) fn relay_to(self, target: impl Display) -> Self {
        let target = target.to_string();
        self.then(format!("relay to {target}"), move |session| session.relay(&target))
    }
}

impl Session {
    /// Reads `count` bytes, or up to the end, into the record's digest.
    fn sink(&mut self, count: u64) -> Done {
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
                Err(format!("the stream ended after {all} bytes, {missing} too early"))
            }
            Ok(_) => Ok(()),
        }
    }
}

/// Writes until everything on the way is full.
pub(crate) fn fill_up(stream: &mut &TcpStream) {
    stream.set_nonblocking(true).unwrap();
    for _ in 0..20 {
        while stream.write(&[b'.'; 4096]).is_ok() {}
        thread::sleep(Duration::from_millis(20));
    }
    stream.set_nonblocking(false).unwrap();
}
