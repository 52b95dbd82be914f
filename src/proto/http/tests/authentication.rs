//! Tests of challenges, answered on the same connection or on a new one.

use super::{
    Connect, ESTABLISHED, REQUEST, REQUEST_OF_ALICE, answered, connecting_to, machine, machine_of_alice,
};
use crate::proto::testing::{Turn, alice, endpoint, fails, opens};
use crate::proto::{Awaited, Credentials, Error, Negotiation as _, Redactor, Unusable, UnusableScheme};
use crate::secret::Secret;

/// Returns an HTTP/1.1 challenge with these header lines and this body.
fn challenge(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 407 Authenticate\r\nProxy-Authenticate: Basic realm=\"x\"\r\n{fields}\r\n\r\n{body}")
}

/// Checks that the password is sent on the same connection.
fn is_answered_on_the_same_connection(challenge: &str) {
    opens(
        machine,
        &[
            Turn::Sends(REQUEST),
            Turn::Proxy(challenge.as_bytes()),
            Turn::Asks(alice()),
            Turn::Sends(REQUEST_OF_ALICE),
            Turn::Proxy(ESTABLISHED),
        ],
    );
}

/// Checks that the password is sent on a new connection.
fn is_answered_on_a_new_connection(challenge: &str) {
    opens(
        machine,
        &[
            Turn::Sends(REQUEST),
            Turn::Proxy(challenge.as_bytes()),
            Turn::Asks(alice()),
            Turn::Reconnects,
            Turn::Sends(REQUEST_OF_ALICE),
            Turn::Proxy(ESTABLISHED),
        ],
    );
}

#[test]
fn a_body_is_drained_to_keep_the_connection() {
    let chunked = "Transfer-Encoding: chunked";
    for (fields, body) in [
        ("Content-Length: 0", ""),
        ("Content-Length: 10", "0\r\n\r\nHTTP/"),
        ("Content-Length: 3, 3\r\nContent-Length: 3", "abc"),
        ("content-length:\t0003 ", "abc"),
        (chunked, "0\r\n\r\n"),
        (chunked, "5\r\nhello\r\n0\r\n\r\n"),
        (chunked, "00A;name=\"v\" ; x\r\n0123456789\r\nb\r\n0\r\n\r\nabcdef\r\n000\r\n\r\n"),
        (chunked, "1\nx\n0\nTrailer: y\nOther: z\n\n"),
        (chunked, "3 ;x\r\nabc\r\n0;last\r\nTrailer: y\r\nOther: z\r\n\r\n"),
        ("transfer-encoding: gzip\r\nTransfer-Encoding: Chunked", "1\r\nx\r\n0\r\n\r\n"),
        // Transfer-Encoding overrides Content-Length (RFC 9112 §6.3).
        ("Content-Length: 1\r\nTransfer-Encoding: chunked", "2\r\nxx\r\n0\r\n\r\n"),
        ("Content-Length: 0\r\nConnection: keep-alive", ""),
    ] {
        is_answered_on_the_same_connection(&challenge(fields, body));
    }
}

#[test]
fn status_401_is_a_challenge_as_well() {
    for field in ["WWW-Authenticate", "Proxy-Authenticate"] {
        is_answered_on_the_same_connection(&format!(
            "HTTP/1.1 401 Unauthorized\n{field}: basic\nContent-Length: 1\n\nx"
        ));
    }
    is_answered_on_the_same_connection(
        "HTTP/1.1 407 x\r\nWWW-Authenticate: BASIC\r\nContent-Length: 0\r\n\r\n",
    );
}

#[test]
fn a_challenge_may_follow_an_interim_response() {
    let challenge = challenge("Content-Length: 2", "no");
    is_answered_on_the_same_connection(&format!("HTTP/1.1 100 Continue\r\n\r\n{challenge}"));
}

#[test]
fn http_1_0_keeps_the_connection_only_with_keep_alive() {
    for field in ["Connection: Keep-Alive", "Proxy-Connection: keep-alive", "Connection: x, keep-alive ,y"] {
        is_answered_on_the_same_connection(
            &challenge(&format!("{field}\r\nContent-Length: 1"), "x").replace("1.1", "1.0"),
        );
    }
    is_answered_on_a_new_connection(&challenge("Content-Length: 1", "x").replace("1.1", "1.0"));
}

