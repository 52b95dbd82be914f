//! Tokens at a hub.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use connect::text::date::rfc3339;

use super::*;

/// A keys file, a deny-file, and the key that signs.
pub(super) struct Files {
    key: TempPath,
    pub(super) keys: TempPath,
    denied: TempPath,
}

impl Files {
    pub(super) fn new() -> Self {
        let key = TempPath::new("hub.key");
        let line = connect("").arg("--mint-signing-key").arg(&*key).run().expect_success().stdout.clone();
        Self { key, keys: TempPath::file("hub.keys", line), denied: TempPath::file("denied", "") }
    }

    pub(super) fn hub(&self) -> Listening {
        hub(&format!(
            "--token-keys {} --relay-name hub.example --deny-file {}",
            self.keys.display(),
            self.denied.display()
        ))
    }

    pub(super) fn token(&self, claims: &str) -> String {
        let claims = format!("aud=hub.example,{claims}");
        let out = connect("").arg("--mint-token").arg(claims).arg("--signing-key").arg(&*self.key).run();
        String::from_utf8(out.expect_success().stdout.clone()).unwrap().trim_end().to_owned()
    }

    pub(super) fn file(&self, claims: &str) -> TempPath {
        TempPath::private("token", self.token(claims))
    }
}

pub(super) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// Returns the `exp` claim of a token, in seconds since 1970.
fn expiry(token: &str) -> u64 {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    claims["exp"].as_u64().unwrap()
}

#[test]
fn each_request_needs_a_token_for_its_role_and_session() {
    let files = Files::new();
    let hub = files.hub();
    let (origin, dest) = ("Sec-WebSocket-Protocol: connect.origin.v1\r\n", "");
    for (path, fields, claims, expected) in [
        ("/v1/lab/origin", origin, "role=dest,session=lab,ttl=60", 403),
        ("/v1/lab/origin", origin, "role=origin,session=lib,ttl=60", 403),
        ("/v1/lab/origin", origin, "role=origin,session=lab,ttl=60,nbf=2100-01-01T00:00:00Z", 401),
        ("/v1/lab/dest", dest, "role=origin,session=lab,ttl=60", 403),
        ("/v1/lab/dest", dest, "role=dest,session=lib*,ttl=60", 403),
        ("/v1/lab/accept/00112233445566778899aabbccddeeff", "", "role=dest,session=lab,ttl=60", 403),
        ("/v1/lab/accept/00112233445566778899aabbccddeeff", "", "role=origin,session=lab,ttl=60", 404),
        ("/v1/stats", "", "role=dest,session=lab,ttl=60", 403),
        ("/metrics", "", "role=origin,session=lab,ttl=60", 403),
        ("/metrics", "", "role=stats,ttl=60", 200),
        ("/v1/stats", "", "role=stats,ttl=60", 200),
    ] {
        let token = files.token(claims);
        let (status, text) = refused(hub.address(), path, &format!("{fields}{}", bearer(&token)));
        assert_eq!(status, expected, "{path} {claims}: {text}");
        assert!(!text.contains(&token));
    }
    for (path, status) in [("/v1/stats", 401), ("/metrics", 401), ("/v1/health", 200), ("/status", 200)] {
        assert_eq!(page(hub.address(), path).0, status, "{path}");
    }
    assert_eq!(refused(hub.address(), "/v1/lab/dest", "").1, "token missing\n");
    hub.close();
}

#[test]
fn a_refusal_names_client_identity_and_session() {
    let files = Files::new();
    let hub = hub(&format!(
        "--token-keys {} --relay-name hub.example --trust-forwarded 127.0.0.1",
        files.keys.display()
    ));
    let ask = |number: u8, path: &str, token: &str| {
        let fields = format!("{}X-Forwarded-For: 192.0.2.{number}\r\n", bearer(token));
        refused(hub.address(), path, &fields).0
    };
    let token = files.token("role=dest,session=lab,sub=jane,ttl=60");
    let statuses = [
        ask(1, "/v1/lab/nowhere", &token),
        ask(2, "/v1/lib/dest", &token),
        ask(3, "/v1/lab/dest", "x"),
        ask(4, "/v1/lab/dest", &token),
    ];
    assert_eq!(statuses, [404, 403, 401, 404]);
    hub.wait_for_line("refused client 192.0.2.1: 404 absent: unknown path");
    hub.wait_for_line(
        "refused client 192.0.2.2 (jane) for session 'lib': 403 forbidden: token for another session",
    );
    hub.wait_for_line("refused client 192.0.2.3 for session 'lab': 401 token: malformed token");
    hub.wait_for_line(
        "refused client 192.0.2.4 (jane) for session 'lab': 404 absent: no origin offers 'lab'",
    );
    hub.close();
}

#[test]
fn a_session_belongs_to_the_identity_that_offers_it() {
    let files = Files::new();
    let hub = files.hub();
    let origin = |subject: &str| {
        let token = files.file(&format!("role=origin,session=lab,ttl=60,sub={subject}"));
        let args =
            format!("--origin relay+ws://{}/lab --token-file {} 127.0.0.1 9", hub.address(), token.display());
        (listening(args), token)
    };
    let (alice, _token) = origin("alice");
    alice.wait_for_line("registered session lab");
    let (bob, _token) = origin("bob");
    let end = bob.end();
    assert_eq!(end.code, Some(5), "{end:?}");
    let text = end.messages.concat();
    assert!(text.contains("409") && text.contains("session 'lab' belongs to another identity"), "{text}");
    stop(alice);
    hub.close();
}

