//! The replies of a server.

use super::{Attributes, EXTENSIONS, Status, StatusCode, VERSION, framed, kind};
use crate::ssh::sftp::Error;
use crate::ssh::wire::{Malformed, Reader, Write};

/// An entry of a directory, or a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub name: Vec<u8>,
    /// The name and the attributes, as `ls -l` prints them.
    pub long_name: Vec<u8>,
    /// The attributes.
    pub attributes: Attributes,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// The outcome of a request.
    Status(Status),
    /// The handle of an open file or directory.
    Handle(&'a [u8]),
    /// Data of a file.
    Data(&'a [u8]),
    /// The entries of a directory, or one path.
    Names(Vec<Name>),
    /// The attributes of a file.
    Attributes(Attributes),
    /// The answer to an extension; its content depends on the request.
    Extended(&'a [u8]),
}

/// The packet with which a server answers the start of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version<'a> {
    /// The version.
    pub version: u32,
    /// The extensions with their data.
    pub extensions: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Version<'a> {
    /// Decodes a packet without its length.
    ///
    /// # Errors
    /// The packet has another type, or is malformed.
    pub fn parse(packet: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(packet);
        let kind = reader.u8().map_err(|Malformed| Error::PacketLength(0))?;
        if kind != kind::VERSION {
            return Err(Error::Unexpected(kind));
        }
        Self::content(reader).map_err(Error::malformed(kind))
    }

    fn content(mut reader: Reader<'a>) -> Result<Self, Malformed> {
        let version = reader.u32()?;
        let mut extensions = Vec::new();
        while !reader.clone().rest().is_empty() {
            extensions.push((reader.string()?, reader.string()?));
        }
        Ok(Self { version, extensions })
    }

    /// Appends the packet of this server.
    pub fn encode(output: &mut Vec<u8>) {
        framed(output, |output| {
            output.put_u8(kind::VERSION).put_u32(VERSION);
            for (name, version) in EXTENSIONS {
                output.put_string(name).put_string(version);
            }
        });
    }
}

impl<'a> Reply<'a> {
    /// Returns the reply to a request that has failed.
    #[must_use]
    pub fn status(code: StatusCode) -> Self {
        Self::Status(Status { code, text: code.words().unwrap_or_default().into() })
    }

    /// Returns the reply to a request that has succeeded and returns nothing.
    #[must_use]
    pub fn ok() -> Self {
        Self::Status(Status { code: StatusCode::OK, text: b"success".into() })
    }

    /// Decodes a packet without its length. Returns the ID of the request and the reply.
    ///
    /// # Errors
    /// The packet is no reply, or malformed.
    pub fn parse(packet: &'a [u8]) -> Result<(u32, Self), Error> {
        let mut reader = Reader::new(packet);
        let kind = reader.u8().map_err(|Malformed| Error::PacketLength(0))?;
        let mut parse = || {
            let id = reader.u32()?;
            let reply = Self::content(kind, &mut reader)?;
            reader.clone().end()?;
            Ok(reply.map(|reply| (id, reply)))
        };
        parse().map_err(Error::malformed(kind))?.ok_or(Error::Unexpected(kind))
    }

    fn content(kind: u8, reader: &mut Reader<'a>) -> Result<Option<Self>, Malformed> {
        Ok(Some(match kind {
            kind::STATUS => Self::Status(status(reader)?),
            kind::HANDLE => Self::Handle(reader.string()?),
            kind::DATA => Self::Data(reader.string()?),
            kind::NAME => Self::Names(names(reader)?),
            kind::ATTRS => Self::Attributes(Attributes::read(reader)?),
            kind::EXTENDED_REPLY => Self::Extended(std::mem::replace(reader, Reader::new(&[])).rest()),
            _ => {
                *reader = Reader::new(&[]);
                return Ok(None);
            }
        }))
    }

    /// Returns the type of the packet.
    pub(in crate::ssh::sftp) fn kind(&self) -> u8 {
        match self {
            Self::Status(_) => kind::STATUS,
            Self::Handle(_) => kind::HANDLE,
            Self::Data(_) => kind::DATA,
            Self::Names(_) => kind::NAME,
            Self::Attributes(_) => kind::ATTRS,
            Self::Extended(_) => kind::EXTENDED_REPLY,
        }
    }

    /// Appends a data reply with up to `length` bytes. `read` writes the data into its argument and
    /// returns their number. Returns that number.
    ///
    /// # Errors
    /// Those of `read`. The output then ends with garbage.
    pub(in crate::ssh::sftp) fn encode_data<E>(
        id: u32,
        length: usize,
        output: &mut Vec<u8>,
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let start = output.len();
        output.put_u32(0).put_u8(kind::DATA).put_u32(id).put_u32(0);
        let data = output.len();
        output.resize(data + length, 0);
        let count = read(&mut output[data..])?.min(length);
        output.truncate(data + count);
        let count32 = u32::try_from(count).unwrap_or(u32::MAX);
        let header = u32::try_from(data - start - 4).unwrap_or(u32::MAX);
        output[start..start + 4].copy_from_slice(&header.saturating_add(count32).to_be_bytes());
        output[data - 4..data].copy_from_slice(&count32.to_be_bytes());
        Ok(count)
    }

    /// Appends the reply to the request with this ID.
    pub fn encode(&self, id: u32, output: &mut Vec<u8>) {
        framed(output, |output| {
            output.put_u8(self.kind()).put_u32(id);
            match self {
                Self::Status(status) => {
                    output.put_u32(status.code.0).put_string(&status.text).put_string("en");
                }
                Self::Handle(bytes) | Self::Data(bytes) => {
                    output.put_string(bytes);
                }
                Self::Names(names) => {
                    output.put_u32(u32::try_from(names.len()).unwrap_or(u32::MAX));
                    for name in names {
                        output.put_string(&name.name).put_string(&name.long_name);
                        name.attributes.write(output);
                    }
                }
                Self::Attributes(attributes) => attributes.write(output),
                Self::Extended(content) => {
                    output.put(content);
                }
            }
        });
    }
}

/// Reads a status. Some servers omit the text, the language or both.
fn status(reader: &mut Reader) -> Result<Status, Malformed> {
    let code = StatusCode(reader.u32()?);
    let mut text = Vec::new();
    if !reader.clone().rest().is_empty() {
        text = reader.string()?.to_vec();
    }
    if !reader.clone().rest().is_empty() {
        reader.string()?;
    }
    Ok(Status { code, text })
}

fn names(reader: &mut Reader) -> Result<Vec<Name>, Malformed> {
    let count = reader.u32()?;
    let mut names = Vec::new();
    for _ in 0..count {
        let (name, long_name) = (reader.string()?.to_vec(), reader.string()?.to_vec());
        names.push(Name { name, long_name, attributes: Attributes::read(reader)? });
    }
    Ok(names)
}
