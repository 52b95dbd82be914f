#![allow(clippy::panic, reason = "a failing test panics")]

use std::cell::RefCell;
use std::net::IpAddr;

use super::*;

/// Parses a file; also returns the warnings, without the file's name.
fn parse(content: &[u8]) -> (ParameterFile, Vec<String>) {
    let warnings = RefCell::new(Vec::new());
    let warn = |warning: &str| warnings.borrow_mut().push(warning.trim_start_matches("rc:").to_owned());
    let file = ParameterFile { path: "rc".into(), trust: Trust::Full, ..ParameterFile::default() };
    (file.parsed(content, &warn), warnings.into_inner())
}

/// An environment for the target `here:22`, in which interfaces cannot be listed and every command
/// fails.
struct FakeEnv;

impl MatchEnv for FakeEnv {
    fn host(&self) -> &'static str {
        "here"
    }

    fn port(&self) -> Option<u16> {
        Some(22)
    }

    fn addresses(&self) -> io::Result<Vec<IpAddr>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn user(&self) -> Option<String> {
        None
    }

    fn succeeds(&self, _: &str) -> Result<bool, String> {
        Ok(false)
    }
}

impl ParameterFile {
    /// Returns the value and the number of the line that sets it.
    fn at(&self, name: &str) -> Option<(&str, usize)> {
        let setting = self.get(name, &FakeEnv, &|warning| panic!("{warning}"))?;
        let Origin::File { path, line } = setting.origin else { panic!("{setting:?}") };
        assert_eq!((&*path, setting.name), ("rc", name));
        Some((str::from_utf8(setting.value).unwrap_or("not UTF-8"), line))
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.at(name).map(|(value, _)| value)
    }
}

#[test]
fn a_line_consists_of_name_and_value() {
    for (line, expected) in [
        ("SOCKS_SERVER=h:1", "h:1"),
        (" \tSOCKS_SERVER\t = \t h:1 \t ", "h:1"),
        ("SOCKS_SERVER = h:1\r", "h:1"),
        ("SOCKS_SERVER = h:1 # trailing", "h:1"),
        ("SOCKS_SERVER = h:1\t# trailing", "h:1"),
        ("SOCKS_SERVER = h:1#x", "h:1#x"),
        ("SOCKS_SERVER = me:a#b@h # x", "me:a#b@h"),
        ("SOCKS_SERVER = me:a#b#@h", "me:a#b#@h"),
        ("SOCKS_SERVER = # x", ""),
        ("SOCKS_SERVER =#x", ""),
        ("SOCKS_SERVER = a=b", "a=b"),
        ("SOCKS_SERVER =", ""),
        ("SOCKS_SERVER = \"a # b \"", "a # b "),
        ("SOCKS_SERVER = 'it \"is\"' # comment", "it \"is\""),
        ("SOCKS_SERVER = first\nSOCKS_SERVER = second", "second"),
        ("# c\n\n  # c\n\nSOCKS_SERVER = h", "h"),
    ] {
        let (file, warnings) = parse(line.as_bytes());
        assert_eq!(file.value("SOCKS_SERVER"), Some(expected), "{line}");
        assert_eq!(warnings, [""; 0], "{line}");
    }
}

#[test]
fn an_invalid_line_is_reported_and_ignored() {
    let content = b"SOCKS_SERVER h\nFOO = bar\nsocks_user = x\n\xff = x\nSOCKS_USER = 'x\nA # = b\n= b\nSOCKS_USER = \"a\" b\nSOCKS_AUTH=x\nSOCKS_USER = good";
    let (file, warnings) = parse(content);
    assert_eq!(
        warnings,
        [
            "1: missing '=' (NAME = value); line ignored",
            "2: unknown parameter 'FOO'; line ignored",
            "3: unknown parameter 'socks_user'; line ignored",
            "4: invalid parameter name before '='; line ignored",
            "5: missing closing quote; line ignored",
            "6: missing '=' before the comment (NAME = value); line ignored",
            "7: unknown parameter ''; line ignored",
            "8: unexpected text after the closing quote; line ignored",
            "9: unknown parameter 'SOCKS_AUTH'; line ignored",
        ]
    );
    assert_eq!(file.value("SOCKS_USER"), Some("good"));
    assert_eq!(file.value("SOCKS_SERVER"), None);
}

