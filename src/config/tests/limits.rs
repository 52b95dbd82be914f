//! Time limits and the settings of sockets.

use super::*;

#[test]
fn a_time_limit_is_a_number_of_seconds_and_0_means_none() {
    for (value, expected) in
        [("1", Some(1000)), ("0", None), ("0.0", None), ("1.5", Some(1500)), ("007", Some(7000))]
    {
        let limits = planned(&format!("-w {value} host 22"), &[]).limits;
        let expected_limits =
            expected.map_or(Limits::Unlimited, |ms| Limits::Total(Duration::from_millis(ms)));
        assert_eq!(limits, expected_limits, "{value}");
        let idle = planned(&format!("--idle-timeout {value} host 22"), &[]).relay.idle;
        assert_eq!(idle, expected.map(Duration::from_millis), "{value}");
    }
    for value in ["x", "-1", "1x", "nan", "inf", "1e400", "''"] {
        for option in ["-w", "--idle-timeout"] {
            let text = error(&format!("{option} {value} host 22"), &[]);
            assert_eq!(text, format!("invalid value '{value}' for {option}; use a number of seconds"));
        }
    }
    // Limits that overflow the clock must not cause a panic.
    planned("-w 1000000000000000000 --idle-timeout 1000000000000000000 host 22", &[]);
}

#[test]
fn the_family_comes_from_the_last_option_then_the_parameter() {
    let family = |line: &str, value: &str| {
        let limit = planned(line, &[("CONNECT_ADDRESS_FAMILY", value)]).sockets.family;
        limit.map(|FamilyLimit { family, setting }| format!("{family} {setting}"))
    };
    for (line, value, expected) in [
        ("host 22", "", None),
        ("host 22", "any", None),
        ("host 22", " IPv4 ", Some("IPv4 CONNECT_ADDRESS_FAMILY")),
        ("-S s host 22", "inet6", Some("IPv6 CONNECT_ADDRESS_FAMILY")),
        ("--ipv4 host 22", "ipv6", Some("IPv4 --ipv4")),
        ("--ipv4 --ipv6 host 22", "nonsense", Some("IPv6 --ipv6")),
    ] {
        assert_eq!(family(line, value).as_deref(), expected, "{line} {value}");
    }
    assert_eq!(
        error("host 22", &[("CONNECT_ADDRESS_FAMILY", "4")]),
        "invalid value '4' for CONNECT_ADDRESS_FAMILY; use ipv4, ipv6 or any"
    );
}

#[test]
fn connections_are_bound_to_an_address_or_an_interface() {
    let bind = |value: &str| planned("host 22", &[("CONNECT_BIND", value)]).sockets.bind.map(|bind| bind.to);
    for (value, expected) in [
        ("192.0.2.1", Some("Address 192.0.2.1")),
        (" 2001:db8::1 ", Some("Address 2001:db8::1")),
        ("[2001:db8::1]", Some("Address 2001:db8::1")),
        ("fe80::1%eth0", Some("Address fe80::1%eth0")),
        ("eth0", Some("Interface eth0")),
        ("eth0:1", Some("Interface eth0:1")),
        ("Local Area Connection 2", Some("Interface Local Area Connection 2")),
        ("", None),
    ] {
        let found = bind(value).map(|to| match to {
            BindTo::Address(host) => format!("Address {host}"),
            BindTo::Interface(name) => format!("Interface {name}"),
        });
        assert_eq!(found.as_deref(), expected, "{value}");
    }
    let plan = planned("--bind eth1 host 22", &[("CONNECT_BIND", "eth0")]);
    assert_eq!(
        plan.sockets.bind,
        Some(Bind { to: BindTo::Interface("eth1".into()), setting: "--bind".into() })
    );
    assert!(
        error("--bind= host 22", &[("CONNECT_BIND", "eth0")])
            .starts_with("invalid value '' for --bind; use ")
    );
    for (line, expected) in [
        (
            "--bind \u{1b} host 22",
            "invalid value '\\x1b' for --bind; use an address or a network interface of this machine",
        ),
        (
            "--ipv6 --bind 192.0.2.1 host 22",
            "--bind cannot be combined with --ipv6: 192.0.2.1 is not an IPv6 address",
        ),
        (
            "--bind ::1 -R 192.0.2.1 host 22",
            "cannot query name server 192.0.2.1:53: it has no IPv6 address, which --bind requires",
        ),
    ] {
        let is_about_dns = line.contains("-R");
        if !is_about_dns || cfg!(feature = "dns") {
            assert_eq!(error(line, &[]), expected);
        }
    }
}

#[cfg(feature = "dns")]
#[test]
fn a_name_server_of_the_other_family_is_an_error() {
    for (line, part) in [
        ("--ipv4 -R ::1 host 22", "[::1]:53: it has no IPv4 address, which --ipv4 requires"),
        ("--ipv6 -R 127.0.0.1 -S s host 22", "127.0.0.1:53: it has no IPv6 address, which --ipv6 requires"),
        ("--ipv6 -x socks5://s?resolve=192.0.2.1|direct host 22", "192.0.2.1:53"),
    ] {
        let text = error(line, &[]);
        assert!(text.starts_with("cannot query name server ") && text.contains(part), "{text}");
    }
    planned("--ipv4 -R 127.0.0.1 host 22", &[]);
}

#[test]
fn keep_alive_is_a_whole_number_of_seconds() {
    let keep_alive = |line: &str, variables: &[(&str, &str)]| planned(line, variables).sockets.keep_alive;
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    for options in ["", "-S s", "-H h -p 0"] {
        let line = format!("{options} host 22");
        assert_eq!(keep_alive(&line, &[]), seconds(60), "{line}");
        for (value, expected) in
            [("30", seconds(30)), ("0", None), (" 1 ", seconds(1)), ("32767", seconds(32767))]
        {
            let variable = ("CONNECT_TCP_KEEPALIVE", value);
            assert_eq!(keep_alive(&line, &[variable]), expected, "{line} {variable:?}");
            assert_eq!(keep_alive(&format!("--tcp-keepalive=7 {line}"), &[variable]), seconds(7), "{line}");
        }
    }
    assert_eq!(keep_alive("host 22", &[("CONNECT_TCP_KEEPALIVE", "")]), seconds(60));
    for value in ["-1", "+5", "1.5", "32768", "99999999999", "off", "5s"] {
        let text = error(&format!("--tcp-keepalive={value} host 22"), &[]);
        assert!(text.contains(&format!("'{value}' for --tcp-keepalive")), "{text}");
        let text = error("host 22", &[("CONNECT_TCP_KEEPALIVE", value)]);
        assert!(text.contains(&format!("'{value}' for CONNECT_TCP_KEEPALIVE")), "{text}");
    }
}
