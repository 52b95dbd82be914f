#![allow(clippy::unwrap_used, clippy::panic, reason = "that is how a test fails")]

use super::*;

/// A specification as `scheme|user|password|host|port`, with `-` for what it does not say.
#[track_caller]
fn shown(word: &str, kind: &Kind) -> String {
    let spec = match Spec::parse(word, "-X", kind) {
        Ok(spec) => spec,
        Err(error) => panic!("{word}: {error}"),
    };
    let password = spec.password.map(|password| password.expose().escape_ascii().to_string());
    let or_none = |part: Option<String>| part.unwrap_or_else(|| "-".into());
    [
        or_none(spec.scheme.map(str::to_owned)),
        or_none(spec.user),
        or_none(password),
        spec.host.to_string(),
        or_none(spec.port.map(|port| port.to_string())),
    ]
    .join("|")
}

#[test]
fn host_and_port_of_every_form() {
    for (word, expected) in [
        ("host", "-|-|-|host|-"),
        ("host:1080", "-|-|-|host|1080"),
        ("192.0.2.1:1080", "-|-|-|192.0.2.1|1080"),
        ("::1", "-|-|-|::1|-"),
        ("[::1]", "-|-|-|::1|-"),
        ("[::1]:1080", "-|-|-|::1|1080"),
        ("host:1080/", "-|-|-|host|1080"),
        ("host/path:1", "-|-|-|host|-"),
        ("socks5://host", "socks5|-|-|host|-"),
        ("socks5h://host:1/", "socks5h|-|-|host|1"),
        ("socks4a://[::1]:1", "socks4a|-|-|::1|1"),
        ("SOCKS://host:1/x/y", "socks|-|-|host|1"),
    ] {
        assert_eq!(shown(word, &SOCKS), expected, "{word}");
    }
    for (word, expected) in [
        ("http://host:80/", "http|-|-|host|80"),
        ("HTTPS://host", "https|-|-|host|-"),
        ("host:8080", "-|-|-|host|8080"),
    ] {
        assert_eq!(shown(word, &HTTP), expected, "{word}");
    }
}

#[test]
fn the_last_at_ends_the_user_and_the_first_colon_begins_the_password() {
    for (word, expected) in [
        ("me@host:1", "-|me|-|host|1"),
        ("@host:1", "-||-|host|1"),
        ("me:pw@host:1", "-|me|pw|host|1"),
        ("me:@host", "-|me||host|-"),
        (":pw@host", "-||pw|host|-"),
        ("a@b@host", "-|a@b|-|host|-"),
        ("a@b:p@w@host", "-|a@b|p@w|host|-"),
        ("me:p:w@[::1]:1", "-|me|p:w|::1|1"),
        ("me:p/w@host/path", "-|me|p/w|host|-"),
        ("me:pw with blanks@host", "-|me|pw with blanks|host|-"),
        ("socks5://a@b:p@w@host", "socks5|a@b|p@w|host|-"),
    ] {
        assert_eq!(shown(word, &SOCKS), expected, "{word}");
    }
}

#[test]
fn user_and_password_are_percent_decoded_in_a_url_and_nowhere_else() {
    for (word, expected) in [
        ("m%65:p%77@host", "-|m%65|p%77|host|-"),
        ("socks5://m%65:p%77@host", "socks5|me|pw|host|-"),
        ("socks5://a%40b:p%3A%2F%40w@host", "socks5|a@b|p:/@w|host|-"),
        ("socks5://me:%@host", "socks5|me|%|host|-"),
        ("socks5://me:100%@host", "socks5|me|100%|host|-"),
        ("socks5://me:%4@host", "socks5|me|%4|host|-"),
        ("socks5://me:%zz%+1@host", "socks5|me|%zz%+1|host|-"),
        ("socks5://me:%ff%00@host", r"socks5|me|\xff\x00|host|-"),
        ("socks5://me:%2540@host", "socks5|me|%40|host|-"),
        ("socks5://b%C3%BCcher@host", "socks5|bücher|-|host|-"),
    ] {
        assert_eq!(shown(word, &SOCKS), expected, "{word}");
    }
}

#[track_caller]
fn error(word: &str, kind: &Kind) -> String {
    Spec::parse(word, "SOURCE", kind).unwrap_err().to_string()
}

#[test]
fn what_makes_no_sense_is_told_with_its_source_and_without_the_password() {
    for (word, part) in [
        ("me:hunter2@", "missing host name"),
        ("me:hunter2@:1", "missing host name"),
        ("me:hunter2@host:", "''"),
        ("me:hunter2@host:0", "'0'"),
        ("me:hunter2@host:65536", "'65536'"),
        ("me:hunter2@host:ssh", "'ssh'"),
        ("me:hunter2@host:1:2", "host:1:2"),
        ("me:hunter2@[::1", "'[::1'"),
        ("me:hunter2@ho st", "ho st"),
        ("http://me:hunter2@host", "-H"),
        ("ftp://me:hunter2@host", "ftp"),
        ("socks5://m%ff:hunter2@host", "UTF-8"),
    ] {
        let text = error(word, &SOCKS);
        assert!(text.contains("SOURCE") && text.contains(part), "{word}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(error("socks5://host", &HTTP).contains("-S"));
}

#[test]
fn a_password_with_a_slash_in_a_url_does_not_end_up_in_an_error() {
    for word in ["socks5://me:hunter2/x@host:1", "socks5://me:12345/x@host", "http://me:hunter2/@host"] {
        let text = error(word, if word.starts_with("http") { &HTTP } else { &SOCKS });
        assert!(text.contains("%2F") && !text.contains("hunter2") && !text.contains("12345"), "{text}");
    }
}

#[test]
fn a_password_with_the_end_of_a_scheme_in_it_is_not_taken_for_a_scheme() {
    for (word, expected) in
        [("me:sec://ret@host:1", "me sec://ret"), ("a@b:c://@host", "a@b c://"), (":x://y@host", " x://y")]
    {
        let spec = Spec::parse(word, "-S", &SOCKS).unwrap();
        let password = String::from_utf8(spec.password.unwrap().expose().to_vec()).unwrap();
        assert_eq!(format!("{} {password}", spec.user.unwrap()), expected);
    }
}

#[test]
fn a_kind_knows_its_schemes() {
    for word in ["http://h", "HTTPS://h"] {
        assert!(HTTP.has_scheme_of(word) && !SOCKS.has_scheme_of(word), "{word}");
    }
    for word in ["socks://h", "socks4://h", "socks4a://h", "Socks5://h", "socks5h://h"] {
        assert!(SOCKS.has_scheme_of(word) && !HTTP.has_scheme_of(word), "{word}");
    }
    for word in ["h:1", "", "://h", "ftp://h", "socks5"] {
        assert!(!SOCKS.has_scheme_of(word) && !HTTP.has_scheme_of(word), "{word}");
    }
}

#[test]
fn the_default_port_is_used_where_none_is_named() {
    let endpoint = |word| Spec::parse(word, "-S", &SOCKS).unwrap().endpoint(1080).unwrap().to_string();
    assert_eq!(endpoint("host"), "host:1080");
    assert_eq!(endpoint("host:1"), "host:1");
    assert_eq!(endpoint("::1"), "[::1]:1080");
}
