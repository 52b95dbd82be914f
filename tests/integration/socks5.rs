//! SOCKS5 (RFC 1928, RFC 1929) with the real program.

use crate::kit::*;
use crate::wire::*;
use std::time::Duration;

const GREETING_NONE: [u8; 3] = [5, 1, 0];
const GREETING_BOTH: [u8; 4] = [5, 2, 0, 2];
/// A request to connect to host.example:22.
const REQUEST: &[u8] = b"\x05\x01\x00\x03\x0chost.example\x00\x16";
const GRANTED: [u8; 10] = [5, 0, 0, 1, 127, 0, 0, 1, 0x12, 0x34];

/// Returns a proxy that selects no authentication and continues with `after_greeting`.
fn without_auth(after_greeting: Script) -> Script {
    script().expect_at_once(GREETING_NONE).send([5, 0]).followed_by(after_greeting)
}

fn host_22(proxy: &Server) -> Program {
    connect(format!("-S {proxy} host.example 22"))
}

#[test]
fn the_conversation_follows_rfc_1928_in_any_fragmentation() {
    let proxy = script()
        .expect_at_once(GREETING_NONE)
        .send_bytewise([5, 0])
        .expect_at_once(REQUEST)
        .send_bytewise(GRANTED);
    expect_tunnel(proxy, host_22);
}

#[test]
fn user_and_password_are_sent_as_in_rfc_1929_in_any_fragmentation() {
    let proxy = script()
        .expect_at_once(GREETING_BOTH)
        .send_bytewise([5, 2])
        .expect_at_once(b"\x01\x02me\x06secret")
        .send_bytewise([1, 0])
        .expect_at_once(REQUEST)
        .send_bytewise(GRANTED);
    expect_tunnel(proxy, |proxy| connect(format!("-S me:secret@{proxy} host.example 22")));
}

#[test]
fn no_session_data_is_sent_before_the_tunnel_is_established() {
    let quiet = Duration::from_millis(100);
    let proxy = script()
        .expect(GREETING_NONE)
        .expect_silence(quiet)
        .send([5, 0])
        .expect(REQUEST)
        .expect_silence(quiet)
        .send(GRANTED);
    expect_tunnel(proxy, host_22);
}

#[test]
fn a_bound_address_of_every_type_is_accepted_and_the_bytes_after_it_belong_to_the_session() {
    let name = [&[5, 0, 0, 3, 255][..], &[b'n'; 255], &[0, 22]].concat();
    let v6 = [&[5, 0, 0, 4][..], &[0xfe; 16], &[0, 22]].concat();
    let no_name = vec![5, 0, 0, 3, 0, 0, 22];
    let reserved_is_ignored = vec![5, 0, 0xff, 1, 1, 2, 3, 4, 0, 22];
    for reply in [GRANTED.to_vec(), name, v6, no_name, reserved_is_ignored] {
        let proxy =
            without_auth(script().expect(REQUEST).send(&reply).early("SSH-2.0-x\r\n").drain()).serve();
        host_22(&proxy).run().expect_success().expect_stdout("SSH-2.0-x\r\n");
        proxy.finish();

        let rest = script().expect(REQUEST).send_bytewise([&reply[..], b"SSH-2.0-x\r\n"].concat()).drain();
        let proxy = without_auth(rest).serve();
        host_22(&proxy).run().expect_success().expect_stdout("SSH-2.0-x\r\n");
        proxy.finish();
    }
}

/// Returns the request, starting at the address type.
#[track_caller]
fn requested(args: &str, environment: &[(&str, &str)]) -> Vec<u8> {
    let proxy = without_auth(
        script()
            .then("read the request", |session| session.receive_up_to(1000).map(drop))
            .send(GRANTED)
            .drain(),
    )
    .serve();
    let run = connect(args.replace("{S}", &proxy.to_string()));
    let run = environment.iter().fold(run, |run, (name, value)| run.env(name, value));
    run.run().expect_success();
    let received = proxy.finish_one().received;
    assert_eq!(received[..6], [5, 1, 0, 5, 1, 0], "{args}");
    received[6..].to_vec()
}

fn by_name(name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    [&[3, length], name.as_bytes(), &[0, 22]].concat()
}

