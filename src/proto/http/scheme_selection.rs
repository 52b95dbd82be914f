//! Selects the authentication scheme: tries each offered scheme once, strongest first.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::super::{Credentials, Error, Unusable, UnusableScheme};
use super::challenge::{Challenge, challenges};
use super::credentials_header::Authorization;
use super::digest::{Digest, Hash, RequestInfo};
use super::head::Head;

/// How many times a proxy may declare a nonce stale before we treat that as a rejection.
const MAX_STALE: u8 = 2;

/// An authentication scheme that the user can allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Sends the password in base64 (RFC 7617).
    Basic,
    /// Sends a hash of the password and a nonce (RFC 7616).
    Digest,
}

/// A function that returns random bytes from the system, or `None` if the system provides none.
pub type Random = fn() -> Option<[u8; 16]>;

/// How well a response protects the password, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    Basic,
    Digest(Hash),
}

/// The response to a challenge. A scheme that needs several round trips would keep its state here.
#[derive(Debug)]
enum Response {
    Basic,
    /// The challenge, and how many requests have used its nonce.
    Digest(Digest, u32),
}

impl Response {
    fn strength(&self) -> Strength {
        match self {
            Self::Basic => Strength::Basic,
            Self::Digest(digest, _) => Strength::Digest(digest.hash),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Basic => "Basic".into(),
            Self::Digest(digest, _) => format!("Digest ({})", digest.hash.name()),
        }
    }
}

/// Why no further response is possible.
pub(super) enum NoScheme {
    /// Every usable scheme has been tried.
    Exhausted,
    /// The proxy offers no usable scheme, only these.
    Unusable(Vec<UnusableScheme>),
}

/// The schemes tried so far, and the response for the next request.
#[derive(Debug)]
pub(super) struct SchemeSelector {
    allowed: Vec<Scheme>,
    tried: Vec<Strength>,
    /// How many stale nonces have been replaced.
    stale: u8,
    response: Option<Response>,
    /// The current response has established a tunnel before.
    was_accepted: bool,
    /// The latest decision, for the debug log.
    pub(super) log_note: Option<String>,
}

impl SchemeSelector {
    /// Creates a selector for these schemes.
    pub(super) fn allowing(allowed: Vec<Scheme>) -> Self {
        Self { allowed, tried: Vec::new(), stale: 0, response: None, was_accepted: false, log_note: None }
    }

    /// Selects Basic for the first request if it is the first allowed scheme (the default). Digest
    /// needs a challenge first.
    pub(super) fn respond_preemptively(&mut self) {
        if self.allowed.first() == Some(&Scheme::Basic) {
            self.response = Some(Response::Basic);
        }
    }

    /// Selects the response to the challenges in `head`, after the proxy rejected the previous
    /// request.
    pub(super) fn select(&mut self, head: &Head) -> Result<(), NoScheme> {
        let challenges = challenges(head);
        let usable = challenges.iter().filter_map(|challenge| self.response_to(challenge).ok());
        let mut offers: Vec<_> = usable.collect();
        if offers.is_empty() {
            return Err(NoScheme::Unusable(self.unusable(head)));
        }
        let rejected = self.response.take();
        if let Some(Response::Digest(used, _)) = &rejected
            && self.stale < MAX_STALE
            && let Some(fresh) = offers.iter().position(
                |offer| matches!(offer, Response::Digest(new, _) if new.stale && new.hash == used.hash),
            )
        {
            self.stale += 1;
            self.log_note = Some("the nonce is stale: retrying with the new one".into());
            self.response = Some(offers.swap_remove(fresh));
            return Ok(());
        }
        // A response that was accepted before may only need a new nonce, so it does not count as
        // tried.
        if !std::mem::take(&mut self.was_accepted) {
            self.tried.extend(rejected.as_ref().map(Response::strength));
        }
        // Reversed because `max_by_key` returns the last of several maxima: prefer the proxy's
        // first offer.
        let untried = offers.into_iter().rev().filter(|offer| !self.tried.contains(&offer.strength()));
        let best = untried.max_by_key(Response::strength).ok_or(NoScheme::Exhausted)?;
        if let Some(rejected) = rejected {
            self.log_note = Some(format!("{} was rejected: trying {}", rejected.name(), best.name()));
        }
        self.response = Some(best);
        Ok(())
    }

    /// Returns the schemes of the challenges in `head` that cannot be used.
    pub(super) fn unusable(&self, head: &Head) -> Vec<UnusableScheme> {
        let challenges = challenges(head);
        challenges.iter().filter_map(|challenge| self.response_to(challenge).err()).collect()
    }

    /// Returns the response to a challenge, or the reason why its scheme is unusable.
    fn response_to(&self, challenge: &Challenge) -> Result<Response, UnusableScheme> {
        let is = |name: &str| challenge.scheme.eq_ignore_ascii_case(name);
        let unusable = |reason| Err(UnusableScheme { name: challenge.scheme.clone(), reason });
        let scheme = if is("Basic") {
            Scheme::Basic
        } else if is("Digest") {
            Scheme::Digest
        } else if is("NTLM") || is("Negotiate") {
            return unusable(Unusable::NeedsRelay);
        } else {
            return unusable(Unusable::Unsupported);
        };
        if !self.allowed.contains(&scheme) {
            return unusable(Unusable::NotAllowed);
        }
        match scheme {
            Scheme::Basic => Ok(Response::Basic),
            Scheme::Digest => match Digest::parse(challenge) {
                Ok(digest) => Ok(Response::Digest(digest, 0)),
                Err(why) => unusable(Unusable::Challenge(why)),
            },
        }
    }

    /// Records that the tunnel is established. If a later proxy in the chain requires a new
    /// connection, the handshake on it starts with the same response.
    pub(super) fn accepted(&mut self) {
        (self.tried, self.stale, self.was_accepted) = (Vec::new(), 0, true);
    }

    /// Checks that the response can encode these credentials.
    pub(super) fn check(&self, credentials: &Credentials) -> Result<(), Error> {
        match &self.response {
            None => Ok(()),
            Some(Response::Basic) => Authorization::basic(credentials).map(drop),
            Some(Response::Digest(digest, _)) => digest.check(credentials),
        }
    }

    /// Returns the header value for the next request for a tunnel to `uri`. `None` if no response
    /// is selected.
    pub(super) fn authorization(
        &mut self,
        credentials: &Credentials,
        uri: &str,
        random: Random,
    ) -> Result<Option<Authorization>, Error> {
        Ok(match &mut self.response {
            None => None,
            Some(Response::Basic) => Some(Authorization::basic(credentials)?),
            Some(Response::Digest(digest, count)) => {
                *count += 1;
                let cnonce = BASE64.encode(random().ok_or(Error::NoRandomness)?);
                let request =
                    RequestInfo { method: "CONNECT", uri, credentials, cnonce: &cnonce, count: *count };
                Some(digest.respond(&request)?)
            }
        })
    }
}
