//! The settings of a hop: login, name resolution, authentication methods and version.

use super::*;

/// Checks that the first of these variables that is set wins.
#[track_caller]
fn expect_precedence(options: &str, names: &[&str], read: impl Fn(&[(&str, &str)]) -> String) {
    for first in 0..names.len() {
        let set: Vec<_> = names[first..].iter().map(|name| (*name, *name)).collect();
        assert_eq!(read(&set), names[first], "{options}");
        // As in the C program, a variable with an empty value counts as set.
        let mut empty = set.clone();
        empty[0].1 = "";
        assert_eq!(read(&empty), "", "{options} {empty:?}");
    }
}

#[test]
fn the_user_comes_from_the_first_variable_for_the_protocol() {
    for (options, names) in [
        ("-S s", &["SOCKS5_USER", "SOCKS_USER", "CONNECT_USER"][..]),
        ("-4 -S s", &["SOCKS4_USER", "SOCKS_USER", "CONNECT_USER"]),
        ("-H h", &["HTTP_PROXY_USER", "CONNECT_USER"]),
    ] {
        expect_precedence(options, names, |set| parts(options, set).0.unwrap().to_string());
        let in_spec = options.replace(" s", " me@s").replace(" h", " me@h");
        let all: Vec<_> = names.iter().map(|name| (*name, *name)).collect();
        assert_eq!(parts(&in_spec, &all).0, Some("me".into()), "{in_spec}");
        assert_eq!(parts(&in_spec.replace("me@", "@"), &all).0, Some("".into()), "{in_spec}");
        assert_eq!(parts(options, &[("USER", "u"), ("LOGNAME", "l")]).0, None, "{options}");
    }
    let others = [("SOCKS4_USER", "x"), ("HTTP_PROXY_USER", "x")];
    assert_eq!(parts("-S s", &others).0, None);
    assert_eq!(parts("-4S s", &[("SOCKS5_USER", "x"), ("HTTP_PROXY_USER", "x")]).0, None);
    assert_eq!(parts("-H h", &[("SOCKS5_USER", "x"), ("SOCKS_USER", "x")]).0, None);
}

#[test]
fn the_password_comes_from_the_first_variable_for_the_protocol() {
    let exposed = |options: &str, set: &[(&str, &str)]| {
        let password = parts(options, set).1.unwrap();
        String::from_utf8(password.expose().to_vec()).unwrap()
    };
    for (options, names) in [
        ("-S s", &["SOCKS5_PASSWD", "SOCKS5_PASSWORD", "SOCKS_PASSWORD", "CONNECT_PASSWORD"][..]),
        ("-H h", &["HTTP_PROXY_PASSWORD", "CONNECT_PASSWORD"]),
    ] {
        expect_precedence(options, names, |set| exposed(options, set));
        let in_spec = options.replace(" s", " me:pw@s").replace(" h", " me:pw@h");
        let all: Vec<_> = names.iter().map(|name| (*name, *name)).collect();
        assert_eq!(exposed(&in_spec, &all), "pw", "{in_spec}");
        assert_eq!(parts(options, &[]).1, None, "{options}");
        let others = [("SOCKS_PASSWD", "x"), ("CONNECT_PASSWD", "x"), ("HTTP_PROXY_PASSWD", "x")];
        assert_eq!(parts(options, &others).1, None, "{options}");
    }
    assert_eq!(parts("-S s", &[("HTTP_PROXY_PASSWORD", "x")]).1, None);
    assert_eq!(parts("-H h", &[("SOCKS5_PASSWORD", "x"), ("SOCKS_PASSWORD", "x")]).1, None);
}

#[test]
fn resolution_is_set_by_the_option_then_variables_then_the_version() {
    for (options, variables, expected) in [
        ("-S s", &[][..], Resolve::Remote),
        ("-4S s", &[], Resolve::LocalFirst),
        ("-S socks4://s", &[], Resolve::LocalFirst),
        ("-S socks4a://s", &[], Resolve::Remote),
        ("-R local -S s", &[], Resolve::Local),
        ("-R Remote -4S s", &[], Resolve::Remote),
        ("-R BOTH -4S s", &[], Resolve::Both),
        ("-S s", &[("SOCKS5_RESOLVE", "local"), ("SOCKS_RESOLVE", "both")], Resolve::Local),
        ("-S s", &[("SOCKS_RESOLVE", "both")], Resolve::Both),
        ("-S s", &[("SOCKS4_RESOLVE", "local")], Resolve::Remote),
        ("-4S s", &[("SOCKS4_RESOLVE", "remote"), ("SOCKS_RESOLVE", "both")], Resolve::Remote),
        ("-4S s", &[("SOCKS_RESOLVE", "LOCAL")], Resolve::Local),
        ("-R both -S s", &[("SOCKS5_RESOLVE", "local")], Resolve::Both),
    ] {
        assert_eq!(parts(options, variables).2, Some(expected), "{options} {variables:?}");
    }
    assert!(error("-R nowhere -S s host 22", &[]).contains("-R"));
    assert!(error("-S s host 22", &[("SOCKS_RESOLVE", "nowhere")]).contains("SOCKS_RESOLVE"));
    // The option overrides the variables, even invalid ones.
    planned("-R both -S s host 22", &[("SOCKS5_RESOLVE", "nowhere")]);
}