/// The C program works with bytes, so its files may be in Latin-1.
#[test]
fn a_user_name_a_password_or_a_comment_in_latin_1_made_the_line_invalid() {
    let content = b"# caf\xe9\nSOCKS_USER = jos\xe9 # \xa0\nSOCKS5_PASSWORD = \"p\xe4ss # \"# \xff\n\
                    SOCKS_SERVER = jos\xe9:p\xe4ss@h:1\nSOCKS_RESOLVE = remote # r\xe9solu\n\
                    Match host here # l\xe0\nCONNECT_USER = \xe9\n";
    let (file, warnings) = parse(content);
    assert_eq!(warnings, [""; 0]);
    for (name, expected) in [
        ("SOCKS_USER", &b"jos\xe9"[..]),
        ("SOCKS5_PASSWORD", b"p\xe4ss # "),
        ("SOCKS_SERVER", b"jos\xe9:p\xe4ss@h:1"),
        ("SOCKS_RESOLVE", b"remote"),
        ("CONNECT_USER", b"\xe9"),
    ] {
        let value = file.get(name, &FakeEnv, &|warning| panic!("{warning}")).map(|setting| setting.value);
        assert_eq!(value, Some(expected), "{name}");
    }
    for line in [&b"SOCKS5_AUTH = \xe9"[..], b"CONNECT_TLS_CA = /\xe9", b"SOCKS_RESOLVE = \xe9"] {
        assert_eq!(parse(line).1, ["1: not UTF-8; line ignored"], "{}", line.escape_ascii());
    }
}

#[test]
fn a_line_may_have_any_length_and_the_last_needs_no_newline() {
    let long = "x".repeat(100_000);
    let (file, warnings) = parse(format!("SOCKS_USER = {long}").as_bytes());
    assert_eq!((file.value("SOCKS_USER"), warnings.len()), (Some(long.as_str()), 0));
}

#[test]
fn a_path_that_is_not_a_file_gets_a_warning() {
    for (path, expected) in
        [("/", Some("cannot read /: is a directory; file ignored")), ("/nonexistent/file", None)]
    {
        let warned = RefCell::new(None);
        let warn = |warning: &str| *warned.borrow_mut() = Some(warning.to_owned());
        let file = ParameterFile::read(Path::new(path), &warn);
        assert_eq!((file, warned.into_inner().as_deref()), (ParameterFile::default(), expected));
    }
}

#[test]
fn a_block_applies_if_its_conditions_are_met() {
    let content = "SOCKS_SERVER = everywhere\nSOCKS_USER = all\nMatch host there\nSOCKS_SERVER = there\n\
                   mAtCh host here # us\n SOCKS_SERVER = here\nSOCKS_USER = early\nMatch !host there\nSOCKS_USER = late\n";
    let (file, warnings) = parse(content.as_bytes());
    assert_eq!(warnings, [""; 0]);
    assert_eq!(file.at("SOCKS_SERVER"), Some(("here", 6)));
    assert_eq!(file.at("SOCKS_USER"), Some(("late", 9)));
    let (file, _) = parse(b"Match host there\nSOCKS_SERVER = there\nMatch all\nSOCKS_USER = me");
    assert_eq!((file.at("SOCKS_SERVER"), file.at("SOCKS_USER")), (None, Some(("me", 4))));
    let (file, _) = parse(b"SOCKS_SERVER = s\nMatch host there\nSOCKS_SERVER = there");
    assert_eq!(file.at("SOCKS_SERVER"), Some(("s", 1)));
}

#[test]
fn the_block_of_an_invalid_match_line_never_applies() {
    for line in [
        &b"Match"[..],
        b"match hots here",
        b"Match host here 'all",
        b"Match: all",
        b"MATCH=all",
        b"Match all here",
        b"Match host here \xff",
        b" Match\t# all",
    ] {
        let shown = String::from_utf8_lossy(line);
        let content = [b"Match all\nSOCKS_USER = good\n", line, b"\nSOCKS_USER = bad"].concat();
        let (file, warnings) = parse(&content);
        assert_eq!(file.value("SOCKS_USER"), Some("good"), "{shown}");
        let [warning] = warnings.as_slice() else { panic!("{shown}: {warnings:?}") };
        assert!(warning.starts_with("3: ") && warning.ends_with("; Match block ignored"), "{warning}");
    }
    let (_, warnings) = parse(b"MATCH_ALL = x\nMatching = x");
    assert_eq!(
        warnings,
        ["1: unknown parameter 'MATCH_ALL'; line ignored", "2: unknown parameter; line ignored"]
    );
}

#[test]
fn a_block_is_evaluated_once_and_only_if_a_value_in_it_is_needed() {
    let content =
        b"Match localnetwork 10.0.0.0/8\nSOCKS_USER = a\nSOCKS_SERVER = a\nMatch all\nSOCKS_SERVER = b";
    let (file, _) = parse(content);
    let warnings = RefCell::new(Vec::new());
    let get = |name| {
        let warn = |warning: &str| warnings.borrow_mut().push(warning.to_owned());
        file.get(name, &FakeEnv, &warn).map(|setting| setting.value)
    };
    assert_eq!((get("SOCKS_SERVER"), get("HTTP_PROXY")), (Some(&b"b"[..]), None));
    assert!(warnings.borrow().is_empty(), "{warnings:?}");
    assert_eq!((get("SOCKS_USER"), get("SOCKS_USER")), (None, None));
    let warnings = warnings.take();
    let [warning] = &*warnings else { panic!("{warnings:?}") };
    assert!(warning.starts_with("rc:1: cannot list the network interfaces"), "{warning}");
    assert!(warning.ends_with("; Match block ignored"), "{warning}");
}
