//! Tests of the login methods that a negotiation learns and later ones recall.

use std::sync::atomic::{AtomicU8, Ordering};

use super::schemes::{allowing, answer, basic, challenge, digest_challenge};
use super::{Connect, ESTABLISHED, REQUEST, REQUEST_OF_ALICE, Scheme, Settings, machine, machine_of_alice};
use crate::proto::http::Header;
use crate::proto::testing::{Cut, PASSWORD, Turn, alice, endpoint, fails, login, opens, run};
use crate::proto::{Error, Learned, Negotiation as _, Step};

/// Plays a conversation in which the tunnel opens, and returns the login method that the
/// negotiation has learned.
fn learned_by(machine: Connect, turns: &[Turn<'_>]) -> Option<Learned> {
    let outcome = run(machine, turns, Cut::InOneLump);
    assert_eq!(outcome.result, Ok(()));
    outcome.learned
}

/// Plays a negotiation whose first request is answered with this challenge, and whose next one with
/// success. Returns the login method that it has learned.
fn learned_from(offered: &str, answered: &str) -> Learned {
    let challenges = challenge(offered);
    let turns = [
        Turn::Sends(REQUEST),
        Turn::Proxy(challenges.as_bytes()),
        Turn::Asks(alice()),
        Turn::Sends(answered.as_bytes()),
        Turn::Proxy(ESTABLISHED),
    ];
    learned_by(machine(), &turns).unwrap()
}

/// Returns a negotiation that recalls the login method of an earlier one.
fn recalling(learned: &Learned) -> Connect {
    let mut machine = machine();
    assert!(machine.recall(learned, Some(alice())));
    machine
}

/// Checks that a negotiation that recalls `learned` first sends `remembered`, and after this
/// reaction of the proxy starts over without it.
fn starts_over(learned: &Learned, remembered: &str, reaction: Turn<'static>) {
    let md5 = digest_challenge("MD5", ", opaque=other");
    let (challenges, answered) = (challenge(&md5), answer(&md5, 1));
    let turns = [
        Turn::Sends(remembered.as_bytes()),
        reaction,
        Turn::Reconnects,
        Turn::Sends(REQUEST),
        Turn::Proxy(challenges.as_bytes()),
        Turn::Sends(answered.as_bytes()),
        Turn::Proxy(ESTABLISHED),
    ];
    let now = learned_by(recalling(learned), &turns);
    assert!(now.is_some() && now.as_ref() != Some(learned));
}

#[test]
fn basic_is_sent_with_the_first_request() {
    let learned = learned_from("Basic realm=\"x\"", &basic());
    assert_eq!(learned.to_string(), "Basic");
    let turns = [Turn::Sends(REQUEST_OF_ALICE), Turn::Proxy(ESTABLISHED)];
    opens(|| recalling(&learned), &turns);
    assert_eq!(learned_by(recalling(&learned), &turns), Some(learned.clone()));
    // A known password is sent anyway.
    assert_eq!(learned_by(machine_of_alice(), &turns), Some(learned.clone()));
    assert!(!machine_of_alice().recall(&learned, None));
    // The configured password takes precedence over one that was entered before.
    let mut machine = allowing(&[Scheme::Digest, Scheme::Basic]).with_credentials(Some(alice()));
    assert!(machine.recall(&learned, Some(login("alice", "old"))));
    assert_eq!(run(machine, &turns, Cut::InOneLump).result, Ok(()));
}

#[test]
fn a_tunnel_without_authentication_teaches_nothing() {
    assert_eq!(learned_by(machine(), &[Turn::Sends(REQUEST), Turn::Proxy(ESTABLISHED)]), None);
}

#[test]
fn all_sessions_count_the_uses_of_a_nonce_together() {
    let md5 = digest_challenge("MD5", "");
    let learned = learned_from(&md5, &answer(&md5, 1));
    assert_eq!(learned.to_string(), "Digest (MD5)");
    let (mut second, mut third) = (recalling(&learned), recalling(&learned));
    // The third session sends its request before the second one.
    for (machine, count) in [(&mut third, 2), (&mut second, 3)] {
        let Ok(Step::Send(wire)) = machine.step() else { unreachable!() };
        assert_eq!(String::from_utf8_lossy(wire.bytes()), answer(&md5, count));
        machine.receive(ESTABLISHED).unwrap();
        assert_eq!(machine.step(), Ok(Step::Done));
        assert_eq!(machine.learned(), Some(learned.clone()));
    }
    // A new connection within a session has the next count.
    second.restart();
    let Ok(Step::Send(wire)) = second.step() else { unreachable!() };
    assert_eq!(String::from_utf8_lossy(wire.bytes()), answer(&md5, 4));
}

/// Returns the client nonces of three sessions with the same nonce.
fn client_nonces(algorithm: &str) -> [String; 3] {
    static LAST: AtomicU8 = AtomicU8::new(0);
    let random = || Some([LAST.fetch_add(1, Ordering::Relaxed); 16]);
    let mut learned = None;
    [(), (), ()].map(|()| {
        let mut machine = Connect::new(endpoint("ssh.example", "22"), Settings::default(), random);
        match &learned {
            None => {
                machine.step().unwrap();
                machine.receive(challenge(&digest_challenge(algorithm, "")).as_bytes()).unwrap();
                machine.credentials(alice()).unwrap();
            }
            Some(learned) => assert!(machine.recall(learned, Some(alice()))),
        }
        let Ok(Step::Send(wire)) = machine.step() else { unreachable!() };
        machine.receive(ESTABLISHED).unwrap();
        learned = machine.learned();
        let sent = String::from_utf8(wire.bytes().to_vec()).unwrap();
        sent.split("cnonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    })
}

#[test]
fn each_session_has_its_own_client_nonce_unless_it_is_part_of_the_key() {
    let [first, second, third] = client_nonces("SHA-256");
    assert!(first != second && second != third && third != first);
    let [first, second, third] = client_nonces("SHA-256-sess");
    assert!(first == second && second == third);
}

#[test]
fn a_stale_nonce_is_replaced_for_all_later_sessions() {
    let old = digest_challenge("MD5", "");
    let learned = learned_from(&old, &answer(&old, 1));
    let stale = |n: u32| digest_challenge("MD5", &format!(", stale=true, opaque={n}"));
    let (new, newer) = (challenge(&stale(1)), challenge(&stale(2)));
    let (used, first, second) = (answer(&old, 2), answer(&stale(1), 1), answer(&stale(1), 2));
    let turns = [
        Turn::Sends(used.as_bytes()),
        Turn::Proxy(new.as_bytes()),
        Turn::Sends(first.as_bytes()),
        Turn::Proxy(ESTABLISHED),
    ];
    let now = learned_by(recalling(&learned), &turns).unwrap();
    assert_ne!(now, learned);
    let turns = [Turn::Sends(second.as_bytes()), Turn::Proxy(ESTABLISHED)];
    assert_eq!(learned_by(recalling(&now), &turns), Some(now));

    // The remembered nonce does not count toward the stale nonces of this session.
    let (used, third) = (answer(&old, 3), answer(&stale(2), 1));
    let (last, fourth) = (challenge(&stale(3)), answer(&stale(3), 1));
    let turns = [
        Turn::Sends(used.as_bytes()),
        Turn::Proxy(new.as_bytes()),
        Turn::Sends(first.as_bytes()),
        Turn::Proxy(newer.as_bytes()),
        Turn::Sends(third.as_bytes()),
        Turn::Proxy(last.as_bytes()),
        Turn::Sends(fourth.as_bytes()),
        Turn::Proxy(ESTABLISHED),
    ];
    assert!(learned_by(recalling(&learned), &turns).is_some());
}

/// Some proxies forget their nonces without saying that they are stale.
#[test]
fn a_nonce_that_the_proxy_rejects_is_replaced_once() {
    let [old, new] = ["", ", opaque=new"].map(|more| digest_challenge("MD5", more));
    let machine = || recalling(&learned_from(&old, &answer(&old, 1)));
    let (used, challenges, answered) = (answer(&old, 2), challenge(&new), answer(&new, 1));
    let turns = [
        Turn::Sends(used.as_bytes()),
        Turn::Proxy(challenges.as_bytes()),
        Turn::Sends(answered.as_bytes()),
        Turn::Proxy(ESTABLISHED),
    ];
    opens(machine, &turns);
    // If the proxy rejects the new nonce, too, the password is wrong.
    let mut rejected = turns.to_vec();
    rejected[3] = Turn::Proxy(challenges.as_bytes());
    let error = fails(machine, &rejected);
    assert!(matches!(error, Error::WrongPassword { .. }), "{error}");
    assert_eq!(run(machine(), &rejected, Cut::InOneLump).learned, None);
}

#[test]
fn a_proxy_may_change_its_scheme() {
    let md5 = digest_challenge("MD5", "");
    let [digest, basic_scheme] = [learned_from(&md5, &answer(&md5, 1)), learned_from("Basic", &basic())];
    let both = challenge(&format!("Basic, {md5}"));
    for (learned, first, offered, second) in [
        (&digest, answer(&md5, 2), challenge("Basic"), basic()),
        (&basic_scheme, basic(), both, answer(&md5, 1)),
        (&basic_scheme, basic(), challenge(&md5), answer(&md5, 1)),
    ] {
        let turns = [
            Turn::Sends(first.as_bytes()),
            Turn::Proxy(offered.as_bytes()),
            Turn::Sends(second.as_bytes()),
            Turn::Proxy(ESTABLISHED),
        ];
        let now = learned_by(recalling(learned), &turns).unwrap();
        assert_ne!(&now, learned);
    }
    // The proxy no longer asks: the credentials are sent until it rejects them.
    let turns = [Turn::Sends(REQUEST_OF_ALICE), Turn::Proxy(ESTABLISHED)];
    opens(|| recalling(&basic_scheme), &turns);
}

#[test]
fn a_failure_after_remembered_authentication_starts_over_on_a_new_connection() {
    let md5 = digest_challenge("MD5", "");
    let digest = learned_from(&md5, &answer(&md5, 1));
    starts_over(&digest, &answer(&md5, 2), Turn::Closes);
    let refusal = Turn::Proxy(b"HTTP/1.1 400 Bad nonce\r\nContent-Length: 0\r\n\r\n");
    starts_over(&digest, &answer(&md5, 3), refusal);
    let basic_scheme = learned_from("Basic", &basic());
    starts_over(&basic_scheme, &basic(), Turn::Closes);
    // The negotiation starts over only once: a second failure is final.
    let turns =
        [Turn::Sends(REQUEST_OF_ALICE), Turn::Closes, Turn::Reconnects, Turn::Sends(REQUEST), Turn::Closes];
    let error = fails(|| recalling(&basic_scheme), &turns);
    assert!(matches!(error, Error::Closed(_)), "{error}");
}

#[test]
fn a_refusal_of_the_target_is_not_a_rejection_of_the_credentials() {
    let learned = learned_from("Basic", &basic());
    let refusal = b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n";
    let outcome =
        run(recalling(&learned), &[Turn::Sends(REQUEST_OF_ALICE), Turn::Proxy(refusal)], Cut::InOneLump);
    assert!(matches!(outcome.result, Err(Error::HttpRefused { .. })), "{outcome:?}");
    assert_eq!(outcome.learned, Some(learned));
}

/// A second attempt would count toward a lock-out.
#[test]
fn a_wrong_password_is_sent_once_with_basic() {
    let learned = learned_from("Basic", &basic());
    let offered = challenge("Basic");
    let outcome = run(
        recalling(&learned),
        &[Turn::Sends(REQUEST_OF_ALICE), Turn::Proxy(offered.as_bytes())],
        Cut::InOneLump,
    );
    assert!(matches!(outcome.result, Err(Error::WrongPassword { .. })), "{outcome:?}");
    assert_eq!(outcome.learned, None);
    // The next proxy scheme is unknown, but the remembered one is rejected all the same.
    let offered = challenge("Negotiate");
    let outcome = run(
        recalling(&learned),
        &[Turn::Sends(REQUEST_OF_ALICE), Turn::Proxy(offered.as_bytes())],
        Cut::InOneLump,
    );
    assert!(matches!(outcome.result, Err(Error::NoScheme { .. })), "{outcome:?}");
    assert_eq!(outcome.learned, None);
}

#[test]
fn only_an_allowed_scheme_with_credentials_is_used() {
    let md5 = digest_challenge("MD5", "");
    let [digest, basic_scheme] = [learned_from(&md5, &answer(&md5, 1)), learned_from("Basic", &basic())];
    assert!(!machine().recall(&basic_scheme, None));
    assert!(!allowing(&[Scheme::Digest]).recall(&basic_scheme, Some(alice())));
    assert!(!allowing(&[Scheme::Basic]).recall(&digest, Some(alice())));
    let headers = vec![Header::parse("Proxy-Authorization: Bearer x").unwrap()];
    let settings = Settings { headers, ..Settings::default() };
    let mut machine = Connect::new(endpoint("ssh.example", "22"), settings, || Some([7; 16]));
    assert!(!machine.recall(&basic_scheme, Some(alice())));
}

#[test]
fn a_challenge_that_contains_the_password_is_not_remembered() {
    let echo = format!("Digest realm=\"r\", nonce=\"{PASSWORD}\", qop=\"auth\", algorithm=MD5");
    let (challenges, answered) = (challenge(&echo), answer(&echo, 1));
    let turns = [
        Turn::Sends(REQUEST),
        Turn::Proxy(challenges.as_bytes()),
        Turn::Asks(alice()),
        Turn::Sends(answered.as_bytes()),
        Turn::Proxy(ESTABLISHED),
    ];
    let mut machine = machine();
    for turn in &turns {
        match turn {
            Turn::Sends(_) => drop(machine.step().unwrap()),
            Turn::Proxy(bytes) => drop(machine.receive(bytes).unwrap()),
            _ => machine.credentials(alice()).unwrap(),
        }
    }
    assert_eq!(machine.step(), Ok(Step::Done));
    assert_eq!(machine.learned(), None);
}

#[test]
fn the_use_of_a_new_nonce_is_logged() {
    let md5 = digest_challenge("MD5", "");
    let mut machine = recalling(&learned_from(&md5, &answer(&md5, 1)));
    machine.step().unwrap();
    machine.receive(challenge(&digest_challenge("MD5", ", opaque=new")).as_bytes()).unwrap();
    assert_eq!(machine.take_log_note().as_deref(), Some("the nonce was rejected: retrying with a new one"));
}
