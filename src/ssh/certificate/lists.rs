//! The lists in a certificate.

use crate::ssh::wire::{Malformed, Reader};

/// The most principals or options in a certificate. OpenSSH has this limit for principals.
pub(super) const MAX_ITEMS: usize = 256;

/// A critical option or an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateOption {
    /// The name, for example `force-command`.
    pub name: String,
    /// The encoded value; empty if the option has none.
    pub data: Vec<u8>,
}

impl CertificateOption {
    /// Returns the value of an option whose value is one string.
    ///
    /// # Errors
    /// The value has another form, or is not UTF-8.
    pub fn text(&self) -> Result<&str, Malformed> {
        let mut reader = Reader::new(&self.data);
        let text = reader.text()?;
        reader.end()?;
        Ok(text)
    }
}

/// Reads a list of principals.
pub(super) fn principals(list: &[u8]) -> Result<Vec<String>, Malformed> {
    items(list, |reader| reader.text().map(str::to_owned))
}

/// Reads critical options or extensions.
pub(super) fn options(list: &[u8]) -> Result<Vec<CertificateOption>, Malformed> {
    items(list, |reader| {
        let (name, data) = (reader.text()?.to_owned(), reader.string()?.to_vec());
        Ok(CertificateOption { name, data })
    })
}

/// Reads items up to the end of a list.
fn items<T>(
    list: &[u8],
    read: impl Fn(&mut Reader<'_>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let mut reader = Reader::new(list);
    let mut items = Vec::new();
    while reader.clone().end().is_err() {
        if items.len() == MAX_ITEMS {
            return Err(Malformed);
        }
        items.push(read(&mut reader)?);
    }
    Ok(items)
}
