#![allow(clippy::unwrap_used)]

use super::Socks4;
use crate::proto::testing::{BANNER, Cut, Turn, alice, endpoint, fails, opens, run};
use crate::proto::{Error, Limit, Negotiation as _, Step};

/// To 192.0.2.7:22 as "me".
const REQUEST: &[u8] = &[
    4, // version
    1, // CONNECT
    0, 22, // port
    192, 0, 2, 7, // address
    b'm', b'e', 0, // user
];

/// To ssh.example:443 as "me".
const REQUEST_4A: &[u8] = &[
    4, // version
    1, // CONNECT
    1, 187, // port
    0, 0, 0, 1, // no address: a name follows
    b'm', b'e', 0, // user
    b's', b's', b'h', b'.', b'e', b'x', b'a', b'm', b'p', b'l', b'e', 0, // name
];

const GRANTED: &[u8] = &[
    0,  // version of the reply
    90, // granted
    8, 4, // port, ignored
    10, 0, 0, 1, // address, ignored
];

fn machine() -> Socks4 {
    Socks4::new(endpoint("192.0.2.7", "22"), "me".into())
}

fn replied(reply: &[u8]) -> Error {
    fails(machine, &[Turn::Sends(REQUEST), Turn::Proxy(reply)])
}

fn request_of(host: &str, user: &str) -> Result<Vec<u8>, Error> {
    match Socks4::new(endpoint(host, "22"), user.into()).step()? {
        Step::Send(wire) => Ok(wire.bytes().to_vec()),
        step => unreachable!("{step:?}"),
    }
}

#[test]
fn an_address_is_sent_as_an_address() {
    opens(machine, &[Turn::Sends(REQUEST), Turn::Proxy(GRANTED)]);
}

#[test]
fn a_name_is_sent_by_socks4a() {
    let machine = || Socks4::new(endpoint("ssh.example", "443"), "me".into());
    opens(machine, &[Turn::Sends(REQUEST_4A), Turn::Proxy(GRANTED)]);
}

#[test]
fn an_empty_user_is_just_its_end() {
    assert_eq!(request_of("192.0.2.7", "").unwrap()[8..], [0]);
}

#[test]
fn a_user_and_a_name_are_sent_as_they_were_typed() {
    let request = request_of("bücher.example", "jörg").unwrap();
    assert_eq!(request[8..], *"jörg\0bücher.example\0".as_bytes());
}

#[test]
fn an_ipv6_address_is_refused_before_anything_is_sent() {
    let error = request_of("2001:db8::1", "me").unwrap_err();
    assert_eq!(error.to_string(), "cannot be asked: SOCKS4 has no IPv6 addresses; use SOCKS5 (-5)");
}

#[test]
fn a_user_must_not_end_early() {
    let error = request_of("192.0.2.7", "me\0evil.example").unwrap_err();
    assert!(matches!(error, Error::NotEncodable(_)), "{error:?}");
}

#[test]
fn a_user_has_at_most_255_bytes() {
    assert_eq!(request_of("192.0.2.7", &"x".repeat(255)).unwrap().len(), 8 + 255 + 1);
    // 128 characters are 256 bytes.
    for user in ["x".repeat(256), "ü".repeat(128)] {
        let error = request_of("192.0.2.7", &user).unwrap_err();
        let due = Error::TooLong { what: "the user name", length: 256, protocol: "SOCKS4", limit: 255 };
        assert_eq!(error, due);
    }
}

#[test]
fn the_longest_name_and_user_fit() {
    let (user, name) = ("u".repeat(255), "n".repeat(255));
    let request = request_of(&name, &user).unwrap();
    assert_eq!(request[4..8], [0, 0, 0, 1]);
    assert_eq!(request[8..], *format!("{user}\0{name}\0").as_bytes());
}

#[test]
fn every_code_but_90_is_a_refusal_in_words() {
    for code in (0..=255).filter(|&code| code != 90) {
        let error = replied(&[0, code, 0, 0, 0, 0, 0, 0]);
        assert_eq!(error, Error::Socks4Refused { target: "192.0.2.7:22".into(), code });
        let words = match code {
            91 => "request rejected or failed",
            92 => "the proxy cannot reach an identd on this machine",
            93 => "the user name differs from what identd on this machine says",
            _ => "for a reason that SOCKS4 has no words for",
        };
        assert_eq!(error.to_string(), format!("refused 192.0.2.7:22: {words} (SOCKS4 reply {code})"));
    }
}

#[test]
fn a_refusal_is_known_after_two_bytes() {
    assert_eq!(replied(&[0, 91]), Error::Socks4Refused { target: "192.0.2.7:22".into(), code: 91 });
}

#[test]
fn a_rejection_suggests_what_may_help() {
    let by_name = Error::Socks4Refused { target: "host.example:22".into(), code: 91 };
    assert!(by_name.hint().unwrap().contains("-R local"));
    assert!(!replied(&[0, 91]).hint().unwrap().contains("-R local"), "an address was sent");
}

#[test]
fn the_reply_has_version_0_and_some_servers_say_4() {
    for version in 0..=255 {
        let reply = &[&[version], &GRANTED[1..]].concat();
        if version == 0 || version == 4 {
            opens(machine, &[Turn::Sends(REQUEST), Turn::Proxy(reply)]);
        } else {
            let expected = "a SOCKS version 4 reply";
            assert_eq!(replied(reply), Error::NotTheProtocol { expected, got: version });
            assert_eq!(replied(&[version]), Error::NotTheProtocol { expected, got: version });
        }
    }
}

#[test]
fn an_http_proxy_is_recognised() {
    assert_eq!(replied(b"HTTP/1.0 400 Bad Request\r\n").hint(), Some("it may be an HTTP proxy: try -H"));
}

#[test]
fn a_reply_cut_short_is_an_error_wherever_it_is_cut() {
    for length in 0..GRANTED.len() {
        let error = fails(machine, &[Turn::Sends(REQUEST), Turn::Proxy(&GRANTED[..length]), Turn::Closes]);
        assert_eq!(error, Error::Closed("the answer to the SOCKS4 request"));
    }
}

#[test]
fn it_asks_for_no_more_than_the_reply_has() {
    let mut machine = machine();
    machine.step().unwrap();
    for left in (1..=8).rev() {
        assert_eq!(machine.step(), Ok(Step::Receive(Limit::Bytes(left))));
        assert_eq!(machine.receive(&GRANTED[8 - left..][..1]), Ok(1));
    }
    assert_eq!(machine.step(), Ok(Step::Done));
}

#[test]
fn it_takes_no_more_than_the_reply_has() {
    for known in 0..8 {
        let mut machine = machine();
        machine.step().unwrap();
        machine.receive(&GRANTED[..known]).unwrap();
        // Even if it is offered more than it asked for.
        assert_eq!(machine.receive(&[&GRANTED[known..], BANNER].concat()), Ok(8 - known));
        assert_eq!(machine.step(), Ok(Step::Done));
    }
}

#[test]
fn a_restart_forgets_half_a_reply() {
    let mut machine = machine();
    machine.step().unwrap();
    machine.receive(&GRANTED[..3]).unwrap();
    machine.restart();
    let outcome = run(machine, &[Turn::Sends(REQUEST), Turn::Proxy(GRANTED)], Cut::InOneLump);
    assert_eq!((outcome.result, outcome.left.len()), (Ok(()), 0));
}

#[test]
fn there_is_no_password() {
    assert_eq!(machine().credentials(alice()), Err(Error::NotEncodable("SOCKS4 has no passwords")));
}
