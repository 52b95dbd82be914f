//! The check of tokens, which all connections of a server share.
//!
//! A connection gets a [`Lease`] for its token. One thread reads changed files again, and ends the
//! connections whose token has expired, was denied, or was signed by a key that is gone.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::error::Error;
use crate::plan::TokenCheck;
use crate::sys;
use crate::token::{Check, Claims, DenyList, KeySet, Refusal, Refused, Usage};
use failures::Failures;
use files::WatchedFile;
use lease::Grant;
pub(crate) use lease::Lease;

mod failures;
mod files;
mod lease;
#[cfg(all(test, feature = "relay"))]
mod tests;

/// Interval between checks of the files and of the tokens in use.
const TOKEN_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Size of the stack of the thread that checks the tokens, in bytes.
const STACK_SIZE: usize = 256 * 1024;

/// The check of tokens.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Option<Arc<Tokens>>);

/// The tokens that are accepted, and those in use.
struct Tokens {
    audience: String,
    state: Mutex<State>,
}

struct State {
    keys: WatchedFile<KeySet>,
    denied: Option<WatchedFile<DenyList>>,
    /// The number of SIGHUPs when the files were last read.
    hangups: usize,
    failures: Failures,
    /// The permissions of open connections, and of some that have ended meanwhile.
    grants: Vec<Weak<Grant>>,
    /// For each token with a limit, the permissions of its connections.
    limited: HashMap<Vec<u8>, Vec<Weak<Grant>>>,
}

impl Gate {
    /// Reads the files, and starts the thread that checks them. Without a check of tokens, does
    /// nothing. To let SIGHUP request that the files are read again, call
    /// [`sys::reload_on_hangup`].
    ///
    /// # Errors
    /// A file is missing or invalid, or the thread could not be started.
    pub(crate) fn new(check: &TokenCheck) -> Result<Self, Error> {
        let Some(tokens) = Tokens::open(check)? else { return Ok(Self(None)) };
        let tokens = Arc::new(tokens);
        let checked = Arc::downgrade(&tokens);
        thread::Builder::new()
            .name("tokens".into())
            .stack_size(STACK_SIZE)
            .spawn(move || {
                while let Some(tokens) = checked.upgrade() {
                    tokens.recheck(unix_time());
                    drop(tokens);
                    thread::sleep(TOKEN_CHECK_INTERVAL);
                }
            })
            .map_err(|cause| Error::System { what: "start the thread that checks tokens", cause })?;
        Ok(Self(Some(tokens)))
    }

    /// Reads the files for a check of the settings. Returns the number of keys that may sign
    /// tokens; `None` without a check of tokens.
    ///
    /// # Errors
    /// A file is missing or invalid.
    pub(crate) fn count_keys(check: &TokenCheck) -> Result<Option<usize>, Error> {
        Ok(Tokens::open(check)?.map(|tokens| tokens.lock().keys.content().len()))
    }

    /// Checks the token of a client at this address. Without a check of tokens, permits every
    /// client.
    ///
    /// # Errors
    /// The reason to refuse the client, and its identity.
    pub(crate) fn admit(
        &self,
        token: Option<&[u8]>,
        usage: Usage<'_>,
        from: IpAddr,
    ) -> Result<Lease, Refused> {
        match &self.0 {
            None => Ok(Lease::open()),
            Some(tokens) => tokens.admit(token.unwrap_or_default(), usage, from, unix_time()),
        }
    }
}

impl Tokens {
    /// Reads the files. Returns `None` without a check of tokens.
    fn open(check: &TokenCheck) -> Result<Option<Self>, Error> {
        let TokenCheck::Keys { keys, audience, denied } = check else { return Ok(None) };
        let keys = WatchedFile::open("--token-keys", keys, KeySet::parse).map_err(Error::Config)?;
        let open = |path: &PathBuf| WatchedFile::open("--deny-file", path, DenyList::parse);
        let state = State {
            keys,
            denied: denied.as_ref().map(open).transpose().map_err(Error::Config)?,
            hangups: sys::hangups(),
            failures: Failures::new(Instant::now()),
            grants: Vec::new(),
            limited: HashMap::new(),
        };
        Ok(Some(Self { audience: audience.clone(), state: Mutex::new(state) }))
    }

    fn admit(&self, token: &[u8], usage: Usage<'_>, from: IpAddr, now: u64) -> Result<Lease, Refused> {
        let (keys, denied) = {
            let mut state = self.lock();
            if !state.failures.permit(from, Instant::now()) {
                return Err(Refusal::TooManyFailures.into());
            }
            state.rules()
        };
        // Without the lock, because this takes a while.
        let check = Check { keys: &keys, denied: &denied, audience: &self.audience };
        let verified = check.verify(token, usage, now).inspect_err(|_| self.lock().failures.count(from))?;
        let limit = verified.claims.max;
        let name = token_name(&verified.claims, token);
        let mut state = self.lock();
        let in_use = limit.map(|limit| (limit, state.limited.entry(name).or_default()));
        if let Some((limit, in_use)) = &in_use
            && in_use.iter().filter(|grant| grant.strong_count() > 0).count() >= *limit as usize
        {
            return Err(Refused {
                why: Refusal::InUse(*limit),
                identity: verified.claims.identity().to_owned(),
            });
        }
        let (lease, grant) = Lease::new(verified, usage);
        if let Some((_, in_use)) = in_use {
            in_use.retain(|grant| grant.strong_count() > 0);
            in_use.push(Weak::clone(&grant));
        }
        state.grants.push(grant);
        Ok(lease)
    }

    /// Reads changed files again, and ends the connections whose token has become invalid.
    fn recheck(&self, now: u64) {
        let mut state = self.lock();
        state.refresh();
        let (keys, denied) = state.rules();
        state.limited.retain(|_, in_use| in_use.iter().any(|grant| grant.strong_count() > 0));
        state.grants.retain(|grant| grant.strong_count() > 0);
        let grants: Vec<_> = state.grants.iter().filter_map(Weak::upgrade).collect();
        drop(state);
        // Without the lock, because the functions that end connections run here.
        let check = Check { keys: &keys, denied: &denied, audience: &self.audience };
        for grant in grants {
            grant.recheck(check, now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn rules(&self) -> (Arc<KeySet>, Arc<DenyList>) {
        let denied = self.denied.as_ref().map(WatchedFile::content);
        (self.keys.content(), denied.unwrap_or_default())
    }

    fn refresh(&mut self) {
        let hangups = sys::hangups();
        let force = std::mem::replace(&mut self.hangups, hangups) != hangups;
        self.keys.refresh(force);
        if let Some(denied) = &mut self.denied {
            denied.refresh(force);
        }
    }
}

/// Returns the session that a token must name to use a listener at this path: the last segment.
/// `None` without a check of tokens.
pub(in crate::listen) fn session_of(check: &TokenCheck, path: &str) -> Option<String> {
    match check {
        TokenCheck::Open => None,
        TokenCheck::Keys { .. } => path.rsplit_once('/').map(|(_, last)| last.to_owned()),
    }
}

/// Returns the name by which the connections of a token are counted: its `jti`, or else its
/// signature.
fn token_name(claims: &Claims, token: &[u8]) -> Vec<u8> {
    match &claims.id {
        Some(id) => id.clone().into_bytes(),
        // A `jti` contains a dot only by chance, and then the two tokens share their limit.
        None => {
            token.rsplitn(2, |&byte| byte == b'.').next().map(|end| [b".", end].concat()).unwrap_or_default()
        }
    }
}

/// Returns the time in seconds since 1970.
pub(crate) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Shows nothing of the tokens.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.audience)
    }
}
