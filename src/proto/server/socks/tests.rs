#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use super::super::testing::driver::Decision;
use super::super::testing::{Ending, Played, connects, logins, play, refuses};
use super::*;

const EARLY: &[u8] = b"SSH-2.0-early\r\n\0\x05";
/// The reply to SOCKS5 CONNECT without an address.
const GRANTED: &[u8] = b"\x05\0\0\x01\0\0\0\0\0\0";

fn played(input: &[u8]) -> Played {
    connects("socks5", input)
}

#[test]
fn every_version_and_type_of_address_reaches_its_target() {
    let greeted = |request: &[u8]| [b"\x05\x01\0", request].concat();
    let long = "x".repeat(255);
    let name = |name: &str| {
        let length = u8::try_from(name.len()).unwrap();
        greeted(&[b"\x05\x01\0\x03", &[length][..], name.as_bytes(), b"\x01\xbb"].concat())
    };
    let socks4 = b"\0\x5a\0\0\0\0\0\0".to_vec();
    let socks5 = [b"\x05\0", GRANTED].concat();
    for (input, target, sent) in [
        (b"\x04\x01\0\x16\xc0\0\x02\x01alice\0".to_vec(), "192.0.2.1:22".to_owned(), &socks4),
        (b"\x04\x01\0\x16\0\0\0\0\0".to_vec(), "0.0.0.0:22".into(), &socks4),
        (b"\x04\x01\0\x16\0\0\0\x01\0host.example\0".to_vec(), "host.example:22".into(), &socks4),
        (b"\x04\x01\0\x16\0\0\0\xffalice\x00192.0.2.9\0".to_vec(), "192.0.2.9:22".into(), &socks4),
        (greeted(b"\x05\x01\0\x01\xc0\0\x02\x01\0\x16"), "192.0.2.1:22".into(), &socks5),
        (
            greeted(b"\x05\x01\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x16"),
            "[2001:db8::1]:22".into(),
            &socks5,
        ),
        (name("host.example"), "host.example:443".into(), &socks5),
        (name("192.0.2.1"), "192.0.2.1:443".into(), &socks5),
        (name("::1"), "[::1]:443".into(), &socks5),
        (name(&long), format!("{long}:443"), &socks5),
    ] {
        let played = played(&[&input, EARLY].concat());
        assert_eq!((played.target, &played.sent, played.ending), (target, sent, Ending::Session));
        assert_eq!(played.rest, EARLY);
    }
    // The client may offer other methods, too.
    let several = [b"\x05\x03\x01\x02\0", &name("host.example")[3..]].concat();
    assert_eq!(played(&several).target, "host.example:443");
}

#[test]
fn the_reply_contains_our_address_if_it_is_known() {
    let request = b"\x05\x01\0\x05\x01\0\x01\xc0\0\x02\x01\0\x16";
    for (bound, reply) in [
        ("10.1.2.3:4096", &b"\x05\0\0\x01\x0a\x01\x02\x03\x10\0"[..]),
        ("[::1]:1", &b"\x05\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x01"[..]),
    ] {
        let decision = Decision::Connected(Some(bound.parse::<SocketAddr>().unwrap()));
        assert_eq!(play("socks5", None, request, decision).sent, [b"\x05\0", reply].concat());
    }
}

#[test]
fn each_refusal_has_its_code() {
    for why in Refusal::ALL {
        let code = match why {
            Refusal::NotAllowed => 2,
            Refusal::NetworkUnreachable => 3,
            Refusal::UnknownHost | Refusal::HostUnreachable => 4,
            Refusal::ConnectionRefused => 5,
            Refusal::TimedOut => 6,
            _ => 1,
        };
        let played = refuses("socks5", b"\x05\x01\0\x05\x01\0\x01\xc0\0\x02\x01\0\x16", why);
        assert_eq!(played.sent, [b"\x05\0\x05", &[code][..], b"\0\x01\0\0\0\0\0\0"].concat(), "{why:?}");
        assert_eq!(played.ending, Ending::Refused);
        let played = refuses("socks5", b"\x04\x01\0\x16\xc0\0\x02\x01\0", why);
        assert_eq!((played.sent, played.ending), (b"\0\x5b\0\0\0\0\0\0".to_vec(), Ending::Refused));
    }
}

