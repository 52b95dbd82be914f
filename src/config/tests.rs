#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test panics")]

use std::ffi::OsString;
use std::sync::Arc;

use super::sources::is_header;
use super::*;
use crate::addr::{Endpoint, Host, Port};
use crate::hops::socks5;
use crate::plan::{Bind, BindTo, FamilyLimit, Hop, Local, Login, Resolve, SocketSettings};
use crate::proto::Socks5Method;
use crate::secret::{Secret, UserName};

mod hop;
mod limits;
#[cfg(feature = "ssh")]
mod remote;

/// Splits a command line at blanks, and builds its plan with these variables.
fn made(line: &str, variables: &[(&str, &str)]) -> Result<Plan, Error> {
    let args = std::iter::once("connect").chain(line.split_whitespace()).map(OsString::from);
    let crate::cli::Request::Session(args) = crate::cli::parse(args)? else { panic!("{line}: no session") };
    let variable =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
    plan(&args, &Sources::with_files(&variable, &|warning| panic!("{line}: {warning}"), Vec::new()))
}

#[track_caller]
fn planned(line: &str, variables: &[(&str, &str)]) -> Plan {
    made(line, variables).unwrap_or_else(|error| panic!("{line} {variables:?}: {error}"))
}

#[track_caller]
fn error(line: &str, variables: &[(&str, &str)]) -> String {
    match made(line, variables) {
        Err(Error::Usage(text) | Error::Config(text)) => text,
        other => panic!("{line} {variables:?}: {other:?}"),
    }
}

#[track_caller]
fn hop(options: &str, variables: &[(&str, &str)]) -> Hop {
    let mut hops = planned(&format!("{options} host 22"), variables).routes.remove(0).hops;
    assert_eq!(hops.len(), 1, "{options}");
    hops.remove(0)
}

/// Returns the only hop's user, password and resolve mode.
#[track_caller]
fn parts(options: &str, variables: &[(&str, &str)]) -> (Option<UserName>, Option<Secret>, Option<Resolve>) {
    let protocol = hop(options, variables).protocol;
    let password = protocol.login().and_then(|login| login.password.clone());
    // The user name of a telnet-style proxy is only shown.
    let user = protocol.user().filter(|_| protocol.name() != "telnet");
    (user.cloned(), password, protocol.resolve())
}

/// Returns sources with an empty environment and no files.
fn no_sources() -> Sources<'static> {
    Sources::with_files(&|_| None, &|_| (), Vec::new())
}

fn endpoint(host: &str, port: u16) -> Endpoint {
    Endpoint { host: Host::parse(host).unwrap(), port: Port::new(port).unwrap() }
}

fn tcp(host: &str, port: u16) -> Target {
    Target::Tcp(endpoint(host, port))
}

#[test]
fn a_whole_plan_is_plain_data() {
    let line = "--eager -w 2.5 -R both -a userpass,none -S me:pw@socks.example host.example ssh";
    let login = Login { user: Some("me".into()), password: Some(Secret::from("pw")), ..Login::default() };
    let methods = Some(vec![Socks5Method::UserPass, Socks5Method::None]);
    assert_eq!(
        planned(line, &[]),
        Plan {
            local: Local::Stdio,
            target: tcp("host.example", 22),
            routes: vec![Route {
                hops: vec![Hop {
                    proxy: tcp("socks.example", 1080),
                    protocol: Arc::new(socks5::Proxy { resolve: Resolve::Both, methods, login }),
                    tls: None,
                }],
                ..Route::default()
            }],
            askpass: None,
            limits: Limits::Total(Duration::from_millis(2500)),
            shows_status: true,
            eager: true,
            proxy_protocol: None,
            target_tls: None,
            sockets: SocketSettings::default(),
            relay: RelaySettings::default(),
        }
    );
    let plan = Plan {
        local: Local::Stdio,
        target: tcp("::1", 22),
        routes: vec![Route::default()],
        askpass: None,
        limits: Limits::default(),
        shows_status: true,
        eager: false,
        proxy_protocol: None,
        target_tls: None,
        sockets: SocketSettings::default(),
        relay: RelaySettings::default(),
    };
    assert_eq!(planned("::1 22", &[("SOCKS_SERVER", "s"), ("HTTP_PROXY", "h"), ("ALL_PROXY", "a")]), plan);
}

