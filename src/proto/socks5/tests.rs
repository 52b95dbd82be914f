#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use super::Method::{self, None as NoAuth, UserPass};
use super::Socks5;
use crate::proto::testing::{BANNER, Cut, Turn, alice, endpoint, fails, login, opens, run};
use crate::proto::{Awaited, Error, Learned, Limit, Negotiation as _, SocksMessage, Step, Unencodable};

mod eager;
mod learned;

const GREETING: &[u8] = &[
    5, // version
    2, // methods
    0, // no authentication
    2, // user/password
];
const NO_AUTH_SELECTED: &[u8] = &[
    5, // version
    0, // no authentication
];
const USERPASS_SELECTED: &[u8] = &[
    5, // version
    2, // user/password
];
const USERPASS: &[u8] = &[
    1, // version of RFC 1929
    5, // length of the user name
    b'a', b'l', b'i', b'c', b'e', // user name
    18,   // length of the password
    b'h', b'u', b'n', b't', b'e', b'r', b'2', b'-', // password
    b'o', b'p', b'e', b'n', b's', b'e', b's', b'a', b'm', b'e',
];
const USERPASS_ACCEPTED: &[u8] = &[
    1, // version of RFC 1929
    0, // success
];
const REQUEST: &[u8] = &[
    5, // version
    1, // CONNECT
    0, // reserved
    1, // an IPv4 address
    192, 0, 2, 7, // address
    0, 22, // port
];
const GRANTED: &[u8] = &[
    5, // version
    0, // granted
    0, // reserved
    1, // an IPv4 address
    10, 0, 0, 1, // bound address
    8, 4, // bound port
];

fn offering(methods: &[Method]) -> Socks5 {
    Socks5::new(endpoint("192.0.2.7", "22"), methods.to_vec())
}

fn machine() -> Socks5 {
    offering(&[NoAuth, UserPass])
}

/// Returns the error if the proxy answers the greeting with `answer`.
fn methods_answered(methods: &[Method], greeting: &[u8], answer: &[u8]) -> Error {
    fails(|| offering(methods), &[Turn::Sends(greeting), Turn::Proxy(answer)])
}

/// Returns the error if the proxy answers the user name and password with `status`.
fn status_answered(status: &[u8]) -> Error {
    fails(
        machine,
        &[
            Turn::Sends(GREETING),
            Turn::Proxy(USERPASS_SELECTED),
            Turn::Asks(alice()),
            Turn::Sends(USERPASS),
            Turn::Proxy(status),
        ],
    )
}

/// Returns the error if the proxy answers `REQUEST` with `reply`.
fn replied(reply: &[u8]) -> Error {
    fails(
        machine,
        &[Turn::Sends(GREETING), Turn::Proxy(NO_AUTH_SELECTED), Turn::Sends(REQUEST), Turn::Proxy(reply)],
    )
}

#[test]
fn without_authentication_the_request_follows_the_method() {
    opens(
        machine,
        &[Turn::Sends(GREETING), Turn::Proxy(NO_AUTH_SELECTED), Turn::Sends(REQUEST), Turn::Proxy(GRANTED)],
    );
}

#[test]
fn user_name_and_password_are_sent_if_the_proxy_selects_them() {
    opens(
        machine,
        &[
            Turn::Sends(GREETING),
            Turn::Proxy(USERPASS_SELECTED),
            Turn::Asks(alice()),
            Turn::Sends(USERPASS),
            Turn::Proxy(USERPASS_ACCEPTED),
            Turn::Sends(REQUEST),
            Turn::Proxy(GRANTED),
        ],
    );
}

