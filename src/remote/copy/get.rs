//! Receives files by sftp.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;

use super::local::{Directory, Incoming, Place, Wanted, entry};
use super::output::Output;
use super::report::Report;
use crate::plan::Copying;
use crate::ssh::scp::MAX_DEPTH;
use crate::ssh::sftp::client::{Client, Event, JobId};
use crate::ssh::sftp::names::{file_name, join};
use crate::ssh::sftp::wire::{Attributes, Kind};
use crate::ssh::sftp::{Error, Failure};

/// The path without symbolic links of a directory at the server, and those of the directories that
/// led to it.
#[derive(Debug)]
struct Ancestors {
    real: Vec<u8>,
    above: Option<Rc<Self>>,
}

impl Ancestors {
    /// Returns the directories with `real` as the last one. `None` if it is one of them already, or
    /// if there are too many.
    fn enter(above: Option<&Rc<Self>>, real: Vec<u8>) -> Option<Rc<Self>> {
        let all = std::iter::successors(above, |each| each.above.as_ref());
        let is_new = all.clone().all(|each| each.real != real) && all.count() < MAX_DEPTH;
        is_new.then(|| Rc::new(Self { real, above: above.cloned() }))
    }
}

/// A file or directory at the server, and its copy.
#[derive(Debug)]
struct Item {
    remote: Vec<u8>,
    local: PathBuf,
    attributes: Attributes,
    above: Option<Rc<Ancestors>>,
}

/// The purpose of a job.
#[derive(Debug)]
enum Job {
    File(Item, Option<Incoming>),
    /// Find the path of a directory without symbolic links.
    RealPath(Item),
    List(Item, Rc<Ancestors>),
}

/// Receives files by sftp.
#[derive(Debug)]
pub(super) struct SftpGet {
    client: Client,
    /// The files that were not requested yet.
    files: VecDeque<Vec<u8>>,
    /// `None` for standard output.
    place: Option<Place>,
    recursive: bool,
    preserve: bool,
    jobs: BTreeMap<JobId, Job>,
    /// The directories whose attributes are set at the end.
    directories: Vec<Directory>,
    output: Output,
}

