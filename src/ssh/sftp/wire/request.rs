//! The requests of a client.

use super::{Attributes, VERSION, framed, kind};
use crate::ssh::wire::Write;

/// The flags of an open request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open(pub u32);

impl Open {
    /// Open for reading.
    pub const READ: u32 = 1;
    /// Open for writing.
    pub const WRITE: u32 = 2;
    /// Write at the end of the file.
    pub const APPEND: u32 = 4;
    /// Create the file if it does not exist.
    pub const CREATE: u32 = 8;
    /// Remove the content of the file.
    pub const TRUNCATE: u32 = 16;
    /// Fail if the file exists.
    pub const EXCLUSIVE: u32 = 32;

    /// Returns `true` if all of these flags are set.
    #[must_use]
    pub fn has(self, flags: u32) -> bool {
        self.0 & flags == flags
    }
}

/// A request. Fields have the names of the draft's arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the draft and OpenSSH's PROTOCOL explain requests and arguments")]
pub enum Request<'a> {
    Open {
        path: &'a [u8],
        flags: Open,
        attributes: Attributes,
    },
    Close {
        handle: &'a [u8],
    },
    Read {
        handle: &'a [u8],
        offset: u64,
        length: u32,
    },
    Write {
        handle: &'a [u8],
        offset: u64,
        data: &'a [u8],
    },
    Lstat {
        path: &'a [u8],
    },
    Fstat {
        handle: &'a [u8],
    },
    Setstat {
        path: &'a [u8],
        attributes: Attributes,
    },
    Fsetstat {
        handle: &'a [u8],
        attributes: Attributes,
    },
    Opendir {
        path: &'a [u8],
    },
    Readdir {
        handle: &'a [u8],
    },
    Remove {
        path: &'a [u8],
    },
    Mkdir {
        path: &'a [u8],
        attributes: Attributes,
    },
    Rmdir {
        path: &'a [u8],
    },
    Realpath {
        path: &'a [u8],
    },
    Stat {
        path: &'a [u8],
    },
    Rename {
        from: &'a [u8],
        to: &'a [u8],
    },
    Readlink {
        path: &'a [u8],
    },
    /// In OpenSSH's order, which differs from the draft: the target is first.
    Symlink {
        target: &'a [u8],
        link: &'a [u8],
    },
    PosixRename {
        from: &'a [u8],
        to: &'a [u8],
    },
    Hardlink {
        from: &'a [u8],
        to: &'a [u8],
    },
    Statvfs {
        path: &'a [u8],
    },
    Fstatvfs {
        handle: &'a [u8],
    },
    Fsync {
        handle: &'a [u8],
    },
    Lsetstat {
        path: &'a [u8],
        attributes: Attributes,
    },
    Limits,
    ExpandPath {
        path: &'a [u8],
    },
    /// A length of 0 copies to the end of the file.
    CopyData {
        from: &'a [u8],
        from_offset: u64,
        length: u64,
        to: &'a [u8],
        to_offset: u64,
    },
    UsersGroups {
        users: Vec<u32>,
        groups: Vec<u32>,
    },
    /// A request of another type, or another extension.
    Unknown,
}

