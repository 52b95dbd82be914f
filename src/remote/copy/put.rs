//! Sends files by sftp.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use super::input::Input;
use super::report::Report;
use super::walk::{BUFFER, Local, Step, Walk, read};
use crate::plan::Copying;
use crate::ssh::sftp::client::{Client, Event, JobId, Put};
use crate::ssh::sftp::names::join;
use crate::ssh::sftp::wire::{Attributes, Kind, StatusCode};
use crate::ssh::sftp::{Error, Failure};

/// The remote place of the copies.
#[derive(Debug)]
enum Place {
    In(Vec<u8>),
    As(Vec<u8>),
    /// The path names a device or the like, which is written in place.
    Device(Vec<u8>),
}

/// A file that is being sent.
#[derive(Debug)]
struct Sending {
    shown: Vec<u8>,
    path: PathBuf,
    /// `None` for standard input.
    file: Option<File>,
}

/// A directory at the server whose entries are being sent.
#[derive(Debug)]
struct Remote {
    path: Vec<u8>,
    /// The job that creates it.
    job: JobId,
}

#[derive(Debug)]
enum Stage {
    /// Find out whether the destination is a directory.
    Find(JobId),
    Copy(Place),
    /// Set the attributes of directories.
    Finish,
    Over,
}

/// Sends files by sftp.
#[derive(Debug)]
pub(super) struct SftpPut {
    client: Client,
    stage: Stage,
    walk: Walk,
    destination: String,
    needs_directory: bool,
    preserve: bool,
    /// Standard input, which is the only file.
    input: Option<Input>,
    sending: BTreeMap<JobId, Sending>,
    /// The directories that are being created, or whose attributes are being set.
    directories: BTreeMap<JobId, Vec<u8>>,
    remotes: Vec<Remote>,
    /// The attributes to set at the end.
    attributes: Vec<(Vec<u8>, Vec<u8>, Attributes)>,
    buffer: Vec<u8>,
}