/// An env file with the line endings of Windows: `-A` accepted its values, and `-h` and `-s` did
/// not.
#[test]
fn a_blank_or_carriage_return_after_a_variable_became_part_of_its_value() {
    for (option, name, value) in [
        ("-A", "http_proxy", "http://proxy.example:8080"),
        ("-A", "CONNECT_PROXY", "http://proxy.example:8080"),
        ("-h", "http_proxy", "http://proxy.example:8080"),
        ("-h", "HTTP_PROXY", "proxy.example:8080"),
        ("-h", "ALL_PROXY", "http://proxy.example:8080"),
        ("-s", "SOCKS5_SERVER", "proxy.example:8080"),
        ("-s", "SOCKS_SERVER", "proxy.example:8080"),
        ("-s", "all_proxy", "socks5://proxy.example:8080"),
        ("-t", "TELNET_PROXY", "proxy.example:8080"),
    ] {
        for value in [format!("{value}\r"), format!(" {value} "), format!("\t{value}\r\n")] {
            assert_eq!(hop(option, &[(name, &value)]).proxy, tcp("proxy.example", 8080), "{name}={value:?}");
        }
    }
    let variables = [("HTTP_PROXY", " \r"), ("http_proxy", "proxy.example:8080")];
    assert_eq!(hop("-h", &variables).proxy, tcp("proxy.example", 8080), "blanks are no value");
    let variables = [
        ("SOCKS5_SERVER", "proxy.example\r"),
        ("SOCKS5_RESOLVE", "local\r"),
        ("SOCKS5_USER", " me \r"),
        ("SOCKS5_PASSWORD", " pw \r\n"),
    ];
    assert_eq!(
        parts("-s", &variables),
        (Some(" me ".into()), Some(Secret::from(" pw ")), Some(Resolve::Local))
    );
    let plan = planned("-s host.example 22", &[("SOCKS5_SERVER", "p"), ("no_proxy", "a,host.example\r\n")]);
    assert_eq!(plan.routes[0].bypass.no_proxy.matches(&endpoint("host.example", 22)), Some(true));
    assert_eq!(planned("host 22", &[("CONNECT_RELAY", "copy\r")]).relay.mode, RelayMode::Copy);
}

#[test]
fn quotes_around_a_proxy_were_taken_for_a_part_of_its_scheme() {
    for (option, name, value) in [
        ("-A", "http_proxy", "http://me:hunter2@proxy.example:8080"),
        ("-A", "CONNECT_PROXY", "http://me:hunter2@a.example,http://b.example|direct"),
        ("-h", "http_proxy", "http://me:hunter2@proxy.example:8080"),
        ("-h", "HTTP_PROXY", "me:hunter2@proxy.example"),
        ("-s", "SOCKS5_SERVER", "me:hunter2@proxy.example"),
        ("-s", "ALL_PROXY", "socks5://me:hunter2@proxy.example"),
        ("-t", "TELNET_PROXY", "me:hunter2@proxy.example"),
    ] {
        for (open, close) in [("\"", "\""), ("'", "'"), ("“", "” \r")] {
            let error = error(&format!("{option} host 22"), &[(name, &format!("{open}{value}{close}"))]);
            assert!(
                error.ends_with(&format!("{name}: the value is in quotes; remove the quotes")),
                "{error}"
            );
        }
    }
    assert_eq!(
        error("-S 'proxy' host 22", &[]),
        "invalid proxy in -S: the value is in quotes; remove the quotes"
    );
    assert_eq!(
        error("-s host 22", &[("ALL_PROXY", "'http://proxy'")]),
        error("-s host 22", &[("ALL_PROXY", "http://proxy")]),
        "another kind of proxy"
    );
}

#[test]
fn connect_relay_selects_the_relay_mode() {
    for (value, mode) in [("", RelayMode::Splice), ("splice", RelayMode::Splice), ("copy", RelayMode::Copy)] {
        assert_eq!(planned("host 22", &[("CONNECT_RELAY", value)]).relay.mode, mode);
    }
    assert_eq!(
        error("host 22", &[("CONNECT_RELAY", "fast")]),
        "invalid value 'fast' for CONNECT_RELAY; use splice or copy"
    );
}

