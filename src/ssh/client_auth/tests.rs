#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "that is how a test fails")]

use super::*;

const ED25519: &[&str] = &["ssh-ed25519"];
const RSA: &[&str] = &["rsa-sha2-512", "rsa-sha2-256"];

fn identity(name: &str, algorithms: &'static [&'static str]) -> Identity {
    Identity::new(name.as_bytes().to_vec(), algorithms, name.to_owned(), false)
}

fn auth(identities: Vec<Identity>) -> ClientAuth {
    let mut auth = ClientAuth::new(b"me", identities, true);
    auth.set_session_id(b"session");
    auth
}

fn sent(auth: &mut ClientAuth) -> Vec<u8> {
    match auth.step() {
        Ok(Step::Send(message)) => message.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// Builds a request, with the fields after the name of the method.
fn request(method: &str, fields: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut request = vec![message::USERAUTH_REQUEST];
    request.put_string("me").put_string("ssh-connection").put_string(method);
    fields(&mut request);
    request
}

fn key_request(signature: Option<&str>, algorithm: &str, blob: &str) -> Vec<u8> {
    request("publickey", |request| {
        request.put_bool(signature.is_some()).put_string(algorithm).put_string(blob);
        if let Some(signature) = signature {
            request.put_string(signature);
        }
    })
}

fn failure(methods: &[&str], is_partial: bool) -> Vec<u8> {
    let mut failure = vec![message::USERAUTH_FAILURE];
    failure.put_name_list(methods).put_bool(is_partial);
    failure
}

fn service_accept() -> Vec<u8> {
    let mut accept = vec![message::SERVICE_ACCEPT];
    accept.put_string("ssh-userauth");
    accept
}

/// Passes the request for the service.
fn start(auth: &mut ClientAuth) {
    assert_eq!(sent(auth), b"\x05\0\0\0\x0cssh-userauth");
}

fn sign(auth: &mut ClientAuth, index: usize, expected: &str, signature: &str) {
    let Ok(Step::Sign { identity, algorithm, data }) = auth.step() else { panic!("no signature wanted") };
    assert_eq!((identity, algorithm), (index, expected));
    let name = String::from_utf8(auth.identities()[index].blob().to_vec()).unwrap();
    let mut signed = Vec::new();
    signed.put_string("session").put(&key_request(Some(""), expected, &name));
    signed.truncate(signed.len() - 4);
    assert_eq!(data, signed);
    auth.signed(Some(signature.as_bytes()));
}

#[test]
fn the_only_key_is_used_at_once() {
    let mut auth = auth(vec![identity("key", ED25519)]);
    start(&mut auth);
    sign(&mut auth, 0, "ssh-ed25519", "signature");
    assert_eq!(sent(&mut auth), key_request(Some("signature"), "ssh-ed25519", "key"));
    assert_eq!(auth.step(), Ok(Step::Receive));
    auth.receive(&service_accept()).unwrap();
    auth.receive(&[message::USERAUTH_SUCCESS]).unwrap();
    assert_eq!(auth.step(), Ok(Step::Done));
}

#[test]
fn of_several_keys_only_an_accepted_one_signs() {
    let mut auth = auth(vec![identity("first", ED25519), identity("second", ED25519)]);
    start(&mut auth);
    assert_eq!(sent(&mut auth), key_request(None, "ssh-ed25519", "first"));
    auth.receive(&service_accept()).unwrap();
    auth.receive(&failure(&["publickey"], false)).unwrap();
    assert_eq!(sent(&mut auth), key_request(None, "ssh-ed25519", "second"));
    let mut ok = vec![message::USERAUTH_60];
    ok.put_string("ssh-ed25519").put_string("second");
    auth.receive(&ok).unwrap();
    sign(&mut auth, 1, "ssh-ed25519", "s");
    assert_eq!(sent(&mut auth), key_request(Some("s"), "ssh-ed25519", "second"));
    auth.receive(&failure(&["publickey"], false)).unwrap();
    let expected = Error::Rejected {
        tried: "publickey (first), publickey (second)".into(),
        accepts: "publickey".into(),
    };
    assert_eq!(auth.step(), Err(expected));
}

#[test]
fn the_algorithm_of_an_rsa_key_follows_the_extensions() {
    for (extensions, expected) in [
        (None, "rsa-sha2-256"),
        (Some("ssh-ed25519,rsa-sha2-512,rsa-sha2-256"), "rsa-sha2-512"),
        (Some("rsa-sha2-256"), "rsa-sha2-256"),
    ] {
        let mut auth = auth(vec![identity("key", RSA)]);
        start(&mut auth);
        assert_eq!(auth.step(), Ok(Step::Receive));
        if let Some(names) = extensions {
            auth.set_signature_algorithms(names);
        }
        auth.receive(&service_accept()).unwrap();
        sign(&mut auth, 0, expected, "s");
    }
}

#[test]
fn without_keys_the_first_request_asks_for_the_methods() {
    let mut auth = auth(Vec::new());
    start(&mut auth);
    assert_eq!(sent(&mut auth), request("none", |_| {}));
    auth.receive(&failure(&["password"], false)).unwrap();
    for _ in 0..3 {
        assert_eq!(auth.step(), Ok(Step::Password));
        auth.password(Some(b"wrong"));
        assert_eq!(
            sent(&mut auth),
            request("password", |it| {
                it.put_bool(false).put_string("wrong");
            })
        );
        auth.receive(&failure(&["password"], false)).unwrap();
    }
    let expected = Error::Rejected { tried: "password".into(), accepts: "password".into() };
    assert_eq!(auth.step(), Err(expected));
}

#[test]
fn an_expired_password_is_replaced() {
    let mut auth = auth(Vec::new());
    start(&mut auth);
    sent(&mut auth);
    auth.receive(&failure(&["password"], false)).unwrap();
    auth.step().unwrap();
    auth.password(Some(b"old"));
    sent(&mut auth);
    let mut expired = vec![message::USERAUTH_60];
    expired.put_string("expired").put_string("");
    auth.receive(&expired).unwrap();
    assert_eq!(auth.step(), Ok(Step::NewPassword("expired".into())));
    auth.new_password(Some((b"old", b"new")));
    let expected = request("password", |it| {
        it.put_bool(true).put_string("old").put_string("new");
    });
    assert_eq!(sent(&mut auth), expected);
    auth.receive(&[message::USERAUTH_SUCCESS]).unwrap();
    assert_eq!(auth.step(), Ok(Step::Done));
}

#[test]
fn questions_are_answered_until_the_server_is_content() {
    let mut auth = auth(Vec::new());
    start(&mut auth);
    sent(&mut auth);
    auth.receive(&failure(&["password", "keyboard-interactive"], false)).unwrap();
    assert_eq!(
        sent(&mut auth),
        request("keyboard-interactive", |it| {
            it.put_string("").put_string("");
        })
    );
    let mut ask = vec![message::USERAUTH_60];
    ask.put_string("Login").put_string("Read").put_string("").put_u32(2);
    ask.put_string("Password: ").put_bool(false).put_string("Code: ").put_bool(true);
    auth.receive(&ask).unwrap();
    let questions = vec![("Password: ".to_owned(), false), ("Code: ".to_owned(), true)];
    let expected = Questions { name: "Login".into(), instruction: "Read".into(), questions };
    assert_eq!(auth.step(), Ok(Step::Ask(expected)));
    auth.answers(Some(&[b"secret".to_vec().into(), b"123".to_vec().into()]));
    assert_eq!(sent(&mut auth), b"\x3d\0\0\0\x02\0\0\0\x06secret\0\0\0\x03123");
    // Some servers send a message without questions at the end.
    let mut nothing = vec![message::USERAUTH_60];
    nothing.put_string("").put_string("").put_string("").put_u32(0);
    auth.receive(&nothing).unwrap();
    assert!(matches!(auth.step(), Ok(Step::Ask(questions)) if questions.questions.is_empty()));
    auth.answers(Some(&[]));
    assert_eq!(sent(&mut auth), b"\x3d\0\0\0\0");
    auth.receive(&[message::USERAUTH_SUCCESS]).unwrap();
    assert_eq!(auth.step(), Ok(Step::Done));
}

#[test]
fn after_partial_success_no_factor_is_repeated() {
    let mut auth = auth(vec![identity("key", ED25519)]);
    start(&mut auth);
    sign(&mut auth, 0, "ssh-ed25519", "s");
    sent(&mut auth);
    auth.receive(&failure(&["password"], true)).unwrap();
    assert_eq!(auth.step(), Ok(Step::Password));
    auth.password(Some(b"p"));
    sent(&mut auth);
    auth.receive(&failure(&["password", "publickey"], true)).unwrap();
    assert_eq!(auth.step(), Err(Error::FurtherAuthentication("password, publickey".into())));
}

#[test]
fn no_password_goes_to_a_server_whose_key_is_in_doubt() {
    let mut auth = ClientAuth::new(b"me", Vec::new(), false);
    start(&mut auth);
    sent(&mut auth);
    auth.receive(&failure(&["password", "keyboard-interactive"], false)).unwrap();
    assert!(matches!(auth.step(), Err(Error::Rejected { .. })));
}

#[test]
fn banners_are_limited() {
    let mut auth = auth(Vec::new());
    start(&mut auth);
    sent(&mut auth);
    for _ in 0..3 {
        let mut banner = vec![message::USERAUTH_BANNER];
        banner.put_string("x".repeat(3000)).put_string("");
        auth.receive(&banner).unwrap();
    }
    let lengths: Vec<_> = auth.take_banners().iter().map(String::len).collect();
    assert_eq!(lengths, [3000, 1096, 0]);
}

#[test]
fn a_message_that_answers_nothing_is_an_error() {
    for message in [
        &[][..],
        &[message::USERAUTH_SUCCESS],
        &[message::USERAUTH_FAILURE, 0, 0],
        &[message::USERAUTH_60, 0, 0, 0, 0],
        &[message::CHANNEL_OPEN],
    ] {
        let mut auth = auth(vec![identity("a", ED25519), identity("b", ED25519)]);
        start(&mut auth);
        sent(&mut auth);
        let result = auth.receive(message);
        assert!(matches!(result, Err(Error::Unexpected(_) | Error::Malformed(_))), "{message:?}: {result:?}");
    }
}
