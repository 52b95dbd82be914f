//! Sends files by scp.

use std::fs::File;
use std::path::PathBuf;

use super::report::Report;
use super::walk::{BUFFER, Local, Step, Walk, read};
use crate::plan::Copying;
use crate::ssh::scp::{Entry, EntryId, Error, InvalidName, Sender, SenderEvent, Times, cause};

/// A file or directory whose answer is awaited.
#[derive(Debug)]
struct Sending {
    id: EntryId,
    number: u64,
    shown: Vec<u8>,
    path: PathBuf,
    /// `None` for a directory.
    file: Option<File>,
}

/// Sends files by scp.
#[derive(Debug)]
pub(super) struct ScpPut {
    sender: Sender,
    walk: Walk,
    preserve: bool,
    /// One file may be complete but not answered while the next one is announced.
    sending: Vec<Sending>,
    number: u64,
    has_all: bool,
    buffer: Vec<u8>,
}

impl ScpPut {
    pub(super) fn new(plan: &Copying) -> Self {
        Self {
            sender: Sender::new(),
            walk: Walk::new(plan.files.iter().map(PathBuf::from), plan.recursive),
            preserve: plan.preserve,
            sending: Vec::new(),
            number: 0,
            has_all: false,
            buffer: vec![0; BUFFER],
        }
    }

    pub(super) fn sender(&self) -> &Sender {
        &self.sender
    }

    pub(super) fn sender_mut(&mut self) -> &mut Sender {
        &mut self.sender
    }

    /// Returns `true` if all files are sent and answered.
    pub(super) fn is_over(&self) -> bool {
        self.has_all && self.sender.is_idle() && self.sender.output().is_empty()
    }

    /// Processes answers, and sends as much as fits.
    pub(super) fn advance(&mut self, report: &mut Report) -> Result<(), Error> {
        loop {
            while let Some(event) = self.sender.next_event()? {
                self.process(event, report);
            }
            let is_announced = self.sender.is_ready() && !self.has_all && self.announce(report);
            if !is_announced && !self.send_data(report) {
                return Ok(());
            }
        }
    }

    fn process(&mut self, event: SenderEvent, report: &mut Report) {
        match event {
            SenderEvent::Started(_) => {}
            SenderEvent::Done(id) => {
                if let Some(sending) = self.take(id) {
                    report.progress.finish(sending.number);
                }
            }
            SenderEvent::Failed(id, text) => {
                let Some(sending) = self.take(id) else { return };
                report.progress.fail(sending.number);
                if sending.file.is_none() {
                    self.walk.skip();
                }
                report.server_failed(&sending.shown, &cause(&text));
            }
            SenderEvent::Warning(text) => report.server_says(&format_args!("warns: {}", cause(&text))),
        }
    }

    fn take(&mut self, id: EntryId) -> Option<Sending> {
        let index = self.sending.iter().position(|sending| sending.id == id)?;
        Some(self.sending.remove(index))
    }

    /// Announces the next file or directory, or ends a directory. Returns `false` at the end.
    fn announce(&mut self, report: &mut Report) -> bool {
        match self.walk.next(report) {
            None => {
                self.has_all = true;
                return false;
            }
            Some(Step::Leave) => self.sender.end_directory(),
            Some(Step::File(local, file)) => {
                let result = self.sender.file(entry(&local, local.size), self.times(&local));
                self.announced(result, local, Some(file), report);
            }
            Some(Step::Enter(local)) => {
                let result = self.sender.directory(entry(&local, 0), self.times(&local));
                if result.is_err() {
                    self.walk.skip();
                }
                self.announced(result, local, None, report);
            }
        }
        true
    }

    fn announced(
        &mut self,
        result: Result<EntryId, InvalidName>,
        local: Local,
        file: Option<File>,
        report: &mut Report,
    ) {
        let id = match result {
            Ok(id) => id,
            Err(error) => return report.not_copied(local.shown(), &error),
        };
        self.number += 1;
        let (number, shown) = (self.number, local.shown().to_vec());
        if file.is_some() {
            report.progress.start(number, &shown, Some(local.size));
        }
        self.sending.retain(|sending| sending.file.is_some());
        self.sending.push(Sending { id, number, shown, path: local.path, file });
    }

    fn times(&self, local: &Local) -> Option<Times> {
        let seconds = |time: i64| u64::try_from(time).unwrap_or_default();
        let (access, modification) = local.times;
        let times = Times { access: seconds(access), modification: seconds(modification) };
        self.preserve.then_some(times)
    }

    /// Sends bytes of the current file. Returns `true` if something has changed.
    fn send_data(&mut self, report: &mut Report) -> bool {
        let mut has_changed = false;
        while let Some((id, count)) = self.sender.wants_data() {
            let sending = self.sending.iter_mut().find(|sending| sending.id == id);
            let Some(Sending { number, path, file: Some(file), .. }) = sending else { return has_changed };
            has_changed = true;
            let buffer = &mut self.buffer[..count.min(BUFFER)];
            match read(file, buffer) {
                Ok(0) => {
                    report.local_failed("read", path, &std::io::ErrorKind::UnexpectedEof.into());
                    self.sender.fail("the file has become shorter");
                }
                Ok(count) => {
                    report.progress.add(*number, count);
                    self.sender.provide(&self.buffer[..count]);
                }
                Err(error) => {
                    report.local_failed("read", path, &error);
                    self.sender.fail("the file cannot be read");
                }
            }
        }
        has_changed
    }
}

fn entry(local: &Local, size: u64) -> Entry {
    Entry { name: local.name.clone().unwrap_or_default(), mode: local.mode, size }
}
