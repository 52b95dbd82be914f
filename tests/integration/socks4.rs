//! SOCKS4 and SOCKS4a with the real program.

use crate::kit::*;
use crate::wire::*;
use std::time::Duration;

const GRANTED: [u8; 8] = [0, 90, 0, 0, 0, 0, 0, 0];
/// A request to connect to 10.1.2.3:22 as the user "me".
const REQUEST: &[u8] = b"\x04\x01\x00\x16\x0a\x01\x02\x03me\x00";

fn to_address(proxy: &Server) -> Program {
    connect(format!("-4 -S me@{proxy} 10.1.2.3 22"))
}

#[test]
fn the_conversation_is_one_request_and_one_reply_in_any_fragmentation() {
    // Some servers reply with version 4 instead of 0.
    for version in [0, 4] {
        let mut reply = GRANTED;
        reply[0] = version;
        let proxy = script()
            .expect_at_once(REQUEST)
            .send_bytewise(reply)
            .send_bytewise("welcome")
            .expect("ping")
            .expect_eof()
            .serve();
        to_address(&proxy).input("ping").run().expect_success().expect_stdout("welcome");
        proxy.finish();
    }
}

#[test]
fn bytes_after_the_reply_belong_to_the_session() {
    let proxy =
        script().expect(REQUEST).send([0, 90, 1, 2, 3, 4, 5, 6]).early("SSH-2.0-x\r\n").drain().serve();
    to_address(&proxy).run().expect_success().expect_stdout("SSH-2.0-x\r\n");
    proxy.finish();
}

#[test]
fn no_session_data_is_sent_before_the_tunnel_is_established() {
    let proxy = script().expect(REQUEST).expect_silence(Duration::from_millis(100));
    expect_tunnel(proxy.send(GRANTED), to_address);
}

/// Returns the destination in the request, with the user name removed: an IPv4 address, or 0.0.0.1
/// and a host name.
#[track_caller]
fn requested(args: &str, environment: &[(&str, &str)]) -> Vec<u8> {
    let proxy = script()
        .then("read the request", |session| session.receive_up_to(1000).map(drop))
        .send(GRANTED)
        .drain()
        .serve();
    let run = connect(args.replace("{S}", &format!("me@{proxy}")));
    let run = environment.iter().fold(run, |run, (name, value)| run.env(name, value));
    run.run().expect_success();
    let mut received = proxy.finish_one().received;
    assert_eq!(received[..4], [4, 1, 0, 22], "{args}");
    assert_eq!(received[8..11], *b"me\0", "{args}");
    received.drain(8..11);
    received[4..].to_vec()
}

fn by_name(name: &str) -> Vec<u8> {
    [&[0, 0, 0, 1], name.as_bytes(), &[0]].concat()
}

#[test]
fn a_name_is_resolved_here_unless_it_is_unknown_or_delegated_to_the_proxy() {
    assert!(localhost().contains(&"127.0.0.1:22".to_owned()), "this test needs localhost in /etc/hosts");
    let here = [127, 0, 0, 1];
    for (option, variables) in [
        ("-4", &[][..]),
        ("-4 -R local", &[]),
        ("-4 -R both", &[]),
        ("-4", &[("SOCKS4_RESOLVE", "local"), ("SOCKS_RESOLVE", "remote")]),
        ("-4", &[("SOCKS5_RESOLVE", "remote")]),
        ("-4R local", &[("SOCKS4_RESOLVE", "remote")]),
    ] {
        assert_eq!(
            requested(&format!("{option} -S {{S}} localhost 22"), variables),
            here,
            "{option} {variables:?}"
        );
    }
    for (option, variables) in [
        ("-4 -R remote", &[][..]),
        ("-4R REMOTE", &[("SOCKS_RESOLVE", "local")]),
        ("-4", &[("SOCKS4_RESOLVE", "remote")]),
        ("-4", &[("SOCKS_RESOLVE", "remote")]),
    ] {
        let requested = requested(&format!("{option} -S {{S}} localhost 22"), variables);
        assert_eq!(requested, by_name("localhost"), "{option} {variables:?}");
    }
    for option in ["-4", "-4 -R both", "-4 -R remote"] {
        assert_eq!(requested(&format!("{option} -S {{S}} {UNKNOWN} 22"), &[]), by_name(UNKNOWN), "{option}");
    }
    for option in ["-4 -R local", "-4 -R remote"] {
        assert_eq!(requested(&format!("{option} -S {{S}} 10.1.2.3 22"), &[]), [10, 1, 2, 3], "{option}");
    }
}

#[test]
fn an_unknown_name_is_an_error_if_it_must_be_resolved_here() {
    for (options, variables) in [("-4R local", &[][..]), ("-4", &[("SOCKS4_RESOLVE", "local")])] {
        let run = connect(format!("{options} -S 127.0.0.1:1 {UNKNOWN} 22"));
        let run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
        run.run().expect_failure(3, &[UNKNOWN, "resolve", "-R both"]).expect_stdout("");
    }
}

#[test]
fn an_ipv6_address_is_an_error_before_anything_is_sent() {
    for target in ["::1 22", "[2001:db8::7]:22"] {
        // The program may open a connection, but must not send anything.
        let proxy = Server::repeat(|| script().expect_eof());
        connect(format!("-4 -S me@{proxy} {target}")).run().expect_failure(2, &["IPv6", "SOCKS4", "-5"]);
        proxy.finish();
    }
}