#[test]
fn a_connection_that_cannot_be_kept_is_replaced() {
    for (fields, body) in [
        ("Connection: close\r\nContent-Length: 1", "x"),
        ("Connection: CLOSE\r\nContent-Length: 0", ""),
        ("Proxy-Connection: close\r\nContent-Length: 0", ""),
        ("Connection: keep-alive, close\r\nContent-Length: 0", ""),
        // The body ends at EOF.
        ("Via: x", "some text"),
        ("Transfer-Encoding: gzip", "some text"),
        // Conflicting or invalid lengths.
        ("Content-Length: 1, 2", "xx"),
        ("Content-Length: 1\r\nContent-Length: 2", "xx"),
        ("Content-Length: +1", "x"),
        ("Content-Length: -1", "x"),
        ("Content-Length: 0x1", "x"),
        ("Content-Length: 99999999999999999999999999", "x"),
        ("Content-Length:", ""),
        ("Content-Length: 1 1", "x"),
    ] {
        is_answered_on_a_new_connection(&challenge(fields, body));
    }
}

#[test]
fn malformed_chunks_cost_the_connection() {
    for body in [
        "x\r\n",
        "-1\r\n",
        "+1\r\nx",
        "0x1\r\nx",
        "1\r\nxx\r\n",
        "10000000000000000\r\n",
        "\r\n",
        ";x\r\n",
        "1_0\r\n",
    ] {
        is_answered_on_a_new_connection(&challenge("Transfer-Encoding: chunked", body));
    }
    let endless_size = "0".repeat(10_000);
    is_answered_on_a_new_connection(&challenge("Transfer-Encoding: chunked", &endless_size));
}

