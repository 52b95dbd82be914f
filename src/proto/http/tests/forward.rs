//! Tests of requests that the proxy forwards itself.

use std::sync::Arc;

use super::schemes::{challenge, digest_challenge};
use super::{ESTABLISHED, machine};
use crate::proto::http::ForwardRequest;
use crate::proto::http::challenge::parse_line;
use crate::proto::http::digest::{Digest, RequestInfo};
use crate::proto::testing::{BASIC, Cut, Turn, alice, endpoint, fails, opens, run};
use crate::proto::{Error, HttpConnect, HttpSettings, Negotiation as _, Step, Wire};

const URL: &str = "http://host.example/page";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";

fn start(method: &str) -> String {
    format!("{method} {URL} HTTP/1.1\r\nHost: host.example\r\n")
}

fn forwarding(method: &str) -> HttpConnect {
    let request = ForwardRequest {
        method: method.into(),
        authority: "host.example".into(),
        url: URL.into(),
        head: Wire::public(start(method).into_bytes()),
        has_body: method == "POST",
    };
    let machine = HttpConnect::new(endpoint("host.example", "80"), HttpSettings::default(), || Some([7; 16]));
    machine.forwarding(Some(Arc::new(request)))
}

/// Returns the request of this method, with these credentials if there are any.
fn request(method: &str, credentials: &str) -> String {
    let start = match method {
        "HEAD" => "HEAD http://host.example/ HTTP/1.1\r\nHost: host.example\r\n".into(),
        method => start(method),
    };
    match credentials {
        "" => format!("{start}\r\n"),
        credentials => format!("{start}Proxy-Authorization: {credentials}\r\n\r\n"),
    }
}

fn digest(challenge: &str, method: &str, uri: &str, count: u32) -> String {
    let digest = Digest::parse(&parse_line(challenge)[0]).unwrap();
    let request =
        RequestInfo { method, uri, credentials: &alice(), cnonce: "BwcHBwcHBwcHBwcHBwcHBw==", count };
    String::from_utf8(digest.respond(&request).unwrap().parts().concat()).unwrap()
}

#[test]
fn a_response_is_for_the_client() {
    for response in [
        RESPONSE,
        b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\n\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.0 503 Busy\r\nX: y\r\n\r\n",
    ] {
        opens(|| forwarding("GET"), &[Turn::Sends(request("GET", "").as_bytes()), Turn::Proxy(response)]);
        for size in [1, 7, response.len()] {
            let mut machine = forwarding("GET");
            assert!(matches!(machine.step(), Ok(Step::Send(_))));
            for part in response.chunks(size) {
                assert!(matches!(machine.step(), Ok(Step::ReceiveFor(_))));
                let mut part = part;
                while !part.is_empty() {
                    let count = machine.receive(part).unwrap();
                    part = &part[count..];
                }
            }
            assert_eq!(machine.step(), Ok(Step::Done));
            assert_eq!(machine.take_answer().escape_ascii().to_string(), response.escape_ascii().to_string());
        }
    }
}

#[test]
fn a_challenge_is_answered_with_the_method_and_the_url() {
    let md5 = digest_challenge("MD5", "");
    for (offered, credentials) in
        [("Basic realm=x", format!("Basic {BASIC}")), (&md5, digest(&md5, "GET", URL, 1))]
    {
        opens(
            || forwarding("GET"),
            &[
                Turn::Sends(request("GET", "").as_bytes()),
                Turn::Proxy(challenge(offered).as_bytes()),
                Turn::Asks(alice()),
                Turn::Sends(request("GET", &credentials).as_bytes()),
                Turn::Proxy(RESPONSE),
            ],
        );
    }
    let rejected = challenge("Basic realm=x");
    let error = fails(
        || forwarding("GET").with_credentials(Some(alice())),
        &[
            Turn::Sends(request("GET", &format!("Basic {BASIC}")).as_bytes()),
            Turn::Proxy(rejected.as_bytes()),
        ],
    );
    assert!(matches!(error, Error::WrongPassword { .. }), "{error}");
}