#[test]
fn the_given_methods_are_offered_and_no_other_is_accepted() {
    let offers: [(&[Method], &[u8]); 4] = [
        (&[NoAuth], &[5, 1, 0]),
        (&[UserPass], &[5, 1, 2]),
        (&[NoAuth, UserPass], &[5, 2, 0, 2]),
        (&[UserPass, NoAuth], &[5, 2, 2, 0]),
    ];
    for (methods, greeting) in offers {
        for code in 0..=255 {
            let answer = [5, code];
            let selected = [Turn::Sends(greeting), Turn::Proxy(&answer)];
            let request = [Turn::Sends(REQUEST), Turn::Proxy(GRANTED)];
            let userpass = [Turn::Asks(alice()), Turn::Sends(USERPASS), Turn::Proxy(USERPASS_ACCEPTED)];
            match code {
                0 if methods.contains(&NoAuth) => {
                    opens(|| offering(methods), &[&selected[..], &request[..]].concat());
                }
                2 if methods.contains(&UserPass) => {
                    opens(|| offering(methods), &[&selected[..], &userpass[..], &request[..]].concat());
                }
                0xff => {
                    let error = methods_answered(methods, greeting, &answer);
                    assert!(matches!(error, Error::NoMethod { .. }), "{error:?}");
                }
                _ => assert_eq!(methods_answered(methods, greeting, &answer), Error::MethodNotOffered(code)),
            }
        }
    }
}

#[test]
fn the_error_for_no_acceptable_method_lists_the_offered_ones() {
    let error = methods_answered(&[NoAuth], &[5, 1, 0], &[5, 0xff]);
    assert_eq!(error.to_string(), "accepts none of the offered authentication methods ('none')");
    assert!(matches!(error, Error::NoMethod { userpass_offered: false, .. }));

    let error = methods_answered(&[NoAuth, UserPass], GREETING, &[5, 0xff]);
    assert_eq!(error.to_string(), "accepts none of the offered authentication methods ('none', 'userpass')");
    assert!(matches!(error, Error::NoMethod { userpass_offered: true, .. }));
}

#[test]
fn any_status_except_0_rejects_the_password() {
    for status in 1..=255 {
        let error = status_answered(&[1, status]);
        assert_eq!(error.to_string(), "rejected user 'alice': authentication failed");
    }
}

/// Servers in the field send version 5 or 0, which used to be an error.
#[test]
fn a_login_status_with_another_version_was_an_error() {
    for version in 0..=255 {
        opens(
            machine,
            &[
                Turn::Sends(GREETING),
                Turn::Proxy(USERPASS_SELECTED),
                Turn::Asks(alice()),
                Turn::Sends(USERPASS),
                Turn::Proxy(&[version, 0]),
                Turn::Sends(REQUEST),
                Turn::Proxy(GRANTED),
            ],
        );
        let error = status_answered(&[version, 1]);
        assert!(matches!(error, Error::WrongPassword { .. }), "{version}: {error:?}");
    }
}

/// Returns the message that carries these credentials, or the error if the negotiation rejects
/// them.
fn userpass(user: &str, password: &str) -> Result<Vec<u8>, Error> {
    let mut machine = machine();
    machine.step()?;
    machine.receive(USERPASS_SELECTED)?;
    assert_eq!(machine.step(), Ok(Step::Credentials));
    machine.credentials(login(user, password))?;
    match machine.step()? {
        Step::Send(wire) => {
            assert_eq!(wire.masked("?"), b"?", "all of it is secret");
            Ok(wire.bytes().to_vec())
        }
        step => unreachable!("{step:?}"),
    }
}

#[test]
fn a_user_name_has_1_to_255_bytes_and_a_password_at_most_255() {
    let longest = ("u".repeat(255), "p".repeat(255));
    for (user, password) in [("a", "b"), (&longest.0, &longest.1), ("jörg", "pässword "), ("a", "")] {
        let wire = userpass(user, password).unwrap();
        let (user_length, password_length) = (u8::try_from(user.len()), u8::try_from(password.len()));
        let user = [&[user_length.unwrap()], user.as_bytes()].concat();
        let password = [&[password_length.unwrap()], password.as_bytes()].concat();
        assert_eq!(wire, [&[1][..], &user, &password].concat());
    }
    for (user, password) in [("", "b"), ("", "")] {
        assert_eq!(userpass(user, password), Err(Error::NotEncodable(Unencodable::Socks5NoUser)));
    }
    let long = "x".repeat(256);
    for (user, password, what) in [(&*long, "b", "the user name"), ("a", &*long, "the password")] {
        let expected = Error::TooLong { what, length: 256, protocol: "SOCKS5", limit: 255 };
        assert_eq!(userpass(user, password), Err(expected));
    }
}