#[test]
fn an_address_is_sent_as_an_address_and_a_name_as_a_name() {
    let v6 = [&[4, 0x20, 0x01, 0x0d, 0xb8][..], &[0; 11], &[7, 0, 22]].concat();
    for resolve in ["", "-R remote", "-R local", "-R both"] {
        for (target, expected) in [
            ("10.1.2.3 22", &[1, 10, 1, 2, 3, 0, 22][..]),
            ("2001:db8::7 22", &v6),
            ("[2001:db8::7]:22", &v6),
        ] {
            assert_eq!(
                requested(&format!("{resolve} -S {{S}} {target}"), &[]),
                expected,
                "{resolve} {target}"
            );
        }
    }
    for args in ["host.example 22", "-R remote -S {S} host.example:22"] {
        let args = if args.contains("{S}") { args.to_owned() } else { format!("-S {{S}} {args}") };
        assert_eq!(requested(&args, &[]), by_name("host.example"), "{args}");
    }
    // `300.1.2.3` is not a valid address, so the program treats it as a name.
    assert_eq!(requested("-S {S} 300.1.2.3 22", &[]), by_name("300.1.2.3"));
}

#[test]
fn the_option_and_then_the_variables_decide_where_a_name_is_resolved() {
    let here = ["127.0.0.1:22", "[::1]:22"];
    let is_address = |requested: &[u8]| match requested {
        [1, 127, 0, 0, 1, 0, 22] => localhost().contains(&here[0].to_owned()),
        [4, rest @ ..] => rest.len() == 18 && localhost().contains(&here[1].to_owned()),
        _ => false,
    };
    for (option, variables) in [
        ("-R local", &[][..]),
        ("-R LOCAL", &[]),
        ("-R both", &[]),
        ("-R remote -R local", &[]),
        ("", &[("SOCKS5_RESOLVE", "local")]),
        ("", &[("SOCKS_RESOLVE", "Both")]),
        ("", &[("SOCKS5_RESOLVE", "local"), ("SOCKS_RESOLVE", "remote")]),
        ("-R local", &[("SOCKS5_RESOLVE", "remote")]),
    ] {
        let requested = requested(&format!("{option} -S {{S}} localhost 22"), variables);
        assert!(is_address(&requested), "{option} {variables:?}: {requested:?}");
    }
    for (option, variables) in [
        ("", &[][..]),
        ("-R remote", &[("SOCKS5_RESOLVE", "local")]),
        ("", &[("SOCKS5_RESOLVE", "remote"), ("SOCKS_RESOLVE", "local")]),
        ("", &[("SOCKS4_RESOLVE", "local")]),
    ] {
        let args = format!("{option} -S {{S}} localhost 22");
        assert_eq!(requested(&args, variables), by_name("localhost"), "{option} {variables:?}");
    }
}

#[test]
fn an_unknown_name_is_sent_to_the_proxy_with_both_and_is_an_error_with_local() {
    assert_eq!(requested(&format!("-R both -S {{S}} {UNKNOWN} 22"), &[]), by_name(UNKNOWN));
    let out = connect(format!("-R local -S 127.0.0.1:1 {UNKNOWN} 22")).run();
    out.expect_failure(3, &[UNKNOWN, "resolve", "-R both"]).expect_stdout("");
}

#[test]
fn every_refusal_has_a_description() {
    for (code, description) in [
        (1, "general proxy failure"),
        (2, "rules"),
        (3, "network unreachable"),
        (4, "host unreachable"),
        (5, "refused"),
        (6, "TTL"),
        (7, "command"),
        (8, "address type"),
        (9, "unknown reply code"),
        (0xf0, "the descriptor of the onion service was not found"),
        (0xf7, "the introduction to the onion service timed out"),
        (0xff, "unknown reply code"),
    ] {
        let proxy = socks5_refused(code).serve();
        let address = format!("SOCKS5 proxy {proxy}");
        let code = if code < 0xf0 { format!("reply {code}") } else { format!("reply 0x{code:X}") };
        host_22(&proxy)
            .run()
            .expect_failure(5, &[&address, "host.example:22", description, &code])
            .expect_stdout("");
        proxy.finish();
    }
}

#[test]
fn a_refusal_is_reported_even_if_the_rest_of_the_reply_never_arrives() {
    let proxy = without_auth(script().expect(REQUEST).send([5, 5]).hold()).serve();
    let out = host_22(&proxy).run();
    out.expect_failure(5, &["refused by the target"]).expect_within(PROMPTLY);
}

