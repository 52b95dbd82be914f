//! A client's request that the proxy forwards itself, because its URL is in absolute form (RFC 9112
//! §3.2.2). Many proxies open tunnels only to port 443.
//!
//! The proxy may answer with a challenge. A request without a body can be sent again after that, so
//! the negotiation waits for the head of the response, and passes on any head that is not a
//! challenge. A request with a body is sent only after the proxy has accepted the login with a HEAD
//! request to the same server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::head::Head;
use crate::proto::Wire;

/// Time to wait for the head of a response. After that, a challenge is unlikely, and the response
/// goes to the client as it arrives.
pub(super) const CHALLENGE_TIMEOUT: Duration = Duration::from_secs(10);

/// A request in absolute form, without a login for the proxy.
pub struct ForwardRequest {
    /// The method.
    pub method: String,
    /// The host and port in the URL.
    pub authority: String,
    /// The URL.
    pub url: String,
    /// The request line and all fields, without the empty line at the end.
    pub head: Wire,
    /// `true` if a body follows.
    pub has_body: bool,
}

/// The fields may contain passwords.
impl fmt::Debug for ForwardRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForwardRequest({} {})", self.method, self.authority)
    }
}

/// The request to forward, and what is known about it.
#[derive(Debug)]
pub(super) struct Forwarding {
    request: Arc<ForwardRequest>,
    /// The proxy has answered the HEAD request without a challenge.
    pub(super) is_probed: bool,
    /// The received bytes that belong to the client: interim responses and the final head.
    answer: Zeroizing<Vec<u8>>,
}

impl Forwarding {
    pub(super) fn new(request: Arc<ForwardRequest>) -> Self {
        Self { request, is_probed: false, answer: Zeroizing::default() }
    }

    /// Returns `true` if a body follows the request, which could not be sent again.
    pub(super) fn has_body(&self) -> bool {
        self.request.has_body
    }

    /// Returns `true` if the next request must be the HEAD request, unless the login is known to be
    /// accepted.
    pub(super) fn needs_probe(&self) -> bool {
        self.request.has_body && !self.is_probed
    }

    /// Returns the method and the URL of the next request.
    pub(super) fn target(&self, probes: bool) -> (String, String) {
        if probes {
            ("HEAD".into(), format!("http://{}/", self.request.authority))
        } else {
            (self.request.method.clone(), self.request.url.clone())
        }
    }

    /// Returns the start of the next request.
    pub(super) fn head(&self, probes: bool, version: &str) -> Wire {
        if !probes {
            return self.request.head.clone();
        }
        let authority = &self.request.authority;
        let line = format!("HEAD http://{authority}/ HTTP/{version}\r\nHost: {authority}\r\n");
        Wire::public(line.into_bytes())
    }

    /// Returns `true` if responses to the next request have no body.
    pub(super) fn is_head(&self, probes: bool) -> bool {
        probes || self.request.method == "HEAD"
    }

    /// Keeps a head for the client.
    pub(super) fn keep(&mut self, head: &Head) {
        self.keep_bytes(head.raw());
    }

    /// Keeps the start of a head for the client.
    pub(super) fn keep_bytes(&mut self, bytes: &[u8]) {
        // Reallocation would leave a copy of a secret, such as a cookie, behind.
        let mut answer = Zeroizing::new(Vec::with_capacity(self.answer.len() + bytes.len()));
        answer.extend_from_slice(&self.answer);
        answer.extend_from_slice(bytes);
        self.answer = answer;
    }

    /// Discards the interim responses before a challenge.
    pub(super) fn discard(&mut self) {
        self.answer = Zeroizing::default();
    }

    pub(super) fn take_answer(&mut self) -> Zeroizing<Vec<u8>> {
        std::mem::take(&mut self.answer)
    }
}
