//! Peers that take both programs as they come: a dialogue goes on as long as the other side does, and nothing that the
//! other side does is an error here. What it sent is compared afterwards.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

#[derive(Clone, Debug)]
enum Act {
    Send(Vec<u8>),
    /// Reads so many bytes.
    Read(usize),
    /// Reads up to these bytes.
    Until(Vec<u8>),
    /// Reads up to the end of the stream.
    ToEnd,
    /// A SOCKS5 greeting: a count, and so many methods.
    Greeting,
    /// User and password as in RFC 1929.
    UserPass,
    /// A SOCKS5 request, whatever form its address has.
    Request5,
    /// A SOCKS4 request, with the name of 4a if there is one.
    Request4,
    /// An HTTP request; without credentials it gets this reply, and that is all.
    Authorized(Vec<u8>),
    Pause(Duration),
    HalfClose,
    Reset,
}

/// What one side of a connection does. At its end it shuts its write side down.
#[derive(Clone, Debug, Default)]
pub(crate) struct Talk(Vec<Act>);

/// Whether a dialogue can go on.
type Goes = Option<()>;

macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident => $act:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name(mut self) -> Self {
            self.0.push(Act::$act);
            self
        }
    )*};
}

/// Starts an empty one.
pub(crate) fn talk() -> Talk {
    Talk::default()
}

impl Talk {
    pub(crate) fn send(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.push(Act::Send(bytes.as_ref().to_vec()));
        self
    }

    pub(crate) fn read(mut self, count: usize) -> Self {
        self.0.push(Act::Read(count));
        self
    }

    pub(crate) fn until(mut self, end: impl AsRef<[u8]>) -> Self {
        self.0.push(Act::Until(end.as_ref().to_vec()));
        self
    }

    pub(crate) fn pause(mut self, milliseconds: u64) -> Self {
        self.0.push(Act::Pause(Duration::from_millis(milliseconds)));
        self
    }

    /// Reads a request's head, and goes on if it holds credentials. If not it answers with this.
    pub(crate) fn authorized_or(mut self, reply: impl AsRef<[u8]>) -> Self {
        self.0.push(Act::Authorized(reply.as_ref().to_vec()));
        self
    }

    acts! {
        till_end => ToEnd;
        greeting => Greeting;
        user_pass => UserPass;
        request5 => Request5;
        request4 => Request4;
        half_close => HalfClose;
        reset => Reset;
    }

    /// Whether a reset is the last of it.
    pub(crate) fn ends_by_reset(&self) -> bool {
        matches!(self.0.last(), Some(Act::Reset))
    }

    /// Reads a request's head.
    pub(crate) fn head(self) -> Self {
        self.until("\r\n\r\n")
    }

    /// What all peers do once the session has begun: say hello, and take what comes.
    pub(crate) fn session(self) -> Self {
        self.send("HELLO\n").till_end()
    }

    /// Does all of it; what was read goes to `note` as it comes.
    pub(crate) fn perform(&self, stream: &TcpStream, note: &mut dyn FnMut(&[u8])) {
        let mut line = Line { stream, note };
        for act in &self.0 {
            if line.perform(act).is_none() {
                break;
            }
        }
    }
}

struct Line<'a> {
    stream: &'a TcpStream,
    note: &'a mut dyn FnMut(&[u8]),
}

impl Line<'_> {
    fn perform(&mut self, act: &Act) -> Goes {
        match act {
            Act::Send(bytes) => self.stream.write_all(bytes).ok(),
            Act::Read(count) => self.read(*count).map(drop),
            Act::Until(end) => self.until(end).map(drop),
            Act::ToEnd => {
                while self.read(1).is_some() {}
                Some(())
            }
            Act::Greeting => {
                let count = self.read(2)?[1];
                self.read(count.into()).map(drop)
            }
            Act::UserPass => {
                let user = self.read(2)?[1];
                let password = self.read(usize::from(user) + 1)?.pop()?;
                self.read(password.into()).map(drop)
            }
            Act::Request5 => {
                let length = match self.read(4)?[3] {
                    1 => 4,
                    4 => 16,
                    _ => self.read(1)?[0].into(),
                };
                self.read(length + 2).map(drop)
            }
            Act::Request4 => {
                let start = self.read(8)?;
                self.until(&[0])?;
                if matches!(start[4..], [0, 0, 0, 1..=255]) {
                    self.until(&[0])?;
                }
                Some(())
            }
            Act::Authorized(reply) => {
                let head = self.until(b"\r\n\r\n")?;
                let known = head.windows(14).any(|part| part == b"Authorization:");
                if !known {
                    let _ = self.stream.write_all(reply);
                }
                known.then_some(())
            }
            Act::Pause(time) => {
                thread::sleep(*time);
                Some(())
            }
            Act::HalfClose => self.stream.shutdown(Shutdown::Write).ok(),
            Act::Reset => {
                let _ = SockRef::from(self.stream).set_linger(Some(Duration::ZERO));
                None
            }
        }
    }

    fn read(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        let mut length = 0;
        while length < count {
            match self.stream.read(&mut bytes[length..]) {
                Ok(0) => return None,
                Ok(more) => {
                    (self.note)(&bytes[length..length + more]);
                    length += more;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        Some(bytes)
    }

    fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        while !all.ends_with(end) {
            all.extend(self.read(1)?);
        }
        Some(all)
    }
}

// Peers that many cases use

/// A SOCKS5 request granted, with an address of 127.0.0.1.
pub(crate) const GRANTED5: [u8; 10] = [5, 0, 0, 1, 127, 0, 0, 1, 18, 52];

/// A SOCKS4 request granted.
pub(crate) const GRANTED4: [u8; 8] = [0, 90, 0, 0, 0, 0, 0, 0];

/// A target that is reached without a proxy.
pub(crate) fn target() -> Talk {
    talk().session()
}

/// A SOCKS5 proxy that wants no password.
pub(crate) fn socks5() -> Talk {
    talk().greeting().send([5, 0]).request5().send(GRANTED5).session()
}

/// A SOCKS5 proxy that wants a password and takes any.
pub(crate) fn socks5_password() -> Talk {
    talk().greeting().send([5, 2]).user_pass().send([1, 0]).request5().send(GRANTED5).session()
}

/// A SOCKS5 proxy that answers the request with this.
pub(crate) fn socks5_reply(reply: impl AsRef<[u8]>) -> Talk {
    talk().greeting().send([5, 0]).request5().send(reply).session()
}

/// A SOCKS4 proxy that answers with this.
pub(crate) fn socks4_reply(reply: impl AsRef<[u8]>) -> Talk {
    talk().request4().send(reply).session()
}

/// A SOCKS4 proxy that grants everything.
pub(crate) fn socks4() -> Talk {
    socks4_reply(GRANTED4)
}

/// An HTTP proxy that answers with this.
pub(crate) fn http_reply(reply: impl AsRef<[u8]>) -> Talk {
    talk().head().send(reply).session()
}

/// An HTTP proxy that opens the tunnel.
pub(crate) fn http() -> Talk {
    http_reply("HTTP/1.0 200 OK\r\n\r\n")
}

/// An HTTP proxy that asks for a password with this reply, and takes any.
pub(crate) fn http_asks(reply: impl AsRef<[u8]>) -> Talk {
    talk().authorized_or(reply).send("HTTP/1.0 200 OK\r\n\r\n").session()
}

/// A telnet-style proxy that answers with this.
pub(crate) fn telnet_reply(reply: impl AsRef<[u8]>) -> Talk {
    talk().send("welcome\r\n").until("\n").send(reply).session()
}