#[test]
fn a_client_token_that_expires_ends_its_session() {
    let files = Files::new();
    let hub = files.hub();
    let target = script().send("banner").expect_reset().serve();
    let of_origin = files.file("role=origin,session=lab,ttl=60");
    let origin =
        origin(hub.address(), "lab", &format!("--token-file {} {}", of_origin.display(), target.args()));
    let token = files.token("role=dest,session=lab,ttl=3");
    let expiry = expiry(&token);
    let token = TempPath::private("token", token);
    let url = format!("ws://{}/v1/lab/dest", hub.address());
    let mut client = connect(format!("-x {url} --token-file {}", token.display())).start();
    client.wait_stdout_has("banner");
    // The unit tests of the gate check when the hub notices that. Here, it must not be too early.
    let end = client.wait();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(now >= expiry, "{now}, {expiry}");
    end.expect_failure(6, &[&format!("token expired at {}", rfc3339(expiry))]);
    target.finish();
    stop(origin);
    let messages = hub.close();
    assert!(
        messages.iter().any(|line| line.contains("ended client") && line.contains("expired")),
        "{messages:?}"
    );
}

#[test]
fn an_origin_whose_token_expires_continues_with_a_renewed_one() {
    let files = Files::new();
    let hub = files.hub();
    let token = files.file("role=origin,session=lab,ttl=4");
    let run = origin(hub.address(), "lab", &format!("--token-file {} 127.0.0.1 9", token.display()));
    fs::write(&*token, files.token("role=origin,session=lab,ttl=8")).unwrap();
    run.wait_for_lines("registered session lab", 2);
    // Nobody renews the second one.
    let end = run.end();
    assert_eq!(end.code, Some(6), "{end:?}");
    assert!(end.messages.concat().contains("rejected the token: Unauthorized: token expired at"), "{end:?}");
    hub.close();
}

#[test]
fn a_denied_origin_is_ended_at_once() {
    let files = Files::new();
    let hub = files.hub();
    let token = files.file("role=origin,session=lab,ttl=60,sub=alice");
    let run = origin(hub.address(), "lab", &format!("--token-file {} 127.0.0.1 9", token.display()));
    fs::write(&*files.denied, "sub alice\n").unwrap();
    let end = run.end();
    assert_eq!(end.code, Some(5), "{end:?}");
    assert_eq!(end.messages, ["connect: the hub ended session 'lab': token denied"]);
    hub.close();
}

/// Makes a pair whose client has a token of jane's, and returns both sides.
fn pair_of(
    files: &Files,
    hub: SocketAddr,
    control: &mut WebSocket<TcpStream>,
) -> (WebSocket<TcpStream>, WebSocket<TcpStream>) {
    let token = |claims: &str| bearer(&files.token(&format!("session=lab,ttl=60,{claims}")));
    let mut client = connect_to(hub);
    client.write_all(request("/v1/lab/dest", &token("role=dest,sub=jane")).as_bytes()).unwrap();
    let offer = offer(control);
    let data = open(hub, &format!("/v1/lab/accept/{offer}"), &token("role=origin,sub=lab"));
    assert!(read_head(&mut client).starts_with("HTTP/1.1 101 "));
    (WebSocket::from_raw_socket(client, Role::Client, None), data)
}

#[test]
fn denials_and_removed_keys_end_both_sides_of_a_pair() {
    let files = Files::new();
    let hub = files.hub();
    let fields = bearer(&files.token("role=origin,session=lab,ttl=60,sub=lab"));
    let mut control = register(hub.address(), "lab", &fields);
    // The client is denied: the origin's side is cut off, and its registration continues.
    let (mut client, mut data) = pair_of(&files, hub.address(), &mut control);
    fs::write(&*files.denied, "sub jane\n").unwrap();
    assert_eq!((close_code(&mut client), close_code(&mut data)), (4403, 1011));
    let fields = |subject: &str| bearer(&files.token(&format!("role=dest,session=lab,ttl=60,sub={subject}")));
    assert_eq!(refused(hub.address(), "/v1/lab/dest", &fields("jane")), (403, "token denied\n".into()));
    // The signature of this token is invalid, so its claims must not be logged.
    let forged = fields("john").replace("\r\n", "AAAA\r\n");
    assert_eq!(refused(hub.address(), "/v1/lab/dest", &forged).0, 401);
    fs::write(&*files.denied, "").unwrap();
    hub.wait_for_lines("--deny-file: read", 2);
    // Without the key, the tokens of all sides are invalid.
    let (mut client, mut data) = pair_of(&files, hub.address(), &mut control);
    fs::write(&*files.keys, "# none\n").unwrap();
    assert_eq!(close_code(&mut control), 4401);
    let codes = (close_code(&mut client), close_code(&mut data));
    // Whichever side is checked first cuts the other off.
    assert!(matches!(codes, (4401, 1011 | 4401) | (1011, 4401)), "{codes:?}");
    let messages = hub.close();
    for (start, expected) in [
        ("ended client", "(jane) for session 'lab': token denied"),
        ("ended client", "(lab) for session 'lab'"),
        ("refused client", "(jane) for session 'lab': 403 forbidden: token denied"),
    ] {
        let is_there = messages.iter().any(|line| line.contains(start) && line.contains(expected));
        assert!(is_there, "{expected}: {messages:?}");
    }
    assert!(!messages.iter().any(|line| line.contains("john")), "{messages:?}");
}
