//! Tests of the order in which schemes are tried.

use super::{
    BASIC, Connect, ESTABLISHED, REQUEST, REQUEST_OF_ALICE, Scheme, Settings, machine, machine_of_alice,
};
use crate::proto::http::challenge::parse_line;
use crate::proto::http::digest::{Digest, RequestInfo};
use crate::proto::testing::{Cut, Turn, alice, endpoint, fails, opens, run};
use crate::proto::{Credentials, Error, Negotiation as _, Step, Unusable, UnusableScheme};

/// The random bytes `[7; 16]` in base64.
const CNONCE: &str = "BwcHBwcHBwcHBwcHBwcHBw==";

pub(super) fn allowing(schemes: &[Scheme]) -> Connect {
    let settings = Settings { schemes: schemes.to_vec(), ..Settings::default() };
    Connect::new(endpoint("ssh.example", "22"), settings, || Some([7; 16]))
}

/// Returns a 407 response that contains these challenges and keeps the connection open.
pub(super) fn challenge(challenges: &str) -> String {
    format!("HTTP/1.1 407 Who\r\nProxy-Authenticate: {challenges}\r\nContent-Length: 0\r\n\r\n")
}

pub(super) fn digest_challenge(algorithm: &str, more: &str) -> String {
    format!("Digest realm=\"r\", nonce=\"n-{algorithm}{more}\", qop=\"auth\", algorithm={algorithm}{more}")
}

/// Returns the request that answers a challenge for the `count`-th time. `digest::tests` checks the
/// response itself.
pub(super) fn answer(challenge: &str, count: u32) -> String {
    let digest = Digest::parse(&parse_line(challenge)[0]).unwrap();
    let request = RequestInfo {
        method: "CONNECT",
        uri: "ssh.example:22",
        credentials: &alice(),
        cnonce: CNONCE,
        count,
    };
    with(&String::from_utf8(digest.respond(&request).unwrap().parts().concat()).unwrap())
}

fn with(authorization: &str) -> String {
    let request = String::from_utf8(REQUEST.to_vec()).unwrap();
    format!(
        "{}Proxy-Authorization: {authorization}\r\n\r\n",
        request.trim_end_matches("\r\n").to_owned() + "\r\n"
    )
}

pub(super) fn basic() -> String {
    with(&format!("Basic {BASIC}"))
}

/// Returns a conversation: the `first` request, then challenges and the requests that answer them.
fn converse(first: &str, turns: &[(String, String)], asks: bool) -> Vec<Turn<'static>> {
    let leak = |text: &str| -> &'static [u8] { text.as_bytes().to_vec().leak() };
    let mut all = vec![Turn::Sends(leak(first))];
    for (index, (challenge, request)) in turns.iter().enumerate() {
        all.push(Turn::Proxy(leak(challenge)));
        all.extend((asks && index == 0).then(|| Turn::Asks(alice())));
        all.push(Turn::Sends(leak(request)));
    }
    all
}

fn ending<'a>(mut turns: Vec<Turn<'a>>, last: &'a str) -> Vec<Turn<'a>> {
    turns.push(Turn::Proxy(last.as_bytes()));
    turns
}

fn request() -> &'static str {
    std::str::from_utf8(REQUEST).unwrap()
}

fn established() -> &'static str {
    std::str::from_utf8(ESTABLISHED).unwrap()
}

