//! The attributes of a file (§5 of the draft).

use crate::ssh::wire::{Malformed, Reader, Write};

const SIZE: u32 = 1;
const OWNER: u32 = 2;
const MODE: u32 = 4;
const TIMES: u32 = 8;
const EXTENDED: u32 = 0x8000_0000;

/// The type of a file in its mode.
const KIND_MASK: u32 = 0o170_000;

/// The attributes of a file, as far as they are known or to be set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The size in bytes.
    pub size: Option<u64>,
    /// The IDs of user and group.
    pub owner: Option<(u32, u32)>,
    /// The type and the permissions, as in `st_mode`.
    pub mode: Option<u32>,
    /// The times of the last access and of the last modification, in seconds since 1970.
    pub times: Option<(u32, u32)>,
}

/// The type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, a socket or a FIFO.
    Special,
}

impl Attributes {
    /// Returns the type of the file; `None` if the server does not say.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        match self.mode? & KIND_MASK {
            0 => None,
            0o040_000 => Some(Kind::Directory),
            0o100_000 => Some(Kind::File),
            0o120_000 => Some(Kind::Link),
            _ => Some(Kind::Special),
        }
    }

    /// Returns the permissions without the type.
    #[must_use]
    pub fn permissions(&self) -> Option<u32> {
        self.mode.map(|mode| mode & 0o7777)
    }

    pub(super) fn write(&self, output: &mut Vec<u8>) {
        let flag = |flag, is_set| if is_set { flag } else { 0 };
        output.put_u32(
            flag(SIZE, self.size.is_some())
                | flag(OWNER, self.owner.is_some())
                | flag(MODE, self.mode.is_some())
                | flag(TIMES, self.times.is_some()),
        );
        if let Some(size) = self.size {
            output.put(&size.to_be_bytes());
        }
        if let Some((user, group)) = self.owner {
            output.put_u32(user).put_u32(group);
        }
        if let Some(mode) = self.mode {
            output.put_u32(mode);
        }
        if let Some((access, modification)) = self.times {
            output.put_u32(access).put_u32(modification);
        }
    }

    /// Reads attributes. Extended attributes are skipped, and unknown flags ignored, as OpenSSH
    /// does.
    pub(super) fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        let flags = reader.u32()?;
        let has = |flag| flags & flag != 0;
        let mut attributes = Self::default();
        if has(SIZE) {
            attributes.size = Some(reader.u64()?);
        }
        if has(OWNER) {
            attributes.owner = Some((reader.u32()?, reader.u32()?));
        }
        if has(MODE) {
            attributes.mode = Some(reader.u32()?);
        }
        if has(TIMES) {
            attributes.times = Some((reader.u32()?, reader.u32()?));
        }
        if has(EXTENDED) {
            for _ in 0..reader.u32()? {
                reader.string()?;
                reader.string()?;
            }
        }
        Ok(attributes)
    }
}
