//! The sending side: the client of `scp -t`, and the server for `scp -f`.

use std::collections::VecDeque;

use super::input::{Answer, Input, put_error};
use super::record::{Entry, Record, Times};
use super::{Error, InvalidName};
use crate::ssh::sftp::buffer::Buffer;

/// While this many bytes wait to be sent, [`Sender::wants_data`] returns `None`.
const MAX_OUTPUT: usize = 256 * 1024;

/// The most bytes of a file that [`Sender::wants_data`] requests at a time.
const MAX_DATA: usize = 32 * 1024;

/// A file or directory of a [`Sender`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryId(u64);

/// Something that happened to a file or directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SenderEvent {
    /// The receiver accepts the file, and wants its data, or has created the directory.
    Started(EntryId),
    /// The file has arrived.
    Done(EntryId),
    /// The file or directory has failed, with the receiver's text. The entries of such a directory
    /// are not sent, and it has no end.
    Failed(EntryId, Vec<u8>),
    /// A warning that concerns no file.
    Warning(Vec<u8>),
}

/// The purpose of an expected answer.
#[derive(Clone, Copy, Debug)]
enum Expected {
    Start,
    /// A file or directory is announced.
    Entry(EntryId, bool),
    Data(EntryId),
    Other,
}

/// The file whose data are sent.
#[derive(Debug)]
struct File {
    id: EntryId,
    left: u64,
    /// The text of a local failure. Zeros are sent instead of the remaining data.
    failure: Option<String>,
}

/// Sends files and directories. The records before a file's data are sent without waiting for
/// single answers, so that a file costs one round trip.
#[derive(Debug)]
pub struct Sender {
    input: Input,
    output: Buffer,
    expected: VecDeque<Expected>,
    /// The announced entry's size, until the receiver has accepted it.
    announced: Option<u64>,
    file: Option<File>,
    next_id: u64,
}

impl Default for Sender {
    fn default() -> Self {
        Self::new()
    }
}

impl Sender {
    /// Waits for the receiver to start.
    #[must_use]
    pub fn new() -> Self {
        Self {
            input: Input::default(),
            output: Buffer::default(),
            expected: VecDeque::from([Expected::Start]),
            announced: None,
            file: None,
            next_id: 0,
        }
    }