#[test]
fn the_strongest_offered_scheme_is_used() {
    let [md5, sha256, sha512] = ["MD5", "SHA-256", "SHA-512-256"].map(|name| digest_challenge(name, ""));
    for (offered, answered) in [
        (format!("{md5}, Basic"), &md5),
        (format!("Basic, {md5}"), &md5),
        (format!("{md5}, {sha512}, {sha256}, Basic"), &sha512),
        (format!("Negotiate, NTLM, {sha256}, {md5}"), &sha256),
        (format!("{sha256}\r\nProxy-Authenticate: {md5}\r\nWWW-Authenticate: {sha512}"), &sha512),
        // An unsupported challenge is skipped.
        (format!("{}, {md5}", sha512.replace("auth", "auth-int")), &md5),
    ] {
        let turns = converse(request(), &[(challenge(&offered), answer(answered, 1))], true);
        opens(machine, &ending(turns, established()));
    }
    // Of two equally strong challenges, the first is used.
    let twice = format!("{}, {md5}", digest_challenge("MD5-sess", ""));
    let turns = [(challenge(&twice), answer(&digest_challenge("MD5-sess", ""), 1))];
    opens(machine, &ending(converse(request(), &turns, true), established()));
}

/// curl#876: a proxy that rejects one scheme may accept the next.
#[test]
fn a_rejected_scheme_is_followed_by_the_next_and_none_is_tried_twice() {
    let [md5, sha256, sha512] = ["MD5", "SHA-256", "SHA-512-256"].map(|name| digest_challenge(name, ""));
    let all = challenge(&format!("Basic realm=\"x\", {md5}, {sha256}, {sha512}"));
    let answers = [answer(&sha512, 1), answer(&sha256, 1), answer(&md5, 1), basic()];
    let turns: Vec<_> = answers.iter().map(|request| (all.clone(), request.clone())).collect();
    for count in 1..=turns.len() {
        opens(machine, &ending(converse(request(), &turns[..count], true), established()));
    }
    let error = fails(machine, &ending(converse(request(), &turns, true), &all));
    assert_eq!(error, Error::WrongPassword { user: "alice".into(), text: "(407 Who)".into() });

    // The first request has already tried Basic, because the password is known.
    let known = converse(std::str::from_utf8(REQUEST_OF_ALICE).unwrap(), &turns[..3], false);
    opens(machine_of_alice, &ending(known.clone(), established()));
    let error = fails(machine_of_alice, &ending(known, &all));
    assert!(matches!(error, Error::WrongPassword { .. }), "{error}");
}

#[test]
fn each_request_uses_a_new_connection_if_the_proxy_closes() {
    let md5 = digest_challenge("MD5", "");
    let closes = challenge(&format!("{md5}, Basic")).replace("Content-Length: 0", "Connection: close");
    let (digest, basic) = (answer(&md5, 1), basic());
    let turns = [
        Turn::Sends(REQUEST),
        Turn::Proxy(closes.as_bytes()),
        Turn::Asks(alice()),
        Turn::Reconnects,
        Turn::Sends(digest.as_bytes()),
        Turn::Proxy(closes.as_bytes()),
        Turn::Reconnects,
        Turn::Sends(basic.as_bytes()),
        Turn::Proxy(ESTABLISHED),
    ];
    opens(machine, &turns);
}

#[test]
fn a_repeated_request_increments_the_nonce_count() {
    let md5 = digest_challenge("MD5", "");
    let (first_challenge, first, second) = (challenge(&md5), answer(&md5, 1), answer(&md5, 2));
    let turns = [
        Turn::Sends(REQUEST),
        Turn::Proxy(first_challenge.as_bytes()),
        Turn::Asks(alice()),
        Turn::Sends(first.as_bytes()),
        Turn::Closes,
        Turn::Reconnects,
        Turn::Sends(second.as_bytes()),
        Turn::Proxy(ESTABLISHED),
    ];
    opens(machine, &turns);
}

