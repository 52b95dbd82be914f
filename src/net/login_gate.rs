//! Keeps a listener with a wrong password from getting the user's account locked.
//!
//! Each session of `--listen` logs in to the proxy anew, and a browser opens many connections at
//! once. Some proxies lock an account after a few wrong passwords. Therefore only one session at a
//! time tries a password that the proxy has not accepted yet, while the others wait for the result.
//! A rejected password is not sent again for a while.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::waiting::Wait;
use crate::error::{Error, Peer};
use crate::plan::{Hop, PasswordPrompt, Target};
use crate::proto::Credentials;

/// Time for which a password is withheld after the proxy has rejected it. Accounts are typically
/// locked after three to ten failures within 15 to 60 minutes.
const REJECTION_TTL: Duration = Duration::from_secs(30 * 60);

/// Time for which an expired rejection is kept, for sessions that were waiting for the result.
const RESULT_RETENTION: Duration = Duration::from_secs(60);

/// The logins that this process has tried or is trying, with their results.
#[derive(Debug, Default)]
pub(super) struct LoginGate {
    logins: Mutex<Vec<(Login, State)>>,
    changed: Condvar,
}

/// A proxy and the credentials for logging in to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Login {
    proxy: Target,
    /// `None` if there is only the user's own `Proxy-Authorization` header.
    credentials: Option<Credentials>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A session is trying the login, and the others wait for the result.
    Trying,
    Accepted,
    RejectedUntil(Instant),
}

impl Login {
    /// Returns the login that the negotiation with `hop` uses: `credentials`, or else the user's
    /// own `Proxy-Authorization` header. `None` if there is neither.
    pub(super) fn new(hop: &Hop, credentials: Option<&Credentials>) -> Option<Self> {
        let login = || Self { proxy: hop.proxy.clone(), credentials: credentials.cloned() };
        (hop.protocol.sends_own_login() || credentials.is_some()).then(login)
    }
}

impl LoginGate {
    /// Waits while another session finds out whether the proxy accepts this login.
    ///
    /// # Errors
    /// [`Error::RejectedBefore`] if the proxy rejected the login recently or during the wait. Also
    /// fails if the deadline passes or the client disconnects.
    pub(super) fn enter(&self, login: Login, until: &Wait<'_>) -> Result<Attempt<'_>, Error> {
        let mut has_waited = false;
        let entered = until.poll_with_status(until.deadline.left(), |timeout| {
            let logins = self.lock();
            let state_of = |logins: &[(Login, State)]| {
                logins.iter().find(|(known, _)| *known == login).map(|(_, state)| *state)
            };
            let is_trying = |logins: &mut Vec<_>| state_of(logins) == Some(State::Trying);
            let timeout = timeout.unwrap_or(Duration::MAX);
            has_waited |= state_of(&logins) == Some(State::Trying);
            let waited = self.changed.wait_timeout_while(logins, timeout, is_trying);
            let (mut logins, _) = waited.unwrap_or_else(PoisonError::into_inner);
            match state_of(&logins) {
                Some(State::Trying) => None,
                Some(State::Accepted) => Some(Ok(false)),
                Some(State::RejectedUntil(end)) if has_waited || Instant::now() < end => {
                    Some(Err(rejected_before(until.peer, &login)))
                }
                _ => {
                    set(&mut logins, &login, Some(State::Trying));
                    Some(Ok(true))
                }
            }
        });
        let is_first = entered.map_err(|error| until.error(error))??;
        Ok(Attempt { gate: self, login, is_first })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Login, State)>> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets the state of a login, or forgets the login if `state` is `None`. Also forgets expired
/// rejections, or the list would grow without limit if a command prints a new password each time.
fn set(logins: &mut Vec<(Login, State)>, login: &Login, state: Option<State>) {
    let now = Instant::now();
    let has_expired =
        |state: State| matches!(state, State::RejectedUntil(end) if end + RESULT_RETENTION <= now);
    logins.retain(|(known, state)| known != login && !has_expired(*state));
    logins.extend(state.map(|state| (login.clone(), state)));
}

fn rejected_before(peer: &Peer, login: &Login) -> Error {
    Error::RejectedBefore {
        peer: peer.clone(),
        user: login.credentials.as_ref().map(|credentials| credentials.user.to_string().into()),
    }
}

/// A login in progress. Dropping it without a result lets another session try.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    gate: &'a LoginGate,
    login: Login,
    /// The proxy has not accepted this login yet, so other sessions wait for this attempt.
    is_first: bool,
}

impl Attempt<'_> {
    /// Records that the proxy accepted the login.
    pub(super) fn accepted(mut self) {
        if self.is_first {
            self.finish(Some(State::Accepted));
        }
    }

