//! Selects the authentication scheme: tries each offered scheme once, strongest first.

use std::fmt;
use std::sync::Arc;

use super::super::{Credentials, Error, Unusable, UnusableScheme};
use super::challenge::{Challenge, challenges};
use super::credentials_header::Authorization;
use super::digest::{Digest, Hash, Random, UsedDigest};
use super::head::Head;

/// Maximum number of nonces that a proxy may declare stale before we treat that as a rejection.
const MAX_STALE: u8 = 2;

/// An authentication scheme that the user can allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Sends the password in base64 (RFC 7617).
    Basic,
    /// Sends a hash of the password and a nonce (RFC 7616).
    Digest,
}

/// The protection of the password in a response, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    Basic,
    Digest(Hash),
}

/// The response to a challenge. A scheme that needs several round trips would keep its state here.
#[derive(Clone, Debug)]
enum Response {
    Basic,
    /// The challenge is shared with other sessions once the proxy has accepted the response.
    Digest(Arc<UsedDigest>),
}

impl Response {
    fn scheme(&self) -> Scheme {
        match self {
            Self::Basic => Scheme::Basic,
            Self::Digest(_) => Scheme::Digest,
        }
    }

    fn strength(&self) -> Strength {
        match self {
            Self::Basic => Strength::Basic,
            Self::Digest(used) => Strength::Digest(used.digest.hash),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Basic => "Basic".into(),
            Self::Digest(used) => format!("Digest ({})", used.digest.hash.name()),
        }
    }
}

impl PartialEq for Response {
    /// Two responses with Digest are equal if they share the nonce and its counter.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Basic, Self::Basic) => true,
            (Self::Digest(left), Self::Digest(right)) => Arc::ptr_eq(left, right),
            _ => false,
        }
    }
}

/// A scheme that a proxy accepted: with Digest, also the challenge, whose nonce further requests
/// can use (RFC 7616 §3.6). Contains no credentials.
#[derive(Clone, PartialEq)]
pub struct AcceptedScheme(Response);

impl AcceptedScheme {
    /// Returns the texts from the proxy.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        let digest = match &self.0 {
            Response::Basic => None,
            Response::Digest(used) => Some(&used.digest),
        };
        digest.into_iter().flat_map(Digest::repeated)
    }
}

/// Only the name of the scheme, because the challenge is text from a proxy.
impl fmt::Display for AcceptedScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name())
    }
}

impl fmt::Debug for AcceptedScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AcceptedScheme({self})")
    }
}

/// The standing of the current response with the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Selected in this negotiation, and not accepted yet.
    Untried,
    /// Accepted in an earlier negotiation.
    Remembered,
    /// Accepted in this negotiation.
    Accepted,
}

/// The reason why no further response is possible.
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
    /// The number of stale nonces that have been replaced.
    stale: u8,
    response: Option<Response>,
    standing: Standing,
    /// The response that a remembered one has replaced.
    unremembered: Option<Response>,
    /// The proxy accepted Basic in an earlier negotiation, and it is sent without a challenge.
    preemptive_accepted: bool,
    /// The latest decision, for the debug log.
    pub(super) log_note: Option<String>,
}

impl SchemeSelector {
    /// Creates a selector for these schemes.
    pub(super) fn allowing(allowed: Vec<Scheme>) -> Self {
        Self {
            allowed,
            tried: Vec::new(),
            stale: 0,
            response: None,
            standing: Standing::Untried,
            unremembered: None,
            preemptive_accepted: false,
            log_note: None,
        }
    }

    /// Selects Basic for the first request if it is the first allowed scheme (the default). Digest
    /// needs a challenge first.
    pub(super) fn respond_preemptively(&mut self) {
        if self.allowed.first() == Some(&Scheme::Basic) {
            self.response = Some(Response::Basic);
        }
    }

    /// Selects, for the first request, a response that the proxy accepted in an earlier
    /// negotiation. Returns `false` if its scheme is not allowed, or if it is already selected.
    pub(super) fn recall(&mut self, accepted: &AcceptedScheme) -> bool {
        let AcceptedScheme(response) = accepted;
        self.preemptive_accepted = self.response.as_ref() == Some(response);
        if !self.allowed.contains(&response.scheme()) || self.response.as_ref() == Some(response) {
            return false;
        }
        self.unremembered = self.response.replace(response.clone());
        self.standing = Standing::Remembered;
        true
    }

    /// Returns to the state before [`recall`](Self::recall), because the request with the
    /// remembered response failed. Returns `false` if no remembered response is in use.
    pub(super) fn forget(&mut self) -> bool {
        if self.standing != Standing::Remembered {
            return false;
        }
        self.standing = Standing::Untried;
        self.response = self.unremembered.take();
        self.log_note = Some("the remembered authentication failed: starting without it".into());
        true
    }