#[test]
fn every_refusal_has_a_description() {
    for (code, description) in [
        (91, "rejected"),
        (92, "cannot connect to identd"),
        (93, "different user name"),
        (0, "unknown reply code"),
        (1, "unknown reply code"),
        (255, "unknown reply code"),
    ] {
        let proxy = socks4_reply(code).serve();
        let (address, code) = (format!("SOCKS4 proxy {proxy}"), format!("reply {code}"));
        to_address(&proxy)
            .run()
            .expect_failure(5, &[&address, "10.1.2.3:22", description, &code])
            .expect_stdout("");
        proxy.finish();
    }
}

#[test]
fn another_protocol_is_recognized_by_the_first_byte() {
    for (answer, parts) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &["0x48", "HTTP", "-H"][..]),
        (&[5, 255], &["0x05"]),
        (&[90], &["0x5a"]),
    ] {
        let proxy = script().expect(REQUEST).send(answer).serve();
        let (address, mut parts) = (proxy.to_string(), parts.to_vec());
        parts.push(&address);
        to_address(&proxy).run().expect_failure(5, &parts).expect_stdout("");
        proxy.finish();
    }
}

#[test]
fn a_truncated_reply_is_an_error_that_names_the_message() {
    for length in 0..GRANTED.len() {
        let proxy = script().expect(REQUEST).send(&GRANTED[..length]).serve();
        let address = proxy.to_string();
        let parts = [&*address, "closed", "the reply to the SOCKS4 request"];
        to_address(&proxy).run().expect_failure(5, &parts).expect_stdout("");
        proxy.finish();
    }
}

/// Returns the user name that the proxy received. `{S}` in `spec` stands for the proxy's address.
#[track_caller]
fn user(spec: &str, environment: &[(&str, &str)]) -> String {
    let proxy = socks4_granted().drain().serve();
    let run = connect(format!("-4 -S {} 10.1.2.3 22", spec.replace("{S}", &proxy.to_string())));
    let run = environment.iter().fold(run, |run, (name, value)| run.env(name, value));
    run.run().expect_success();
    proxy.finish_one().user.unwrap()
}

#[test]
fn the_user_comes_from_the_proxy_option_or_the_first_variable_that_is_set() {
    let variables = [("SOCKS4_USER", "four"), ("SOCKS_USER", "socks"), ("CONNECT_USER", "all")];
    let others = [("SOCKS5_USER", "no"), ("HTTP_PROXY_USER", "no")];
    for (skipped, expected) in ["four", "socks", "all"].into_iter().enumerate() {
        let environment = [&variables[skipped..], &others].concat();
        assert_eq!(user("{S}", &environment), expected);
        assert_eq!(user("spec@{S}", &environment), "spec");
    }
    // A variable with an empty value counts as set, so it overrides less specific variables.
    assert_eq!(user("{S}", &[("SOCKS4_USER", ""), ("CONNECT_USER", "all")]), "");
    assert_eq!(user("@{S}", &[]), "");
}

#[cfg(unix)]
#[test]
fn the_default_user_is_the_login_name() {
    assert_eq!(user("{S}", &[]), login_name());
}

#[test]
fn a_user_name_that_does_not_fit_is_an_error_before_anything_is_sent() {
    assert_eq!(user(&format!("{}@{{S}}", "u".repeat(255)), &[]), "u".repeat(255));
    for (user, parts) in [("u".repeat(256), ["256", "255"]), ("socks4://a%00b".into(), ["NUL", "user name"])]
    {
        let proxy = Server::repeat(|| script().expect_eof());
        connect(format!("-4 -S {user}@{proxy} 10.1.2.3 22")).run().expect_failure(2, &parts);
        proxy.finish();
    }
}

#[test]
fn the_option_overrides_the_version_in_the_scheme() {
    assert_eq!(user("socks5://me@{S}", &[]), "me");
    for (scheme, name) in [("socks4", UNKNOWN), ("socks4a", "localhost")] {
        let proxy = socks4_granted().drain().serve();
        connect(format!("-S {scheme}://me@{proxy} {name} 22")).run().expect_success();
        assert_eq!(proxy.finish_one().target, Some(format!("{name}:22")), "{scheme}");
    }
}

#[test]
fn the_variable_for_the_version_takes_precedence_over_the_general_ones() {
    for (names, used) in [
        (&["SOCKS4_SERVER", "SOCKS_SERVER", "ALL_PROXY"][..], "SOCKS4_SERVER"),
        (&["SOCKS_SERVER", "ALL_PROXY"], "SOCKS_SERVER"),
        (&["ALL_PROXY"], "ALL_PROXY"),
    ] {
        let proxy = socks4_granted().drain().serve();
        let mut run = connect("-4s 10.1.2.3 22").env("SOCKS5_SERVER", "127.0.0.1:1");
        for name in names {
            let value =
                if *name == used { format!("socks4://me@{proxy}") } else { "socks4://127.0.0.1:1".into() };
            run = run.env(name, value);
        }
        run.run().expect_success();
        assert_eq!(proxy.finish_one().user.as_deref(), Some("me"), "{used}");
    }
}