#[test]
fn a_stale_nonce_is_not_a_wrong_password() {
    let first = digest_challenge("MD5", "");
    let stale = |n: u32| digest_challenge("MD5", &format!(", stale=true, opaque={n}"));
    let turn = |challenged: &str| (challenge(challenged), answer(challenged, 1));
    let turns = [turn(&first), turn(&stale(1)), turn(&stale(2))];
    opens(machine, &ending(converse(request(), &turns, true), established()));
    // A third stale nonce counts as a rejection of Digest. Only Basic, if offered, is left to try.
    let both = challenge(&format!("{}, Basic", stale(3)));
    let error = fails(machine, &ending(converse(request(), &turns, true), &challenge(&stale(3))));
    assert!(matches!(error, Error::WrongPassword { .. }), "{error}");
    let turns = [&turns[..], &[(both.clone(), basic())]].concat();
    opens(machine, &ending(converse(request(), &turns, true), established()));
    let error = fails(machine, &ending(converse(request(), &turns, true), &both));
    assert!(matches!(error, Error::WrongPassword { .. }), "{error}");
    // The first challenge cannot be stale, because no nonce has been used yet.
    let turns = converse(request(), &[turn(&stale(1)), turn(&stale(2)), turn(&stale(3))], true);
    let error = fails(machine, &ending(turns, &challenge(&stale(4))));
    assert!(matches!(error, Error::WrongPassword { .. }), "{error}");
}

#[test]
fn only_the_allowed_schemes_are_used() {
    let md5 = digest_challenge("MD5", "");
    let both = challenge(&format!("Basic, {md5}"));
    let only_basic = challenge("Basic");
    // Digest first: nothing is sent preemptively.
    for schemes in [&[Scheme::Digest][..], &[Scheme::Digest, Scheme::Basic]] {
        let machine = || allowing(schemes).with_credentials(Some(alice()));
        let turns = converse(request(), &[(both.clone(), answer(&md5, 1))], false);
        opens(machine, &ending(turns, established()));
    }
    let waiting = || allowing(&[Scheme::Digest, Scheme::Basic]).with_credentials(Some(alice()));
    opens(waiting, &ending(converse(request(), &[(only_basic.clone(), basic())], false), established()));

    let never = || allowing(&[Scheme::Digest]).with_credentials(Some(alice()));
    let error = fails(never, &ending(converse(request(), &[], false), &only_basic));
    let not_allowed = UnusableScheme { name: "Basic".into(), reason: Unusable::NotAllowed };
    assert_eq!(error, Error::NoScheme { offered: vec![not_allowed], status: 407 });
    let refused = converse(request(), &[(both.clone(), answer(&md5, 1))], false);
    let error = fails(never, &ending(refused, &both));
    assert!(matches!(error, Error::WrongPassword { .. }), "{error}");

    let no_digest = || allowing(&[Scheme::Basic]);
    opens(no_digest, &ending(converse(request(), &[(both.clone(), basic())], true), established()));
    let error = fails(no_digest, &ending(converse(request(), &[], false), &challenge(&md5)));
    assert!(error.to_string().contains("Digest (excluded by -a)"), "{error}");
}

#[test]
fn digest_can_encode_credentials_that_basic_cannot() {
    let credentials = Credentials { user: "al:ice".into(), password: "p\nw".into() };
    let md5 = challenge(&digest_challenge("MD5", ""));
    let mut machine = allowing(&[Scheme::Digest]).with_credentials(Some(credentials));
    machine.check().unwrap();
    machine.step().unwrap();
    machine.receive(md5.as_bytes()).unwrap();
    let Ok(Step::Send(wire)) = machine.step() else { unreachable!() };
    assert!(wire.masked("?").windows(8).any(|part| part == b"\"al:ice\""));
}

#[test]
fn a_response_echoed_by_the_proxy_is_masked() {
    let md5 = digest_challenge("MD5", "");
    let request = answer(&md5, 1);
    let response = request.split("response=\"").nth(1).unwrap().split('"').next().unwrap();
    let mut machine = machine();
    machine.step().unwrap();
    machine.receive(challenge(&md5).as_bytes()).unwrap();
    machine.credentials(alice()).unwrap();
    let Ok(Step::Send(wire)) = machine.step() else { unreachable!() };
    assert_eq!(wire.bytes(), request.as_bytes());
    let shown = String::from_utf8(wire.masked("?")).unwrap();
    assert_eq!(shown, request.replace(response, "?"));
    let refusal = format!("HTTP/1.1 403 not with {response}\r\nContent-Length: 0\r\n\r\n");
    assert!(!String::from_utf8(machine.redactor.redact(refusal.as_bytes())).unwrap().contains(response));
    machine.receive(refusal.as_bytes()).unwrap();
    assert_eq!(
        machine.step().unwrap_err().to_string(),
        "refused to connect to ssh.example:22: 403 not with xxxxx"
    );
}

