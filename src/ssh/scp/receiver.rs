//! The receiving side: the client of `scp -f`, and the server for `scp -t`.

use super::input::{Answer, Input, put_error};
use super::record::{Entry, Record, Times};
use super::{Error, MAX_DEPTH};

/// Something that the sender has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiverEvent<'a> {
    /// A file. Answer with [`Receiver::accept`] or [`Receiver::refuse`]; data follow only if it is
    /// accepted.
    File(Entry, Option<Times>),
    /// A directory. Answer with [`Receiver::accept`] or [`Receiver::refuse`]; entries follow only
    /// if it is accepted.
    Directory(Entry, Option<Times>),
    /// The next bytes of the file.
    Data(&'a [u8]),
    /// The file is complete. Answer with [`Receiver::accept`] or [`Receiver::refuse`].
    FileEnd,
    /// The sender could not read the whole file, for this reason. Answer with [`Receiver::accept`].
    FileFailed(Vec<u8>),
    /// The directory is complete, and may now get its times.
    DirectoryEnd,
    /// The sender could not send a file, for this reason.
    Warning(Vec<u8>),
}

#[derive(Debug)]
enum State {
    Record,
    /// The caller has to answer for a file of this size.
    AcceptFile(u64),
    AcceptDirectory,
    /// This many bytes of the file are missing.
    Data(u64),
    FileEnd,
    AcceptData,
}

/// Receives files and directories.
#[derive(Debug)]
pub struct Receiver {
    input: Input,
    output: Vec<u8>,
    state: State,
    times: Option<Times>,
    depth: usize,
    /// The only name that may be sent; `None` for any.
    name: Option<Vec<u8>>,
    is_recursive: bool,
}

impl Receiver {
    /// Starts the copy. With `name`, only the file or directory of this name is accepted. A client
    /// passes the last part of the path that it has requested. Directories need `is_recursive`.
    #[must_use]
    pub fn new(name: Option<Vec<u8>>, is_recursive: bool) -> Self {
        let (input, output) = (Input::default(), vec![0]);
        Self { input, output, state: State::Record, times: None, depth: 0, name, is_recursive }
    }

    /// Returns the bytes to send.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// Removes the first `count` bytes of the output, which have been sent.
    pub fn sent(&mut self, count: usize) {
        self.output.drain(..count.min(self.output.len()));
    }

    /// Adds received bytes. The caller then takes all events.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.input.add(bytes);
    }

    /// Returns the next event; `None` if more bytes, or an answer of the caller, are needed.
    ///
    /// # Errors
    /// The sender has ended the copy, has sent another name than requested, or has violated the
    /// protocol.
    pub fn next_event(&mut self) -> Result<Option<ReceiverEvent<'_>>, Error> {
        match self.state {
            State::Record => self.next_record(),
            State::Data(left) => {
                let data = self.input.data(left);
                let left = left - data.len() as u64;
                self.state = if left == 0 { State::FileEnd } else { State::Data(left) };
                Ok(Some(ReceiverEvent::Data(data)).filter(|_| !data.is_empty()))
            }
            State::FileEnd => {
                let Some(answer) = self.input.answer()? else { return Ok(None) };
                self.state = State::AcceptData;
                Ok(Some(match answer {
                    Answer::Ok => ReceiverEvent::FileEnd,
                    Answer::Warning(text) => ReceiverEvent::FileFailed(text),
                }))
            }
            State::AcceptFile(_) | State::AcceptDirectory | State::AcceptData => Ok(None),
        }
    }

    fn next_record(&mut self) -> Result<Option<ReceiverEvent<'_>>, Error> {
        loop {
            let record = match self.input.peek() {
                None => return Ok(None),
                Some(0..=2) => match self.input.answer()? {
                    None => return Ok(None),
                    Some(Answer::Warning(text)) => return Ok(Some(ReceiverEvent::Warning(text))),
                    Some(Answer::Ok) => return Err(Error::Unexpected('\0')),
                },
                Some(b'C' | b'D' | b'E' | b'T') => match self.input.line()? {
                    None => return Ok(None),
                    Some(line) => Record::parse(line)?,
                },
                Some(_) => match self.input.line()? {
                    None => return Ok(None),
                    Some(line) => return Err(Error::NotScp(line.to_vec())),
                },
            };
            match record {
                Record::Times(times) => {
                    if self.times.replace(times).is_some() {
                        return Err(Error::Unexpected('T'));
                    }
                    self.output.push(0);
                }
                record => return self.entry(record).map(Some),
            }
        }
    }

    fn entry(&mut self, record: Record) -> Result<ReceiverEvent<'static>, Error> {
        let times = self.times.take();
        match record {
            Record::File(entry) => {
                self.check_name(&entry)?;
                self.state = State::AcceptFile(entry.size);
                Ok(ReceiverEvent::File(entry, times))
            }
            Record::Directory(entry) => {
                self.check_name(&entry)?;
                if !self.is_recursive || self.depth >= MAX_DEPTH {
                    return Err(Error::Unexpected('D'));
                }
                self.state = State::AcceptDirectory;
                Ok(ReceiverEvent::Directory(entry, times))
            }
            Record::End | Record::Times(_) => {
                self.depth = self.depth.checked_sub(1).ok_or(Error::Unexpected('E'))?;
                self.output.push(0);
                Ok(ReceiverEvent::DirectoryEnd)
            }
        }
    }

    /// Checks that the client requested the name.
    fn check_name(&self, entry: &Entry) -> Result<(), Error> {
        match &self.name {
            Some(name) if self.depth == 0 && *name != entry.name => Err(Error::Name(entry.name.clone())),
            _ => Ok(()),
        }
    }

    /// Accepts the file or directory, or confirms that the file is written.
    pub fn accept(&mut self) {
        match self.state {
            State::AcceptFile(0) => self.state = State::FileEnd,
            State::AcceptFile(size) => self.state = State::Data(size),
            State::AcceptDirectory => {
                self.depth += 1;
                self.state = State::Record;
            }
            State::AcceptData => self.state = State::Record,
            State::Record | State::Data(_) | State::FileEnd => return,
        }
        self.output.push(0);
    }

    /// Refuses the file or directory, or reports that the file could not be written. The copy
    /// continues with the next file.
    pub fn refuse(&mut self, text: &str) {
        if matches!(self.state, State::AcceptFile(_) | State::AcceptDirectory | State::AcceptData) {
            self.state = State::Record;
            put_error(&mut self.output, false, text);
        }
    }

    /// Ends the copy with an error for the sender.
    pub fn abort(&mut self, text: &str) {
        put_error(&mut self.output, true, text);
    }

    /// Checks that the copy is complete when the channel ends.
    ///
    /// # Errors
    /// The end is within a file or a directory.
    pub fn end_of_input(&self) -> Result<(), Error> {
        let is_complete = matches!(self.state, State::Record) && self.depth == 0 && self.input.is_empty();
        if is_complete { Ok(()) } else { Err(Error::Incomplete) }
    }
}
