//! The protocol of SSH agents (draft-ietf-sshm-ssh-agent).

use super::wire::{Malformed, Reader, Write};

/// The longest message that is accepted.
pub const MAX_MESSAGE: usize = 256 * 1024;

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// The flags of a request to sign with an RSA key.
const RSA_SHA2_256: u32 = 2;
const RSA_SHA2_512: u32 = 4;

/// A key that an agent holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentKey {
    /// The public key, or the certificate.
    pub blob: Vec<u8>,
    /// The comment, usually the name of the key's file.
    pub comment: String,
}

/// Returns the request for the list of keys, with its length.
#[must_use]
pub fn list_request() -> Vec<u8> {
    framed(&[REQUEST_IDENTITIES])
}

/// Returns the request for a signature, with its length.
#[must_use]
pub fn sign_request(blob: &[u8], algorithm: &str, data: &[u8]) -> Vec<u8> {
    let flags = match algorithm {
        "rsa-sha2-512" | "rsa-sha2-512-cert-v01@openssh.com" => RSA_SHA2_512,
        "rsa-sha2-256" | "rsa-sha2-256-cert-v01@openssh.com" => RSA_SHA2_256,
        _ => 0,
    };
    let mut request = vec![SIGN_REQUEST];
    request.put_string(blob).put_string(data).put_u32(flags);
    framed(&request)
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(4 + message.len());
    framed.put_string(message);
    framed
}

/// Reads the list of keys from an answer without its length.
///
/// # Errors
/// The answer is malformed, or the agent has refused.
pub fn keys(answer: &[u8]) -> Result<Vec<AgentKey>, Malformed> {
    let mut reader = Reader::new(answer);
    if reader.u8()? != IDENTITIES_ANSWER {
        return Err(Malformed);
    }
    let count = reader.u32()?;
    let mut keys = Vec::new();
    for _ in 0..count {
        let blob = reader.string()?.to_vec();
        keys.push(AgentKey { blob, comment: String::from_utf8_lossy(reader.string()?).into_owned() });
    }
    reader.end()?;
    Ok(keys)
}

/// Reads the signature from an answer without its length.
///
/// # Errors
/// The answer is malformed, or the agent has refused.
pub fn signature(answer: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut reader = Reader::new(answer);
    if reader.u8()? != SIGN_RESPONSE {
        return Err(Malformed);
    }
    let signature = reader.string()?.to_vec();
    reader.end()?;
    Ok(signature)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn requests_have_a_length() {
        assert_eq!(list_request(), [0, 0, 0, 1, 11]);
        let request = sign_request(b"key", "rsa-sha2-512", b"data");
        assert_eq!(request, b"\0\0\0\x14\x0d\0\0\0\x03key\0\0\0\x04data\0\0\0\x04");
        assert_eq!(sign_request(b"", "rsa-sha2-256", b"").last(), Some(&2));
        assert_eq!(sign_request(b"", "ssh-ed25519", b"").last(), Some(&0));
    }

    #[test]
    fn answers_are_checked_to_their_end() {
        let mut answer = vec![12];
        answer.put_u32(2).put_string("a").put_string("first").put_string("b").put_string("");
        let key = |blob: &[u8], comment: &str| AgentKey { blob: blob.to_vec(), comment: comment.into() };
        assert_eq!(keys(&answer), Ok(vec![key(b"a", "first"), key(b"b", "")]));
        for length in 0..answer.len() {
            assert_eq!(keys(&answer[..length]), Err(Malformed), "{length}");
        }
        answer.push(0);
        assert_eq!(keys(&answer), Err(Malformed));
        assert_eq!(keys(b"\x0c\xff\xff\xff\xff"), Err(Malformed));
        assert_eq!(signature(b"\x0e\0\0\0\x01s"), Ok(b"s".to_vec()));
        assert_eq!(signature(b"\x05"), Err(Malformed));
    }
}
