#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test panics")]

use super::*;

/// Returns the parts as `scheme|user|password|host|port`, with `-` for a missing part.
#[track_caller]
fn parts(text: &str, syntax: Syntax) -> String {
    let url = match ProxyUrl::parse(text.as_bytes(), "-X", syntax) {
        Ok(url) => url,
        Err(error) => panic!("{text}: {error}"),
    };
    let password = url.password.map(|password| password.expose().escape_ascii().to_string());
    let (host, port) = match url.address {
        Address::Tcp { host, port } => (host.to_string(), port.map(|port| port.to_string())),
        Address::Unix(path) => (format!("unix:{}", path.display()), None),
    };
    let or_dash = |part: Option<String>| part.unwrap_or_else(|| "-".into());
    [
        url.selection.name(),
        or_dash(url.user.map(|user| user.to_string())),
        or_dash(password),
        host,
        or_dash(port),
    ]
    .join("|")
}

#[test]
fn host_and_port_have_many_forms() {
    for (text, expected) in [
        ("host", "socks|-|-|host|-"),
        ("host:1080", "socks|-|-|host|1080"),
        ("192.0.2.1:1080", "socks|-|-|192.0.2.1|1080"),
        ("::1", "socks|-|-|::1|-"),
        ("[::1]", "socks|-|-|::1|-"),
        ("[::1]:1080", "socks|-|-|::1|1080"),
        ("host:1080/", "socks|-|-|host|1080"),
        ("host/path:1", "socks|-|-|host|-"),
        ("socks5://host", "socks5|-|-|host|-"),
        ("socks5h://host:1/", "socks5h|-|-|host|1"),
        ("socks4a://[::1]:1", "socks4a|-|-|::1|1"),
        ("[fe80::1%eth0]:1", "socks|-|-|fe80::1%eth0|1"),
        ("socks5://[fe80::1%eth0]:1", "socks5|-|-|fe80::1%eth0|1"),
        ("socks5://[fe80::1%25eth0]:1", "socks5|-|-|fe80::1%eth0|1"),
        ("socks5://[fe80::1%2525]:1", "socks5|-|-|fe80::1%25|1"),
        ("socks5://[fe80::1%25]:1", "socks5|-|-|fe80::1%25|1"),
        ("SOCKS://host:1/x/y", "socks|-|-|host|1"),
    ] {
        assert_eq!(parts(text, Syntax::Socks), expected, "{text}");
    }
    for (text, expected) in [
        ("http://host:80/", "http|-|-|host|80"),
        ("HTTPS://host", "https|-|-|host|-"),
        ("host:8080", "http|-|-|host|8080"),
    ] {
        assert_eq!(parts(text, Syntax::Http), expected, "{text}");
    }
}

#[test]
fn the_last_at_ends_the_login_and_the_first_colon_ends_the_user() {
    for (text, expected) in [
        ("me@host:1", "socks|me|-|host|1"),
        ("@host:1", "socks||-|host|1"),
        ("me:pw@host:1", "socks|me|pw|host|1"),
        ("me:@host", "socks|me||host|-"),
        (":pw@host", "socks||pw|host|-"),
        ("a@b@host", "socks|a@b|-|host|-"),
        ("a@b:p@w@host", "socks|a@b|p@w|host|-"),
        ("me:p:w@[::1]:1", "socks|me|p:w|::1|1"),
        ("me:p/w@host/path", "socks|me|p/w|host|-"),
        ("me:pw with blanks@host", "socks|me|pw with blanks|host|-"),
        ("socks5://a@b:p@w@host", "socks5|a@b|p@w|host|-"),
    ] {
        assert_eq!(parts(text, Syntax::Socks), expected, "{text}");
    }
}