    /// Returns `true` if the next request uses Basic, and the proxy has accepted that before. With
    /// Digest, the proxy may require a new nonce at any time.
    pub(super) fn is_accepted_basic(&self) -> bool {
        let is_accepted = self.preemptive_accepted || self.standing != Standing::Untried;
        is_accepted && self.response == Some(Response::Basic)
    }

    /// Returns `true` if the next request would use a nonce from an earlier negotiation.
    pub(super) fn uses_remembered_nonce(&self) -> bool {
        self.standing == Standing::Remembered && matches!(self.response, Some(Response::Digest(_)))
    }

    /// Returns the response that the proxy has accepted, in this negotiation or an earlier one, and
    /// has not rejected since.
    pub(super) fn accepted_scheme(&self) -> Option<AcceptedScheme> {
        let response = self.response.as_ref().filter(|_| self.standing != Standing::Untried);
        response.cloned().map(AcceptedScheme)
    }

    /// Selects the response to the challenges in `head`, after the proxy rejected the previous
    /// request.
    pub(super) fn select(&mut self, head: &Head) -> Result<(), NoScheme> {
        let standing = std::mem::replace(&mut self.standing, Standing::Untried);
        let challenges = challenges(head);
        let usable = challenges.iter().filter_map(|challenge| self.response_to(challenge).ok());
        let mut offers: Vec<_> = usable.collect();
        if offers.is_empty() {
            return Err(NoScheme::Unusable(self.unusable(head)));
        }
        let rejected = self.response.take();
        let is_fresh = |offer: &Response, used: &Digest| matches!(offer, Response::Digest(new) if new.digest.stale && new.digest.hash == used.hash);
        if let Some(Response::Digest(used)) = &rejected
            && self.stale < MAX_STALE
            && let Some(fresh) = offers.iter().position(|offer| is_fresh(offer, &used.digest))
        {
            // A remembered nonce is expected to expire.
            self.stale += u8::from(standing != Standing::Remembered);
            self.log_note = Some("the nonce is stale: retrying with the new one".into());
            self.response = Some(offers.swap_remove(fresh));
            return Ok(());
        }
        // A response that was accepted before may only need a new nonce, so it does not count as
        // tried. Basic has no nonce: a second request would only count toward a lock-out.
        let is_tried = match standing {
            Standing::Untried => true,
            Standing::Remembered => rejected == Some(Response::Basic),
            Standing::Accepted => false,
        };
        self.tried.extend(rejected.as_ref().filter(|_| is_tried).map(Response::strength));
        // Reversed because `max_by_key` returns the last of several maxima: prefer the proxy's
        // first offer.
        let untried = offers.into_iter().rev().filter(|offer| !self.tried.contains(&offer.strength()));
        let best = untried.max_by_key(Response::strength).ok_or(NoScheme::Exhausted)?;
        if let Some(rejected) = rejected {
            let is_same = rejected.strength() == best.strength() && best != Response::Basic;
            self.log_note = Some(if is_same {
                "the nonce was rejected: retrying with a new one".into()
            } else {
                format!("{} was rejected: trying {}", rejected.name(), best.name())
            });
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
                Ok(digest) => Ok(Response::Digest(Arc::new(UsedDigest::new(digest)))),
                Err(why) => unusable(Unusable::Challenge(why)),
            },
        }
    }

    /// Records that the tunnel is established. If a later proxy in the chain requires a new
    /// connection, the handshake on it starts with the same response.
    pub(super) fn accepted(&mut self) {
        (self.tried, self.stale, self.standing) = (Vec::new(), 0, Standing::Accepted);
    }

    /// Checks that the response can encode these credentials.
    pub(super) fn check(&self, credentials: &Credentials) -> Result<(), Error> {
        match &self.response {
            None => Ok(()),
            Some(Response::Basic) => Authorization::basic(credentials).map(drop),
            Some(Response::Digest(used)) => used.digest.check(credentials),
        }
    }

    /// Returns the header value for the next request for a tunnel to `uri`. `None` if no response
    /// is selected.
    pub(super) fn authorization(
        &self,
        credentials: &Credentials,
        target: (&str, &str),
        random: Random,
    ) -> Result<Option<Authorization>, Error> {
        match &self.response {
            None => Ok(None),
            Some(Response::Basic) => Authorization::basic(credentials).map(Some),
            Some(Response::Digest(used)) => used.respond(credentials, target, random).map(Some),
        }
    }
}
