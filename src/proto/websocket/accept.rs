//! The proof that a server has read the request for a WebSocket.

use base64::prelude::{BASE64_STANDARD, Engine};
use sha1::{Digest, Sha1};

/// The value that RFC 6455 §1.3 appends to the client's key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Returns the `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` (RFC 6455 §4.2.2).
pub(in crate::proto) fn accept_value(key: &str) -> String {
    BASE64_STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

#[cfg(test)]
mod tests {
    /// RFC 6455 §1.3.
    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(super::accept_value("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
