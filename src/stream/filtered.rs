//! A stream whose incoming bytes pass through a filter.

use std::fmt;
use std::io;
use std::time::Duration;

use zeroize::Zeroizing;

use super::{Events, Interest, PollSet, Stream};
use crate::proto::server::{Filter, Malformed, Mode};
use crate::sys::{self, Channel, Ready};

/// Maximum number of bytes to pass to a filter at once.
const CHUNK: usize = 8 * 1024;

/// A stream whose incoming bytes pass through a [`Filter`]. The other direction is unchanged.
pub struct Filtered {
    below: Box<dyn Stream>,
    filter: Box<dyn Filter>,
    /// Bytes to read, from this index on.
    output: Zeroizing<Vec<u8>>,
    read: usize,
    /// The error to report once all of the output has been read.
    fault: Option<io::Error>,
    /// Something was written, so an answer to a malformed message would come too late.
    has_written: bool,
}

impl Filtered {
    /// Puts a filter on top of a stream. The first bytes to be read are `first`.
    #[must_use]
    pub fn new(below: Box<dyn Stream>, filter: Box<dyn Filter>, first: &[u8]) -> Self {
        let output = Zeroizing::new(first.to_vec());
        Self { below, filter, output, read: 0, fault: None, has_written: false }
    }

    fn pending(&self) -> &[u8] {
        &self.output[self.read..]
    }

    /// Reads until there is output, EOF or an error, or some bytes have been discarded. Returns a
    /// number if the next bytes bypass the filter: the caller may read at most that many from
    /// below. Returns `None` otherwise.
    fn fill(&mut self) -> io::Result<Option<u64>> {
        loop {
            if !self.pending().is_empty() {
                return Ok(None);
            }
            if let Some(fault) = &self.fault {
                return Err(sys::clone_io_error(fault));
            }
            (self.output, self.read) = (Zeroizing::new(Vec::new()), 0);
            let is_discarded = match self.filter.mode() {
                Mode::Process => false,
                Mode::Discard => true,
                Mode::Pass(max) => return Ok(Some(max)),
                Mode::End => return Ok(None),
            };
            let mut chunk = Zeroizing::new([0; CHUNK]);
            let received = self.below.read(&mut *chunk);
            match received {
                Err(error) if sys::is_transient(&error) => return Err(error),
                // A peer that keeps sending must not keep us here.
                Ok(count) if count > 0 && is_discarded => return Err(io::ErrorKind::WouldBlock.into()),
                Ok(count) if count > 0 => {
                    let result = self.filter.receive(&chunk[..count], &mut self.output);
                    self.check(result);
                }
                Ok(_) => self.end(),
                // If the filter still expects a response, it supplies one of its own.
                Err(error) => {
                    self.end();
                    if self.pending().is_empty() {
                        self.fault.get_or_insert(error);
                    }
                }
            }
        }
    }

    fn end(&mut self) {
        let result = self.filter.closed(&mut self.output);
        self.check(result);
    }

    /// Stores the error for a malformed message. Answers the sender if that is still possible.
    fn check(&mut self, result: Result<(), Malformed>) {
        let Err(Malformed { why, answer }) = result else { return };
        if !self.has_written && !answer.is_empty() {
            // The send buffer is empty, so one call is enough.
            let _ = self.below.write(&answer).and_then(|_| self.below.flush());
        }
        self.fault = Some(io::Error::new(io::ErrorKind::InvalidData, why));
    }

    fn is_readable(&self) -> bool {
        !self.pending().is_empty() || self.fault.is_some() || self.filter.mode() == Mode::End
    }
}

/// The output may contain a secret.
impl fmt::Debug for Filtered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filtered({:?}, {:?})", self.filter, self.below)
    }
}

