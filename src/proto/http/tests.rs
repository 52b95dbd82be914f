#![allow(clippy::unwrap_used)]

use super::{Connect, Scheme, Settings};
use crate::addr::Endpoint;
use crate::proto::testing::{
    BASIC, Cut, Turn, alice, endpoint, fails, is_fit_to_be_shown, login, opens, run,
};
use crate::proto::{Awaited, Error, Limit, Negotiation as _, Step, Unencodable};

mod authentication;
mod forward;
mod headers;
mod learned;
mod page;
mod refusal;
mod schemes;

const REQUEST: &[u8] = b"CONNECT ssh.example:22 HTTP/1.1\r\n\
    Host: ssh.example:22\r\n\
    \r\n";

/// `REQUEST` with the credentials of `alice()`.
const REQUEST_OF_ALICE: &[u8] = b"CONNECT ssh.example:22 HTTP/1.1\r\n\
    Host: ssh.example:22\r\n\
    Proxy-Authorization: Basic YWxpY2U6aHVudGVyMi1vcGVuc2VzYW1l\r\n\
    \r\n";

const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// Returns a state machine with default settings and the random bytes `[7; 16]`.
fn connecting_to(target: Endpoint) -> Connect {
    Connect::new(target, Settings::default(), || Some([7; 16]))
}

fn machine() -> Connect {
    connecting_to(endpoint("ssh.example", "22"))
}

fn machine_of_alice() -> Connect {
    connecting_to(endpoint("ssh.example", "22")).with_credentials(Some(alice()))
}

/// Returns the error that this response causes.
fn answered(answer: &[u8]) -> Error {
    fails(machine, &[Turn::Sends(REQUEST), Turn::Proxy(answer)])
}

fn established_by(answer: &[u8]) {
    opens(machine, &[Turn::Sends(REQUEST), Turn::Proxy(answer)]);
}

/// Checks that no part of this response establishes a tunnel. Unlike `fails`, allows the error to
/// depend on the fragmentation.
fn malformed(answer: &[u8]) {
    let shown = answer.escape_ascii();
    for size in [1, 9, answer.len()] {
        let mut machine = machine();
        machine.step().unwrap();
        let mut parts = answer.chunks(size);
        let error = parts.find_map(|part| {
            let taken = machine.receive(part);
            assert_ne!(machine.step(), Ok(Step::Done), "{shown}");
            taken.err()
        });
        let error = error.unwrap_or_else(|| machine.closed().unwrap_err());
        assert!(
            matches!(error, Error::NotHttp { .. } | Error::MalformedHttp(_) | Error::Closed(_)),
            "{shown}: {error}"
        );
        is_fit_to_be_shown(&error);
    }
}

#[test]
fn request_line_and_host_both_contain_the_target() {
    for (host, authority) in [
        ("ssh.example", "ssh.example:8022"),
        ("192.0.2.7", "192.0.2.7:8022"),
        ("2001:db8::7", "[2001:db8::7]:8022"),
        ("[2001:db8::7]", "[2001:db8::7]:8022"),
    ] {
        let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        opens(
            || connecting_to(endpoint(host, "8022")),
            &[Turn::Sends(request.as_bytes()), Turn::Proxy(ESTABLISHED)],
        );
    }
}

#[test]
fn a_known_password_is_sent_with_the_first_request() {
    opens(machine_of_alice, &[Turn::Sends(REQUEST_OF_ALICE), Turn::Proxy(ESTABLISHED)]);
}

#[test]
fn exactly_the_credentials_are_secret() {
    let Ok(Step::Send(wire)) = machine_of_alice().step() else { unreachable!() };
    let shown = String::from_utf8(REQUEST_OF_ALICE.to_vec()).unwrap().replace(BASIC, "?");
    assert_eq!(String::from_utf8(wire.masked("?")).unwrap(), shown);
    assert!(wire.is_secret());
    assert!(format!("{wire:?}").contains("Basic ****\\r\\n"), "{wire:?}");

    let Ok(Step::Send(wire)) = machine().step() else { unreachable!() };
    assert_eq!(wire.masked("?"), REQUEST);
    assert!(!wire.is_secret());
}

#[test]
fn credentials_are_sent_as_utf_8_in_base64() {
    for (user, password, encoded) in [
        ("jörg", "pässwörd €", "asO2cmc6cMOkc3N3w7ZyZCDigqw="),
        ("a", "b:c d", "YTpiOmMgZA=="),
        ("alice", "", "YWxpY2U6"),
        ("", "", "Og=="),
    ] {
        let machine =
            || connecting_to(endpoint("ssh.example", "22")).with_credentials(Some(login(user, password)));
        let request =
            String::from_utf8(REQUEST_OF_ALICE.to_vec()).unwrap().replace(BASIC, encoded).into_bytes();
        opens(machine, &[Turn::Sends(&request), Turn::Proxy(ESTABLISHED)]);
    }
}

