//! The contents of OpenSSH's extensions.

use crate::ssh::wire::{Malformed, Reader, Write};

/// The extensions that a server announces, with their versions.
pub const EXTENSIONS: [(&str, &str); 10] = [
    ("posix-rename@openssh.com", "1"),
    ("statvfs@openssh.com", "2"),
    ("fstatvfs@openssh.com", "2"),
    ("hardlink@openssh.com", "1"),
    ("fsync@openssh.com", "1"),
    ("lsetstat@openssh.com", "1"),
    ("limits@openssh.com", "1"),
    ("expand-path@openssh.com", "1"),
    ("copy-data", "1"),
    ("users-groups-by-id@openssh.com", "1"),
];

/// Returns the version of an extension that is known here.
#[must_use]
pub fn extension_version(name: &str) -> Option<&'static str> {
    EXTENSIONS.iter().find(|(known, _)| *known == name).map(|(_, version)| *version)
}

/// The limits of a server (`limits@openssh.com`). 0 means that the server sets no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The longest packet.
    pub packet: u64,
    /// The most bytes of a read.
    pub read: u64,
    /// The most bytes of a write.
    pub write: u64,
    /// The number of handles that may be open.
    pub handles: u64,
}

impl Limits {
    /// Appends the content of the reply.
    pub fn write(&self, output: &mut Vec<u8>) {
        put_numbers(output, &[self.packet, self.read, self.write, self.handles]);
    }

    /// Reads the content of a reply. Later fields are ignored.
    ///
    /// # Errors
    /// The content is cut off.
    pub fn parse(content: &[u8]) -> Result<Self, Malformed> {
        let [packet, read, write, handles] = numbers(content)?;
        Ok(Self { packet, read, write, handles })
    }
}

/// The state of a file system (`statvfs@openssh.com`), as `statvfs` returns it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "statvfs(3) explains the fields")]
pub struct FileSystem {
    pub block_size: u64,
    pub fragment_size: u64,
    pub blocks: u64,
    pub free_blocks: u64,
    pub available_blocks: u64,
    pub files: u64,
    pub free_files: u64,
    pub available_files: u64,
    pub id: u64,
    pub flags: u64,
    pub max_name: u64,
}

impl FileSystem {
    /// Appends the content of the reply.
    pub fn write(&self, output: &mut Vec<u8>) {
        let space =
            [self.block_size, self.fragment_size, self.blocks, self.free_blocks, self.available_blocks];
        put_numbers(output, &space);
        let rest = [self.files, self.free_files, self.available_files, self.id, self.flags, self.max_name];
        put_numbers(output, &rest);
    }

    /// Reads the content of a reply.
    ///
    /// # Errors
    /// The content is cut off.
    pub fn parse(content: &[u8]) -> Result<Self, Malformed> {
        let numbers: [u64; 11] = numbers(content)?;
        let [block_size, fragment_size, blocks, free_blocks, available_blocks, rest @ ..] = numbers;
        let [files, free_files, available_files, id, flags, max_name] = rest;
        Ok(Self {
            block_size,
            fragment_size,
            blocks,
            free_blocks,
            available_blocks,
            files,
            free_files,
            available_files,
            id,
            flags,
            max_name,
        })
    }
}

/// The names of users and groups (`users-groups-by-id@openssh.com`), in the order of the request.
/// A name is empty if the ID has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserNames {
    /// The names of the users.
    pub users: Vec<Vec<u8>>,
    /// The names of the groups.
    pub groups: Vec<Vec<u8>>,
}

impl UserNames {
    /// Appends the content of the reply.
    pub fn write(&self, output: &mut Vec<u8>) {
        for names in [&self.users, &self.groups] {
            let mut list = Vec::new();
            for name in names {
                list.put_string(name);
            }
            output.put_string(list);
        }
    }

    /// Reads the content of a reply.
    ///
    /// # Errors
    /// The content is malformed.
    pub fn parse(content: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(content);
        let (users, groups) = (reader.string()?, reader.string()?);
        reader.end()?;
        Ok(Self { users: strings(users)?, groups: strings(groups)? })
    }
}

fn strings(list: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut reader = Reader::new(list);
    let mut strings = Vec::new();
    while !reader.clone().rest().is_empty() {
        strings.push(reader.string()?.to_vec());
    }
    Ok(strings)
}

fn put_numbers(output: &mut Vec<u8>, numbers: &[u64]) {
    for number in numbers {
        output.put(&number.to_be_bytes());
    }
}

fn numbers<const N: usize>(content: &[u8]) -> Result<[u64; N], Malformed> {
    let mut reader = Reader::new(content);
    let mut numbers = [0; N];
    for number in &mut numbers {
        *number = reader.u64()?;
    }
    Ok(numbers)
}