    /// Records that the proxy rejected the login.
    pub(super) fn rejected(mut self, hop: &Hop) {
        let ttl = match hop.protocol.login() {
            // The user typed this password, and may try again when the next client connects.
            Some(login) if login.password.is_none() && login.ask == PasswordPrompt::User => Duration::ZERO,
            _ => REJECTION_TTL,
        };
        self.finish(Some(State::RejectedUntil(Instant::now() + ttl)));
    }

    fn finish(&mut self, state: Option<State>) {
        self.is_first = false;
        set(&mut self.gate.lock(), &self.login, state);
        self.gate.changed.notify_all();
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.is_first {
            self.finish(None);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;
    use std::thread;

    use super::*;
    use crate::addr::{Endpoint, Host};
    use crate::hops::http;
    use crate::net::deadline::Deadline;
    use crate::secret::Secret;

    fn hop() -> Hop {
        let host = Host::parse("proxy.example").unwrap();
        let proxy = Target::Tcp(Endpoint { host, port: 8080.try_into().unwrap() });
        let login = crate::plan::Login { password: Some("any".into()), ..Default::default() };
        let protocol = http::Proxy { login, ..http::Proxy::default() };
        Hop { proxy, protocol: Arc::new(protocol), tls: None }
    }

    fn login(password: &str) -> Login {
        let credentials = Credentials { user: "me".into(), password: Secret::from(password) };
        Login::new(&hop(), Some(&credentials)).unwrap()
    }

    fn enter<'a>(gate: &'a LoginGate, password: &str, limit: Duration) -> Result<Attempt<'a>, Error> {
        let peer = Peer::proxy(&hop(), 0, 1);
        let deadline = Deadline::start(Some(limit));
        gate.enter(login(password), &Wait::new(&peer, "a test", &deadline))
    }

    fn long() -> Duration {
        Duration::from_secs(30)
    }

    fn short() -> Duration {
        Duration::from_millis(20)
    }

    /// Each client of a listener used to send the password that the proxy had just rejected.
    #[test]
    fn a_rejected_password_was_sent_again_for_each_client() {
        let gate = LoginGate::default();
        enter(&gate, "wrong", long()).unwrap().rejected(&hop());
        for _ in 0..3 {
            let error = enter(&gate, "wrong", long()).unwrap_err();
            assert!(matches!(error, Error::RejectedBefore { .. }), "{error}");
        }
        assert!(enter(&gate, "another", long()).is_ok());
    }

    #[test]
    fn clients_wait_while_one_of_them_tries_the_password() {
        let gate = LoginGate::default();
        let first = enter(&gate, "pw", long()).unwrap();
        assert!(matches!(enter(&gate, "pw", short()), Err(Error::TimedOut { .. })));
        assert!(enter(&gate, "another", short()).is_ok());
        thread::scope(|scope| {
            let waiting = scope.spawn(|| enter(&gate, "pw", long()).map(drop));
            first.rejected(&hop());
            assert!(matches!(waiting.join().unwrap(), Err(Error::RejectedBefore { .. })));
        });
    }

    #[test]
    fn clients_do_not_wait_for_each_other_once_the_password_was_accepted() {
        let gate = LoginGate::default();
        enter(&gate, "pw", long()).unwrap().accepted();
        let _second = enter(&gate, "pw", short()).unwrap();
        let third = enter(&gate, "pw", short()).unwrap();
        third.rejected(&hop());
        assert!(matches!(enter(&gate, "pw", long()), Err(Error::RejectedBefore { .. })));
    }

    #[test]
    fn an_attempt_without_a_result_lets_the_next_client_try() {
        let gate = LoginGate::default();
        drop(enter(&gate, "pw", long()).unwrap());
        assert!(enter(&gate, "pw", short()).is_ok());
    }
}