#[test]
fn another_protocol_is_recognized_by_the_first_byte() {
    for (answer, parts) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &["0x48", "HTTP", "-H"][..]),
        (&[0, 90], &["0x00", "SOCKS version 5"]),
        (&[4], &["0x04", "-4"]),
        (b"SSH-2.0-x\r\n", &["0x53"]),
        (&[1, 0], &["0x01"]),
    ] {
        let proxy = script().expect(GREETING_NONE).send(answer).serve();
        let mut parts = parts.to_vec();
        let address = proxy.to_string();
        parts.push(&address);
        host_22(&proxy).run().expect_failure(5, &parts).expect_stdout("");
        proxy.finish();
    }
    let proxy = without_auth(script().expect(REQUEST).send([4, 0])).serve();
    host_22(&proxy).run().expect_failure(5, &["0x04"]);
    let proxy = without_auth(script().expect(REQUEST).send([5, 0, 0, 2])).serve();
    host_22(&proxy).run().expect_failure(5, &["address type 0x02"]);
}

#[test]
fn a_truncated_reply_is_an_error_that_names_the_message() {
    let greeting = || script().expect(GREETING_NONE);
    let request = || without_auth(script().expect(REQUEST));
    let mut cases = vec![
        (greeting(), "the reply to the SOCKS5 greeting"),
        (greeting().send([5]), "the reply to the SOCKS5 greeting"),
    ];
    for length in 0..GRANTED.len() {
        cases.push((request().send(&GRANTED[..length]), "the reply to the SOCKS5 request"));
    }
    cases.push((request().send([5, 0, 0, 3, 9, b'n']), "the reply to the SOCKS5 request"));
    for (script, waiting_for) in cases {
        let proxy = script.serve();
        let address = proxy.to_string();
        host_22(&proxy).run().expect_failure(5, &[&address, "closed", waiting_for]).expect_stdout("");
        proxy.finish();
    }
    let proxy = script().expect(GREETING_BOTH).send([5, 2]).expect_bytes(7).send([1]).serve();
    connect(format!("-S me:pw@{proxy} host.example 22"))
        .run()
        .expect_failure(5, &["closed", "the reply to the user name and password"]);
    proxy.finish();
}

#[test]
fn a_proxy_that_closes_after_user_and_password_rejected_them() {
    let proxy = script().expect(GREETING_BOTH).send([5, 2]).expect_bytes(7).close().serve();
    connect(format!("-S me:pw@{proxy} host.example 22"))
        .run()
        .expect_failure(6, &["rejected user 'me'", "closed the connection"]);
}

#[test]
fn a_reset_during_the_negotiation_is_an_error_that_names_the_message() {
    let proxy =
        without_auth(script().expect(REQUEST).send([5, 0]).pause(Duration::from_millis(50)).reset()).serve();
    let address = proxy.to_string();
    host_22(&proxy).run().expect_failure(5, &[&address, "reset", "the reply to the SOCKS5 request"]);
}

#[test]
fn the_offered_methods_come_from_the_option_then_the_variable_then_the_known_password() {
    for (option, variables, offered) in [
        ("", &[][..], &[5, 1, 0][..]),
        ("", &[("SOCKS5_PASSWORD", "pw")], &[5, 2, 0, 2]),
        ("-a none", &[("SOCKS5_PASSWORD", "pw")], &[5, 1, 0]),
        ("-a userpass", &[], &[5, 1, 2]),
        ("-a userpass,none", &[], &[5, 2, 2, 0]),
        ("-a NONE", &[], &[5, 1, 0]),
        ("", &[("SOCKS5_AUTH", "none , userpass")], &[5, 2, 0, 2]),
        ("-a none", &[("SOCKS5_AUTH", "userpass")], &[5, 1, 0]),
    ] {
        let proxy = script().expect_at_once(offered).send([5, 255]).serve();
        let run = connect(format!("{option} -S {proxy} host.example 22"));
        let run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
        run.run().expect_failure(6, &[&proxy.to_string(), "method"]);
        proxy.finish();
    }
}

#[test]
fn the_error_for_no_acceptable_method_lists_the_offered_ones_and_gives_advice() {
    let proxy = script().expect(GREETING_NONE).send([5, 255]).serve();
    host_22(&proxy).run().expect_failure(6, &["('none')", "SOCKS5_USER", "SOCKS5_PASSWORD"]);
    let proxy = script().expect(GREETING_BOTH).send([5, 255]).serve();
    connect(format!("-S me:pw@{proxy} h 22"))
        .run()
        .expect_failure(6, &["'none', 'userpass'", "ask the proxy's administrator"]);
}