#[test]
fn the_target_is_sent_as_an_ipv4_address_name_or_ipv6_address() {
    let longest = "n".repeat(255);
    let v6 = [
        4, // an IPv6 address
        0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, // address
    ];
    let targets: [(&str, Vec<u8>); 5] = [
        ("192.0.2.7", vec![1, 192, 0, 2, 7]),
        ("ssh.example", [&[3, 11][..], b"ssh.example"].concat()),
        ("bücher.example", [&[3, 21][..], b"xn--bcher-kva.example"].concat()),
        (&longest, [&[3, 255], longest.as_bytes()].concat()),
        ("2001:db8::7", v6.to_vec()),
    ];
    for (host, address) in targets {
        let machine = || Socks5::new(endpoint(host, "513"), vec![NoAuth]);
        let request = [&[5, 1, 0], &*address, &[2, 1]].concat();
        opens(
            machine,
            &[
                Turn::Sends(&[5, 1, 0]),
                Turn::Proxy(NO_AUTH_SELECTED),
                Turn::Sends(&request),
                Turn::Proxy(GRANTED),
            ],
        );
    }
}

/// Returns successful replies that cover every type of bound address.
fn granted() -> [Vec<u8>; 5] {
    [
        GRANTED.to_vec(),
        [&[5, 0, 0, 4][..], &[9; 16], &[8, 4]].concat(),
        [&[5, 0, 0, 3][..], &[3], b"abc", &[8, 4]].concat(),
        [&[5, 0, 0, 3][..], &[0], &[8, 4]].concat(),
        [&[5, 0, 0, 3][..], &[255], &[5; 255], &[8, 4]].concat(),
    ]
}

#[test]
fn a_bound_address_of_every_type_is_accepted() {
    for reply in granted() {
        opens(
            machine,
            &[
                Turn::Sends(GREETING),
                Turn::Proxy(NO_AUTH_SELECTED),
                Turn::Sends(REQUEST),
                Turn::Proxy(&reply),
            ],
        );
    }
}

#[test]
fn the_reserved_byte_is_ignored() {
    opens(
        machine,
        &[
            Turn::Sends(GREETING),
            Turn::Proxy(NO_AUTH_SELECTED),
            Turn::Sends(REQUEST),
            Turn::Proxy(&[5, 0, 0xee, 1, 10, 0, 0, 1, 8, 4]),
        ],
    );
}

#[test]
fn an_unknown_address_type_is_an_error() {
    for code in (0..=255).filter(|code| ![1, 3, 4].contains(code)) {
        assert_eq!(replied(&[5, 0, 0, code, 10, 0, 0, 1, 8, 4]), Error::AddressType(code));
    }
}

#[test]
fn every_code_except_0_is_a_refusal_with_a_description() {
    for code in 1..=255 {
        let description = match code {
            1 => "general proxy failure",
            2 => "connection not allowed by the proxy's rules",
            3 => "network unreachable from the proxy",
            4 => "host unreachable from the proxy, or the proxy cannot resolve its name",
            5 => "connection refused by the target",
            6 => "TTL expired between the proxy and the target",
            7 => "CONNECT command not supported",
            8 => "address type not supported",
            0xf0 => "the descriptor of the onion service was not found",
            0xf1 => "the descriptor of the onion service is invalid",
            0xf2 => "the introduction to the onion service failed",
            0xf3 => "the rendezvous with the onion service failed",
            0xf4 => "the onion service requires client authorization",
            0xf5 => "the onion service rejected the key for client authorization",
            0xf6 => "invalid onion service address",
            0xf7 => "the introduction to the onion service timed out",
            _ => "unknown reply code",
        };
        let error = replied(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]);
        let code_shown = if code < 0xf0 { code.to_string() } else { format!("0x{code:X}") };
        let expected =
            format!("refused to connect to 192.0.2.7:22: {description} (SOCKS5 reply {code_shown})");
        assert_eq!(error.to_string(), expected);
        assert_eq!(replied(&[5, code]), error, "two bytes are enough");
    }
}

