//! The part of DER (X.690) that key files need.

use crate::ssh::wire::{Malformed, Reader};

#[cfg(test)]
mod tests;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;

/// The tags `[0]` and `[1]`: explicit, or implicit for a constructed type.
pub(super) const CONTEXT_0: u8 = 0xa0;
pub(super) const CONTEXT_1: u8 = 0xa1;

/// The tag `[1]`, implicit for a primitive type.
pub(super) const CONTEXT_1_PRIMITIVE: u8 = 0x81;

/// Reads a series of elements.
#[derive(Clone)]
pub(super) struct Der<'a>(Reader<'a>);

impl<'a> Der<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(Reader::new(bytes))
    }

    /// Reads an element with this tag, and returns its content.
    pub(super) fn element(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        if self.0.u8()? != tag {
            return Err(Malformed);
        }
        // DER requires the shortest encoding of a length. No key has more than 64 KiB.
        let length = match self.0.u8()? {
            length if length < 0x80 => usize::from(length),
            0x81 => Some(self.0.u8()?.into()).filter(|length| *length >= 0x80).ok_or(Malformed)?,
            0x82 => {
                let length = u16::from_be_bytes(self.0.array()?);
                Some(length.into()).filter(|length| *length >= 0x100).ok_or(Malformed)?
            }
            _ => return Err(Malformed),
        };
        self.0.bytes(length)
    }

    /// Reads an element if the next one has this tag.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Malformed> {
        if self.0.clone().u8() == Ok(tag) { self.element(tag).map(Some) } else { Ok(None) }
    }

    /// Reads a SEQUENCE.
    pub(super) fn sequence(&mut self) -> Result<Self, Malformed> {
        self.element(SEQUENCE).map(Self::new)
    }

    /// Reads an INTEGER that is not negative, and returns its magnitude without leading zeros.
    pub(super) fn integer(&mut self) -> Result<&'a [u8], Malformed> {
        match self.element(INTEGER)? {
            [0] => Ok(&[]),
            [0, rest @ ..] if rest[0] >= 0x80 => Ok(rest),
            [0 | 0x80.., ..] | [] => Err(Malformed),
            magnitude => Ok(magnitude),
        }
    }

    /// Checks that no element is left.
    pub(super) fn end(self) -> Result<(), Malformed> {
        self.0.end()
    }
}

/// Returns the bytes of a BIT STRING whose length is a multiple of 8 bits.
pub(super) fn whole_bytes(bit_string: &[u8]) -> Result<&[u8], Malformed> {
    bit_string.strip_prefix(&[0]).ok_or(Malformed)
}