#[test]
fn credentials_that_basic_cannot_encode_are_rejected_before_anything_is_sent() {
    for (user, password, why) in [
        ("al:ice", "p", Unencodable::BasicColon),
        ("al\rice", "p", Unencodable::BasicControl),
        ("al\u{7f}ice", "p", Unencodable::BasicControl),
        ("alice", "p\0", Unencodable::BasicControl),
        ("alice", "p\r\nX-Evil: 1", Unencodable::BasicControl),
        ("alice", "p\t", Unencodable::BasicControl),
    ] {
        let expected = Error::NotEncodable(why);
        let machine =
            || connecting_to(endpoint("ssh.example", "22")).with_credentials(Some(login(user, password)));
        assert_eq!(fails(machine, &[]), expected, "{user:?} {password:?}");

        let error = fails(
            self::machine,
            &[
                Turn::Sends(REQUEST),
                Turn::Proxy(b"HTTP/1.0 407 x\r\nProxy-Authenticate: Basic\r\n\r\n"),
                Turn::Asks(login(user, password)),
            ],
        );
        assert_eq!(error, expected, "{user:?} {password:?}");
    }
}

#[test]
fn any_2xx_establishes_the_tunnel_whatever_its_header_fields() {
    for status in 200..300 {
        established_by(format!("HTTP/1.1 {status} x\r\n\r\n").as_bytes());
    }
    for fields in
        ["Content-Length: 5", "Transfer-Encoding: chunked", "Connection: close", "Location: http://x/"]
    {
        for status in [200, 204, 299] {
            established_by(format!("HTTP/1.0 {status} OK\r\n{fields}\r\nVia: x\r\n\r\n").as_bytes());
        }
    }
}

#[test]
fn lines_may_end_in_a_bare_lf() {
    for answer in [
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\nVia: x\n\n",
        "HTTP/1.1 200 OK\r\nVia: x\n\r\n",
        "HTTP/1.1 200 OK\nVia: x\r\n\n",
    ] {
        established_by(answer.as_bytes());
    }
}

#[test]
fn tunnel_data_may_start_with_an_empty_line() {
    for (early, end) in [("\n", "\n\n"), ("\r\n\r\n", "\n\n"), ("\n\n", "\r\n\r\n"), ("\r\n", "\r\n\r\n")] {
        let answer = format!("HTTP/1.1 200 OK{end}{early}");
        let turns = [Turn::Sends(REQUEST), Turn::Proxy(answer.as_bytes())];
        for cut in [Cut::InOneLump, Cut::ByteByByte, Cut::At(17), Cut::At(18), Cut::At(19)] {
            let outcome = run(machine(), &turns, cut);
            assert_eq!((outcome.result, &*outcome.unread), (Ok(()), early.as_bytes()), "{cut:?}");
        }
    }
}

#[test]
fn interim_responses_are_skipped() {
    for interim in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 102 Processing\r\nContent-Length: 70\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n",
        "HTTP/1.1 199\n\n",
    ] {
        for count in 1..=3 {
            established_by(&[interim.repeat(count).as_bytes(), ESTABLISHED].concat());
        }
        let error = answered(format!("{interim}HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n").as_bytes());
        assert_eq!(error.to_string(), "refused to connect to ssh.example:22: 403 No");
    }
}