#[test]
fn a_selected_method_that_was_not_offered_is_an_error_before_anything_more_is_sent() {
    for (option, offered, chosen) in [("-a none", 0, 2), ("-a userpass", 2, 0), ("", 0, 1), ("", 0, 0x80)] {
        let proxy = script().expect([5, 1, offered]).send([5, chosen]).expect_eof().serve();
        let run = connect(format!("{option} -S {proxy} host.example 22")).run();
        run.expect_failure(5, &[&format!("{chosen:#04x}"), "not offered"]);
        proxy.finish();
    }
}

#[test]
fn a_rejected_password_is_an_error_with_the_user_name_and_without_the_password() {
    for status in [1, 2, 255] {
        let proxy = script()
            .expect(GREETING_BOTH)
            .send([5, 2])
            .expect_bytes(13)
            .send([1, status])
            .expect_eof()
            .serve();
        let out = connect(format!("-d -S bob:hunter2@{proxy} host.example 22")).run();
        out.expect_code(6).expect_stderr_has("'bob'").expect_stderr_has("password").expect_stdout("");
        out.expect_stderr_has(&proxy.to_string()).expect_stderr_lacks("hunter2");
        proxy.finish();
    }
}

/// Returns the user name and password that the proxy received. `{S}` in `spec` stands for the
/// proxy's address.
#[track_caller]
fn login(spec: &str, environment: &[(&str, &str)]) -> (String, String) {
    // The proxy records the login that it rejects.
    let proxy = socks5_userpass("nobody", "nothing").serve();
    let run = connect(format!("-a userpass -S {} host.example 22", spec.replace("{S}", &proxy.to_string())));
    let run = environment.iter().fold(run, |run, (name, value)| run.env(name, value));
    run.run().expect_code(6);
    let record = proxy.finish_one();
    (record.user.unwrap(), record.password.unwrap())
}

#[test]
fn the_user_comes_from_the_proxy_option_or_the_first_variable_that_is_set() {
    let variables = [("SOCKS5_USER", "five"), ("SOCKS_USER", "socks"), ("CONNECT_USER", "all")];
    let others = [("SOCKS5_PASSWORD", "pw"), ("SOCKS4_USER", "no"), ("HTTP_PROXY_USER", "no")];
    for (skipped, expected) in ["five", "socks", "all"].into_iter().enumerate() {
        let environment = [&variables[skipped..], &others].concat();
        assert_eq!(login("{S}", &environment).0, expected);
        assert_eq!(login("spec@{S}", &environment).0, "spec");
    }
}

#[cfg(unix)]
#[test]
fn the_login_name_comes_from_the_system_and_not_the_environment() {
    let own = login("{S}", &[("SOCKS5_PASSWORD", "pw"), ("USER", "no"), ("LOGNAME", "no")]).0;
    assert_eq!(own, login_name());
}

#[test]
fn the_password_comes_from_the_proxy_option_or_the_first_variable_that_is_set() {
    let variables = [
        ("SOCKS5_PASSWD", "five"),
        ("SOCKS5_PASSWORD", "long"),
        ("SOCKS_PASSWORD", "socks"),
        ("CONNECT_PASSWORD", "all"),
    ];
    let others = [("HTTP_PROXY_PASSWORD", "no"), ("SOCKS_PASSWD", "no"), ("CONNECT_PASSWD", "no")];
    for (skipped, expected) in ["five", "long", "socks", "all"].into_iter().enumerate() {
        let environment = [&variables[skipped..], &others].concat();
        assert_eq!(login("me@{S}", &environment), ("me".into(), expected.into()));
        assert_eq!(login("me:spec@{S}", &environment), ("me".into(), "spec".into()));
    }
}

#[test]
fn user_and_password_in_the_proxy_option_are_decoded_only_in_a_url() {
    for (spec, user, password) in [
        ("a@b:pw@{S}", "a@b", "pw"),
        ("me:p@ss@{S}", "me", "p@ss"),
        ("me:p:s:s@{S}", "me", "p:s:s"),
        ("me:p%41ss@{S}", "me", "p%41ss"),
        ("socks5://me:p%40s%3As%2F%20%c3%a9@{S}", "me", "p@s:s/ é"),
        ("socks5h://m%65:100%@{S}/ignored", "me", "100%"),
        ("SOCKS5://a@b:pw@{S}", "a@b", "pw"),
        ("bücher:pässe@{S}", "bücher", "pässe"),
    ] {
        assert_eq!(login(spec, &[]), (user.into(), password.into()), "{spec}");
    }
}