/// If a challenge contains the password, our response repeats it in a part that is not normally
/// secret.
#[test]
fn a_password_in_a_challenge_is_masked_in_the_response() {
    let credentials = |password: &str| Credentials { user: "alice".into(), password: password.into() };
    for (password, written) in
        [("hunter2-opensesame", "hunter2-opensesame"), (r#"hunter2"open\sesame"#, r#"hunter2\"open\\sesame"#)]
    {
        for (parameter, others) in
            [("nonce", "realm=x"), ("realm", "nonce=x"), ("opaque", "realm=x, nonce=x")]
        {
            let challenges = format!(r#"Digest {parameter}="say {written}!", qop="auth", {others}"#);
            let mut machine = machine();
            machine.step().unwrap();
            machine.receive(challenge(&challenges).as_bytes()).unwrap();
            machine.credentials(credentials(password)).unwrap();
            let Ok(Step::Send(wire)) = machine.step() else { unreachable!() };
            let (sent, shown) = (wire.bytes(), wire.masked("?"));
            assert!(String::from_utf8_lossy(sent).contains(written), "{parameter}");
            assert!(!String::from_utf8_lossy(&shown).contains("hunter2"), "{parameter}");
        }
    }
}

#[test]
fn the_next_attempt_is_logged() {
    let md5 = digest_challenge("MD5", "");
    let stale = digest_challenge("MD5", ", stale=true");
    let mut machine = machine_of_alice();
    for (challenges, note) in [
        (format!("Basic, {md5}"), "Basic was rejected: trying Digest (MD5)"),
        (stale, "the nonce is stale: retrying with the new one"),
    ] {
        machine.step().unwrap();
        assert_eq!(machine.take_log_note(), None);
        machine.receive(challenge(&challenges).as_bytes()).unwrap();
        assert_eq!(machine.take_log_note().as_deref(), Some(note));
    }
}

#[test]
fn digest_fails_without_random_bytes() {
    let md5 = challenge(&digest_challenge("MD5", ""));
    let machine = || {
        let settings = Settings::default();
        Connect::new(endpoint("ssh.example", "22"), settings, || None)
    };
    let turns = [Turn::Sends(REQUEST), Turn::Proxy(md5.as_bytes()), Turn::Asks(alice())];
    assert_eq!(fails(machine, &turns), Error::NoRandomness);
}

/// A later proxy in a chain may require a new connection, which starts with the accepted response.
#[test]
fn a_restart_after_success_repeats_the_accepted_response() {
    let md5 = digest_challenge("MD5", "");
    let (first_challenge, first) = (challenge(&md5), answer(&md5, 1));
    let mut machine = machine();
    for turn in [REQUEST, first.as_bytes()] {
        let Ok(Step::Send(wire)) = machine.step() else { unreachable!() };
        assert_eq!(wire.bytes(), turn);
        if turn == REQUEST {
            machine.receive(first_challenge.as_bytes()).unwrap();
            machine.credentials(alice()).unwrap();
        }
    }
    machine.receive(ESTABLISHED).unwrap();
    assert_eq!(machine.step(), Ok(Step::Done));
    machine.restart();
    // This proxy accepts each nonce only once.
    let (second, fresh) = (answer(&md5, 2), answer(&md5, 1));
    let turns = [
        Turn::Sends(second.as_bytes()),
        Turn::Proxy(first_challenge.as_bytes()),
        Turn::Sends(fresh.as_bytes()),
        Turn::Proxy(ESTABLISHED),
    ];
    assert_eq!(run(machine, &turns, Cut::InOneLump).result, Ok(()));
}
