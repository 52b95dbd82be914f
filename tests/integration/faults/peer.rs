//! The peer in a case, which follows the conversation except in the turn with the fault.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::case::{Act, Case, WELCOME};

/// Interval at which a waiting peer checks whether the program has exited.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// More bytes than the client's memory limit and the socket buffers can hold. The peer can send all
/// of them only if the client keeps reading.
pub(crate) const FLOOD: usize = 64 * 1024 * 1024;

/// The observations of the peer during a run.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) connections: usize,
    /// Number of flood bytes that the peer was able to send.
    pub(crate) flooded: usize,
}

/// Serves connections one after another while the program is `alive`.
pub(crate) fn serve(listener: &TcpListener, case: &Case, alive: &dyn Fn() -> bool) -> Seen {
    let mut seen = Seen::default();
    listener.set_nonblocking(true).unwrap();
    while alive() {
        let Ok((stream, _)) = listener.accept() else {
            thread::sleep(POLL_INTERVAL);
            continue;
        };
        stream.set_nonblocking(false).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(POLL_INTERVAL)).unwrap();
        stream.set_write_timeout(Some(POLL_INTERVAL)).unwrap();
        let first = case.conversation.first_turn(seen.connections);
        seen.connections += 1;
        // An error means that the program closed the connection, which ends the conversation.
        let _ = Peer { stream, case, alive, flooded: &mut seen.flooded }.converse(first);
    }
    seen
}

struct Peer<'a> {
    stream: TcpStream,
    case: &'a Case,
    alive: &'a dyn Fn() -> bool,
    flooded: &'a mut usize,
}

impl Peer<'_> {
    fn converse(mut self, first: usize) -> io::Result<()> {
        let turns = &self.case.conversation.turns;
        for (index, turn) in turns.iter().enumerate().skip(first) {
            let mut asked = Vec::new();
            while !turn.question.is_complete(&asked) {
                asked.push(self.read_byte()?);
            }
            if index != self.case.turn {
                self.send(&turn.answer)?;
            } else if !self.perform()? {
                return Ok(());
            }
            if turn.closes {
                return Ok(());
            }
        }
        self.send(WELCOME)?;
        self.finish()
    }

    /// Performs the actions. Returns `true` if the conversation continues.
    fn perform(&mut self) -> io::Result<bool> {
        for act in &self.case.acts {
            match act {
                Act::Send(bytes) => self.send(bytes)?,
                Act::Drip(bytes, pause) => {
                    for byte in bytes {
                        self.send(&[*byte])?;
                        self.pause(*pause)?;
                    }
                }
                Act::Pause(time) => self.pause(*time)?,
                Act::Flood(start, unit) => {
                    self.send(start)?;
                    let block = unit.repeat(64 * 1024 / unit.len() + 1);
                    while *self.flooded < FLOOD {
                        self.send(&block)?;
                        *self.flooded += block.len();
                    }
                    self.pause(Duration::MAX)?;
                }
                Act::Close => return Ok(false),
                Act::Reset => {
                    socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
                    return Ok(false);
                }
                Act::Hold => self.pause(Duration::MAX)?,
                Act::Continue => return Ok(true),
                Act::Finish => {
                    self.finish()?;
                    return Ok(false);
                }
            }
        }
        Ok(false)
    }

    /// Half-closes, then discards input until EOF: closing with unread input would cause a reset,
    /// which may discard data in flight.
    fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        loop {
            self.read_byte()?;
        }
    }

    fn read_byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        loop {
            match self.stream.read(&mut byte) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => return Ok(byte[0]),
                Err(error) => self.go_on_after(error)?,
            }
        }
    }

    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(length) => bytes = &bytes[length..],
                Err(error) => self.go_on_after(error)?,
            }
        }
        Ok(())
    }

    fn go_on_after(&self, error: io::Error) -> io::Result<()> {
        let is_timeout = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
        if is_timeout && (self.alive)() { Ok(()) } else { Err(error) }
    }

    /// Waits for this long. Fails if the program exits first.
    fn pause(&self, time: Duration) -> io::Result<()> {
        let start = Instant::now();
        while start.elapsed() < time {
            if !(self.alive)() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            thread::sleep(POLL_INTERVAL.min(time));
        }
        Ok(())
    }
}