#[cfg(not(feature = "dns"))]
#[test]
fn without_a_dns_client_a_dns_server_is_an_error() {
    assert!(error("-R 192.0.2.1 host 22", &[]).contains("no DNS client"));
    assert!(error("-S s host 22", &[("SOCKS_RESOLVE", "192.0.2.1")]).contains("no DNS client"));
}

#[cfg(feature = "dns")]
#[test]
fn a_dns_server_is_an_address_with_or_without_a_port() {
    for (value, expected) in [
        ("192.0.2.1", "192.0.2.1:53"),
        ("192.0.2.1:5353", "192.0.2.1:5353"),
        ("2001:db8::1", "[2001:db8::1]:53"),
        ("[2001:db8::1]", "[2001:db8::1]:53"),
        ("[2001:db8::1]:5353", "[2001:db8::1]:5353"),
    ] {
        let server = expected.parse().unwrap();
        for options in ["-S s", "-4S s"] {
            let plan = planned(&format!("-R {value} {options} host 22"), &[]);
            assert_eq!(plan.routes[0].hops[0].protocol.resolve(), Some(Resolve::Server(server)), "{value}");
            assert_eq!(plan.routes[0].name_server, Some(server), "{value}");
            let plan = planned(&format!("{options} host 22"), &[("SOCKS_RESOLVE", value)]);
            assert_eq!(plan.routes[0].name_server, Some(server), "{value}");
        }
        for options in ["", "-H h", "-T t"] {
            let line = format!("-R {value} {options} host 22");
            assert_eq!(
                planned(&line, &[("SOCKS_RESOLVE", "192.0.2.2")]).routes[0].name_server,
                Some(server),
                "{line}"
            );
        }
    }
    assert_eq!(planned("-n host 22", &[("SOCKS_RESOLVE", "192.0.2.1")]).routes[0].name_server, None);
    assert_eq!(
        planned("-R both -S s host 22", &[("SOCKS_RESOLVE", "192.0.2.1")]).routes[0].name_server,
        None
    );
    for value in [
        "192.0.2",
        "192.0.2.1:",
        "192.0.2.1:0",
        "192.0.2.1:65536",
        "[192.0.2.1]",
        "[::1",
        "::1]",
        "fe80::1%lo",
        "h:53",
    ] {
        let text = error(&format!("-R {value} host 22"), &[]);
        assert!(text.contains("-R") && text.contains(&format!("'{value}'")), "{text}");
    }
}

#[test]
fn the_methods_come_from_the_option_then_the_variable() {
    use Socks5Method::{None as NoAuth, UserPass};
    for (options, variables, expected) in [
        ("-S s", &[][..], None),
        ("-a none -S s", &[], Some(vec![NoAuth])),
        ("-a UserPass,NONE -S s", &[], Some(vec![UserPass, NoAuth])),
        ("-S s", &[("SOCKS5_AUTH", " none , userpass ")], Some(vec![NoAuth, UserPass])),
        ("-a none -S s", &[("SOCKS5_AUTH", "userpass")], Some(vec![NoAuth])),
        ("-a none -S s", &[("SOCKS5_AUTH", "nonsense")], Some(vec![NoAuth])),
    ] {
        let protocol = hop(options, variables).protocol;
        let proxy: &socks5::Proxy = protocol.as_any().downcast_ref().unwrap();
        assert_eq!(proxy.methods, expected, "{options} {variables:?}");
    }
    for (list, part) in [("gssapi", "gssapi"), ("CHAP", "chap"), ("none,magic", "magic"), ("none,", "''")] {
        for (options, variables, source) in [
            (format!("-a {list} -S s"), vec![], "-a"),
            ("-S s".into(), vec![("SOCKS5_AUTH", list)], "SOCKS5_AUTH"),
        ] {
            let text = error(&format!("{options} host 22"), &variables);
            assert!(text.contains(part) && text.contains(source), "{text}");
        }
    }
}

#[test]
fn the_version_comes_from_the_option_then_the_scheme_then_is_5() {
    for (options, name) in [
        ("-S s", "SOCKS5"),
        ("-4 -S s", "SOCKS4"),
        ("-S socks4://s", "SOCKS4"),
        ("-S socks4a://s", "SOCKS4"),
        ("-S socks5h://s", "SOCKS5"),
        ("-S socks://s", "SOCKS5"),
        ("-5 -S socks4://s", "SOCKS5"),
        ("-4 -S socks5://s", "SOCKS4"),
    ] {
        assert_eq!(hop(options, &[]).protocol.name(), name, "{options}");
    }
}