#[test]
fn user_and_password_are_percent_decoded_only_in_a_url() {
    for (text, expected) in [
        ("m%65:p%77@host", "socks|m%65|p%77|host|-"),
        ("socks5://m%65:p%77@host", "socks5|me|pw|host|-"),
        ("socks5://a%40b:p%3A%2F%40w@host", "socks5|a@b|p:/@w|host|-"),
        ("socks5://me:%@host", "socks5|me|%|host|-"),
        ("socks5://me:100%@host", "socks5|me|100%|host|-"),
        ("socks5://me:%4@host", "socks5|me|%4|host|-"),
        ("socks5://me:%zz%+1@host", "socks5|me|%zz%+1|host|-"),
        ("socks5://me:%ff%00@host", r"socks5|me|\xff\x00|host|-"),
        ("socks5://me:%2540@host", "socks5|me|%40|host|-"),
        ("socks5://b%C3%BCcher@host", "socks5|bücher|-|host|-"),
        ("socks5://jos%E9@host", r"socks5|jos\xe9|-|host|-"),
    ] {
        assert_eq!(parts(text, Syntax::Socks), expected, "{text}");
    }
    let url = ProxyUrl::parse(b"jos\xe9:p\xe4ss@host:1", "-S", Syntax::Socks).unwrap();
    assert_eq!(
        (url.user, url.password),
        (Some(UserName::new(b"jos\xe9".into())), Some(Secret::new(b"p\xe4ss".into())))
    );
    for text in [&b"me@h\xe9"[..], b"socks5://h\xe9", b"me@h:\xe9"] {
        let error = ProxyUrl::parse(text, "-S", Syntax::Socks).unwrap_err().to_string();
        assert_eq!(error, "invalid proxy in -S: invalid host name: not UTF-8", "{}", text.escape_ascii());
    }
}

#[track_caller]
fn error(text: &str, syntax: Syntax) -> String {
    ProxyUrl::parse(text.as_bytes(), "SOURCE", syntax).unwrap_err().to_string()
}

