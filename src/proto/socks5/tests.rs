#![allow(clippy::unwrap_used, clippy::panic, reason = "that is how a test fails")]

use super::Method::{self, None as NoAuth, UserPass};
use super::Socks5;
use crate::proto::testing::{BANNER, Cut, Turn, alice, endpoint, fails, login, opens, run};
use crate::proto::{Error, Limit, Negotiation as _, Step};

const GREETING: &[u8] = &[
    5, // version
    2, // methods
    0, // no authentication
    2, // user and password
];
const NO_AUTH_CHOSEN: &[u8] = &[
    5, // version
    0, // no authentication
];
const USERPASS_CHOSEN: &[u8] = &[
    5, // version
    2, // user and password
];
const USERPASS: &[u8] = &[
    1, // version of RFC 1929
    5, // length of the user
    b'a', b'l', b'i', b'c', b'e', // user
    18,   // length of the password
    b'h', b'u', b'n', b't', b'e', b'r', b'2', b'-', // password
    b'o', b'p', b'e', b'n', b's', b'e', b's', b'a', b'm', b'e',
];
const USERPASS_GOOD: &[u8] = &[
    1, // version of RFC 1929
    0, // good
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

fn methods_answered(methods: &[Method], greeting: &[u8], answer: &[u8]) -> Error {
    fails(|| offering(methods), &[Turn::Sends(greeting), Turn::Proxy(answer)])
}

fn status_answered(status: &[u8]) -> Error {
    fails(
        machine,
        &[
            Turn::Sends(GREETING),
            Turn::Proxy(USERPASS_CHOSEN),
            Turn::Asks(alice()),
            Turn::Sends(USERPASS),
            Turn::Proxy(status),
        ],
    )
}

fn replied(reply: &[u8]) -> Error {
    fails(
        machine,
        &[Turn::Sends(GREETING), Turn::Proxy(NO_AUTH_CHOSEN), Turn::Sends(REQUEST), Turn::Proxy(reply)],
    )
}

#[test]
fn without_authentication_the_request_follows_at_once() {
    opens(
        machine,
        &[Turn::Sends(GREETING), Turn::Proxy(NO_AUTH_CHOSEN), Turn::Sends(REQUEST), Turn::Proxy(GRANTED)],
    );
}

#[test]
fn user_and_password_are_sent_when_they_are_wanted() {
    opens(
        machine,
        &[
            Turn::Sends(GREETING),
            Turn::Proxy(USERPASS_CHOSEN),
            Turn::Asks(alice()),
            Turn::Sends(USERPASS),
            Turn::Proxy(USERPASS_GOOD),
            Turn::Sends(REQUEST),
            Turn::Proxy(GRANTED),
        ],
    );
}

#[test]
fn the_methods_are_offered_as_given_and_no_other_is_accepted() {
    let offers: [(&[Method], &[u8]); 4] = [
        (&[NoAuth], &[5, 1, 0]),
        (&[UserPass], &[5, 1, 2]),
        (&[NoAuth, UserPass], &[5, 2, 0, 2]),
        (&[UserPass, NoAuth], &[5, 2, 2, 0]),
    ];
    for (methods, greeting) in offers {
        for code in 0..=255 {
            let answer = [5, code];
            let chosen = [Turn::Sends(greeting), Turn::Proxy(&answer)];
            let request = [Turn::Sends(REQUEST), Turn::Proxy(GRANTED)];
            let userpass = [Turn::Asks(alice()), Turn::Sends(USERPASS), Turn::Proxy(USERPASS_GOOD)];
            match code {
                0 if methods.contains(&NoAuth) => {
                    opens(|| offering(methods), &[&chosen[..], &request[..]].concat());
                }
                2 if methods.contains(&UserPass) => {
                    opens(|| offering(methods), &[&chosen[..], &userpass[..], &request[..]].concat());
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
fn no_acceptable_method_tells_what_was_offered() {
    let error = methods_answered(&[NoAuth], &[5, 1, 0], &[5, 0xff]);
    assert_eq!(error.to_string(), "accepts none of the authentication methods we offered (none)");
    assert!(error.hint().unwrap().contains("SOCKS5_PASSWORD"));

    let error = methods_answered(&[NoAuth, UserPass], GREETING, &[5, 0xff]);
    assert_eq!(error.to_string(), "accepts none of the authentication methods we offered (none, userpass)");
    assert!(!error.hint().unwrap().contains("SOCKS5_PASSWORD"));
}

#[test]
fn any_status_but_0_refuses_the_password() {
    for status in 1..=255 {
        let error = status_answered(&[1, status]);
        assert_eq!(error.to_string(), "did not accept user 'alice' and the password");
        assert_eq!(error.hint(), Some("check the user name and the password"));
    }
}

#[test]
fn the_status_has_a_version_of_its_own() {
    for version in (0..=255).filter(|&version| version != 1) {
        let expected = "version 1 of user/password authentication";
        assert_eq!(status_answered(&[version]), Error::NotTheProtocol { expected, got: version });
        assert_eq!(status_answered(&[version, 0]), Error::NotTheProtocol { expected, got: version });
    }
}

/// What is sent for these credentials, or why they are refused when they are given.
fn userpass(user: &str, password: &str) -> Result<Vec<u8>, Error> {
    let mut machine = machine();
    machine.step()?;
    machine.receive(USERPASS_CHOSEN)?;
    assert_eq!(machine.step(), Ok(Step::Credentials));
    machine.credentials(login(user, password))?;
    match machine.step()? {
        Step::Send(wire) => {
            assert_eq!(wire.masked("?"), b"?", "none of it is to be shown");
            Ok(wire.bytes().to_vec())
        }
        step => unreachable!("{step:?}"),
    }
}

#[test]
fn user_and_password_have_1_to_255_bytes() {
    for (user, password) in [("a", "b"), (&*"u".repeat(255), &*"p".repeat(255)), ("jörg", "pässword ")] {
        let wire = userpass(user, password).unwrap();
        let (user_length, password_length) = (u8::try_from(user.len()), u8::try_from(password.len()));
        let user = [&[user_length.unwrap()], user.as_bytes()].concat();
        let password = [&[password_length.unwrap()], password.as_bytes()].concat();
        assert_eq!(wire, [&[1][..], &user, &password].concat());
    }
    for (user, password) in [("", "b"), ("a", ""), ("", "")] {
        assert!(matches!(userpass(user, password), Err(Error::NotEncodable(_))));
    }
    let long = "x".repeat(256);
    for (user, password, what) in [(&*long, "b", "the user name"), ("a", &*long, "the password")] {
        let due = Error::TooLong { what, length: 256, protocol: "SOCKS5", limit: 255 };
        assert_eq!(userpass(user, password), Err(due));
    }
}

#[test]
fn the_target_is_sent_in_its_own_form() {
    let longest = "n".repeat(255);
    let v6 = [
        4, // an IPv6 address
        0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, // address
    ];
    let targets: [(&str, Vec<u8>); 5] = [
        ("192.0.2.7", vec![1, 192, 0, 2, 7]),
        ("ssh.example", [&[3, 11][..], b"ssh.example"].concat()),
        ("bücher.example", [&[3, 15][..], "bücher.example".as_bytes()].concat()),
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
                Turn::Proxy(NO_AUTH_CHOSEN),
                Turn::Sends(&request),
                Turn::Proxy(GRANTED),
            ],
        );
    }
}

/// Granted, with a bound address in each of its forms.
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
fn the_bound_address_is_read_in_every_form() {
    for reply in granted() {
        opens(
            machine,
            &[Turn::Sends(GREETING), Turn::Proxy(NO_AUTH_CHOSEN), Turn::Sends(REQUEST), Turn::Proxy(&reply)],
        );
    }
}

#[test]
fn the_reserved_byte_is_ignored() {
    opens(
        machine,
        &[
            Turn::Sends(GREETING),
            Turn::Proxy(NO_AUTH_CHOSEN),
            Turn::Sends(REQUEST),
            Turn::Proxy(&[5, 0, 0xee, 1, 10, 0, 0, 1, 8, 4]),
        ],
    );
}

#[test]
fn another_form_of_the_bound_address_is_an_error() {
    for form in (0..=255).filter(|form| ![1, 3, 4].contains(form)) {
        assert_eq!(replied(&[5, 0, 0, form, 10, 0, 0, 1, 8, 4]), Error::AddressType(form));
    }
}

#[test]
fn every_code_but_0_is_a_refusal_in_words() {
    for code in 1..=255 {
        let words = match code {
            1 => "general failure of the proxy",
            2 => "the proxy's rules do not allow it",
            3 => "network unreachable from the proxy",
            4 => "host unreachable from the proxy, or its name is unknown there",
            5 => "connection refused by the target",
            6 => "the target is too far away from the proxy, TTL expired",
            7 => "the proxy does not know the command CONNECT",
            8 => "the proxy does not know this type of address",
            _ => "for a reason that SOCKS5 has no words for",
        };
        let error = replied(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(error.to_string(), format!("refused 192.0.2.7:22: {words} (SOCKS5 reply {code})"));
        assert_eq!(replied(&[5, code]), error, "two bytes are enough");
    }
}

#[test]
fn a_refusal_suggests_who_else_may_resolve_the_name() {
    for (code, hint) in [(4, Some("check the name, or try -R local")), (8, Some("try -R remote")), (9, None)]
    {
        assert_eq!(replied(&[5, code]).hint(), hint);
    }
}

#[test]
fn other_protocols_are_told_from_the_first_byte() {
    for got in (0..=255).filter(|&got| got != 5) {
        let due = Error::NotTheProtocol { expected: "SOCKS version 5", got };
        assert_eq!(methods_answered(&[NoAuth], &[5, 1, 0], &[got]), due);
        assert_eq!(replied(&[got]), due);
    }
}

#[test]
fn a_hint_names_the_protocol_it_may_be() {
    for (answer, hint) in [
        (&b"HTTP/1.0 400 Bad Request\r\n"[..], "it may be an HTTP proxy: try -H"),
        (&[0, 91, 0, 0, 0, 0, 0, 0], "it may speak SOCKS version 4: try -4"),
    ] {
        assert_eq!(methods_answered(&[NoAuth], &[5, 1, 0], answer).hint(), Some(hint));
    }
}

#[test]
fn a_reply_cut_short_is_an_error_wherever_it_is_cut() {
    let method = "the answer to the SOCKS5 greeting";
    let status = "the answer to user and password";
    let request = "the answer to the SOCKS5 request";
    for length in 0..2 {
        let turns = [Turn::Sends(GREETING), Turn::Proxy(&USERPASS_CHOSEN[..length]), Turn::Closes];
        assert_eq!(fails(machine, &turns), Error::Closed(method));
        let turns = [
            Turn::Sends(GREETING),
            Turn::Proxy(USERPASS_CHOSEN),
            Turn::Asks(alice()),
            Turn::Sends(USERPASS),
            Turn::Proxy(&USERPASS_GOOD[..length]),
            Turn::Closes,
        ];
        // A proxy that closes without a word did not like what it was told.
        let closed = Error::WrongPassword { user: "alice".into(), text: "(it closed the connection)".into() };
        let expected = if length == 0 { closed } else { Error::Closed(status) };
        assert_eq!(fails(machine, &turns), expected);
    }
    for reply in granted() {
        for length in 0..reply.len() {
            let turns = [
                Turn::Sends(GREETING),
                Turn::Proxy(NO_AUTH_CHOSEN),
                Turn::Sends(REQUEST),
                Turn::Proxy(&reply[..length]),
                Turn::Closes,
            ];
            // Every fragmentation of every length would be 30,000 conversations that add nothing.
            for cut in [Cut::InOneLump, Cut::ByteByByte] {
                assert_eq!(run(machine(), &turns, cut).result, Err(Error::Closed(request)));
            }
        }
    }
}

/// Some proxies answer everything at once: each answer is kept for its turn.
#[test]
fn it_takes_no_more_than_it_asked_for() {
    for reply in granted() {
        let all = [NO_AUTH_CHOSEN, &reply, BANNER].concat();
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
fn a_restart_forgets_half_a_reply_and_keeps_the_credentials() {
    let mut machine = machine();
    machine.step().unwrap();
    machine.receive(USERPASS_CHOSEN).unwrap();
    machine.credentials(alice()).unwrap();
    machine.step().unwrap();
    machine.receive(&USERPASS_GOOD[..1]).unwrap();
    machine.restart();
    let turns = [
        Turn::Sends(GREETING),
        Turn::Proxy(USERPASS_CHOSEN),
        Turn::Sends(USERPASS),
        Turn::Proxy(USERPASS_GOOD),
        Turn::Sends(REQUEST),
        Turn::Proxy(GRANTED),
    ];
    assert_eq!(run(machine, &turns, Cut::InOneLump).result, Ok(()));
}

/// All that has been sent before the first answer came.
const EVERYTHING: [&[u8]; 3] = [&[5, 1, 2], USERPASS, REQUEST];

#[test]
fn an_eager_one_with_a_single_method_says_everything_at_once() {
    let eager = || offering(&[UserPass]).with_credentials(Some(alice())).eager(true);
    let everything = EVERYTHING.concat();
    let answers = [USERPASS_CHOSEN, USERPASS_GOOD, GRANTED].concat();
    opens(eager, &[Turn::Sends(&everything), Turn::Proxy(&answers)]);

    let turns = [Turn::Sends(&everything), Turn::Proxy(USERPASS_CHOSEN), Turn::Proxy(&[1, 1])];
    assert!(matches!(fails(eager, &turns), Error::WrongPassword { user, .. } if user == "alice"));
    let turns = [Turn::Sends(&everything), Turn::Proxy(NO_AUTH_CHOSEN)];
    assert_eq!(fails(eager, &turns), Error::MethodNotOffered(0));
}

/// Without the password it asks, and then the rest is sent in turn.
#[test]
fn an_eager_one_that_lacks_something_is_not() {
    let turns = [
        Turn::Sends(&[5, 1, 2]),
        Turn::Proxy(USERPASS_CHOSEN),
        Turn::Asks(alice()),
        Turn::Sends(USERPASS),
        Turn::Proxy(USERPASS_GOOD),
        Turn::Sends(REQUEST),
        Turn::Proxy(GRANTED),
    ];
    opens(|| offering(&[UserPass]).eager(true), &turns);
}

#[test]
fn a_restart_makes_an_eager_one_say_everything_again() {
    let mut machine = offering(&[UserPass]).with_credentials(Some(alice())).eager(true);
    assert!(!machine.is_fully_sent());
    machine.step().unwrap();
    assert!(machine.is_fully_sent());
    machine.receive(USERPASS_CHOSEN).unwrap();
    machine.restart();
    assert!(!machine.is_fully_sent());
    let Ok(Step::Send(wire)) = machine.step() else { panic!("nothing sent") };
    assert_eq!(wire.bytes(), EVERYTHING.concat());
    assert_eq!(wire.masked(""), [EVERYTHING[0], REQUEST].concat());
    let (length, twice) = (wire.bytes().len(), wire.concat(&machine_says_everything()));
    assert_eq!(twice.bytes().len(), 2 * length);
    assert_eq!(twice.masked(""), [EVERYTHING[0], REQUEST, EVERYTHING[0], REQUEST].concat());
}

fn machine_says_everything() -> crate::proto::Wire {
    let mut machine = offering(&[UserPass]).with_credentials(Some(alice())).eager(true);
    let Ok(Step::Send(wire)) = machine.step() else { panic!("nothing sent") };
    wire
}
