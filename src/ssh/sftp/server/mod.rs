//! The server: answers requests with the help of a [`Files`] implementation.
//!
//! The caller splits received bytes with [`super::wire::Packets`] and passes each packet to
//! [`Service::handle`], usually on a thread of its own, because file operations may block. At most
//! [`MAX_REQUESTS`] packets wait for that thread.

use super::Error;
use super::wire::{MAX_PACKET, Received, Reply, Request, StatusCode, UserNames, Version};
use answer::Answer;
use handles::{Handle, Handles};

mod answer;
mod copy;
mod files;
mod handles;
mod long_name;
#[cfg(test)]
mod tests;
mod transfer;

pub use answer::MAX_DATA;
pub use files::Files;
pub use handles::MAX_HANDLES;
pub use long_name::LongName;

/// The most requests that wait for a reply. Beyond that, the caller stops reading.
pub const MAX_REQUESTS: usize = 64;

/// The most entries of a directory in one reply. With the longest names of common file systems,
/// they fit into a packet.
const MAX_ENTRIES: usize = 100;

/// The server side of an sftp channel.
#[derive(Debug)]
pub struct Service<F: Files> {
    files: F,
    handles: Handles<F>,
    /// The client has sent its version.
    is_started: bool,
}

impl<F: Files> Service<F> {
    /// Creates a server for these files.
    #[must_use]
    pub fn new(files: F) -> Self {
        Self { files, handles: Handles::default(), is_started: false }
    }

    /// Processes a packet without its length, and appends the reply to `output`.
    ///
    /// # Errors
    /// The packet is too short for an ID, or the client does not start with its version.
    pub fn handle(&mut self, packet: &[u8], output: &mut Vec<u8>) -> Result<(), Error> {
        let received = Received::parse(packet)?;
        if matches!(received, Received::Init(_)) == self.is_started {
            return Err(Error::Unexpected(packet.first().copied().unwrap_or_default()));
        }
        match received {
            Received::Init(_) => {
                // A client of a later version falls back to 3, which was the first one in use.
                self.is_started = true;
                Version::encode(output);
            }
            Received::MalformedRequest(id) => Reply::status(StatusCode::BAD_MESSAGE).encode(id, output),
            Received::Request(id, Request::Read { handle, offset, length }) => {
                self.read(id, handle, offset, length, output);
            }
            Received::Request(id, request) => self.answer(id, &request, output),
        }
        Ok(())
    }

    fn answer(&mut self, id: u32, request: &Request, output: &mut Vec<u8>) {
        let start = output.len();
        let code = match self.perform(request) {
            Ok(answer) => {
                answer.encode(id, output);
                if output.len() - start <= MAX_PACKET {
                    return;
                }
                output.truncate(start);
                StatusCode::FAILURE
            }
            Err(code) => code,
        };
        Reply::status(code).encode(id, output);
    }

    fn perform(&mut self, request: &Request) -> Result<Answer, StatusCode> {
        let files = &mut self.files;
        match request {
            Request::Open { path, flags, attributes } => {
                self.handles.check_room()?;
                let file = files.open(checked(path)?, *flags, attributes)?;
                Ok(Answer::Handle(self.handles.insert(Handle::File(file))))
            }
            Request::Opendir { path } => {
                self.handles.check_room()?;
                let directory = files.open_directory(checked(path)?)?;
                Ok(Answer::Handle(self.handles.insert(Handle::Directory(directory))))
            }
            Request::Close { handle } => match self.handles.remove(handle)? {
                Handle::File(file) => files.close(file).map(Answer::from),
                Handle::Directory(_) => Ok(Answer::Ok),
            },
            Request::Write { handle, offset, data } => {
                files.write(self.handles.file(handle)?, *offset, data).map(Answer::from)
            }
            Request::Readdir { handle } => {
                let names = files.read_directory(self.handles.directory(handle)?, MAX_ENTRIES)?;
                if names.is_empty() { Err(StatusCode::EOF) } else { Ok(Answer::Names(names)) }
            }
            Request::Fstat { handle } => {
                files.file_attributes(self.handles.file(handle)?).map(Answer::Attributes)
            }
            Request::Fsetstat { handle, attributes } => {
                files.set_file_attributes(self.handles.file(handle)?, attributes).map(Answer::from)
            }
            Request::Fsync { handle } => files.sync(self.handles.file(handle)?).map(Answer::from),
            Request::Fstatvfs { handle } => {
                files.file_system_of(self.handles.file(handle)?).map(Answer::FileSystem)
            }
            Request::CopyData { .. } => self.copy(request).map(Answer::from),
            Request::UsersGroups { users, groups } => Ok(Answer::Users(UserNames {
                users: users.iter().map(|id| files.user_name(*id).unwrap_or_default()).collect(),
                groups: groups.iter().map(|id| files.group_name(*id).unwrap_or_default()).collect(),
            })),
            Request::Limits => Ok(Answer::Limits),
            _ => perform_on_path(files, request),
        }
    }
}

/// Performs a request that names a file by its path.
fn perform_on_path<F: Files>(files: &mut F, request: &Request) -> Result<Answer, StatusCode> {
    match request {
        Request::Stat { path } => files.attributes(checked(path)?, true).map(Answer::Attributes),
        Request::Lstat { path } => files.attributes(checked(path)?, false).map(Answer::Attributes),
        Request::Setstat { path, attributes } => {
            files.set_attributes(checked(path)?, attributes, true).map(Answer::from)
        }
        Request::Lsetstat { path, attributes } => {
            files.set_attributes(checked(path)?, attributes, false).map(Answer::from)
        }
        Request::Remove { path } => files.remove(checked(path)?).map(Answer::from),
        Request::Mkdir { path, attributes } => {
            files.make_directory(checked(path)?, attributes).map(Answer::from)
        }
        Request::Rmdir { path } => files.remove_directory(checked(path)?).map(Answer::from),
        Request::Realpath { path } => files.real_path(checked(path)?).map(Answer::path),
        Request::ExpandPath { path } => files.expand_path(checked(path)?).map(Answer::path),
        Request::Readlink { path } => files.read_link(checked(path)?).map(Answer::path),
        Request::Rename { from, to } => files.rename(checked(from)?, checked(to)?, false).map(Answer::from),
        Request::PosixRename { from, to } => {
            files.rename(checked(from)?, checked(to)?, true).map(Answer::from)
        }
        Request::Symlink { target, link } => {
            files.symbolic_link(checked(target)?, checked(link)?).map(Answer::from)
        }
        Request::Hardlink { from, to } => files.hard_link(checked(from)?, checked(to)?).map(Answer::from),
        Request::Statvfs { path } => files.file_system(checked(path)?).map(Answer::FileSystem),
        _ => Err(StatusCode::UNSUPPORTED),
    }
}

/// Returns the path for the file system: an empty one means the current directory, and none
/// contains NUL.
fn checked(path: &[u8]) -> Result<&[u8], StatusCode> {
    match path {
        [] => Ok(b"."),
        _ if path.contains(&0) => Err(StatusCode::NO_SUCH_FILE),
        _ => Ok(path),
    }
}