#[test]
fn a_body_of_64_kib_is_drained_and_a_longer_one_costs_the_connection() {
    const LIMIT: usize = 64 * 1024;
    let length = |length: usize| challenge(&format!("Content-Length: {length}"), &"x".repeat(length));
    is_answered_on_the_same_connection(&length(LIMIT));
    is_answered_on_a_new_connection(&length(LIMIT + 1));
    // The announced length decides, not how much of the body has arrived.
    is_answered_on_a_new_connection(&challenge("Content-Length: 18446744073709551615", ""));

    let chunked = |body: &str| challenge("Transfer-Encoding: chunked", body);
    let data = |length: usize| format!("{length:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(length));
    let framing = data(LIMIT - 100).len() - (LIMIT - 100);
    is_answered_on_the_same_connection(&chunked(&data(LIMIT - framing)));
    is_answered_on_a_new_connection(&chunked("ffffffffffffffff\r\nx"));
    is_answered_on_a_new_connection(&chunked(&"1\r\nx\r\n".repeat(LIMIT / 6 + 1)));
    // The limit applies even if the end of the body arrives together with the rest.
    is_answered_on_a_new_connection(&chunked(&format!("{}0\r\n\r\n", "1\r\nx\r\n".repeat(LIMIT / 6 + 1))));
    is_answered_on_a_new_connection(&chunked(&format!("0\r\n{}", "Trailer: x\r\n".repeat(LIMIT / 12 + 1))));
}

#[test]
fn a_truncated_body_costs_the_connection() {
    for challenge in [challenge("Content-Length: 5", "x"), challenge("Transfer-Encoding: chunked", "5\r\nx")]
    {
        opens(
            machine,
            &[
                Turn::Sends(REQUEST),
                Turn::Proxy(challenge.as_bytes()),
                Turn::Closes,
                Turn::Asks(alice()),
                Turn::Reconnects,
                Turn::Sends(REQUEST_OF_ALICE),
                Turn::Proxy(ESTABLISHED),
            ],
        );
    }
}

/// The negotiation used to wait for the rest until the deadline.
#[test]
fn a_body_shorter_than_its_length_on_an_open_connection_used_up_the_time_limit() {
    for challenge in [challenge("Content-Length: 5", "x"), challenge("Transfer-Encoding: chunked", "5\r\nx")]
    {
        opens(
            machine,
            &[
                Turn::Sends(REQUEST),
                Turn::Proxy(challenge.as_bytes()),
                Turn::Pauses,
                Turn::Asks(alice()),
                Turn::Reconnects,
                Turn::Sends(REQUEST_OF_ALICE),
                Turn::Proxy(ESTABLISHED),
            ],
        );
    }
}

#[test]
fn a_kept_connection_that_the_proxy_closed_is_replaced_once() {
    let challenge = challenge("Content-Length: 0", "");
    let closed = [
        Turn::Sends(REQUEST),
        Turn::Proxy(challenge.as_bytes()),
        Turn::Asks(alice()),
        Turn::Sends(REQUEST_OF_ALICE),
        Turn::Closes,
        Turn::Reconnects,
        Turn::Sends(REQUEST_OF_ALICE),
    ];
    opens(machine, &[&closed[..], &[Turn::Proxy(ESTABLISHED)]].concat());
    let error = fails(machine, &[&closed[..], &[Turn::Closes]].concat());
    assert_eq!(error, Error::Closed(Awaited::HttpResponse));
}

#[test]
fn a_truncated_second_response_is_an_error() {
    let challenge = challenge("Content-Length: 0", "");
    let error = fails(
        machine,
        &[
            Turn::Sends(REQUEST),
            Turn::Proxy(challenge.as_bytes()),
            Turn::Asks(alice()),
            Turn::Sends(REQUEST_OF_ALICE),
            Turn::Proxy(b"HTTP/1.1 200"),
            Turn::Closes,
        ],
    );
    assert_eq!(error, Error::Closed(Awaited::HttpResponseRest));
}

#[test]
fn several_challenges_may_be_in_one_header_line_or_in_several() {
    for fields in [
        "Proxy-Authenticate: Negotiate, Basic realm=\"a, b\"",
        "Proxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Basic realm=x",
        "Proxy-Authenticate: Digest realm=\"Basic, x\", nonce=\"a\\\"b,\", qop=\"auth-int\", Basic realm=\"y\"",
        "proxy-authenticate: bAsIc",
        "Proxy-Authenticate: Digest realm=\"x\",\r\n  Basic realm=\"y\"",
        "Proxy-Authenticate: Negotiate YII=, , Basic charset=\"UTF-8\"",
    ] {
        is_answered_on_the_same_connection(&format!(
            "HTTP/1.1 407 x\r\nContent-Length: 0\r\n{fields}\r\n\r\n"
        ));
    }
}

#[test]
fn unsupported_schemes_are_listed() {
    for (fields, offered) in [
        ("Proxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n", "Negotiate, NTLM"),
        (
            "Proxy-Authenticate: Digest realm=\"Basic\", nonce=\"Basic, Basic\", algorithm=SHA-1\r\n",
            "Digest (unsupported algorithm SHA-1)",
        ),
        ("Proxy-Authenticate: Digest Basic=\"x\", Basic = y\r\n", "Digest (malformed challenge)"),
        (
            "Proxy-Authenticate: Digest realm=\"x\", nonce=\"y\", qop=\"auth-int\", NTLM\r\n",
            "Digest (no quality of protection 'auth'), NTLM",
        ),
        ("Proxy-Authenticate: Basically\r\n", "Basically"),
        ("Proxy-Authenticate: Bearer\x1b[2J\r\n", "Bearer"),
    ] {
        for status in [401, 407] {
            let error = answered(format!("HTTP/1.1 {status} x\r\n{fields}\r\n").as_bytes());
            let expected = format!("requires unsupported authentication: {offered} (HTTP status {status})");
            assert_eq!(error.to_string(), expected);
        }
    }
}

#[test]
fn a_challenge_without_a_scheme_is_an_error() {
    for field in ["Proxy-Authenticate: ", "X-Authenticate: Basic"] {
        let error = answered(format!("HTTP/1.1 407 x\r\n{field}\r\n\r\n").as_bytes());
        assert_eq!(error, Error::NoScheme { offered: Vec::new(), status: 407 });
        assert_eq!(error.to_string(), "requires authentication but offers no scheme (HTTP status 407)");
    }
}

#[test]
fn a_long_list_of_schemes_is_truncated_at_a_whole_name() {
    let schemes = "Scheme, ".repeat(1000);
    let error = answered(format!("HTTP/1.1 407 x\r\nProxy-Authenticate: {schemes}\r\n\r\n").as_bytes());
    let list = format!("{}994 more", "Scheme, ".repeat(6));
    assert_eq!(error.to_string(), format!("requires unsupported authentication: {list} (HTTP status 407)"));
}

/// A long name used to push the next scheme out of the list from which the hint is chosen.
#[test]
fn a_long_scheme_name_does_not_hide_the_next_scheme() {
    let field = format!("Proxy-Authenticate: {}, Negotiate", "x".repeat(500));
    let error = answered(format!("HTTP/1.1 407 x\r\n{field}\r\n\r\n").as_bytes());
    let list = format!("{}…, Negotiate", "x".repeat(40));
    assert_eq!(error.to_string(), format!("requires unsupported authentication: {list} (HTTP status 407)"));
    let Error::NoScheme { offered, .. } = error else { unreachable!("{error:?}") };
    let negotiate = UnusableScheme { name: "Negotiate".into(), reason: Unusable::NeedsRelay };
    assert_eq!(offered[1..], [negotiate]);
}

#[test]
fn a_rejected_password_is_not_sent_again() {
    let rejection = |reason: &str| format!("HTTP/1.1 407{reason}\r\nProxy-Authenticate: Basic\r\n\r\n");
    for (reason, text) in
        [(" Denied", "(407 Denied)"), (" D\x1b[2J", "(407 D\\x1b[2J)"), ("", "(407)"), (" ", "(407)")]
    {
        let rejection = rejection(reason);
        let turns = [Turn::Sends(REQUEST_OF_ALICE), Turn::Proxy(rejection.as_bytes())];
        let error = fails(machine_of_alice, &turns);
        assert_eq!(error.to_string(), format!("rejected user 'alice': authentication failed {text}"));
    }

    let challenge = challenge("Content-Length: 0", "");
    let error = fails(
        machine,
        &[
            Turn::Sends(REQUEST),
            Turn::Proxy(challenge.as_bytes()),
            Turn::Asks(alice()),
            Turn::Sends(REQUEST_OF_ALICE),
            Turn::Proxy(challenge.as_bytes()),
        ],
    );
    assert!(matches!(error, Error::WrongPassword { .. }), "{error:?}");

    let rejection = rejection(" Denied");
    let error = fails(
        machine,
        &[
            Turn::Sends(REQUEST),
            Turn::Proxy(rejection.as_bytes()),
            Turn::Asks(alice()),
            Turn::Reconnects,
            Turn::Sends(REQUEST_OF_ALICE),
            Turn::Proxy(rejection.as_bytes()),
        ],
    );
    assert!(matches!(error, Error::WrongPassword { .. }), "{error:?}");
}

#[test]
fn a_refusal_after_the_password_is_not_about_the_password() {
    let error = fails(
        machine_of_alice,
        &[Turn::Sends(REQUEST_OF_ALICE), Turn::Proxy(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")],
    );
    assert_eq!(error.to_string(), "refused to connect to ssh.example:22: 403 No");
}

/// The long prefix causes the message to be truncated in the middle of the secret.
#[test]
fn a_password_echoed_by_the_proxy_does_not_appear_in_the_message() {
    for secret in ["hunter2-opensesame", "YWxpY2U6aHVudGVyMi1vcGVuc2VzYW1l"] {
        for before in ["", &"x".repeat(150)] {
            for answer in [
                "HTTP/1.1 403 {}\r\nContent-Length: 0\r\n\r\n",
                "HTTP/1.1 500 No\r\nContent-Length: 999\r\n\r\n{}",
                "HTTP/1.1 500 No\r\nContent-Type: text/html\r\nContent-Length: 999\r\n\r\n<title>{}</title>",
                "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
                "HTTP/1.1 407 {}\r\nProxy-Authenticate: Basic\r\n\r\n",
                "HTTP/1.1 407 x\r\nProxy-Authenticate: {}\r\n\r\n",
                "HTTP/1.1 200 OK\r\n{}\r\n\r\n",
                "{}\r\n\r\n",
            ] {
                let answer = answer.replace("{}", &format!("{before}{secret}"));
                let mut machine = machine_of_alice();
                machine.step().unwrap();
                let message = error_after(&mut machine, answer.as_bytes()).to_string();
                assert!(!message.contains(&secret[..8]), "{message}");
                assert!(
                    !machine
                        .redactor
                        .redact(answer.as_bytes())
                        .windows(8)
                        .any(|part| part == &secret.as_bytes()[..8])
                );
            }
        }
    }
}

/// Returns the message for this answer to a request with this password.
fn message_for(password: &[u8], answer: &[u8]) -> String {
    let credentials = Credentials { user: "alice".into(), password: Secret::new(password.to_vec()) };
    let mut machine = connecting_to(endpoint("ssh.example", "22")).with_credentials(Some(credentials));
    machine.step().unwrap();
    error_after(&mut machine, answer).to_string()
}

/// Returns the error if the proxy sends this answer and closes the connection.
fn error_after(machine: &mut Connect, mut answer: &[u8]) -> Error {
    while !answer.is_empty() {
        match machine.step().and_then(|_| machine.receive(answer)) {
            Ok(length) => answer = &answer[length..],
            Err(error) => return error,
        }
    }
    machine.closed().unwrap_err()
}

/// The character references in a title were decoded after the password had been masked.
#[test]
fn a_password_that_the_proxy_echoed_in_an_encoding_appeared_in_the_message() {
    for answer in [
        "HTTP/1.1 500 No\r\n\r\n<title>me:hunt&lt;er2&gt;&quot;ok&#39;</title>",
        "HTTP/1.1 500 No\r\n\r\n<title>me:hunt&amp;lt;er2&gt;&quot;ok&#39;</title>",
        "HTTP/1.1 500 No\r\nContent-Type: text/html\r\n\r\n<title>me:hunt<er2>\"ok'</title>",
        "HTTP/1.1 500 No\r\n\r\nme:hunt%3cer2%3E%22ok'\r\n",
        "HTTP/1.1 302 hunt<er2>\\\"ok'\r\nLocation: /?me:hunt%3Cer2%3E%22ok%27\r\n\r\n",
        "HTTP/1.1 407 hunt\\u003cer2>\"ok'\r\nProxy-Authenticate: Basic\r\n\r\n",
    ] {
        let message = message_for(b"hunt<er2>\"ok'", answer.as_bytes());
        assert!(!message.contains("hunt") && !message.contains("er2"), "{answer}: {message}");
        assert!(message.contains("xxxxx"), "{message}");
    }
}

/// Each step that takes a text apart, or changes it, has to see it masked.
#[test]
fn a_part_of_an_echoed_password_appeared_in_the_message() {
    let blank_lines = "\n".repeat(4096 - "hunter2-open".len());
    for (password, answer) in [
        // A scheme's name ends at a character that is not part of a token.
        ("hunter2@open", "HTTP/1.1 407 No\r\nProxy-Authenticate: hunter2@open\r\n\r\n".to_owned()),
        ("hunter2,open", "HTTP/1.1 407 No\r\nProxy-Authenticate: hunter2,open\r\n\r\n".into()),
        // The name of an algorithm was shown in upper case.
        (
            "hunter2-open",
            "HTTP/1.1 407 No\r\nProxy-Authenticate: Digest realm=r, nonce=n, algorithm=hunter2-open\r\n\r\n"
                .into(),
        ),
        // The body is read up to a limit, and may end early.
        ("hunter2-opensesame", format!("HTTP/1.1 403 No\r\n\r\n{blank_lines}hunter2-opensesame")),
        ("hunter2-opensesame", "HTTP/1.1 403 No\r\n\r\nhunter2-open".into()),
        ("hunter2-opensesame", "hunter2-open".into()),
        // Only a part of the line is shown.
        ("hunter2:open", "HTTP/1.1 200 No\r\nX: hunter2:open\r\nhunter2:open\r\n\r\n".into()),
        ("hunter2 open", "HTTP/1.1 302 No\r\nLocation: hunter2\r\n open\r\n\r\n".into()),
    ] {
        let message = message_for(password.as_bytes(), answer.as_bytes());
        assert!(!message.to_ascii_lowercase().contains("hunter2"), "{answer}: {message}");
    }
}

#[test]
fn a_password_that_is_not_utf_8_was_masked_only_after_decoding() {
    for answer in [
        &b"HTTP/1.1 403 \xc3\xa9hunter2\xff\r\nContent-Length: 0\r\n\r\n"[..],
        b"HTTP/1.1 302 No\r\nLocation: \xc3\xa9hunter2\xff\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 403 No\r\n\r\n\xc3\xa9hunter2\xff",
        b"HTTP/1.1 403 No\r\n\r\n<title>\xc3\xa9hunter2\xff",
        b"HTTP/1.1 200 No\r\n\xc3\xa9hunter2\xff\r\n\r\n",
        b"\xc3\xa9hunter2\xff\r\n\r\n",
    ] {
        let message = message_for(b"\xa9hunter2\xff", answer);
        assert!(!message.contains("hunter2"), "{message}");
    }
}

/// The first proxy of a chain sees the password for the second, and can answer instead of it.
#[test]
fn the_password_of_another_hop_is_masked_as_well() {
    let redactor = Redactor::default();
    redactor.add(&"for-another-hop".into());
    let mut machine = machine_of_alice().with_redactor(redactor.clone());
    machine.step().unwrap();
    machine.receive(b"HTTP/1.1 403 for-another-hop\r\n\r\n").unwrap();
    assert_eq!(machine.closed().unwrap_err().to_string(), "refused to connect to ssh.example:22: 403 xxxxx");
    assert_eq!(redactor.printable(b"hunter2-opensesame"), "xxxxx", "the other hop gets our secrets");
}

#[test]
fn a_short_password_is_not_masked() {
    let alice = Credentials { user: "alice".into(), password: "No".into() };
    let mut machine = connecting_to(endpoint("ssh.example", "22")).with_credentials(Some(alice));
    machine.step().unwrap();
    machine.receive(b"HTTP/1.1 403 No\r\n\r\n").unwrap();
    assert_eq!(machine.closed().unwrap_err().to_string(), "refused to connect to ssh.example:22: 403 No");
}