impl Stream for Filtered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(max) = self.fill()? else {
            let count = self.pending().len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.pending()[..count]);
            self.read += count;
            return Ok(count);
        };
        let max = usize::try_from(max).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.below.read(&mut buffer[..max])?;
        if count > 0 || max == 0 {
            self.filter.passed(count);
            return Ok(count);
        }
        self.end();
        self.read(buffer)
    }

    fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(max) = self.fill()? {
            let max = usize::try_from(max).unwrap_or(usize::MAX).min(buffer.len());
            let count = self.below.peek(&mut buffer[..max])?;
            if count > 0 || max == 0 {
                return Ok(count);
            }
            self.end();
            return self.peek(buffer);
        }
        let count = self.pending().len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.pending()[..count]);
        Ok(count)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.below.write(bytes)?;
        self.has_written |= count > 0;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.below.flush()
    }

    fn shut_down_writing(&mut self) -> io::Result<()> {
        self.below.shut_down_writing()
    }

    fn can_half_close(&self) -> bool {
        self.below.can_half_close()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.below.finish()
    }

    fn reset_on_close(&mut self) {
        self.below.reset_on_close();
    }

    fn set_reset_on_exit(&mut self, reset: bool) {
        self.below.set_reset_on_exit(reset);
    }

    fn undelivered(&self) -> usize {
        self.below.undelivered()
    }

    fn time_left(&self) -> Option<Duration> {
        self.below.time_left()
    }

    fn on_time(&mut self) {
        self.below.on_time();
    }

    fn fault(&self) -> Option<io::Error> {
        // An EOF that the filter itself has caused hides no error.
        self.below.fault().filter(|_| matches!(self.filter.mode(), Mode::Pass(_)))
    }

    fn is_resuming(&self) -> bool {
        self.below.is_resuming()
    }

    fn lost_data(&self) -> Option<io::Error> {
        self.below.lost_data()
    }

    fn register<'a>(&'a self, want: Interest, polls: &mut PollSet<'a>) {
        if want.read && self.is_readable() {
            polls.set_ready();
        }
        self.below.register(want, polls);
    }

    fn ready(&self, want: Interest, events: &mut Events) -> Ready {
        let ready = self.below.ready(want, events);
        Ready { read: ready.read || self.is_readable(), ..ready }
    }

    fn socket(&self) -> Option<&Channel> {
        self.below.socket()
    }

    fn can_write_unpolled(&self) -> bool {
        self.below.can_write_unpolled()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;
    use crate::stream::read_within;

    /// Adds an exclamation mark to each byte of the first line. Then passes on three bytes, and
    /// discards the rest.
    #[derive(Debug)]
    struct Excited {
        left: Option<u64>,
        is_closed: bool,
    }

    impl Filter for Excited {
        fn mode(&self) -> Mode {
            match self.left {
                None => Mode::Process,
                Some(0) if self.is_closed => Mode::End,
                Some(0) => Mode::Discard,
                Some(left) => Mode::Pass(left),
            }
        }

        fn receive(&mut self, input: &[u8], output: &mut Zeroizing<Vec<u8>>) -> Result<(), Malformed> {
            for &byte in input {
                match byte {
                    b'?' => return Err(Malformed { why: "in doubt", answer: b"no".to_vec() }),
                    b'\n' => self.left = Some(3),
                    byte => output.extend([byte, b'!']),
                }
            }
            Ok(())
        }

        fn passed(&mut self, count: usize) {
            self.left = self.left.map(|left| left - count as u64);
        }

        fn closed(&mut self, output: &mut Zeroizing<Vec<u8>>) -> Result<(), Malformed> {
            if self.left.is_none() {
                output.extend_from_slice(b"closed");
            }
            (self.left, self.is_closed) = (Some(0), true);
            Ok(())
        }
    }

    fn excited() -> (Filtered, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, _) = listener.accept().unwrap();
        ours.set_nonblocking(true).unwrap();
        let filter = Box::new(Excited { left: None, is_closed: false });
        (Filtered::new(Box::new(Channel::socket(ours)), filter, b"first "), theirs)
    }

    fn read(stream: &mut Filtered) -> io::Result<String> {
        let mut buffer = [0; 16];
        let mut peeked = [0; 16];
        let count = read_within(stream, &mut [], Duration::from_secs(10)).unwrap();
        assert_eq!(count, Some(0));
        let peeked_count = stream.peek(&mut peeked)?;
        let count = read_within(stream, &mut buffer, Duration::from_secs(10))?.unwrap();
        assert_eq!(peeked[..peeked_count], buffer[..count]);
        Ok(String::from_utf8(buffer[..count].to_vec()).unwrap())
    }

    #[test]
    fn bytes_are_processed_then_passed_then_discarded() {
        let (mut stream, mut theirs) = excited();
        assert_eq!(read(&mut stream).unwrap(), "first ");
        theirs.write_all(b"ab").unwrap();
        assert_eq!(read(&mut stream).unwrap(), "a!b!");
        theirs.write_all(b"\n").unwrap();
        let mut buffer = [0; 16];
        let nothing = read_within(&mut stream, &mut buffer, Duration::from_millis(50));
        assert!(matches!(nothing, Ok(None)), "{nothing:?}");
        theirs.write_all(b"cdefg").unwrap();
        assert_eq!(read(&mut stream).unwrap(), "cde");
        theirs.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read(&mut stream).unwrap(), "");
        assert_eq!(read(&mut stream).unwrap(), "");
    }

    /// A client that sent faster than we could discard kept a reactor from its other sessions.
    #[test]
    fn bytes_to_discard_kept_a_read_from_ending() {
        let (mut stream, mut theirs) = excited();
        assert_eq!(read(&mut stream).unwrap(), "first ");
        theirs.write_all(b"\n").unwrap();
        assert!(read_within(&mut stream, &mut [0; 16], Duration::from_millis(50)).unwrap().is_none());
        theirs.write_all(&vec![b'x'; 3 * CHUNK]).unwrap();
        assert_eq!(read(&mut stream).unwrap(), "xxx");
        assert_eq!(stream.read(&mut [0; 16]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        // One chunk at most is gone.
        assert!(stream.below.peek(&mut [0; 16]).is_ok());
    }

    #[test]
    fn a_filter_that_waits_for_an_answer_makes_one() {
        let (mut stream, theirs) = excited();
        assert_eq!(read(&mut stream).unwrap(), "first ");
        drop(theirs);
        assert_eq!(read(&mut stream).unwrap(), "closed");
        assert_eq!(read(&mut stream).unwrap(), "");
        assert!(stream.fault().is_none());
    }

    #[test]
    fn a_malformed_message_is_answered_unless_an_answer_was_begun() {
        for begun in ["", "yes"] {
            let (mut stream, mut theirs) = excited();
            assert_eq!(read(&mut stream).unwrap(), "first ");
            assert_eq!(stream.write(begun.as_bytes()).unwrap(), begun.len());
            theirs.write_all(b"?").unwrap();
            let failed = read_within(&mut stream, &mut [0; 16], Duration::from_secs(10)).unwrap_err();
            assert_eq!(
                (failed.kind(), failed.to_string().as_str()),
                (io::ErrorKind::InvalidData, "in doubt")
            );
            drop(stream);
            let mut answer = String::new();
            theirs.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, if begun.is_empty() { "no" } else { begun });
        }
    }
}
