//! The data types of SSH messages (RFC 4251 §5).

/// A message ends within a field, contains an invalid one, or continues after the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message")]
pub struct Malformed;

/// Reads the fields of a message.
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Begins at the first byte of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Reads `count` bytes.
    ///
    /// # Errors
    /// Fewer bytes are left.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// Reads an array.
    ///
    /// # Errors
    /// Fewer bytes are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.bytes(N)?.try_into().map_err(|_| Malformed)
    }

    /// Reads a `byte`.
    ///
    /// # Errors
    /// Nothing is left.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    /// Reads a `boolean`. Any value except 0 is `true`.
    ///
    /// # Errors
    /// Nothing is left.
    pub fn bool(&mut self) -> Result<bool, Malformed> {
        self.u8().map(|byte| byte != 0)
    }

    /// Reads a `uint32`.
    ///
    /// # Errors
    /// Fewer than 4 bytes are left.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// Reads a `uint64`.
    ///
    /// # Errors
    /// Fewer than 8 bytes are left.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// Reads a `string`.
    ///
    /// # Errors
    /// Fewer bytes are left than its length says.
    pub fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u32()?;
        self.bytes(usize::try_from(length).map_err(|_| Malformed)?)
    }

    /// Reads a `string` of UTF-8.
    ///
    /// # Errors
    /// Fewer bytes are left than its length says, or they are not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        str::from_utf8(self.string()?).map_err(|_| Malformed)
    }

    /// Reads a `name-list`, which may be empty. Skips empty names, which RFC 4251 §5 forbids,
    /// because libssh 0.10 ends its list of ciphers with a comma.
    ///
    /// # Errors
    /// The list is cut off, or a name is not printable US-ASCII.
    pub fn name_list(&mut self) -> Result<Vec<&'a str>, Malformed> {
        let is_name = |name: &&str| name.bytes().all(|byte| byte.is_ascii_graphic());
        let names = self.text()?.split(',').filter(|name| !name.is_empty());
        names.map(|name| Some(name).filter(is_name).ok_or(Malformed)).collect()
    }

    /// Reads an `mpint` that is positive, and returns its magnitude without leading zeros.
    ///
    /// # Errors
    /// The number is cut off, zero, negative, or not in its shortest form.
    pub fn positive_integer(&mut self) -> Result<&'a [u8], Malformed> {
        let integer = self.string()?;
        match integer.first().ok_or(Malformed)? {
            0 => Some(&integer[1..]).filter(|magnitude| magnitude.first() >= Some(&0x80)).ok_or(Malformed),
            0x01..=0x7f => Ok(integer),
            0x80.. => Err(Malformed),
        }
    }

    /// Returns the bytes that are left.
    #[must_use]
    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Checks that the message has no more fields.
    ///
    /// # Errors
    /// Bytes are left.
    pub fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// Appends the fields of a message.
pub trait Write {
    /// Appends bytes without a length.
    fn put(&mut self, bytes: &[u8]) -> &mut Self;

    /// Appends a `byte`.
    fn put_u8(&mut self, value: u8) -> &mut Self {
        self.put(&[value])
    }

    /// Appends a `boolean`.
    fn put_bool(&mut self, value: bool) -> &mut Self {
        self.put_u8(value.into())
    }

    /// Appends a `uint32`.
    fn put_u32(&mut self, value: u32) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    /// Appends a `string`. One of 4 GiB or more would be malformed; limits on messages exclude it.
    fn put_string(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.put_u32(length).put(bytes)
    }

    /// Appends a `name-list`.
    fn put_name_list(&mut self, names: &[&str]) -> &mut Self {
        self.put_string(names.join(","))
    }

    /// Appends an `mpint` that is not negative, given as a magnitude that may have leading zeros.
    fn put_integer(&mut self, magnitude: &[u8]) -> &mut Self {
        let zeros = magnitude.iter().take_while(|byte| **byte == 0).count();
        let magnitude = &magnitude[zeros..];
        let sign = magnitude.first().is_some_and(|first| *first >= 0x80);
        let length = u32::try_from(magnitude.len() + usize::from(sign)).unwrap_or(u32::MAX);
        self.put_u32(length);
        if sign {
            self.put_u8(0);
        }
        self.put(magnitude)
    }
}

impl Write for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.extend_from_slice(bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(magnitude: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put_integer(magnitude);
        bytes
    }

    /// The examples of RFC 4251 §5.
    #[test]
    fn integers_have_their_shortest_form() {
        assert_eq!(integer(&[]), [0, 0, 0, 0]);
        assert_eq!(integer(&[0, 0]), [0, 0, 0, 0]);
        let number = [0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7];
        assert_eq!(integer(&number), [&[0, 0, 0, 8], &number[..]].concat());
        assert_eq!(integer(&[0x80]), [0, 0, 0, 2, 0, 0x80]);
        for magnitude in [&[0x80][..], &[0x7f], &[1, 0]] {
            assert_eq!(Reader::new(&integer(magnitude)).positive_integer(), Ok(magnitude));
        }
        for invalid in
            [&b"\0\0\0\0"[..], b"\0\0\0\x01\0", b"\0\0\0\x01\x80", b"\0\0\0\x02\0\x7f", b"\0\0\0\x02\x01"]
        {
            assert_eq!(Reader::new(invalid).positive_integer(), Err(Malformed), "{invalid:?}");
        }
    }

    #[test]
    fn empty_names_in_a_list_are_skipped() {
        let mut list = Vec::new();
        list.put_name_list(&["zlib", "none"]).put_name_list(&[]);
        let mut reader = Reader::new(&list);
        assert_eq!(reader.name_list(), Ok(vec!["zlib", "none"]));
        assert_eq!(reader.name_list(), Ok(vec![]));
        assert_eq!(reader.end(), Ok(()));
        assert_eq!(Reader::new(b"\0\0\0\x05zlib,").name_list(), Ok(vec!["zlib"]));
        for invalid in [&b"\0\0\0\x02a "[..], b"\0\0\0\x02\xc3\xa9", b"\0\0\0\x02a"] {
            assert_eq!(Reader::new(invalid).name_list(), Err(Malformed), "{invalid:?}");
        }
    }

    #[test]
    fn fields_are_read_in_order() {
        let mut bytes = Vec::new();
        bytes.put_u8(7).put_bool(true).put_u32(0x0102_0304).put_string("text").put(&[9]);
        assert_eq!(bytes, *b"\x07\x01\x01\x02\x03\x04\0\0\0\x04text\x09");
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u8(), Ok(7));
        assert_eq!(reader.bool(), Ok(true));
        assert_eq!(reader.u32(), Ok(0x0102_0304));
        assert_eq!(reader.text(), Ok("text"));
        assert_eq!(reader.clone().end(), Err(Malformed));
        assert_eq!(reader.u64(), Err(Malformed));
        assert_eq!(reader.rest(), [9]);
    }
}