#[test]
fn another_protocol_is_recognized_by_the_first_byte() {
    for got in (0..=255).filter(|&got| got != 5) {
        let expected = Error::NotTheProtocol { expected: SocksMessage::Socks5, got };
        assert_eq!(methods_answered(&[NoAuth], &[5, 1, 0], &[got]), expected);
        assert_eq!(replied(&[got]), expected);
    }
}

#[test]
fn a_reply_truncated_anywhere_is_an_error() {
    for length in 0..2 {
        let turns = [Turn::Sends(GREETING), Turn::Proxy(&USERPASS_SELECTED[..length]), Turn::Closes];
        assert_eq!(fails(machine, &turns), Error::Closed(Awaited::Socks5Method));
        let turns = [
            Turn::Sends(GREETING),
            Turn::Proxy(USERPASS_SELECTED),
            Turn::Asks(alice()),
            Turn::Sends(USERPASS),
            Turn::Proxy(&USERPASS_ACCEPTED[..length]),
            Turn::Closes,
        ];
        // A proxy that closes without sending a status is taken to have rejected the password.
        let closed = Error::WrongPassword { user: "alice".into(), text: "(it closed the connection)".into() };
        let expected = if length == 0 { closed } else { Error::Closed(Awaited::Socks5Status) };
        assert_eq!(fails(machine, &turns), expected);
    }
    for reply in granted() {
        for length in 0..reply.len() {
            let turns = [
                Turn::Sends(GREETING),
                Turn::Proxy(NO_AUTH_SELECTED),
                Turn::Sends(REQUEST),
                Turn::Proxy(&reply[..length]),
                Turn::Closes,
            ];
            // Trying every fragmentation at every length would take about 30,000 redundant
            // conversations.
            for cut in [Cut::InOneLump, Cut::ByteByByte] {
                assert_eq!(run(machine(), &turns, cut).result, Err(Error::Closed(Awaited::Socks5Reply)));
            }
        }
    }
}

/// Some proxies send all replies at once; each step must consume only its own reply.
#[test]
fn it_consumes_no_more_bytes_than_it_requested() {
    for reply in granted() {
        let all = [NO_AUTH_SELECTED, &reply, BANNER].concat();
        let (mut machine, mut at) = (machine(), 0);
        loop {
            match machine.step().unwrap() {
                Step::Send(_) => {}
                Step::Receive(Limit::Bytes(limit)) => {
                    assert_eq!(machine.receive(&all[at..]), Ok(limit));
                    at += limit;
                }
                Step::Done => break,
                step => unreachable!("{step:?}"),
            }
        }
        assert_eq!(&all[at..], BANNER);
    }
}

#[test]
fn a_restart_discards_a_partial_reply_and_keeps_the_credentials() {
    let mut machine = machine();
    machine.step().unwrap();
    machine.receive(USERPASS_SELECTED).unwrap();
    machine.credentials(alice()).unwrap();
    machine.step().unwrap();
    machine.receive(&USERPASS_ACCEPTED[..1]).unwrap();
    machine.restart();
    let turns = [
        Turn::Sends(GREETING),
        Turn::Proxy(USERPASS_SELECTED),
        Turn::Sends(USERPASS),
        Turn::Proxy(USERPASS_ACCEPTED),
        Turn::Sends(REQUEST),
        Turn::Proxy(GRANTED),
    ];
    assert_eq!(run(machine, &turns, Cut::InOneLump).result, Ok(()));
}

/// Turns in which user and password are offered on a new connection.
fn fallback_turns(refusal: Turn<'_>) -> Vec<Turn<'_>> {
    vec![
        Turn::Sends(&[5, 1, 0]),
        refusal,
        Turn::Reconnects,
        Turn::Sends(&[5, 1, 2]),
        Turn::Proxy(USERPASS_SELECTED),
        Turn::Asks(alice()),
        Turn::Sends(USERPASS),
        Turn::Proxy(USERPASS_ACCEPTED),
        Turn::Sends(REQUEST),
        Turn::Proxy(GRANTED),
    ]
}
