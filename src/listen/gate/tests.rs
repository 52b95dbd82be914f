//! Tests of the check of tokens.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::sync::mpsc;

use super::*;
use crate::token::{MintRequest, Role, SigningKey, key_line};

const SSH: Usage<'static> = Usage { role: Role::Dest, session: Some("ssh") };
const CLAIMS: &str = "role=dest,session=ssh,aud=hub.example,sub=jane";

/// A directory with a keys file and a deny-file, and the key that signs.
struct Files {
    directory: PathBuf,
    key: SigningKey,
}

impl Files {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("connect-gate-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (key, _) = SigningKey::from_seed(&[7; 32]).unwrap();
        let files = Self { directory, key };
        files.write("keys", &key_line(&files.key.public(), "test"));
        files.write("denied", "");
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn check(&self) -> TokenCheck {
        TokenCheck::Keys {
            keys: self.path("keys"),
            audience: "hub.example".into(),
            denied: Some(self.path("denied")),
        }
    }

    fn gate(&self) -> Gate {
        Gate::new(&self.check()).unwrap()
    }

    /// Returns a gate without a thread, so that the test decides when it checks.
    fn gate_without_thread(&self) -> (Gate, Arc<Tokens>) {
        let tokens = Arc::new(Tokens::open(&self.check()).unwrap().unwrap());
        (Gate(Some(Arc::clone(&tokens))), tokens)
    }

    fn token(&self, more: &str, id: u8) -> Vec<u8> {
        let request = MintRequest::parse(&format!("{CLAIMS}{more}")).unwrap();
        request.sign(&self.key, unix_time(), [id; 16]).unwrap().into_bytes()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn admit(gate: &Gate, token: &[u8]) -> Result<Lease, Refusal> {
    gate.admit(Some(token), SSH, "192.0.2.1".parse().unwrap()).map_err(|refused| refused.why)
}

/// Waits for the end of a connection, and returns the reason.
fn end_of(lease: &Lease) -> Refusal {
    let (sender, receiver) = mpsc::channel();
    lease.on_end(move |why| sender.send(why).unwrap());
    let why = receiver.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(lease.ended(), Some(why));
    why
}

/// Returns the time at which the token of a lease expires.
fn expiry(lease: &Lease) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(lease.claims().unwrap().expires)
}

#[test]
fn a_client_is_admitted_with_a_valid_token_only() {
    let files = Files::new("admit");
    let gate = files.gate();
    let lease = admit(&gate, &files.token(",ttl=60", 1)).unwrap();
    assert_eq!((lease.identity(), lease.ended()), ("jane", None));
    assert!(expiry(&lease) > SystemTime::now() + Duration::from_secs(50));
    for (token, refusal) in [(None, Refusal::Missing), (Some(&b"x"[..]), Refusal::Malformed)] {
        let refused = gate.admit(token, SSH, "192.0.2.1".parse().unwrap());
        assert_eq!(refused.err(), Some(refusal.into()));
    }
    let open = Gate::new(&TokenCheck::Open).unwrap();
    let lease = open.admit(None, SSH, "192.0.2.1".parse().unwrap()).unwrap();
    lease.on_end(|_| unreachable!());
    assert_eq!((lease.identity(), lease.ended(), lease.claims()), ("", None, None));
}

/// Claims have a resolution of one second, so a connection ends within 2 seconds if each check ends
/// those of which the token is invalid by then.
#[test]
fn tokens_are_checked_every_second() {
    assert_eq!(TOKEN_CHECK_INTERVAL, Duration::from_secs(1));
    let files = Files::new("thread");
    let gate = files.gate();
    let lease = admit(&gate, &files.token(",ttl=2", 1)).unwrap();
    let why = end_of(&lease);
    assert!(matches!(why, Refusal::Expired(_)) && SystemTime::now() >= expiry(&lease), "{why}");
    // The reason is also available later.
    assert_eq!(end_of(&lease), why);
}

#[test]
fn a_connection_ends_at_the_first_check_after_its_token_expires() {
    let files = Files::new("expire");
    let (gate, tokens) = files.gate_without_thread();
    let lease = admit(&gate, &files.token(",ttl=60", 1)).unwrap();
    let expires = lease.claims().unwrap().expires;
    tokens.recheck(expires - 1);
    assert_eq!(lease.ended(), None);
    tokens.recheck(expires);
    assert!(matches!(lease.ended(), Some(why @ Refusal::Expired(_)) if why.close_code() == 4401));
}

#[test]
fn a_connection_ends_at_the_first_check_after_it_is_denied() {
    let files = Files::new("deny");
    let (gate, tokens) = files.gate_without_thread();
    let token = files.token(",ttl=60", 1);
    let (lease, other) = (admit(&gate, &token).unwrap(), admit(&gate, &token).unwrap());
    files.write("denied", "sub jack\n");
    tokens.recheck(unix_time());
    assert_eq!(lease.ended(), None);
    files.write("denied", "sub jack\nsub jane\n");
    tokens.recheck(unix_time());
    for lease in [lease, other] {
        assert_eq!(lease.ended(), Some(Refusal::Denied));
    }
    assert_eq!((admit(&gate, &token).err(), Refusal::Denied.close_code()), (Some(Refusal::Denied), 4403));
    files.write("denied", "# nobody\n");
    tokens.recheck(unix_time());
    assert!(admit(&gate, &token).is_ok());
}

#[test]
fn a_connection_ends_at_the_first_check_after_its_key_is_removed() {
    let files = Files::new("keys");
    let (gate, tokens) = files.gate_without_thread();
    let token = files.token(",ttl=60", 1);
    let lease = admit(&gate, &token).unwrap();
    // An invalid or missing file changes nothing.
    files.write("keys", "ed25519 nonsense");
    tokens.recheck(unix_time());
    fs::remove_file(files.path("keys")).unwrap();
    tokens.recheck(unix_time());
    assert!(lease.ended().is_none() && admit(&gate, &token).is_ok());
    files.write("keys", "# no keys\n");
    tokens.recheck(unix_time());
    assert_eq!(lease.ended(), Some(Refusal::KeyRemoved));
    assert_eq!(admit(&gate, &token).err(), Some(Refusal::Signature));
}

#[test]
fn a_token_with_a_limit_permits_this_many_connections() {
    let files = Files::new("limit");
    let gate = files.gate();
    let token = files.token(",ttl=60,max=2", 1);
    let (first, _second) = (admit(&gate, &token).unwrap(), admit(&gate, &token).unwrap());
    assert_eq!(admit(&gate, &token).err(), Some(Refusal::InUse(2)));
    let other = admit(&gate, &files.token(",ttl=60,max=2", 2));
    assert!(other.is_ok());
    drop(first);
    assert!(admit(&gate, &token).is_ok());
}

#[test]
fn failing_tokens_are_limited_for_each_address() {
    let files = Files::new("failures");
    let gate = files.gate();
    let token = files.token(",ttl=60", 1);
    let (mut wrong, address) = (token.clone(), "192.0.2.1".parse().unwrap());
    wrong.truncate(wrong.len() - 4);
    let refusals: Vec<_> = (0..150)
        .map(|_| gate.admit(Some(&wrong), SSH, address).err().map(|refused| refused.why.status()))
        .collect();
    // All of them may not fit into one second.
    assert!(refusals.contains(&Some(429)), "{refusals:?}");
    assert!(refusals[..100].iter().all(|status| *status == Some(401)), "{refusals:?}");
    assert!(gate.admit(Some(&token), SSH, "192.0.2.2".parse().unwrap()).is_ok());
    eventually(|| gate.admit(Some(&token), SSH, address).is_ok());
}

#[test]
fn connections_that_have_ended_use_no_memory() {
    let files = Files::new("memory");
    let gate = files.gate();
    for id in 0..50 {
        drop(admit(&gate, &files.token(",ttl=60,max=1", id)).unwrap());
    }
    let tokens = gate.0.as_ref().unwrap();
    tokens.recheck(unix_time());
    let state = tokens.lock();
    assert_eq!((state.grants.len(), state.limited.len()), (0, 0));
}

#[test]
fn a_missing_file_is_an_error() {
    let keys = Path::new("/nonexistent/keys").to_owned();
    let check = TokenCheck::Keys { keys, audience: "hub.example".into(), denied: None };
    let error = Gate::new(&check).unwrap_err().to_string();
    assert!(error.starts_with("--token-keys: cannot read /nonexistent/keys: "), "{error}");
}

#[track_caller]
fn eventually(done: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < until);
        thread::sleep(Duration::from_millis(50));
    }
}