#[test]
fn the_port_comes_from_the_second_operand_the_first_or_the_programs_name() {
    let args = |host: &str, port: Option<&str>, name_port: Option<&str>| Args {
        host: host.into(),
        port: port.map(str::to_owned),
        name_port: name_port.map(str::to_owned),
        ..Args::default()
    };
    for (host, port, name_port, expected) in [
        ("host", Some("22"), None, endpoint("host", 22)),
        ("host", Some("22"), Some("25"), endpoint("host", 22)),
        ("host:22", None, Some("25"), endpoint("host", 22)),
        ("host", None, Some("25"), endpoint("host", 25)),
        ("host", None, Some("smtp"), endpoint("host", 25)),
        ("host", Some("https"), Some("nosuch"), endpoint("host", 443)),
        ("::1", Some("22"), None, endpoint("::1", 22)),
        ("[::1]:22", None, None, endpoint("::1", 22)),
        ("[::1]", None, Some("25"), endpoint("::1", 25)),
    ] {
        let plan = plan(&args(host, port, name_port), &no_sources()).unwrap();
        assert_eq!(plan.target, Target::Tcp(expected), "{host} {port:?} {name_port:?}");
    }
    for (host, port, name_port) in [
        ("host", None, None),
        ("::1", None, None),
        ("host", Some("0"), Some("25")),
        ("host", Some("nosuch"), Some("25")),
        ("host", Some(""), Some("25")),
        ("host", Some("0x16"), None),
        ("host", Some("1e3"), None),
        ("host", Some(" 22"), None),
        ("host", Some("\t22"), None),
        ("host", Some("22 "), None),
        ("host", Some("ssh\0"), None),
        ("host", None, Some("99999")),
        ("host:", None, Some("25")),
        ("host:22", Some("23"), None),
        ("", Some("22"), None),
    ] {
        let result = plan(&args(host, port, name_port), &no_sources());
        assert!(
            matches!(result, Err(Error::Usage(_) | Error::Config(_))),
            "{host} {port:?} {name_port:?}: {result:?}"
        );
    }
}

#[test]
fn only_relevant_variables_are_read() {
    let variables_read = |line: &str| {
        let seen = std::cell::RefCell::new(Vec::new());
        let args = std::iter::once("connect").chain(line.split(' ')).map(OsString::from);
        let Ok(crate::cli::Request::Session(args)) = crate::cli::parse(args) else { panic!("{line}") };
        let variable = |name: &str| {
            seen.borrow_mut().push(name.to_owned());
            None
        };
        plan(&args, &Sources::with_files(&variable, &|_| (), Vec::new())).unwrap();
        seen.into_inner()
    };
    assert_eq!(
        variables_read("host 22"),
        [
            "CONNECT_TLS_TARGET",
            "CONNECT_TCP_KEEPALIVE",
            "CONNECT_ADDRESS_FAMILY",
            "CONNECT_BIND",
            "CONNECT_RELAY"
        ]
    );
    let common =
        |name: &str| name.starts_with("CONNECT_") || name == "SSH_ASKPASS" || name.ends_with("_proxy");
    let common = |name: &str| common(name) || name == "NO_PROXY";
    assert!(variables_read("-S s host 22").iter().all(|name| name.starts_with("SOCKS") || common(name)));
    let common = |name: &str| common(name) || name == "REQUEST_METHOD";
    assert!(variables_read("-H h host 22").iter().all(|name| name.starts_with("HTTP_") || common(name)));
    // An invalid variable is ignored where it is not relevant.
    planned("-H h host 22", &[("SOCKS_RESOLVE", "nonsense"), ("SOCKS5_AUTH", "nonsense")]);
    planned("-4 -S s host 22", &[("SOCKS5_AUTH", "nonsense"), ("SOCKS5_RESOLVE", "nonsense")]);
}

#[test]
fn each_protocol_has_its_default_port() {
    assert_eq!(hop("-S s", &[]).proxy, tcp("s", 1080));
    assert_eq!(hop("-4S s", &[]).proxy, tcp("s", 1080));
    assert_eq!(hop("-H h", &[]).proxy, tcp("h", 80));
    assert_eq!(hop("-H http://h/", &[]).proxy, tcp("h", 80));
    assert_eq!(hop("-h", &[("HTTP_PROXY", "h")]).proxy, tcp("h", 80));
}