impl Request<'_> {
    /// Appends the packet that starts the protocol.
    pub fn encode_init(output: &mut Vec<u8>) {
        framed(output, |output| {
            output.put_u8(kind::INIT).put_u32(VERSION);
        });
    }

    /// Appends the request. [`Self::Unknown`] has no content.
    pub fn encode(&self, id: u32, output: &mut Vec<u8>) {
        framed(output, |output| {
            let kind = self.basic_kind();
            output.put_u8(kind.unwrap_or(kind::EXTENDED)).put_u32(id);
            if kind.is_none() {
                output.put_string(self.extension());
            }
            self.put_arguments(output);
        });
    }

    /// Returns the type of the packet, unless it is an extension.
    fn basic_kind(&self) -> Option<u8> {
        Some(match self {
            Self::Open { .. } => kind::OPEN,
            Self::Close { .. } => kind::CLOSE,
            Self::Read { .. } => kind::READ,
            Self::Write { .. } => kind::WRITE,
            Self::Lstat { .. } => kind::LSTAT,
            Self::Fstat { .. } => kind::FSTAT,
            Self::Setstat { .. } => kind::SETSTAT,
            Self::Fsetstat { .. } => kind::FSETSTAT,
            Self::Opendir { .. } => kind::OPENDIR,
            Self::Readdir { .. } => kind::READDIR,
            Self::Remove { .. } => kind::REMOVE,
            Self::Mkdir { .. } => kind::MKDIR,
            Self::Rmdir { .. } => kind::RMDIR,
            Self::Realpath { .. } => kind::REALPATH,
            Self::Stat { .. } => kind::STAT,
            Self::Rename { .. } => kind::RENAME,
            Self::Readlink { .. } => kind::READLINK,
            Self::Symlink { .. } => kind::SYMLINK,
            _ => return None,
        })
    }

    fn extension(&self) -> &'static str {
        match self {
            Self::PosixRename { .. } => "posix-rename@openssh.com",
            Self::Hardlink { .. } => "hardlink@openssh.com",
            Self::Statvfs { .. } => "statvfs@openssh.com",
            Self::Fstatvfs { .. } => "fstatvfs@openssh.com",
            Self::Fsync { .. } => "fsync@openssh.com",
            Self::Lsetstat { .. } => "lsetstat@openssh.com",
            Self::Limits => "limits@openssh.com",
            Self::ExpandPath { .. } => "expand-path@openssh.com",
            Self::CopyData { .. } => "copy-data",
            Self::UsersGroups { .. } => "users-groups-by-id@openssh.com",
            _ => "",
        }
    }

    fn put_arguments(&self, output: &mut Vec<u8>) {
        match self {
            Self::Open { path, flags, attributes } => {
                output.put_string(path).put_u32(flags.0);
                attributes.write(output);
            }
            Self::Read { handle, offset, length } => {
                output.put_string(handle).put(&offset.to_be_bytes()).put_u32(*length);
            }
            Self::Write { handle, offset, data } => {
                output.put_string(handle).put(&offset.to_be_bytes()).put_string(data);
            }
            Self::Setstat { path: name, attributes }
            | Self::Fsetstat { handle: name, attributes }
            | Self::Mkdir { path: name, attributes }
            | Self::Lsetstat { path: name, attributes } => {
                output.put_string(name);
                attributes.write(output);
            }
            Self::Rename { from, to }
            | Self::Symlink { target: from, link: to }
            | Self::PosixRename { from, to }
            | Self::Hardlink { from, to } => {
                output.put_string(from).put_string(to);
            }
            Self::CopyData { from, from_offset, length, to, to_offset } => {
                output.put_string(from).put(&from_offset.to_be_bytes()).put(&length.to_be_bytes());
                output.put_string(to).put(&to_offset.to_be_bytes());
            }
            Self::UsersGroups { users, groups } => {
                for ids in [users, groups] {
                    output.put_string(ids.iter().flat_map(|id| id.to_be_bytes()).collect::<Vec<_>>());
                }
            }
            Self::Close { handle: name }
            | Self::Fstat { handle: name }
            | Self::Readdir { handle: name }
            | Self::Fstatvfs { handle: name }
            | Self::Fsync { handle: name }
            | Self::Lstat { path: name }
            | Self::Opendir { path: name }
            | Self::Remove { path: name }
            | Self::Rmdir { path: name }
            | Self::Realpath { path: name }
            | Self::Stat { path: name }
            | Self::Readlink { path: name }
            | Self::Statvfs { path: name }
            | Self::ExpandPath { path: name } => {
                output.put_string(name);
            }
            Self::Limits | Self::Unknown => {}
        }
    }
}
