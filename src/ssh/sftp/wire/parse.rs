//! Decodes requests, for the server.

use super::{Attributes, Open, Request, kind};
use crate::ssh::sftp::Error;
use crate::ssh::wire::{Malformed, Reader};

/// A packet that a server has received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// The client's version.
    Init(u32),
    /// A request with its ID.
    Request(u32, Request<'a>),
    /// A request whose arguments are malformed.
    MalformedRequest(u32),
}

impl<'a> Received<'a> {
    /// Decodes a packet without its length.
    ///
    /// # Errors
    /// The packet is cut off before the end of its ID.
    pub fn parse(packet: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(packet);
        let kind = reader.u8().map_err(|Malformed| Error::PacketLength(0))?;
        let id = reader.u32().map_err(Error::malformed(kind))?;
        if kind == kind::INIT {
            // A client may list extensions, which have no effect.
            return Ok(Self::Init(id));
        }
        Ok(arguments(kind, reader).map_or(Self::MalformedRequest(id), |request| Self::Request(id, request)))
    }
}

fn arguments(kind: u8, mut reader: Reader<'_>) -> Result<Request<'_>, Malformed> {
    let r = &mut reader;
    let request = match kind {
        kind::OPEN => {
            Request::Open { path: r.string()?, flags: Open(r.u32()?), attributes: Attributes::read(r)? }
        }
        kind::CLOSE => Request::Close { handle: r.string()? },
        kind::READ => Request::Read { handle: r.string()?, offset: r.u64()?, length: r.u32()? },
        kind::WRITE => Request::Write { handle: r.string()?, offset: r.u64()?, data: r.string()? },
        kind::LSTAT => Request::Lstat { path: r.string()? },
        kind::FSTAT => Request::Fstat { handle: r.string()? },
        kind::SETSTAT => Request::Setstat { path: r.string()?, attributes: Attributes::read(r)? },
        kind::FSETSTAT => Request::Fsetstat { handle: r.string()?, attributes: Attributes::read(r)? },
        kind::OPENDIR => Request::Opendir { path: r.string()? },
        kind::READDIR => Request::Readdir { handle: r.string()? },
        kind::REMOVE => Request::Remove { path: r.string()? },
        kind::MKDIR => Request::Mkdir { path: r.string()?, attributes: Attributes::read(r)? },
        kind::RMDIR => Request::Rmdir { path: r.string()? },
        kind::REALPATH => Request::Realpath { path: r.string()? },
        kind::STAT => Request::Stat { path: r.string()? },
        kind::RENAME => Request::Rename { from: r.string()?, to: r.string()? },
        kind::READLINK => Request::Readlink { path: r.string()? },
        kind::SYMLINK => Request::Symlink { target: r.string()?, link: r.string()? },
        kind::EXTENDED => {
            let name = r.string()?;
            extension(name, r)?
        }
        _ => return Ok(Request::Unknown),
    };
    if request != Request::Unknown {
        reader.end()?;
    }
    Ok(request)
}

fn extension<'a>(name: &[u8], r: &mut Reader<'a>) -> Result<Request<'a>, Malformed> {
    Ok(match name {
        b"posix-rename@openssh.com" => Request::PosixRename { from: r.string()?, to: r.string()? },
        b"hardlink@openssh.com" => Request::Hardlink { from: r.string()?, to: r.string()? },
        b"statvfs@openssh.com" => Request::Statvfs { path: r.string()? },
        b"fstatvfs@openssh.com" => Request::Fstatvfs { handle: r.string()? },
        b"fsync@openssh.com" => Request::Fsync { handle: r.string()? },
        b"lsetstat@openssh.com" => Request::Lsetstat { path: r.string()?, attributes: Attributes::read(r)? },
        b"limits@openssh.com" => Request::Limits,
        b"expand-path@openssh.com" => Request::ExpandPath { path: r.string()? },
        b"copy-data" => Request::CopyData {
            from: r.string()?,
            from_offset: r.u64()?,
            length: r.u64()?,
            to: r.string()?,
            to_offset: r.u64()?,
        },
        b"users-groups-by-id@openssh.com" => {
            Request::UsersGroups { users: ids(r.string()?)?, groups: ids(r.string()?)? }
        }
        _ => Request::Unknown,
    })
}

fn ids(list: &[u8]) -> Result<Vec<u32>, Malformed> {
    let (ids, rest) = list.as_chunks();
    if rest.is_empty() { Ok(ids.iter().copied().map(u32::from_be_bytes).collect()) } else { Err(Malformed) }
}