impl SftpPut {
    pub(super) fn new(plan: &Copying) -> Self {
        let mut client = Client::new();
        let destination = plan.destination.clone();
        let find = client.stat(destination.as_bytes());
        let reads_input = plan.files == ["-"];
        let files = plan.files.iter().map(PathBuf::from);
        Self {
            client,
            stage: Stage::Find(find),
            walk: Walk::new(files.filter(|_| !reads_input), plan.recursive),
            needs_directory: plan.files.len() > 1 || destination.ends_with('/'),
            destination,
            preserve: plan.preserve,
            input: reads_input.then(Input::default),
            sending: BTreeMap::new(),
            directories: BTreeMap::new(),
            remotes: Vec::new(),
            attributes: Vec::new(),
            buffer: vec![0; BUFFER],
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Returns the standard input, if it is sent.
    pub(super) fn input(&mut self) -> Option<&mut Input> {
        self.input.as_mut()
    }

    /// Returns `true` if bytes of standard input are needed.
    pub(super) fn wants_input(&self) -> bool {
        self.input.as_ref().is_some_and(Input::is_wanted)
            && self.client.wants_data().is_some_and(|(id, _)| self.is_input(id))
    }

    fn is_input(&self, id: JobId) -> bool {
        self.sending.get(&id).is_some_and(|sending| sending.file.is_none())
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Aborts what is under way. The partial files at the server are removed.
    pub(super) fn cancel(&mut self) {
        self.walk = Walk::new([], false);
        self.attributes.clear();
        self.input = None;
        for id in self.sending.keys() {
            self.client.abort(*id);
        }
    }

    /// Processes events, and sends as much as fits.
    pub(super) fn advance(&mut self, report: &mut Report) -> Result<(), Error> {
        loop {
            while let Some(event) = self.client.next_event()? {
                let event = Happened::from(event);
                self.process(event, report);
            }
            // The client sends the requests of new jobs when it is asked for events.
            if !(self.queue(report) | self.send_data(report)) && !self.next_stage() {
                return Ok(());
            }
        }
    }

    fn process(&mut self, event: Happened, report: &mut Report) {
        match event {
            Happened::Found(found) => self.find(&Ok(found), report),
            Happened::Done(id) => {
                if self.sending.remove(&id).is_some() {
                    report.progress.finish(id.number());
                }
                self.directories.remove(&id);
            }
            Happened::Failed(id, failure) => self.failed(id, &failure, report),
            Happened::Other => {}
        }
    }

    fn failed(&mut self, id: JobId, failure: &Failure, report: &mut Report) {
        if let Stage::Find(find) = self.stage
            && find == id
        {
            return self.find(&Err(failure.clone()), report);
        }
        let sending = self.sending.remove(&id).map(|sending| sending.shown);
        if sending.is_some() {
            report.progress.fail(id.number());
        }
        let shown = sending.or_else(|| self.directories.remove(&id));
        // The others were reported already, as failures of this system or of the directory.
        if let (Some(shown), false) = (shown, matches!(failure, Failure::Aborted | Failure::NoDirectory)) {
            report.server_failed(&shown, failure);
        }
    }

    /// Continues with the attributes of the destination.
    fn find(&mut self, found: &Result<Attributes, Failure>, report: &mut Report) {
        let path = self.destination.clone().into_bytes();
        let is_missing = matches!(found, Err(Failure::Status(status))
            if status.code == StatusCode::NO_SUCH_FILE || status.code == StatusCode::FAILURE);
        let failure = match found.as_ref().map(Attributes::kind) {
            Ok(Some(Kind::Directory)) => {
                self.stage = Stage::Copy(Place::In(path));
                return;
            }
            Ok(_) if self.needs_directory => "not a directory".to_owned(),
            Ok(Some(Kind::Special)) => {
                self.stage = Stage::Copy(Place::Device(path));
                return;
            }
            Ok(_) => {
                self.stage = Stage::Copy(Place::As(path));
                return;
            }
            Err(_) if is_missing && !self.needs_directory => {
                self.stage = Stage::Copy(Place::As(path));
                return;
            }
            Err(failure) => failure.to_string(),
        };
        report.server_failed(&path, &failure);
        self.cancel();
        self.stage = Stage::Finish;
    }

    /// Queues further files while there is room. Returns `true` if there were some.
    fn queue(&mut self, report: &mut Report) -> bool {
        let mut has_queued = false;
        if !matches!(self.stage, Stage::Copy(_)) {
            return false;
        }
        if self.input.as_mut().is_some_and(Input::start) {
            has_queued = true;
            self.put_input(report);
        }
        while self.client.can_queue() {
            let is_top = self.walk.directory().is_none();
            match self.walk.next(report) {
                None => break,
                Some(Step::Leave) => {
                    self.remotes.pop();
                }
                Some(Step::File(local, file)) => self.put_file(local, file, is_top, report),
                Some(Step::Enter(local)) => self.make_directory(&local, is_top, report),
            }
            has_queued = true;
        }
        has_queued
    }

    fn put_input(&mut self, report: &mut Report) {
        let Stage::Copy(Place::As(path) | Place::Device(path) | Place::In(path)) = &self.stage else {
            return;
        };
        if matches!(self.stage, Stage::Copy(Place::In(_))) {
            report.server_failed(&path.clone(), &"is a directory");
            self.input = None;
            return;
        }
        let is_in_place = matches!(self.stage, Stage::Copy(Place::Device(_)));
        let put = Put {
            path: path.clone(),
            size: None,
            mode: 0o666,
            times: None,
            is_in_place,
            sync: true,
            parent: None,
        };
        let id = self.client.put(put);
        report.progress.start(id.number(), b"-", None);
        let sending = Sending { shown: path.clone(), path: PathBuf::new(), file: None };
        self.sending.insert(id, sending);
    }

    /// Returns the path at the server of an entry of the current directory, or of a FILE.
    fn remote_path(&self, local: &Local, is_top: bool) -> Option<Vec<u8>> {
        let name = local.name.as_deref();
        if !is_top {
            return Some(join(&self.remotes.last()?.path, name?));
        }
        match (&self.stage, name) {
            (Stage::Copy(Place::As(path) | Place::Device(path)), _) => Some(path.clone()),
            (Stage::Copy(Place::In(directory)), Some(name)) => Some(join(directory, name)),
            (Stage::Copy(Place::In(directory)), None) => Some(directory.clone()),
            _ => None,
        }
    }

    fn put_file(&mut self, local: Local, file: File, is_top: bool, report: &mut Report) {
        let Some(path) = self.remote_path(&local, is_top) else {
            return report.not_copied(local.shown(), &"invalid name");
        };
        let put = Put {
            path,
            size: Some(local.size),
            mode: local.mode,
            times: self.preserve.then_some(local.times),
            is_in_place: is_top && matches!(self.stage, Stage::Copy(Place::Device(_))),
            sync: true,
            parent: self.remotes.last().map(|remote| remote.job),
        };
        let id = self.client.put(put);
        report.progress.start(id.number(), local.shown(), Some(local.size));
        let sending = Sending { shown: local.shown().to_vec(), path: local.path, file: Some(file) };
        self.sending.insert(id, sending);
    }

    fn make_directory(&mut self, local: &Local, is_top: bool, report: &mut Report) {
        let Some(path) = self.remote_path(local, is_top) else {
            report.not_copied(local.shown(), &"invalid name");
            return self.walk.skip();
        };
        let parent = self.remotes.last().map(|remote| remote.job);
        let shown = local.shown().to_vec();
        let job = self.client.make_directory(&path, local.mode | 0o700, parent);
        self.directories.insert(job, shown.clone());
        if self.preserve || local.mode & 0o700 != 0o700 {
            let seconds = |time: i64| u32::try_from(time.max(0)).unwrap_or(u32::MAX);
            let times = self.preserve.then_some((seconds(local.times.0), seconds(local.times.1)));
            let mode = Some(local.mode);
            self.attributes.push((shown, path.clone(), Attributes { mode, times, ..Attributes::default() }));
        }
        self.remotes.push(Remote { path, job });
    }

    /// Sends bytes of local files. Returns `true` if something has changed.
    fn send_data(&mut self, report: &mut Report) -> bool {
        let mut has_changed = false;
        while let Some((id, length)) = self.client.wants_data() {
            let Some(sending) = self.sending.get_mut(&id) else {
                self.client.end(id);
                continue;
            };
            let length = length.min(BUFFER);
            let result = match (&mut sending.file, &mut self.input) {
                (Some(file), _) => read(file, &mut self.buffer[..length]),
                (None, Some(input)) => match input.take(&mut self.buffer[..length]) {
                    Some(count) => Ok(count),
                    None => return has_changed,
                },
                (None, None) => Ok(0),
            };
            has_changed = true;
            match result {
                Ok(0) => self.client.end(id),
                Ok(count) => {
                    report.progress.add(id.number(), count);
                    self.client.provide(id, &self.buffer[..count]);
                }
                Err(error) => {
                    report.local_failed("read", &sending.path, &error);
                    self.client.abort(id);
                }
            }
        }
        has_changed
    }

    /// Continues once all files have arrived. Returns `true` if there is more to do.
    fn next_stage(&mut self) -> bool {
        if !self.client.is_idle() || matches!(self.stage, Stage::Find(_) | Stage::Over) {
            return false;
        }
        // The deepest directories are first, because they change those above them.
        while self.client.can_queue()
            && let Some((shown, path, attributes)) = self.attributes.pop()
        {
            self.directories.insert(self.client.set_attributes(&path, attributes), shown);
        }
        self.stage = if self.client.is_idle() { Stage::Over } else { Stage::Finish };
        !self.client.is_idle()
    }
}

/// An event without borrowed data.
enum Happened {
    Found(Attributes),
    Done(JobId),
    Failed(JobId, Failure),
    Other,
}

impl From<Event<'_>> for Happened {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Attributes(_, attributes) => Self::Found(attributes),
            Event::Done(id) => Self::Done(id),
            Event::Failed(id, failure) => Self::Failed(id, failure),
            _ => Self::Other,
        }
    }
}