#[test]
fn a_request_that_cannot_be_served_is_rejected_with_the_reason() {
    let unsupported = |what| Rejection::Unsupported(what);
    let ok = b"\x05\0".to_vec();
    let reply = |code: u8| [&ok, &b"\x05"[..], &[code], b"\0\x01\0\0\0\0\0\0"].concat();
    let socks4 = b"\0\x5b\0\0\0\0\0\0".to_vec();
    let greeted = |request: &[u8]| [b"\x05\x01\0", request].concat();
    for (input, sent, why) in [
        (greeted(b"\x05\x02\0\x01\xc0\0\x02\x01\0\x16"), reply(7), unsupported("BIND")),
        (greeted(b"\x05\x03\0\x01\0\0\0\0\0\0"), reply(7), unsupported("UDP ASSOCIATE")),
        (greeted(b"\x05\x09\0\x01\0\0\0\0\0\0"), reply(7), unsupported("an unknown command")),
        (greeted(b"\x05\x01\0\x05\0"), reply(8), unsupported("an unknown type of address")),
        (greeted(b"\x05\x01\0\x01\xc0\0\x02\x01\0\0"), reply(4), Rejection::InvalidTarget),
        (greeted(b"\x05\x01\0\x03\0\0\x16"), reply(4), Rejection::InvalidTarget),
        (greeted(b"\x05\x01\0\x03\x03a;b\0\x16"), reply(4), Rejection::InvalidTarget),
        (greeted(b"\x05\x01\0\x03\x01\xff\0\x16"), reply(4), Rejection::InvalidTarget),
        (
            greeted(b"\x04\x01\0\x01\xc0\0\x02\x01\0\x16"),
            reply(1),
            malformed("the request has another version than the greeting"),
        ),
        (b"\x05\0".to_vec(), b"\x05\xff".to_vec(), unsupported("a SOCKS5 authentication method")),
        (b"\x05\x01\x02".to_vec(), b"\x05\xff".to_vec(), unsupported("a SOCKS5 authentication method")),
        (b"\x04\x02\0\x16\xc0\0\x02\x01\0".to_vec(), socks4.clone(), unsupported("BIND")),
        (b"\x04\x03\0\x16\xc0\0\x02\x01\0".to_vec(), socks4.clone(), unsupported("an unknown command")),
        (b"\x04\x01\0\0\xc0\0\x02\x01\0".to_vec(), socks4.clone(), Rejection::InvalidTarget),
        (b"\x04\x01\0\x16\0\0\0\x01\0a b\0".to_vec(), socks4.clone(), Rejection::InvalidTarget),
        (
            [&b"\x04\x01\0\x16\xc0\0\x02\x01"[..], &[b'x'; 1000]].concat(),
            socks4,
            malformed("a field is too long"),
        ),
    ] {
        let played = played(&input);
        assert_eq!(
            (played.target.as_str(), played.sent, played.ending),
            ("", sent, Ending::Rejected(why)),
            "{}",
            input.escape_ascii()
        );
    }
    for (input, got) in [(&b"GET / HTTP/1.0\r\n\r\n"[..], b'G'), (b"\x16\x03\x01", 0x16), (b"\0", 0)] {
        let played = played(input);
        let why = Rejection::NotTheProtocol { expected: "a SOCKS request", got };
        assert_eq!((played.sent, played.ending), (Vec::new(), Ending::Rejected(why)));
    }
}

#[test]
fn a_client_that_stops_in_the_middle_gets_no_reply() {
    let whole = b"\x05\x01\0\x05\x01\0\x03\x0chost.example\0\x16";
    for end in 0..whole.len() {
        let played = played(&whole[..end]);
        let sent: &[u8] = if end < 3 { b"" } else { b"\x05\0" };
        assert_eq!(
            (played.sent.as_slice(), played.ending),
            (sent, Ending::Rejected(Rejection::Closed)),
            "{end}"
        );
    }
}

#[test]
fn a_listener_with_logins_accepts_only_these() {
    let with = |input: &[u8]| play("socks5", Some(&logins()), input, Decision::Connected(None));
    let login = |user: &str, password: &str| {
        let length = |text: &str| u8::try_from(text.len()).unwrap();
        let mut message = b"\x05\x02\0\x02\x01".to_vec();
        for text in [user, password] {
            message.push(length(text));
            message.extend(text.bytes());
        }
        [message.as_slice(), b"\x05\x01\0\x01\xc0\0\x02\x01\0\x16", EARLY].concat()
    };
    let accepted = with(&login("alice", "hunter2-opensesame"));
    assert_eq!(accepted.sent, [b"\x05\x02\x01\0", GRANTED].concat());
    assert_eq!((accepted.target.as_str(), accepted.rest.as_slice()), ("192.0.2.1:22", EARLY));
    let long = "x".repeat(255);
    for (user, password) in [("alice", "hunter2"), ("bob", "hunter2-opensesame"), ("", ""), (&long, &long)] {
        let rejected = with(&login(user, password));
        assert_eq!(rejected.sent, b"\x05\x02\x01\x01");
        assert_eq!(rejected.ending, Ending::Rejected(Rejection::WrongPassword));
    }
    for (input, sent) in [
        (&b"\x05\x01\0"[..], &b"\x05\xff"[..]),
        (b"\x04\x01\0\x16\xc0\0\x02\x01alice\0", b"\0\x5b\0\0\0\0\0\0"),
    ] {
        let rejected = with(input);
        assert_eq!(
            (rejected.sent.as_slice(), rejected.ending),
            (sent, Ending::Rejected(Rejection::NoPassword))
        );
    }
    let wrong_version = with(b"\x05\x01\x02\x05\0\0");
    assert_eq!(wrong_version.sent, b"\x05\x02\x01\x01");
}

#[test]
fn a_client_that_sends_nothing_is_not_reported() {
    let mut server = Socks::new(None);
    server.timed_out();
    assert_eq!(server.step(), Step::Close(Some(Rejection::Closed)));
    let mut server = Socks::new(None);
    server.receive(b"\x05");
    server.timed_out();
    assert_eq!(server.step(), Step::Close(Some(Rejection::TimedOut)));
}

#[test]
fn the_state_shows_no_password() {
    let mut server = Socks::new(Some(logins()));
    server.receive(b"\x05\x01\x02");
    server.step();
    server.receive(b"\x01\x05alice\x12hunter2-opensesam");
    let shown = format!("{server:?}");
    assert!(!shown.contains("104, 117, 110") && !shown.contains("hunter2"), "{shown}");
}