#[test]
fn the_http_proxy_comes_from_the_first_variable_that_is_not_empty() {
    let names = ["HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    let values = names.map(|name| (name, format!("http://{}", name.to_lowercase().replace('_', "-"))));
    for first in 0..names.len() {
        let set: Vec<_> = values[first..].iter().map(|(name, value)| (*name, &**value)).collect();
        let expected = values[first].1.trim_start_matches("http://");
        assert_eq!(hop("-h", &set).proxy, tcp(expected, 80), "{set:?}");
        let with_empty: Vec<_> = names[..first].iter().map(|name| (*name, "")).chain(set).collect();
        assert_eq!(hop("-h", &with_empty).proxy, tcp(expected, 80), "{with_empty:?}");
    }
    let all_empty = names.map(|name| (name, ""));
    assert!(error("-h host 22", &all_empty).contains("HTTP_PROXY"));
    assert_eq!(parts("-h", &[("HTTP_PROXY", "http://m%65:p%77@h")]).1, Some(Secret::from("pw")));
}

#[test]
fn under_cgi_the_http_client_cannot_set_the_proxy() {
    let cgi = ("REQUEST_METHOD", "GET");
    assert_eq!(hop("-h", &[cgi, ("HTTP_PROXY", "evil"), ("https_proxy", "good")]).proxy, tcp("good", 80));
    assert!(error("-h host 22", &[cgi, ("HTTP_PROXY", "evil")]).contains("-H"));
    assert_eq!(hop("-h", &[("REQUEST_METHOD", ""), ("HTTP_PROXY", "good")]).proxy, tcp("good", 80));
    // The HTTP client does not control the command line.
    assert_eq!(hop("-H h", &[cgi]).proxy, tcp("h", 80));
}

/// The client would set these variables with the headers "Direct", "Proxy-User" and
/// "Proxy-Password".
#[test]
fn under_cgi_the_http_client_cannot_set_user_password_or_bypass_list() {
    let evil = [("HTTP_DIRECT", "host"), ("HTTP_PROXY_USER", "evil"), ("HTTP_PROXY_PASSWORD", "evil")];
    let with = |more| evil.into_iter().chain([("CONNECT_USER", "me"), ("CONNECT_PASSWORD", "pw"), more]);
    let trusted: Vec<_> = with(("REQUEST_METHOD", "")).collect();
    let under_cgi: Vec<_> = with(("REQUEST_METHOD", "GET")).collect();
    for (variables, user, list_is_empty) in [(trusted, "evil", false), (under_cgi, "me", true)] {
        let plan = planned("-H proxy host 22", &variables);
        assert_eq!(plan.routes[0].hops[0].protocol.user(), Some(&user.into()));
        assert_eq!(plan.routes[0].bypass.list.is_empty(), list_is_empty, "{variables:?}");
    }
}

#[test]
fn the_prefix_of_a_header_ignores_case_where_variables_do() {
    for (name, header, ignoring_case) in [
        ("HTTP_PROXY", true, true),
        ("http_proxy", false, true),
        ("HTTPS_PROXY", false, false),
        ("https_proxy", false, false),
        ("HTTP", false, false),
        ("SOCKS_SERVER", false, false),
    ] {
        assert_eq!((is_header(name, false), is_header(name, true)), (header, ignoring_case), "{name}");
    }
}

#[test]
fn the_socks_proxy_comes_from_the_variable_for_the_version_then_from_a_general_one() {
    let socks5 = [("SOCKS5_SERVER", "five"), ("SOCKS_SERVER", "socks"), ("ALL_PROXY", "socks5://all")];
    let hosts = ["five", "socks", "all"];
    for (first, host) in hosts.into_iter().enumerate() {
        let set = [&[("SOCKS4_SERVER", "no"), ("HTTP_PROXY", "no")], &socks5[first..]].concat();
        assert_eq!(hop("-s", &set).proxy, tcp(host, 1080));
        assert_eq!(hop("-5s", &set).proxy, tcp(host, 1080));
    }
    let set = [("SOCKS5_SERVER", "no"), ("SOCKS4_SERVER", "me@four:1"), ("SOCKS_SERVER", "no")];
    assert_eq!(hop("-4s", &set).proxy, tcp("four", 1));
    assert_eq!(parts("-4s", &set).0, Some("me".into()));
    assert_eq!(hop("-s", &[("SOCKS5_SERVER", ""), ("SOCKS_SERVER", "socks")]).proxy, tcp("socks", 1080));
    assert!(error("-s host 22", &[("SOCKS4_SERVER", "four")]).contains("SOCKS5_SERVER"));
    assert!(error("-4s host 22", &[("SOCKS5_SERVER", "five")]).contains("SOCKS4_SERVER"));
    for value in ["http://all", "all:1080"] {
        assert!(error("-s host 22", &[("ALL_PROXY", value)]).contains("-s"), "{value}");
    }
}

#[test]
fn an_error_about_a_proxy_names_its_source() {
    for (options, variables, source) in [
        ("-S s:0", &[][..], "-S"),
        ("-H h:x", &[], "-H"),
        ("-s", &[("SOCKS_SERVER", "s:0")], "SOCKS_SERVER"),
        ("-h", &[("https_proxy", "h:0")], "https_proxy"),
        ("-h", &[("HTTP_PROXY", "socks5://h")], "HTTP_PROXY"),
        ("-s", &[("all_proxy", "socks5://s:0")], "all_proxy"),
    ] {
        let text = error(&format!("{options} host 22"), variables);
        assert!(text.contains(source), "{text}");
    }
}