impl SftpGet {
    pub(super) fn new(plan: &Copying, place: Option<Place>) -> Self {
        Self {
            client: Client::new(),
            files: plan.files.iter().map(|file| file.clone().into_bytes()).collect(),
            place,
            recursive: plan.recursive,
            preserve: plan.preserve,
            jobs: BTreeMap::new(),
            directories: Vec::new(),
            output: Output::default(),
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    pub(super) fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    pub(super) fn as_output(&self) -> &Output {
        &self.output
    }

    pub(super) fn is_over(&self) -> bool {
        self.client.is_idle() && self.files.is_empty() && self.jobs.is_empty() && self.output.is_empty()
    }

    /// Processes events, and queues further files. Returns while output waits.
    pub(super) fn advance(&mut self, report: &mut Report) -> Result<(), Error> {
        loop {
            while self.client.can_queue()
                && let Some(remote) = self.files.pop_front()
            {
                self.request(remote, report);
            }
            if !self.output.is_empty() {
                return Ok(());
            }
            let Some(event) = self.client.next_event()? else { break };
            match event {
                Event::Data(id, data) => {
                    if let Some(failed) = write(&mut self.jobs, &mut self.output, id, data, report) {
                        self.client.abort(failed);
                    }
                }
                Event::Opened(id, attributes) => self.opened(id, attributes, report),
                Event::Directory(id, attributes) => self.found_directory(id, attributes, report),
                Event::Path(id, real) => self.resolved(id, real, report),
                Event::Entry(id, name, attributes) => self.entry(id, &name, attributes, report),
                Event::Done(id) => self.done(id, report),
                Event::Failed(id, failure) => self.failed(id, &failure, report),
                Event::Attributes(..) => {}
            }
        }
        if self.is_over() {
            self.finish_directories(report);
        }
        Ok(())
    }

    /// Requests a FILE of the command line.
    fn request(&mut self, remote: Vec<u8>, report: &mut Report) {
        let name = file_name(&remote);
        let local = match &self.place {
            None => Some(PathBuf::new()),
            Some(place) => place.of(name),
        };
        let Some(local) = local else { return report.not_copied(&remote, &"invalid name") };
        self.get(Item { remote, local, attributes: Attributes::default(), above: None }, None);
    }

    fn get(&mut self, item: Item, attributes: Option<Attributes>) {
        let id = self.client.get(&item.remote, attributes);
        self.jobs.insert(id, Job::File(item, None));
    }

    /// Creates the local file.
    fn opened(&mut self, id: JobId, attributes: Attributes, report: &mut Report) {
        let wanted = self.wanted(&attributes, 0o666);
        let Some(Job::File(item, incoming)) = self.jobs.get_mut(&id) else { return };
        if self.place.is_some() {
            match Incoming::create(&item.local, wanted) {
                Ok(created) => *incoming = Some(created),
                Err(error) => {
                    report.local_failed("write", &item.local, &error);
                    self.jobs.remove(&id);
                    return self.client.abort(id);
                }
            }
        }
        report.progress.start(id.number(), &item.remote, attributes.size);
    }

    fn wanted(&self, attributes: &Attributes, mode: u32) -> Wanted {
        let times = attributes.times.map(|(access, modification)| (access.into(), modification.into()));
        Wanted { mode: attributes.permissions().unwrap_or(mode), times: times.filter(|_| self.preserve) }
    }

    fn found_directory(&mut self, id: JobId, attributes: Attributes, report: &mut Report) {
        let Some(Job::File(item, _)) = self.jobs.remove(&id) else { return };
        if !self.recursive {
            return report.not_copied(&item.remote, &"is a directory; use --recursive");
        }
        if self.place.is_none() {
            return report
                .not_copied(&item.remote, &"is a directory, which cannot be written to standard output");
        }
        let id = self.client.real_path(&item.remote);
        self.jobs.insert(id, Job::RealPath(Item { attributes, ..item }));
    }

    fn resolved(&mut self, id: JobId, real: Vec<u8>, report: &mut Report) {
        if let Some(Job::RealPath(item)) = self.jobs.remove(&id) {
            self.enter(item, real, report);
        }
    }

    /// Creates a local directory, and lists the one at the server.
    fn enter(&mut self, item: Item, real: Vec<u8>, report: &mut Report) {
        let Some(own) = Ancestors::enter(item.above.as_ref(), real) else {
            return report.not_copied(&item.remote, &"too many levels of directories or symbolic links");
        };
        match Directory::create(&item.local, self.wanted(&item.attributes, 0o777)) {
            Ok(directory) => self.directories.extend(directory),
            Err(error) => return report.local_failed("create", &item.local, &error),
        }
        let id = self.client.list(&item.remote);
        self.jobs.insert(id, Job::List(item, own));
    }

    fn entry(&mut self, id: JobId, name: &[u8], attributes: Attributes, report: &mut Report) {
        let Some(Job::List(directory, own)) = self.jobs.get(&id) else { return };
        let remote = join(&directory.remote, name);
        let Some(local) = entry(&directory.local, name) else {
            return report.not_copied(&remote, &"invalid name");
        };
        let real = join(&own.real, name);
        let item = Item { remote, local, attributes, above: Some(Rc::clone(own)) };
        match attributes.kind() {
            Some(Kind::Directory) => self.enter(item, real, report),
            Some(Kind::File) => self.get(item, Some(attributes)),
            Some(Kind::Link) | None => self.get(item, None),
            Some(Kind::Special) => report.not_copied(&item.remote, &Failure::NotRegular),
        }
    }

    fn done(&mut self, id: JobId, report: &mut Report) {
        let Some(Job::File(item, incoming)) = self.jobs.remove(&id) else { return };
        match incoming.map_or(Ok(()), Incoming::commit) {
            Ok(()) => report.progress.finish(id.number()),
            Err(error) => {
                report.progress.fail(id.number());
                report.local_failed("write", &item.local, &error);
            }
        }
    }

    fn failed(&mut self, id: JobId, failure: &Failure, report: &mut Report) {
        // A job that this side has aborted is not among them.
        let Some(Job::File(item, _) | Job::RealPath(item) | Job::List(item, _)) = self.jobs.remove(&id)
        else {
            return;
        };
        report.progress.fail(id.number());
        report.server_failed(&item.remote, failure);
    }

    /// Sets the attributes of directories, the deepest first.
    fn finish_directories(&mut self, report: &mut Report) {
        while let Some(directory) = self.directories.pop() {
            if let Err(error) = directory.finish() {
                report.local_failed("set the attributes of", directory.path(), &error);
            }
        }
    }
}

/// Writes data of a file. Returns the job to abort if that fails.
fn write(
    jobs: &mut BTreeMap<JobId, Job>,
    output: &mut Output,
    id: JobId,
    data: &[u8],
    report: &mut Report,
) -> Option<JobId> {
    let Some(Job::File(item, incoming)) = jobs.get_mut(&id) else { return None };
    report.progress.add(id.number(), data.len());
    let Some(incoming) = incoming else {
        output.add(data);
        return None;
    };
    let error = incoming.write(data).err()?;
    report.progress.fail(id.number());
    report.local_failed("write", &item.local, &error);
    jobs.remove(&id);
    Some(id)
}