#[test]
fn status_101_is_a_refusal() {
    let error = answered(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
    assert_eq!(error.to_string(), "refused to connect to ssh.example:22: 101 Switching Protocols");
}

#[test]
fn the_reason_phrase_is_optional() {
    for line in ["HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.0 200 \t", "HTTP/1.1 200 Zugriff erlaubt, übrigens"]
    {
        established_by(format!("{line}\r\n\r\n").as_bytes());
    }
}

#[test]
fn a_malformed_status_line_establishes_no_tunnel() {
    for line in [
        "HTTP/1.1 200x OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2",
        "HTTP/1.1 +20 OK",
        "HTTP/1.1 +200 OK",
        "HTTP/1.1 0200 OK",
        "HTTP/1.1 -200 OK",
        "HTTP/1.1 2 00",
        "HTTP/1.1 000 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1 99x OK",
        "HTTP/1.1 \u{0662}00 OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1\t200 OK",
        "HTTP/1.1200 OK",
        "HTTP/1.1200",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.x 200 OK",
        "HTTP/1. 200 OK",
        "HTTP/1.10 200 OK",
        "HTTP/2 200 OK",
        "HTTP/2.0 200 OK",
        "HTTP/0.9 200 OK",
        "http/1.1 200 OK",
        " HTTP/1.1 200 OK",
        "ICY 200 OK",
        "HTTP/1.1 99999999999999999999999999 OK",
        "HTTP/1.1 65736 OK",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1 200\0OK",
        "HTTP/1.1 200 OK\rX: y",
        "200 OK",
        "\x05\u{0}",
        "SSH-2.0-OpenSSH_10.0",
        "",
    ] {
        malformed(format!("{line}\r\n\r\n").as_bytes());
    }
    malformed(b"HTTP/1.1 200 OK\r\r");
    malformed(b"HTTP/1.1 200 OK\r\n\r\r");
}

#[test]
fn another_protocol_is_recognized_before_the_end_of_a_line() {
    for answer in [&b"\x05\xff"[..], b"SSH-2.0-x", b"HTTP/2", b"hTTP", b"\0"] {
        let error = run(machine(), &[Turn::Sends(REQUEST), Turn::Proxy(answer)], Cut::InOneLump).result;
        let error = error.unwrap_err();
        assert_eq!(error, Error::NotHttp { start: answer.escape_ascii().to_string(), is_tls: false });
    }
}

#[test]
fn a_nul_in_a_reply_that_is_not_http_has_the_same_cause_in_every_fragmentation() {
    for cut in [Cut::InOneLump, Cut::ByteByByte] {
        let error = run(machine(), &[Turn::Sends(REQUEST), Turn::Proxy(b"\0\n\n")], cut).result;
        assert!(matches!(error, Err(Error::NotHttp { is_tls: false, .. })), "{cut:?}: {error:?}");
    }
}

#[test]
fn heads_have_at_most_64_kib() {
    const LIMIT: usize = 64 * 1024;
    let head = |length: usize| {
        let (start, end) = ("HTTP/1.1 200 OK\r\nX: ", "\r\n\r\n");
        format!("{start}{}{end}", "x".repeat(length - start.len() - end.len())).into_bytes()
    };
    established_by(&head(LIMIT));
    assert_eq!(answered(&head(LIMIT + 1)), Error::HeaderTooLong(64));
    assert_eq!(answered(&head(2 * LIMIT)).to_string(), "sent more than 64 KiB of HTTP header");

    // Interim responses count toward the limit.
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
    let many = interim.repeat(LIMIT / interim.len());
    let rest = LIMIT - many.len();
    assert!(rest < ESTABLISHED.len());
    assert_eq!(answered(&[&many, ESTABLISHED].concat()), Error::HeaderTooLong(64));
    let fewer = &many[..many.len() - 2 * interim.len()];
    established_by(&[fewer, &head(LIMIT - fewer.len())].concat());
    assert_eq!(answered(&[fewer, &head(LIMIT - fewer.len() + 1)].concat()), Error::HeaderTooLong(64));
}

#[test]
fn an_endless_line_is_an_error() {
    let endless = b"HTTP/1.1 200 ".iter().copied().chain(std::iter::repeat_n(b'x', 70_000));
    assert_eq!(answered(&endless.collect::<Vec<_>>()), Error::HeaderTooLong(64));
}

#[test]
fn a_response_truncated_anywhere_is_an_error() {
    let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nVia: x\r\n\r\n";
    for length in 0..answer.len() {
        let error = fails(machine, &[Turn::Sends(REQUEST), Turn::Proxy(&answer[..length]), Turn::Closes]);
        let between_responses = [0, 25].contains(&length);
        let expected = if between_responses { Awaited::HttpResponse } else { Awaited::HttpResponseRest };
        assert_eq!(error, Error::Closed(expected), "{length}");
    }
}

#[test]
fn heads_are_peeked_at_before_they_are_consumed() {
    let mut machine = machine();
    machine.step().unwrap();
    assert_eq!(machine.step(), Ok(Step::Receive(Limit::Unknown)));
    assert!(machine.is_text());
}

#[test]
fn a_restart_discards_a_partial_head() {
    let mut machine = machine();
    machine.step().unwrap();
    machine.receive(b"HTTP/1.1 2").unwrap();
    machine.restart();
    let outcome = run(machine, &[Turn::Sends(REQUEST), Turn::Proxy(ESTABLISHED)], Cut::InOneLump);
    assert_eq!(outcome.result, Ok(()));
}