/// RFC 1929 gives the status version 1, but servers in the field send 5 or 0.
#[test]
fn a_login_status_with_another_version_was_an_error() {
    for version in [0, 1, 5] {
        let login = || script().expect(GREETING_BOTH).send([5, 2]).expect_bytes(7);
        let program = |proxy: &Server| connect(format!("-S me:pw@{proxy} host.example 22"));
        expect_tunnel(login().send_bytewise([version, 0]).expect_at_once(REQUEST).send(GRANTED), program);
        let proxy = login().send([version, 1]).expect_eof().serve();
        program(&proxy).run().expect_failure(6, &["rejected user 'me'"]);
        proxy.finish();
    }
}

/// Some services take a token as the user name, with an empty password.
#[test]
fn an_empty_password_could_not_be_sent() {
    for (user, password) in [("me:", None), ("socks5h://me:", None), ("me", Some(""))] {
        let proxy = script()
            .expect_at_once(GREETING_BOTH)
            .send([5, 2])
            .expect_at_once(b"\x01\x02me\x00")
            .send([1, 0])
            .expect_at_once(REQUEST)
            .send(GRANTED);
        expect_tunnel(proxy, |proxy| {
            let program = connect(format!("-S {user}@{proxy} host.example 22"));
            // An empty password in the proxy's URL is a password, so the variable is not used.
            program.env("SOCKS5_PASSWORD", password.unwrap_or("other"))
        });
    }
}

#[test]
fn a_user_name_has_1_to_255_bytes_and_a_password_at_most_255() {
    let (longest, too_long) = ("x".repeat(255), "x".repeat(256));
    assert_eq!(
        login(&format!("{longest}@{{S}}"), &[("SOCKS5_PASSWORD", &longest)]),
        (longest.clone(), longest)
    );
    for (user, password, parts) in [
        (&*too_long, "pw", &["user", "256", "255"][..]),
        ("me", &*too_long, &["password", "256", "255"]),
        ("", "pw", &["empty user name"]),
    ] {
        // The program must fail before it opens a connection.
        let spec = format!("-a userpass -S {user}@127.0.0.1:1 h 22");
        connect(spec).env("SOCKS5_PASSWORD", password).run().expect_failure(2, parts);
    }
}

#[cfg(unix)]
#[test]
fn a_user_name_and_a_password_may_have_any_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let [user, password] = [b"u\xfe", b"p\xff"].map(|bytes| std::ffi::OsStr::from_bytes(bytes));
    let proxy = script().expect([5, 1, 2]).send([5, 2]).expect_at_once(b"\x01\x02u\xfe\x02p\xff");
    let proxy = proxy.send([1, 1]).serve();
    let run = connect(format!("-a userpass -S {proxy} host.example 22"));
    let run = run.env("SOCKS5_USER", user).env("SOCKS5_PASSWORD", password).run();
    run.expect_failure(6, &["user 'u\\xfe'"]);
    proxy.finish();
}

#[test]
fn the_variable_for_the_version_takes_precedence_over_the_general_ones() {
    for (names, used) in [
        (&["SOCKS5_SERVER", "SOCKS_SERVER", "ALL_PROXY", "all_proxy"][..], "SOCKS5_SERVER"),
        (&["SOCKS_SERVER", "ALL_PROXY", "all_proxy"], "SOCKS_SERVER"),
        (&["ALL_PROXY", "all_proxy"], "ALL_PROXY"),
        (&["all_proxy"], "all_proxy"),
    ] {
        let proxy = socks5_userpass("me", "pw").drain().serve();
        let mut run = connect("-s host.example 22").env("SOCKS4_SERVER", "127.0.0.1:1");
        // On Windows, variable names are case-insensitive.
        let is_distinct = |name: &str| cfg!(unix) || name == used || !name.eq_ignore_ascii_case(used);
        for name in names.iter().filter(|name| is_distinct(name)) {
            let value =
                if *name == used { format!("socks5://me:pw@{proxy}") } else { "socks5://127.0.0.1:1".into() };
            run = run.env(name, value);
        }
        run.run().expect_success();
        assert_eq!(proxy.finish_one().target.as_deref(), Some("host.example:22"), "{used}");
    }
}

#[test]
fn the_password_does_not_appear_in_the_debug_log() {
    let proxy = socks5_userpass("bob", "hunter2").send("welcome").drain().serve();
    let run = connect(format!("-d -S bob:hunter2@{proxy} host.example 22")).run();
    run.expect_code(0).expect_stdout("welcome").expect_stderr_lacks("hunter2");
    // The hex dump must not contain the password, either.
    run.expect_stderr_lacks("68 75 6e 74 65 72 32").expect_stderr_has(">>> xx xx xx xx ...");
    proxy.finish();
}
