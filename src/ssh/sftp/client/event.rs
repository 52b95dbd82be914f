//! The jobs of a client, and what happens to them.

use crate::ssh::sftp::Failure;
use crate::ssh::sftp::wire::Attributes;

/// The most requests that wait for a reply.
pub const MAX_REQUESTS: usize = 64;

/// The most data in a request.
pub const MAX_DATA: u32 = 32 * 1024;

/// A job of a client. Numbers are not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub(super) u64);

impl JobId {
    /// Returns the number of the job; later jobs have greater ones.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

/// A file to upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The path at the server.
    pub path: Vec<u8>,
    /// The size; `None` if it is not known.
    pub size: Option<u64>,
    /// The permissions. The server's umask applies, unless `times` is set.
    pub mode: u32,
    /// With `--preserve`, the times of the last access and of the last modification, in seconds
    /// since 1970. Times that do not fit into the protocol's 32 bits become its first or last one.
    pub times: Option<(i64, i64)>,
    /// Write to the path itself, because it names a device or the like. Otherwise a partial file is
    /// written and then renamed.
    pub is_in_place: bool,
    /// Call fsync before the file gets its name, if the server can. On a disk, this costs some
    /// milliseconds per file.
    pub sync: bool,
    /// The job that creates the directory of the file.
    pub parent: Option<JobId>,
}

/// Something that happened to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The result of [`Client::stat`](super::Client::stat). The job is over.
    Attributes(JobId, Attributes),
    /// The result of [`Client::real_path`](super::Client::real_path). The job is over.
    Path(JobId, Vec<u8>),
    /// The path of [`Client::get`](super::Client::get) is a directory. The job is over.
    Directory(JobId, Attributes),
    /// The file of [`Client::get`](super::Client::get) is open, and data follow.
    Opened(JobId, Attributes),
    /// The next bytes of a file, in order.
    Data(JobId, &'a [u8]),
    /// An entry of a directory, with the attributes of the entry itself if it is a symbolic link.
    /// The name is safe, see [`is_safe_name`](crate::ssh::sftp::names::is_safe_name).
    Entry(JobId, Vec<u8>, Attributes),
    /// The job has succeeded.
    Done(JobId),
    /// The job has failed, and what it had begun is removed.
    Failed(JobId, Failure),
}

/// The purpose of a request within its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Stat,
    Open,
    /// A read, with the number of its chunk.
    Read(u64),
    Write,
    Sync,
    SetAttributes,
    Close,
    Rename,
    Remove,
    MakeDirectory,
    ReadDirectory,
}
