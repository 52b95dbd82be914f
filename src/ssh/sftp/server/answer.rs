//! The results of requests.

use super::handles::MAX_HANDLES;
use crate::ssh::sftp::wire::{Attributes, FileSystem, Limits, MAX_PACKET, Name, Reply, UserNames};

/// The most bytes of a read or a write.
pub const MAX_DATA: usize = MAX_PACKET - 1024;

/// The result of a request that has succeeded.
pub(super) enum Answer {
    Ok,
    Handle([u8; 4]),
    Names(Vec<Name>),
    Attributes(Attributes),
    FileSystem(FileSystem),
    Users(UserNames),
    Limits,
}

impl From<()> for Answer {
    fn from((): ()) -> Self {
        Self::Ok
    }
}

impl Answer {
    pub(super) fn path(path: Vec<u8>) -> Self {
        Self::Names(vec![Name { long_name: path.clone(), name: path, attributes: Attributes::default() }])
    }

    /// Appends the reply to the request with this ID.
    pub(super) fn encode(self, id: u32, output: &mut Vec<u8>) {
        let mut content = Vec::new();
        let reply = match &self {
            Self::Ok => Reply::ok(),
            Self::Handle(handle) => Reply::Handle(handle),
            Self::Attributes(attributes) => Reply::Attributes(*attributes),
            Self::Names(_) => return self.encode_names(id, output),
            Self::FileSystem(state) => {
                state.write(&mut content);
                Reply::Extended(&content)
            }
            Self::Users(names) => {
                names.write(&mut content);
                Reply::Extended(&content)
            }
            Self::Limits => {
                limits().write(&mut content);
                Reply::Extended(&content)
            }
        };
        reply.encode(id, output);
    }

    fn encode_names(self, id: u32, output: &mut Vec<u8>) {
        if let Self::Names(names) = self {
            Reply::Names(names).encode(id, output);
        }
    }
}

fn limits() -> Limits {
    let data = MAX_DATA as u64;
    Limits { packet: MAX_PACKET as u64, read: data, write: data, handles: MAX_HANDLES as u64 }
}
