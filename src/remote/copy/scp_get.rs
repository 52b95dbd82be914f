//! Receives one file or directory by scp.

use std::path::PathBuf;

use super::local::{Directory, Incoming, Place, Wanted, entry};
use super::output::Output;
use super::report::Report;
use crate::error::os_message;
use crate::ssh::scp::{Entry, Error, Receiver, ReceiverEvent, Times, cause};
use crate::ssh::sftp::names::{file_name, join};

/// A file that is being received.
#[derive(Debug)]
struct Receiving {
    shown: Vec<u8>,
    local: PathBuf,
    /// `None` for standard output, and after a failure.
    incoming: Option<Incoming>,
    has_failed: bool,
}

/// Receives one file or directory by scp.
#[derive(Debug)]
pub(super) struct ScpGet {
    receiver: Receiver,
    /// The path at the server.
    remote: Vec<u8>,
    /// `None` for standard output.
    place: Option<Place>,
    preserve: bool,
    file: Option<Receiving>,
    /// The directories that are open: the path at the server and here.
    levels: Vec<(Vec<u8>, PathBuf)>,
    /// The directories whose attributes are set at the end.
    directories: Vec<Directory>,
    output: Output,
    number: u64,
    /// The server has sent or refused something.
    has_answered: bool,
}

impl ScpGet {
    /// Returns a copy of the file at this path. `None` if its last component is not a safe name.
    pub(super) fn new(remote: &[u8], place: Option<Place>, recursive: bool, preserve: bool) -> Option<Self> {
        let name = file_name(remote)?.to_vec();
        Some(Self {
            receiver: Receiver::new(Some(name), recursive),
            remote: remote.to_vec(),
            place,
            preserve,
            file: None,
            levels: Vec::new(),
            directories: Vec::new(),
            output: Output::default(),
            number: 0,
            has_answered: false,
        })
    }

    pub(super) fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    pub(super) fn receiver_mut(&mut self) -> &mut Receiver {
        &mut self.receiver
    }

    pub(super) fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    pub(super) fn as_output(&self) -> &Output {
        &self.output
    }

    /// Returns `true` if the server has sent or refused something.
    pub(super) fn has_answered(&self) -> bool {
        self.has_answered
    }

    pub(super) fn remote(&self) -> &[u8] {
        &self.remote
    }

    /// Processes what has arrived. Returns while output waits.
    pub(super) fn advance(&mut self, report: &mut Report) -> Result<(), Error> {
        loop {
            if !self.output.is_empty() {
                return Ok(());
            }
            let Some(event) = self.receiver.next_event()? else { return Ok(()) };
            self.has_answered = true;
            match event {
                ReceiverEvent::Data(data) => {
                    write(self.file.as_mut(), &mut self.output, self.number, data, report);
                }
                ReceiverEvent::File(entry, times) => self.file(&entry, times, report),
                ReceiverEvent::Directory(entry, times) => self.directory(&entry, times, report),
                ReceiverEvent::FileEnd => self.file_end(report),
                ReceiverEvent::FileFailed(text) => {
                    if let Some(file) = self.file.take() {
                        report.progress.fail(self.number);
                        report.server_failed(&file.shown, &cause(&text));
                    }
                    self.receiver.accept();
                }
                ReceiverEvent::DirectoryEnd => {
                    self.levels.pop();
                }
                ReceiverEvent::Warning(text) => report.server_failed(&self.remote, &cause(&text)),
            }
        }
    }

    /// Returns the path at the server and here of an entry of the current directory.
    fn paths(&self, name: &[u8]) -> Option<(Vec<u8>, PathBuf)> {
        match (self.levels.last(), &self.place) {
            (Some((remote, local)), _) => Some((join(remote, name), entry(local, name)?)),
            (None, Some(place)) => Some((self.remote.clone(), place.of(Some(name))?)),
            (None, None) => Some((self.remote.clone(), PathBuf::new())),
        }
    }

    fn wanted(&self, entry: &Entry, times: Option<Times>) -> Wanted {
        let times = times.map(|times| (times.access, times.modification));
        Wanted { mode: entry.mode, times: times.filter(|_| self.preserve) }
    }

    fn file(&mut self, entry: &Entry, times: Option<Times>, report: &mut Report) {
        let Some((shown, local)) = self.paths(&entry.name) else {
            report.not_copied(&join(&self.remote, &entry.name), &"invalid name");
            return self.receiver.refuse("invalid name");
        };
        let created = self.place.is_some().then(|| Incoming::create(&local, self.wanted(entry, times)));
        let incoming = match created.transpose() {
            Ok(incoming) => incoming,
            Err(error) => {
                report.local_failed("write", &local, &error);
                return self.receiver.refuse(&os_message(&error));
            }
        };
        self.number += 1;
        report.progress.start(self.number, &shown, Some(entry.size));
        self.file = Some(Receiving { shown, local, incoming, has_failed: false });
        self.receiver.accept();
    }

    fn directory(&mut self, entry: &Entry, times: Option<Times>, report: &mut Report) {
        let paths = self.paths(&entry.name).filter(|_| self.place.is_some());
        let Some((shown, local)) = paths else {
            report.not_copied(&self.remote, &"is a directory, which cannot be written to standard output");
            return self.receiver.refuse("not a directory");
        };
        match Directory::create(&local, self.wanted(entry, times)) {
            Ok(directory) => {
                self.directories.extend(directory);
                self.levels.push((shown, local));
                self.receiver.accept();
            }
            Err(error) => {
                report.local_failed("create", &local, &error);
                self.receiver.refuse(&os_message(&error));
            }
        }
    }

    fn file_end(&mut self, report: &mut Report) {
        let Some(file) = self.file.take() else { return self.receiver.accept() };
        if file.has_failed {
            return self.receiver.refuse("the file could not be written");
        }
        match file.incoming.map_or(Ok(()), Incoming::commit) {
            Ok(()) => {
                report.progress.finish(self.number);
                self.receiver.accept();
            }
            Err(error) => {
                report.progress.fail(self.number);
                report.local_failed("write", &file.local, &error);
                self.receiver.refuse(&os_message(&error));
            }
        }
    }

    /// Ends the copy: sets the attributes of directories, the deepest first.
    pub(super) fn finish(&mut self, report: &mut Report) {
        while let Some(directory) = self.directories.pop() {
            if let Err(error) = directory.finish() {
                report.local_failed("set the attributes of", directory.path(), &error);
            }
        }
    }
}

/// Writes data of the file. After a failure, the rest of it is discarded.
fn write(file: Option<&mut Receiving>, output: &mut Output, number: u64, data: &[u8], report: &mut Report) {
    let Some(file) = file.filter(|file| !file.has_failed) else { return };
    report.progress.add(number, data.len());
    match &mut file.incoming {
        None => output.add(data),
        Some(incoming) => {
            if let Err(error) = incoming.write(data) {
                report.progress.fail(number);
                report.local_failed("write", &file.local, &error);
                file.has_failed = true;
                file.incoming = None;
            }
        }
    }
}