/// The body could not be sent again after a challenge.
#[test]
fn a_request_with_a_body_follows_a_request_without_one() {
    let md5 = digest_challenge("MD5", "");
    let (head, post) = (digest(&md5, "HEAD", "http://host.example/", 1), digest(&md5, "POST", URL, 2));
    let (probe, logged_in) = (request("HEAD", ""), request("HEAD", &head));
    let (plain, post) = (request("POST", ""), request("POST", &post));
    // The response to HEAD has no body, whatever its length says.
    let rejected = challenge(&md5).replace("Length: 0", "Length: 100");
    for cut in [Cut::InOneLump, Cut::ByteByByte] {
        let challenged = [
            Turn::Sends(probe.as_bytes()),
            Turn::Proxy(rejected.as_bytes()),
            Turn::Asks(alice()),
            Turn::Sends(logged_in.as_bytes()),
            Turn::Proxy(b"HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\n"),
            Turn::Sends(post.as_bytes()),
        ];
        assert_eq!(run(forwarding("POST"), &challenged, cut).result, Ok(()));
        let closes = [
            Turn::Sends(probe.as_bytes()),
            Turn::Proxy(b"HTTP/1.0 200 OK\r\n\r\n"),
            Turn::Reconnects,
            Turn::Sends(plain.as_bytes()),
        ];
        assert_eq!(run(forwarding("POST"), &closes, cut).result, Ok(()));
    }
}

#[test]
fn with_an_accepted_password_a_body_is_sent_at_once() {
    let mut accepted = machine();
    accepted.credentials(alice()).unwrap();
    let basic = challenge("Basic realm=x");
    assert!(matches!(accepted.step(), Ok(Step::Send(_))));
    accepted.receive(basic.as_bytes()).unwrap();
    assert!(matches!(accepted.step(), Ok(Step::Send(_))));
    accepted.receive(ESTABLISHED).unwrap();
    let learned = accepted.learned().unwrap();
    for mut machine in [forwarding("POST"), forwarding("POST").with_credentials(Some(alice()))] {
        machine.recall(&learned, Some(alice()));
        let Ok(Step::Send(sent)) = machine.step() else { unreachable!() };
        assert_eq!(sent.bytes(), request("POST", &format!("Basic {BASIC}")).as_bytes());
        assert_eq!(machine.step(), Ok(Step::Done));
        assert!(machine.take_answer().is_empty());
    }
}

#[test]
fn a_slow_response_is_for_the_client_wherever_it_stops() {
    for at in 0..RESPONSE.len() {
        let mut machine = forwarding("GET");
        assert!(matches!(machine.step(), Ok(Step::Send(_))));
        machine.receive(&RESPONSE[..at]).unwrap();
        machine.timed_out().unwrap();
        assert_eq!(machine.step(), Ok(Step::Done));
        assert_eq!(*machine.take_answer(), RESPONSE[..at]);
    }
}

/// squid accepts a nonce 50 times: the HEAD request was the last of them, and the request with the
/// body was rejected.
#[test]
fn a_nonce_that_expired_between_two_requests_rejected_the_body() {
    let (old, new) = (digest_challenge("MD5", ", opaque=old"), digest_challenge("MD5", ", opaque=new"));
    let mut earlier = forwarding("GET");
    assert!(matches!(earlier.step(), Ok(Step::Send(_))));
    earlier.receive(challenge(&old).as_bytes()).unwrap();
    earlier.credentials(alice()).unwrap();
    assert!(matches!(earlier.step(), Ok(Step::Send(_))));
    earlier.receive(RESPONSE).unwrap();
    let learned = earlier.learned().unwrap();
    let mut machine = forwarding("POST");
    assert!(machine.recall(&learned, Some(alice())));
    let (probe, offered) = (request("HEAD", ""), challenge(&new));
    let head = request("HEAD", &digest(&new, "HEAD", "http://host.example/", 1));
    let post = request("POST", &digest(&new, "POST", URL, 2));
    let turns = [
        Turn::Sends(probe.as_bytes()),
        Turn::Proxy(offered.as_bytes()),
        Turn::Sends(head.as_bytes()),
        Turn::Proxy(RESPONSE),
        Turn::Sends(post.as_bytes()),
    ];
    assert_eq!(run(machine, &turns, Cut::InOneLump).result, Ok(()));
}