    /// Returns the bytes to send.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.output.rest()
    }

    /// Removes the first `count` bytes of the output, which have been sent.
    pub fn sent(&mut self, count: usize) {
        self.output.discard(count);
        self.send_zeros();
    }

    /// Adds received bytes. The caller then takes all events.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.input.add(bytes);
    }

    /// Returns `true` if the next file, directory or end of a directory may be announced.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.announced.is_none() && self.file.is_none()
    }

    /// Returns `true` if all files and directories have been answered.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.is_ready() && self.expected.is_empty()
    }

    /// Announces a file. The sender must be ready.
    ///
    /// # Errors
    /// scp cannot transfer the name. Nothing is sent.
    pub fn file(&mut self, entry: Entry, times: Option<Times>) -> Result<EntryId, InvalidName> {
        self.announce(entry.size, &Record::File(entry).encode()?, true, times)
    }

    /// Announces a directory. The sender must be ready.
    ///
    /// # Errors
    /// scp cannot transfer the name. Nothing is sent.
    pub fn directory(&mut self, entry: Entry, times: Option<Times>) -> Result<EntryId, InvalidName> {
        self.announce(0, &Record::Directory(entry).encode()?, false, times)
    }

    fn announce(
        &mut self,
        size: u64,
        record: &[u8],
        is_file: bool,
        times: Option<Times>,
    ) -> Result<EntryId, InvalidName> {
        let id = EntryId(self.next_id);
        self.next_id += 1;
        if let Some(times) = times {
            self.output.end().extend(Record::Times(times).encode()?);
            self.expected.push_back(Expected::Other);
        }
        self.output.end().extend_from_slice(record);
        self.expected.push_back(Expected::Entry(id, is_file));
        self.announced = Some(size);
        Ok(id)
    }

    /// Ends the current directory. The sender must be ready.
    pub fn end_directory(&mut self) {
        self.output.end().extend_from_slice(b"E\n");
        self.expected.push_back(Expected::Other);
    }

    /// Sends a warning about a file that cannot be read, or an error that ends the copy. The sender
    /// must be ready.
    pub fn warn(&mut self, is_fatal: bool, text: &str) {
        put_error(self.output.end(), is_fatal, text);
    }

    /// Returns the file that wants data, and the number of bytes.
    #[must_use]
    pub fn wants_data(&self) -> Option<(EntryId, usize)> {
        let file = self.file.as_ref().filter(|file| file.left > 0 && file.failure.is_none())?;
        let count = usize::try_from(file.left).unwrap_or(MAX_DATA).min(MAX_DATA);
        (self.output.rest().len() < MAX_OUTPUT).then_some((file.id, count))
    }

    /// Takes the next bytes of the file. Bytes beyond its announced size are discarded.
    pub fn provide(&mut self, bytes: &[u8]) {
        let Some(file) = self.file.as_mut().filter(|file| file.failure.is_none()) else { return };
        let count = usize::try_from(file.left).unwrap_or(usize::MAX).min(bytes.len());
        file.left -= count as u64;
        self.output.end().extend_from_slice(&bytes[..count]);
        self.finish_file();
    }

    /// Reports that the rest of the file cannot be read, or that the file is too short. The
    /// receiver gets zeros, and then the text as a warning.
    pub fn fail(&mut self, text: &str) {
        if let Some(file) = &mut self.file {
            file.failure = Some(text.into());
            self.send_zeros();
        }
    }

    fn send_zeros(&mut self) {
        if let Some(file) = self.file.as_mut().filter(|file| file.failure.is_some()) {
            let room = MAX_OUTPUT.saturating_sub(self.output.rest().len());
            let count = usize::try_from(file.left).unwrap_or(usize::MAX).min(room);
            file.left -= count as u64;
            let output = self.output.end();
            output.resize(output.len() + count, 0);
            self.finish_file();
        }
    }

    /// Ends a file whose data are complete.
    fn finish_file(&mut self) {
        if let Some(file) = self.file.take_if(|file| file.left == 0) {
            match file.failure {
                Some(text) => put_error(self.output.end(), false, &text),
                None => self.output.end().push(0),
            }
            self.expected.push_back(Expected::Data(file.id));
        }
    }

    /// Returns the next event; `None` if more bytes are needed.
    ///
    /// # Errors
    /// The receiver has ended the copy, or violated the protocol.
    pub fn next_event(&mut self) -> Result<Option<SenderEvent>, Error> {
        while let Some(expected) = self.expected.front().copied() {
            let Some(answer) = self.input.answer()? else { return Ok(None) };
            self.expected.pop_front();
            if let Some(event) = self.process(expected, answer)? {
                return Ok(Some(event));
            }
        }
        // The receiver may warn, or end the copy, at any time.
        match self.input.answer()? {
            Some(Answer::Warning(text)) => Ok(Some(SenderEvent::Warning(text))),
            Some(Answer::Ok) => Err(Error::Unexpected('\0')),
            None => Ok(None),
        }
    }

    fn process(&mut self, expected: Expected, answer: Answer) -> Result<Option<SenderEvent>, Error> {
        Ok(match (expected, answer) {
            (Expected::Entry(id, is_file), Answer::Ok) => {
                let size = self.announced.take().unwrap_or_default();
                if is_file {
                    self.file = Some(File { id, left: size, failure: None });
                    self.finish_file();
                }
                Some(SenderEvent::Started(id))
            }
            (Expected::Entry(id, _), Answer::Warning(text)) => {
                self.announced = None;
                Some(SenderEvent::Failed(id, text))
            }
            (Expected::Data(id), Answer::Ok) => Some(SenderEvent::Done(id)),
            (Expected::Data(id), Answer::Warning(text)) => Some(SenderEvent::Failed(id, text)),
            (Expected::Start | Expected::Other, Answer::Ok) => None,
            // The target is not a directory, for example.
            (Expected::Start, Answer::Warning(text)) => return Err(Error::Fatal(text)),
            (Expected::Other, Answer::Warning(text)) => Some(SenderEvent::Warning(text)),
        })
    }

    /// Checks that the copy is complete when the channel ends.
    ///
    /// # Errors
    /// Answers are missing.
    pub fn end_of_input(&self) -> Result<(), Error> {
        if self.is_idle() && self.input.is_empty() { Ok(()) } else { Err(Error::Incomplete) }
    }
}
