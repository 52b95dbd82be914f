#![allow(clippy::unwrap_used)]

use super::Socks4;
use crate::proto::testing::{BANNER, Cut, Turn, alice, endpoint, fails, opens, run};
use crate::proto::{Awaited, Error, Limit, Negotiation as _, SocksMessage, Step, Unencodable};

/// A request to connect to 192.0.2.7:22 as user "me".
const REQUEST: &[u8] = &[
    4, // version
    1, // CONNECT
    0, 22, // port
    192, 0, 2, 7, // address
    b'm', b'e', 0, // user name
];

/// A request to connect to ssh.example:443 as user "me".
const REQUEST_4A: &[u8] = &[
    4, // version
    1, // CONNECT
    1, 187, // port
    0, 0, 0, 1, // a host name follows the user name
    b'm', b'e', 0, // user name
    b's', b's', b'h', b'.', b'e', b'x', b'a', b'm', b'p', b'l', b'e', 0, // host name
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

/// Returns the expected error for a reply to `REQUEST` with this code.
fn refused(code: u8) -> Error {
    Error::Socks4Refused { target: endpoint("192.0.2.7", "22").into(), code }
}

/// Returns the error for a reply to `REQUEST`.
fn replied(reply: &[u8]) -> Error {
    fails(machine, &[Turn::Sends(REQUEST), Turn::Proxy(reply)])
}

fn request(host: &str, user: &str) -> Result<Vec<u8>, Error> {
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
fn a_name_is_sent_with_socks4a() {
    let machine = || Socks4::new(endpoint("ssh.example", "443"), "me".into());
    opens(machine, &[Turn::Sends(REQUEST_4A), Turn::Proxy(GRANTED)]);
}

#[test]
fn an_empty_user_name_is_a_single_nul() {
    assert_eq!(request("192.0.2.7", "").unwrap()[8..], [0]);
}

#[test]
fn the_user_name_is_sent_as_utf_8_and_the_host_name_in_ascii() {
    let request = request("bücher.example", "jörg").unwrap();
    assert_eq!(request[8..], *"jörg\0xn--bcher-kva.example\0".as_bytes());
}

#[test]
fn an_ipv6_address_is_rejected_before_anything_is_sent() {
    let error = request("2001:db8::1", "me").unwrap_err();
    assert_eq!(error, Error::NotEncodable(Unencodable::Socks4Ipv6));
}

#[test]
fn a_nul_in_the_user_name_is_rejected() {
    let error = request("192.0.2.7", "me\0evil.example").unwrap_err();
    assert_eq!(error, Error::NotEncodable(Unencodable::Socks4Nul));
}

#[test]
fn a_user_name_has_at_most_255_bytes() {
    assert_eq!(request("192.0.2.7", &"x".repeat(255)).unwrap().len(), 8 + 255 + 1);
    // Both user names are 256 bytes long.
    for user in ["x".repeat(256), "ü".repeat(128)] {
        let error = request("192.0.2.7", &user).unwrap_err();
        let expected = Error::TooLong { what: "the user name", length: 256, protocol: "SOCKS4", limit: 255 };
        assert_eq!(error, expected);
    }
}

#[test]
fn the_longest_user_name_and_host_name_fit() {
    let (user, name) = ("u".repeat(255), "n".repeat(255));
    let request = request(&name, &user).unwrap();
    assert_eq!(request[4..8], [0, 0, 0, 1]);
    assert_eq!(request[8..], *format!("{user}\0{name}\0").as_bytes());
}

#[test]
fn every_code_except_90_is_a_refusal_with_a_description() {
    for code in (0..=255).filter(|&code| code != 90) {
        let error = replied(&[0, code, 0, 0, 0, 0, 0, 0]);
        assert_eq!(error, refused(code));
        let description = match code {
            91 => "request rejected or failed",
            92 => "the proxy cannot connect to identd on this machine",
            93 => "identd on this machine reports a different user name",
            _ => "unknown reply code",
        };
        let expected = format!("refused to connect to 192.0.2.7:22: {description} (SOCKS4 reply {code})");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_refusal_is_reported_after_two_bytes() {
    assert_eq!(replied(&[0, 91]), refused(91));
}

#[test]
fn a_refusal_says_whether_the_target_was_sent_as_a_name() {
    let machine = || Socks4::new(endpoint("ssh.example", "443"), "me".into());
    let error = fails(machine, &[Turn::Sends(REQUEST_4A), Turn::Proxy(&[0, 91])]);
    assert_eq!(error, Error::Socks4Refused { target: endpoint("ssh.example", "443").into(), code: 91 });
}

#[test]
fn a_reply_has_version_0_or_from_some_servers_4() {
    for version in 0..=255 {
        let reply = &[&[version], &GRANTED[1..]].concat();
        if version == 0 || version == 4 {
            opens(machine, &[Turn::Sends(REQUEST), Turn::Proxy(reply)]);
        } else {
            let expected = SocksMessage::Socks4;
            assert_eq!(replied(reply), Error::NotTheProtocol { expected, got: version });
            assert_eq!(replied(&[version]), Error::NotTheProtocol { expected, got: version });
        }
    }
}

#[test]
fn a_reply_truncated_anywhere_is_an_error() {
    for length in 0..GRANTED.len() {
        let error = fails(machine, &[Turn::Sends(REQUEST), Turn::Proxy(&GRANTED[..length]), Turn::Closes]);
        assert_eq!(error, Error::Closed(Awaited::Socks4Reply));
    }
}

#[test]
fn it_requests_no_more_bytes_than_the_reply_has() {
    let mut machine = machine();
    machine.step().unwrap();
    for left in (1..=8).rev() {
        assert_eq!(machine.step(), Ok(Step::Receive(Limit::Bytes(left))));
        assert_eq!(machine.receive(&GRANTED[8 - left..][..1]), Ok(1));
    }
    assert_eq!(machine.step(), Ok(Step::Done));
}

#[test]
fn it_consumes_no_more_bytes_than_the_reply_has() {
    for known in 0..8 {
        let mut machine = machine();
        machine.step().unwrap();
        machine.receive(&GRANTED[..known]).unwrap();
        // The negotiation consumes only the bytes that it requested, even if more are available.
        assert_eq!(machine.receive(&[&GRANTED[known..], BANNER].concat()), Ok(8 - known));
        assert_eq!(machine.step(), Ok(Step::Done));
    }
}

#[test]
fn a_restart_discards_a_partial_reply() {
    let mut machine = machine();
    machine.step().unwrap();
    machine.receive(&GRANTED[..3]).unwrap();
    machine.restart();
    let outcome = run(machine, &[Turn::Sends(REQUEST), Turn::Proxy(GRANTED)], Cut::InOneLump);
    assert_eq!((outcome.result, outcome.unread.len()), (Ok(()), 0));
}

#[test]
fn passwords_are_rejected() {
    assert_eq!(machine().credentials(alice()), Err(Error::NotEncodable(Unencodable::Socks4Password)));
}
