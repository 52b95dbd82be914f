//! Remembers how to log in to proxies, so that a listener pays for a challenge once, not per
//! session.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::plan::Hop;
use crate::proto::Learned;

/// Maximum number of proxies to remember. A run has more only if its plans depend on the target.
const MAX_REMEMBERED: usize = 64;

/// The login methods that negotiations have learned, for later sessions. Contains no passwords.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Each proxy as configured, with the proxies before it: the address of a proxy can belong to
    /// another machine behind another proxy. The oldest entry comes first.
    known: Mutex<Vec<(Vec<Hop>, Learned)>>,
}

impl Memory {
    /// Returns the login method of the last proxy of `path`; `None` if none is known.
    pub(super) fn get(&self, path: &[Hop]) -> Option<Learned> {
        let known = self.lock();
        if known.is_empty() {
            return None;
        }
        let path = without_passwords(path);
        known.iter().find(|(other, _)| *other == path).map(|(_, learned)| learned.clone())
    }

    /// Replaces the login method of the last proxy of `path`. If `new` is `None`, removes the
    /// method only if it is still `old`, because another session may have learned a newer one in
    /// the meantime.
    pub(super) fn update(&self, path: &[Hop], old: Option<&Learned>, new: Option<Learned>) {
        let path = without_passwords(path);
        let mut known = self.lock();
        known.retain(|(other, learned)| *other != path || (new.is_none() && Some(learned) != old));
        if let Some(new) = new {
            if known.len() == MAX_REMEMBERED {
                known.remove(0);
            }
            known.push((path, new));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Vec<Hop>, Learned)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns copies of these proxies without their passwords. The user names stay.
fn without_passwords(path: &[Hop]) -> Vec<Hop> {
    let mut path = path.to_vec();
    for hop in &mut path {
        if let Some(protocol) = hop.protocol.without_password() {
            hop.protocol = protocol;
        }
    }
    path
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use super::*;
    use crate::addr::{Endpoint, Host};
    use crate::hops::socks5;
    use crate::plan::{Login, Resolve, Target};
    use crate::proto::Socks5Method;

    const NONE: Learned = Learned::Socks5(Socks5Method::None);
    const USERPASS: Learned = Learned::Socks5(Socks5Method::UserPass);

    fn hop(host: &str, user: &str, password: Option<&str>) -> Hop {
        let host = Host::parse(host).unwrap();
        let login = Login { user: Some(user.into()), password: password.map(Into::into), ..Login::default() };
        Hop {
            proxy: Target::Tcp(Endpoint { host, port: 1080.try_into().unwrap() }),
            protocol: Arc::new(socks5::Proxy { resolve: Resolve::Remote, methods: None, login }),
            tls: None,
        }
    }

    #[test]
    fn another_proxy_another_user_and_another_route_to_it_are_not_known() {
        let memory = Memory::default();
        let [here, there] = [hop("a.example", "me", None), hop("b.example", "me", None)];
        memory.update(std::slice::from_ref(&here), None, Some(NONE));
        assert_eq!(memory.get(std::slice::from_ref(&here)), Some(NONE));
        assert_eq!(memory.get(&[hop("a.example", "me", Some("pw"))]), Some(NONE));
        assert_eq!(memory.get(std::slice::from_ref(&there)), None);
        assert_eq!(memory.get(&[hop("a.example", "you", None)]), None);
        assert_eq!(memory.get(&[there.clone(), here.clone()]), None);
        assert_eq!(memory.get(&[here, there]), None);
    }

    #[test]
    fn a_session_forgets_only_what_it_was_given() {
        let memory = Memory::default();
        let path = [hop("a.example", "me", None)];
        memory.update(&path, None, Some(NONE));
        memory.update(&path, Some(&NONE), Some(USERPASS));
        // Another session finds out that the old method is rejected.
        memory.update(&path, Some(&NONE), None);
        assert_eq!(memory.get(&path), Some(USERPASS));
        memory.update(&path, Some(&USERPASS), None);
        assert_eq!(memory.get(&path), None);
    }

    #[test]
    fn the_oldest_entries_are_forgotten_and_no_password_is_kept() {
        let memory = Memory::default();
        let path = |n: usize| [hop(&format!("host{n}.example"), "me", Some("hunter2"))];
        for n in 0..=MAX_REMEMBERED {
            memory.update(&path(n), None, Some(NONE));
        }
        assert_eq!(memory.get(&path(0)), None);
        assert!((1..=MAX_REMEMBERED).all(|n| memory.get(&path(n)).is_some()));
        let has_password = |hop: &Hop| hop.protocol.login().is_some_and(|login| login.password.is_some());
        assert!(!memory.lock().iter().any(|(path, _)| path.iter().any(has_password)));
    }
}