#[test]
fn an_error_names_the_source_and_hides_the_password() {
    for (text, part) in [
        ("me:hunter2@", "missing host name"),
        ("me:hunter2@:1", "missing host name"),
        ("me:hunter2@host:", "''"),
        ("me:hunter2@host:0", "'0'"),
        ("me:hunter2@host:65536", "'65536'"),
        ("me:hunter2@host:ssh", "invalid port;"),
        ("me:hunter2@host:1:2", "invalid host name"),
        ("me:hunter2@[::1", "invalid host name"),
        ("me@host:1:2", "'host:****'"),
        ("me@[::1", "'[::1'"),
        ("me@ho st", "'ho st'"),
        ("me:p@ss hunter2", "invalid host name"),
        ("me:p@ss:hunter2", "invalid port;"),
        ("me:hunter2", "invalid port;"),
        ("me:hunter2:80", "'me:****'"),
        ("socks5://me:hunter2/", "invalid port;"),
        ("http://me:hunter2@host", "-H"),
        ("ftp://me:hunter2@host", "ftp"),
        ("socks5://me@é..b", "IDNA"),
        ("socks5://me:p@hunter2é..b", "invalid host name"),
    ] {
        let text = error(text, Syntax::Socks);
        assert!(text.contains("SOURCE") && text.contains(part), "{part}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(error("socks5://host", Syntax::Http).contains("-S"));
}

#[test]
fn an_error_about_a_slash_in_a_password_hides_the_password() {
    for text in ["socks5://me:hunter2/x@host:1", "socks5://me:12345/x@host", "http://me:hunter2/@host"] {
        let syntax = if text.starts_with("http") { Syntax::Http } else { Syntax::Socks };
        let error = error(text, syntax);
        assert!(error.contains("%2F") && !error.contains("hunter2") && !error.contains("12345"), "{error}");
    }
}

#[test]
fn a_colon_and_two_slashes_in_a_password_do_not_begin_a_url() {
    for (text, expected) in
        [("me:sec://ret@host:1", "me sec://ret"), ("a@b:c://@host", "a@b c://"), (":x://y@host", " x://y")]
    {
        let url = ProxyUrl::parse(text.as_bytes(), "-S", Syntax::Socks).unwrap();
        let password = String::from_utf8(url.password.unwrap().expose().to_vec()).unwrap();
        assert_eq!(format!("{} {password}", url.user.unwrap()), expected);
    }
}

#[test]
fn a_variable_is_matched_by_its_scheme() {
    for text in ["http://h", "HTTPS://h"] {
        assert!(
            has_scheme(text.as_bytes(), Syntax::Http) && !has_scheme(text.as_bytes(), Syntax::Socks),
            "{text}"
        );
    }
    for text in ["socks://h", "socks4://h", "socks4a://h", "Socks5://h", "socks5h://h"] {
        assert!(
            has_scheme(text.as_bytes(), Syntax::Socks) && !has_scheme(text.as_bytes(), Syntax::Http),
            "{text}"
        );
    }
    for text in ["h:1", "", "://h", "ftp://h", "socks5"] {
        assert!(
            !has_scheme(text.as_bytes(), Syntax::Socks) && !has_scheme(text.as_bytes(), Syntax::Http),
            "{text}"
        );
    }
}

#[test]
fn a_url_without_a_port_gets_the_default_port_of_its_scheme() {
    for (text, syntax, expected) in [
        ("host", Syntax::Socks, "host:1080"),
        ("host:1", Syntax::Socks, "host:1"),
        ("::1", Syntax::Socks, "[::1]:1080"),
        ("host", Syntax::Http, "host:80"),
        ("https://host", Syntax::Http, "host:443"),
        ("host", Syntax::Telnet, "host:23"),
        ("host", Syntax::Url, "host:80"),
        ("socks5+tls://host", Syntax::Url, "host:1080"),
    ] {
        assert_eq!(
            ProxyUrl::parse(text.as_bytes(), "-X", syntax).unwrap().target().to_string(),
            expected,
            "{text}"
        );
    }
}

fn with_query(query: &str) -> Result<ProxyUrl, Error> {
    ProxyUrl::parse(format!("socks5://host?{query}").as_bytes(), "-x", Syntax::Url)
}

#[test]
fn a_query_option_is_decoded_and_taken_once_and_the_last_value_wins() {
    let mut url = with_query("auth=1&command=x%20%26y&&insecure&auth=2").unwrap();
    assert_eq!(url.query.take("auth").as_deref(), Some("2"));
    assert_eq!(url.query.take("command").as_deref(), Some("x &y"));
    assert_eq!(url.query.take("insecure").as_deref(), Some(""));
    assert_eq!(url.query.take("auth"), None);
    url.expect_no_more_options().unwrap();
    assert!(with_query("a=%ff").is_err());
}

#[test]
fn an_unknown_query_option_is_an_error_that_lists_the_known_ones() {
    let mut url = with_query("resolv=local").unwrap();
    assert_eq!(url.query.take("resolve"), None);
    let error = url.expect_no_more_options().unwrap_err().to_string();
    assert_eq!(error, "invalid proxy in -x: unknown option 'resolv' for socks5://; use resolve");
    let error = with_query("pa%20ss").unwrap().expect_no_more_options().unwrap_err().to_string();
    assert_eq!(error, "invalid proxy in -x: unknown option after '?' for socks5://; it has no options");
}

#[test]
fn a_proxy_at_a_socket_has_a_path_instead_of_host_and_port() {
    for (text, expected) in [
        ("unix:/run/tor/socks", "socks|-|-|unix:/run/tor/socks|-"),
        ("unix:///run/tor/socks", "socks|-|-|unix:/run/tor/socks|-"),
        ("unix:/run/100%25/s?x", "socks|-|-|unix:/run/100%25/s?x|-"),
        ("me:p:w/x@unix:/s", "socks|me|p:w/x|unix:/s|-"),
        ("socks5h://unix:/run/a:1/s/", "socks5h|-|-|unix:/run/a:1/s/|-"),
        ("socks5h://unix:%2Frun%2ftor/socks", "socks5h|-|-|unix:/run/tor/socks|-"),
        ("socks5h://me:p%2Fw@unix:%2frun%2Fa%40b%2Cc", "socks5h|me|p/w|unix:/run/a@b,c|-"),
        ("socks4a://me@unix:/s", "socks4a|me|-|unix:/s|-"),
        ("socks5h://localhost/run/tor/socks", "socks5h|-|-|unix:/run/tor/socks|-"),
        ("socks5h://me:pw@LocalHost/s", "socks5h|me|pw|unix:/s|-"),
        // These have a host.
        ("unix:1080", "socks|-|-|unix|1080"),
        ("unix", "socks|-|-|unix|-"),
        ("unix.example/run", "socks|-|-|unix.example|-"),
        ("localhost/run", "socks|-|-|localhost|-"),
        ("socks5h://localhost/", "socks5h|-|-|localhost|-"),
        ("socks5h://localhost:1/run", "socks5h|-|-|localhost|1"),
    ] {
        assert_eq!(parts(text, Syntax::Socks), expected, "{text}");
    }
    assert_eq!(parts("http://unix:/s", Syntax::Http), "http|-|-|unix:/s|-");
    assert_eq!(parts("http://localhost/s", Syntax::Http), "http|-|-|localhost|-");
    let url = ProxyUrl::parse(b"socks5://unix:/a%3Fb?auth=none", "-x", Syntax::Url).unwrap();
    assert_eq!(url.target().to_string(), "unix:/a?b");
    for (text, part) in [
        ("unix:/", "missing path"),
        ("unix:///", "missing path"),
        ("unix:/a@b", "%40"),
        ("unix:/hunter2@host:1", "%40"),
        ("socks5://unix:/hunter2@host", "%40"),
        ("socks5://me@unix:/a@b", "%40"),
        ("socks5://unix:/%ff", "not UTF-8"),
        ("socks5://unix:/a%00b", "control characters"),
        ("socks5://unix:/a%1b[2J", "control characters"),
        ("unix:relative", "must begin with '/'"),
        ("unix:~/socks", "must begin with '/'"),
        ("socks5://unix:relative", "must begin with '/'"),
        ("unix:", "must begin with '/'"),
    ] {
        let text = error(text, Syntax::Socks);
        assert!(
            text.contains("SOURCE") && text.contains(part) && !text.contains("hunter2"),
            "{part}: {text}"
        );
    }
}

#[test]
fn sockets_are_found_in_a_chain() {
    for urls in [
        "unix:/s",
        "me:pw@unix:/s",
        "http://a,socks5://unix:/s",
        "http://a | socks5h://me@unix:%2Fs?resolve=remote",
        "socks5h://LOCALHOST/s",
        "unix:///s",
        "socks5://me:p?w@unix:/s",
        "me:p,w@unix:/s",
    ] {
        assert!(names_socket(urls.as_bytes()), "{urls}");
    }
    for urls in
        ["unix:1", "http://localhost/s", "socks5://localhost/", "http://unix.example/unix:/s", "direct", ""]
    {
        assert!(!names_socket(urls.as_bytes()), "{urls}");
    }
}

#[test]
fn the_path_and_query_of_some_schemes_are_for_the_server() {
    for (text, expected, path) in [
        ("ws://host", "ws|-|-|host|-", "/"),
        ("ws://host/", "ws|-|-|host|-", "/"),
        ("wss://host:8443/a/b?c=d&e", "wss|-|-|host|8443", "/a/b?c=d&e"),
        ("WSS://[::1]?q", "wss|-|-|::1|-", "/?q"),
        ("ws://h/%h?tls-ca=x&p=%p#", "ws|-|-|h|-", "/%h?tls-ca=x&p=%p"),
        ("ws://h/p?q#eof=close", "ws|-|-|h|-", "/p?q"),
        ("ws://h#eof=close", "ws|-|-|h|-", "/"),
    ] {
        assert_eq!(parts(text, Syntax::Url), expected, "{text}");
        let mut url = ProxyUrl::parse(text.as_bytes(), "-x", Syntax::Url).unwrap();
        assert_eq!(url.path, path, "{text}");
        assert_eq!(url.query.take("eof").is_some(), text.contains("#eof"), "{text}");
        assert!(url.expect_no_more_options().is_ok(), "{text}");
    }
    for (text, part) in [
        ("ws://me:hunter2@host/", "--token-file"),
        ("ws://me@host/", "--token-file"),
        ("ws://me:hun/ter2@host/", "%40"),
        ("ws://me:hun?ter2@host/", "%40"),
        ("ws://host/a b", "percent-encode"),
        ("ws://host/\u{e9}", "percent-encode"),
        ("ws:///path", "invalid host name"),
        ("ws://unix:/path", "invalid port"),
    ] {
        let error = error(text, Syntax::Url);
        assert!(error.contains(part) && !error.contains("ter2"), "{text}: {error}");
    }
    let url = ProxyUrl::parse(b"ws://host/#token=hunter2", "-x", Syntax::Url).unwrap();
    let error = url.expect_no_more_options().unwrap_err().to_string();
    assert_eq!(error, "invalid proxy in -x: unknown option 'token' for ws://; it has no options");
}

#[test]
fn an_option_after_a_number_sign_may_be_a_path() {
    let removed = std::cell::RefCell::new(Vec::new());
    let note = |name: &str| removed.borrow_mut().push(name.to_owned());
    let urls = b"http://a?tls-ca=x,wss://b/?tls-ca=query#tls-ca=x&eof=close|ws://c/#eof=close";
    let kept = without_paths(urls, &note);
    assert_eq!(kept.as_ref(), b"http://a?,wss://b/?tls-ca=query#eof=close|ws://c/#eof=close");
    assert_eq!(removed.into_inner(), ["tls-ca", "tls-ca"]);
}
