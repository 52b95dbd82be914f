//! Which authentication scheme is tried: the strongest that is offered first, then the next one, each of them once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::super::{Credentials, Error};
use super::challenge::{Challenge, challenges};
use super::credentials_header::Authorization;
use super::digest::{Digest, Hash, Question};
use super::head::Head;

/// How often a proxy may say that a nonce of its own was too old.
const STALE: u8 = 2;

/// A scheme that the user may allow, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// The password as it is (RFC 7617).
    Basic,
    /// A proof that we know it (RFC 7616).
    Digest,
}

/// Random bytes from the system; none if it has none to give.
pub type Random = fn() -> Option<[u8; 16]>;

/// What can be tried, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    Basic,
    Digest(Hash),
}

/// What goes out with a request. A scheme that takes several rounds, or is bound to its connection, would keep here how
/// far it has come.
#[derive(Debug)]
enum Answer {
    Basic,
    /// To a challenge, which has been answered so many times.
    Digest(Digest, u32),
}

impl Answer {
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

/// Why there is nothing left to try.
pub(super) enum NoScheme {
    /// Whatever the proxy offers has been tried.
    Tried,
    /// It offers nothing that we can, but these.
    Offers(String),
}

/// What has been tried, and what is to be tried next.
#[derive(Debug)]
pub(super) struct SchemeSelector {
    allowed: Vec<Scheme>,
    tried: Vec<Strength>,
    stale: u8,
    answer: Option<Answer>,
    /// The answer has opened a tunnel once.
    accepted: bool,
    /// What the user may want to know of the last step.
    pub(super) remark: Option<String>,
}

impl SchemeSelector {
    /// Among the schemes that the user allows.
    pub(super) fn allowing(allowed: Vec<Scheme>) -> Self {
        Self { allowed, tried: Vec::new(), stale: 0, answer: None, accepted: false, remark: None }
    }

    /// Does not wait for a challenge, if the user has named Basic first, as who says nothing has. Nothing else can be
    /// said without one.
    pub(super) fn respond_preemptively(&mut self) {
        if self.allowed.first() == Some(&Scheme::Basic) {
            self.answer = Some(Answer::Basic);
        }
    }

    /// The proxy has refused what it got, and offers these.
    pub(super) fn next(&mut self, head: &Head) -> Result<(), NoScheme> {
        let offers: Vec<_> = challenges(head).iter().map(|challenge| self.offer(challenge)).collect();
        if offers.iter().all(Result::is_err) {
            let named: Vec<_> = offers.into_iter().filter_map(Result::err).collect();
            let none = || "no scheme is named".into();
            return Err(NoScheme::Offers(if named.is_empty() { none() } else { named.join(", ") }));
        }
        let failed = self.answer.take();
        let mut offers: Vec<_> = offers.into_iter().filter_map(Result::ok).collect();
        if let Some(Answer::Digest(used, _)) = &failed
            && self.stale < STALE
            && let Some(fresh) = offers.iter().position(
                |offer| matches!(offer, Answer::Digest(new, _) if new.stale && new.hash == used.hash),
            )
        {
            self.stale += 1;
            self.remark = Some("the nonce was too old: trying the new one".into());
            self.answer = Some(offers.swap_remove(fresh));
            return Ok(());
        }
        // One that was good before may need but a new nonce.
        if !std::mem::take(&mut self.accepted) {
            self.tried.extend(failed.as_ref().map(Answer::strength));
        }
        // Of two that are equal the first.
        let untried = offers.into_iter().rev().filter(|offer| !self.tried.contains(&offer.strength()));
        let best = untried.max_by_key(Answer::strength).ok_or(NoScheme::Tried)?;
        if let Some(failed) = failed {
            self.remark = Some(format!("{} was not accepted: trying {}", failed.name(), best.name()));
        }
        self.answer = Some(best);
        Ok(())
    }

    /// The way to answer a challenge, or what it is that we cannot do.
    fn offer(&self, challenge: &Challenge) -> Result<Answer, String> {
        let scheme = match &challenge.scheme {
            scheme if scheme.eq_ignore_ascii_case("Basic") => Scheme::Basic,
            scheme if scheme.eq_ignore_ascii_case("Digest") => Scheme::Digest,
            other => return Err(other.clone()),
        };
        let cannot = |why: String| format!("{scheme:?} ({why})");
        match scheme {
            scheme if !self.allowed.contains(&scheme) => Err(cannot("-a does not allow it".into())),
            Scheme::Basic => Ok(Answer::Basic),
            Scheme::Digest => Digest::of(challenge).map(|digest| Answer::Digest(digest, 0)).map_err(cannot),
        }
    }

    /// The tunnel stands. Should it be needed a second time, since a proxy behind this one wants another connection,
    /// the same is said.
    pub(super) fn accepted(&mut self) {
        (self.tried, self.stale, self.accepted) = (Vec::new(), 0, true);
    }

    /// Checks that these credentials can be said.
    pub(super) fn check(&self, credentials: &Credentials) -> Result<(), Error> {
        match &self.answer {
            None => Ok(()),
            Some(Answer::Basic) => Authorization::basic(credentials).map(drop),
            Some(Answer::Digest(digest, _)) => digest.check(credentials),
        }
    }

    /// What to say with the next request for a tunnel to `uri`.
    pub(super) fn authorization(
        &mut self,
        credentials: &Credentials,
        uri: &str,
        random: Random,
    ) -> Result<Option<Authorization>, Error> {
        Ok(match &mut self.answer {
            None => None,
            Some(Answer::Basic) => Some(Authorization::basic(credentials)?),
            Some(Answer::Digest(digest, count)) => {
                *count += 1;
                let cnonce = BASE64.encode(random().ok_or(Error::NoRandomness)?);
                let question =
                    Question { method: "CONNECT", uri, credentials, cnonce: &cnonce, count: *count };
                Some(digest.answer(&question)?)
            }
        })
    }
}
