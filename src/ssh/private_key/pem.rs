//! PEM, the text encoding of key files (RFC 7468, with the headers of RFC 1421).

use base64::decoded_len_estimate;
use base64::prelude::{BASE64_STANDARD, Engine};
use zeroize::Zeroizing;

use crate::ssh::wire::Malformed;

/// A section from its BEGIN line to its END line.
pub(super) struct Section<'a> {
    /// The label, such as `EC PRIVATE KEY`.
    pub(super) label: &'a [u8],
    /// A header says that the body is encrypted (RFC 1421 §4.6.1.1).
    pub(super) is_encrypted: bool,
    /// The body.
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

/// Reads the sections of a file. Text between them is skipped.
pub(super) struct Sections<'a>(&'a [u8]);

impl<'a> Sections<'a> {
    pub(super) fn new(file: &'a [u8]) -> Self {
        Self(file)
    }

    /// Returns the next line without surrounding blanks; `None` at the end of the file.
    fn line(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = self.0.iter().position(|byte| *byte == b'\n').unwrap_or(self.0.len());
        let (line, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        Some(line.trim_ascii())
    }

    /// Returns the next section; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Section<'a>>, Malformed> {
        let label = loop {
            let Some(line) = self.line() else { return Ok(None) };
            if let Some(label) = marker(line, b"-----BEGIN ") {
                break label;
            }
        };
        // Reserve enough for the rest of the file, so that no copy of the key is left behind.
        let mut text = Zeroizing::new(Vec::with_capacity(self.0.len()));
        let (mut is_encrypted, mut in_headers) = (false, false);
        loop {
            let line = self.line().ok_or(Malformed)?;
            if line.starts_with(b"-----") {
                marker(line, b"-----END ").filter(|end| *end == label).ok_or(Malformed)?;
                break;
            }
            if line.contains(&b':') && text.is_empty() {
                in_headers = true;
                is_encrypted |= line.starts_with(b"Proc-Type:") && line.ends_with(b"ENCRYPTED");
            } else if !in_headers {
                text.extend_from_slice(line);
            } else if line.is_empty() {
                in_headers = false;
            }
        }
        Ok(Some(Section { label, is_encrypted, bytes: decode(&text)? }))
    }
}

/// Returns the label of a BEGIN or END line.
fn marker<'a>(line: &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(start)?.strip_suffix(b"-----")
}

/// Decodes base64 into a buffer that does not grow.
fn decode(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, Malformed> {
    let mut bytes = Zeroizing::new(vec![0; decoded_len_estimate(text.len())]);
    let length = BASE64_STANDARD.decode_slice(text, &mut bytes).map_err(|_| Malformed)?;
    bytes.truncate(length);
    Ok(bytes)
}
