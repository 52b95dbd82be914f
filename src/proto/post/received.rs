//! A request as the server has received it, by HTTP or SCGI.

use super::message::Sid;

/// A request with its body.
#[derive(Debug, PartialEq, Eq)]
pub struct Received {
    /// The tunnel that the path names.
    pub sid: Sid,
    /// The body.
    pub body: Vec<u8>,
    /// The connection stays open after the answer.
    pub keeps_alive: bool,
    /// The client speaks HTTP/1.0.
    pub is_http_1_0: bool,
    /// The client.
    pub named: Named,
}

/// The client that a request names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The client's address, as the web server reports it; `None` with HTTP.
    pub client: Option<String>,
    /// The value of `X-Forwarded-For`.
    pub forwarded: Option<String>,
}

/// The reason to refuse a request. The connection closes after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The reason as text.
    pub why: &'static str,
}

/// Reads requests from the bytes of a connection.
pub trait ReadRequest: Send {
    /// Processes received bytes up to the end of a request. Returns how many bytes belong to it,
    /// and the request once it is complete.
    ///
    /// # Errors
    /// The request is malformed, or not for this server. The reader must not be used anymore.
    fn receive(&mut self, bytes: &[u8]) -> Result<(usize, Option<Received>), Refusal>;

    /// Returns `true` if no byte of the next request has been received.
    fn is_idle(&self) -> bool;

    /// Returns `true` if the head of a request has been received, and its body is missing.
    fn has_head(&self) -> bool {
        self.partial().is_some()
    }

    /// Returns the tunnel that the request names, and the part of the body that has been received.
    /// `None` before the end of the head.
    fn partial(&self) -> Option<(Sid, &[u8])>;

    /// Returns the client that an incomplete or refused request names, as far as its head has been
    /// received and can be parsed.
    fn named(&self) -> Named;
}

/// Shows no fields: those of every implementation would make the program larger, and its start
/// slower.
impl std::fmt::Debug for dyn ReadRequest + '_ {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReadRequest")
    }
}

/// Returns the tunnel that the target of a request names. `None` if it is not `path`, a slash and a
/// session identifier. `path` has no slash at its end. A query is ignored.
pub(super) fn sid_in(target: &str, path: &str) -> Option<Sid> {
    let target = target.split(['?', '#']).next()?;
    // A server must accept the absolute form (RFC 9112 §3.2.2).
    let target = match target.split_once("://") {
        Some((scheme, rest)) if ["http", "https"].iter().any(|name| scheme.eq_ignore_ascii_case(name)) => {
            &rest[rest.find('/')?..]
        }
        _ => target,
    };
    Sid::parse(target.strip_prefix(path)?.strip_prefix('/')?)
}

#[cfg(test)]
pub(super) mod testing {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{ReadRequest, Received, Refusal};

    /// Reads all requests in the input, in each fragmentation. The result must be the same each
    /// time.
    pub(in crate::proto::post) fn read_in_all_ways(
        make: &dyn Fn() -> Box<dyn ReadRequest>,
        input: &[u8],
    ) -> Result<Vec<Received>, Refusal> {
        let whole = read(make(), &[input]);
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(read(make(), &bytes), whole, "byte by byte");
        for at in 1..input.len() {
            let (before, after) = input.split_at(at);
            assert_eq!(read(make(), &[before, after]), whole, "cut after {at}");
        }
        whole
    }

    fn read(mut reader: Box<dyn ReadRequest>, parts: &[&[u8]]) -> Result<Vec<Received>, Refusal> {
        let mut requests = Vec::new();
        for part in parts {
            let mut rest = *part;
            while !rest.is_empty() {
                let (count, request) = reader.receive(rest)?;
                assert!(count > 0);
                rest = &rest[count..];
                requests.extend(request);
            }
        }
        assert!(!reader.has_head(), "incomplete body");
        Ok(requests)
    }
}
