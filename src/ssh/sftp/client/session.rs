//! The channel below the jobs: the start of the protocol, and the requests that wait for a reply.

use std::collections::BTreeMap;

use super::event::{JobId, MAX_DATA, MAX_REQUESTS, Tag};
use crate::ssh::sftp::Error;
use crate::ssh::sftp::buffer::Buffer;
use crate::ssh::sftp::wire::{Limits, Reply, Request, VERSION, Version, extension_version};

/// The most bytes of a request besides its data.
const HEADER: u64 = 1024;

/// The abilities of a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Features {
    pub(super) posix_rename: bool,
    pub(super) fsync: bool,
    /// The most data of a read and of a write.
    pub(super) max_read: u32,
    pub(super) max_write: u32,
    /// The most handles that may be open.
    pub(super) max_handles: usize,
}

#[derive(Debug)]
enum State {
    /// INIT is sent.
    Starting,
    /// The server's limits are not yet known, and no data are sent or requested.
    AwaitingLimits,
    Ready,
}

/// The purpose of a request.
#[derive(Debug)]
enum Purpose {
    Limits,
    Job(JobId, Tag),
}

#[derive(Debug)]
pub(super) struct Session {
    state: State,
    features: Features,
    output: Buffer,
    next_id: u32,
    pending: BTreeMap<u32, Purpose>,
}

impl Session {
    pub(super) fn new() -> Self {
        let mut output = Buffer::default();
        Request::encode_init(output.end());
        let features = Features {
            posix_rename: false,
            fsync: false,
            max_read: MAX_DATA,
            max_write: MAX_DATA,
            max_handles: MAX_REQUESTS,
        };
        Self { state: State::Starting, features, output, next_id: 0, pending: BTreeMap::new() }
    }

    pub(super) fn output(&self) -> &[u8] {
        self.output.rest()
    }

    pub(super) fn sent(&mut self, count: usize) {
        self.output.discard(count);
    }

    pub(super) fn features(&self) -> &Features {
        &self.features
    }

    pub(super) fn in_flight(&self) -> usize {
        self.pending.len()
    }

    /// Returns `true` if a request of a job may be sent.
    pub(super) fn may_send(&self) -> bool {
        !matches!(self.state, State::Starting) && self.pending.len() < MAX_REQUESTS
    }

    /// Returns `true` if a request with data may be sent.
    pub(super) fn may_send_data(&self) -> bool {
        self.is_ready() && self.may_send()
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    pub(super) fn send(&mut self, job: JobId, tag: Tag, request: &Request) {
        self.request(Purpose::Job(job, tag), request);
    }

    fn request(&mut self, purpose: Purpose, request: &Request) {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        self.pending.insert(id, purpose);
        request.encode(id, self.output.end());
    }

    /// Processes a packet. Returns a reply to a job's request.
    pub(super) fn receive<'a>(&mut self, packet: &'a [u8]) -> Result<Option<(JobId, Tag, Reply<'a>)>, Error> {
        if matches!(self.state, State::Starting) {
            self.start(&Version::parse(packet)?)?;
            return Ok(None);
        }
        let (id, reply) = Reply::parse(packet)?;
        match self.pending.remove(&id).ok_or(Error::UnknownRequest)? {
            Purpose::Job(job, tag) => Ok(Some((job, tag, reply))),
            Purpose::Limits => {
                self.state = State::Ready;
                match reply {
                    Reply::Extended(content) => {
                        let limits = Limits::parse(content).map_err(Error::malformed(reply.kind()))?;
                        self.features.restrict(&limits);
                    }
                    // The server has announced limits, but refuses to name them.
                    Reply::Status(_) => {}
                    _ => return Err(Error::Unexpected(reply.kind())),
                }
                Ok(None)
            }
        }
    }

    fn start(&mut self, version: &Version) -> Result<(), Error> {
        if version.version != VERSION {
            return Err(Error::Version(version.version));
        }
        let has = |name: &str| {
            let known = extension_version(name).unwrap_or_default();
            version.extensions.contains(&(name.as_bytes(), known.as_bytes()))
        };
        self.features.posix_rename = has("posix-rename@openssh.com");
        self.features.fsync = has("fsync@openssh.com");
        self.state = State::Ready;
        if has("limits@openssh.com") {
            self.state = State::AwaitingLimits;
            self.request(Purpose::Limits, &Request::Limits);
        }
        Ok(())
    }
}

impl Features {
    fn restrict(&mut self, limits: &Limits) {
        let packet = if limits.packet == 0 { u64::MAX } else { limits.packet.saturating_sub(HEADER) };
        let restrict = |max: u32, limit: u64| {
            let limit = if limit == 0 { packet } else { limit.min(packet) };
            max.min(u32::try_from(limit).unwrap_or(u32::MAX)).max(1)
        };
        self.max_read = restrict(self.max_read, limits.read);
        self.max_write = restrict(self.max_write, limits.write);
        if let Some(handles) = usize::try_from(limits.handles).ok().filter(|handles| *handles > 0) {
            self.max_handles = self.max_handles.min(handles);
        }
    }
}
