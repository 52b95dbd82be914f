#![allow(clippy::panic, reason = "that is how a test fails")]

use std::cell::RefCell;
use std::net::IpAddr;

use super::*;

fn parse(content: &[u8]) -> (Parameters, Vec<String>) {
    let complaints = RefCell::new(Vec::new());
    let warn = |what: &str| complaints.borrow_mut().push(what.trim_start_matches("rc:").to_owned());
    let parameters = Parameters { path: "rc".into(), trusted: true, ..Parameters::default() };
    (parameters.parsed(content, &warn), complaints.into_inner())
}

/// A place where only one host is known, and no command succeeds.
struct Nowhere;

impl Surroundings for Nowhere {
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

impl Parameters {
    /// The value and its line.
    fn at(&self, name: &str) -> Option<(&str, usize)> {
        let found = self.get(name, &Nowhere, &|what| panic!("{what}"))?;
        let Origin::File { path, line } = found.origin else { panic!("{found:?}") };
        assert_eq!((&*path, found.name), ("rc", name));
        Some((found.value, line))
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.at(name).map(|(value, _)| value)
    }
}

#[test]
fn a_line_is_name_and_value() {
    for (line, expected) in [
        ("SOCKS_SERVER=h:1", "h:1"),
        (" \tSOCKS_SERVER\t = \t h:1 \t ", "h:1"),
        ("SOCKS_SERVER = h:1\r", "h:1"),
        ("SOCKS_SERVER = h:1 # trailing", "h:1"),
        ("SOCKS_SERVER = h:1#x", "h:1"),
        ("SOCKS_SERVER = a=b", "a=b"),
        ("SOCKS_SERVER =", ""),
        ("SOCKS_SERVER = \"a # b \"", "a # b "),
        ("SOCKS_SERVER = 'it \"is\"' # comment", "it \"is\""),
        ("SOCKS_SERVER = first\nSOCKS_SERVER = second", "second"),
        ("# c\n\n  # c\n\nSOCKS_SERVER = h", "h"),
        ("\u{feff}SOCKS_SERVER = h", "h"),
    ] {
        let (parameters, complaints) = parse(line.as_bytes());
        assert_eq!(parameters.value("SOCKS_SERVER"), Some(expected), "{line}");
        assert_eq!(complaints, [""; 0], "{line}");
    }
}

#[test]
fn a_line_without_sense_is_named_and_skipped() {
    let content = b"SOCKS_SERVER h\nFOO = bar\nsocks_user = x\n\xff = x\nSOCKS_USER = 'x\nA # = b\n= b\nSOCKS_USER = \"a\" b\nSOCKS_AUTH=x\nSOCKS_USER = good";
    let (parameters, complaints) = parse(content);
    assert_eq!(
        complaints,
        [
            "1: no '=' (NAME = value), skipped",
            "2: unknown parameter 'FOO', skipped",
            "3: unknown parameter 'socks_user', skipped",
            "4: not UTF-8, skipped",
            "5: a quote without its end, skipped",
            "6: no '=' before the comment (NAME = value), skipped",
            "7: unknown parameter '', skipped",
            "8: words after the closing quote, skipped",
            "9: unknown parameter 'SOCKS_AUTH', skipped",
        ]
    );
    assert_eq!(parameters.value("SOCKS_USER"), Some("good"));
    assert_eq!(parameters.value("SOCKS_SERVER"), None);
}

#[test]
fn a_line_may_be_of_any_length_and_the_last_needs_no_end() {
    let long = "x".repeat(100_000);
    let (parameters, complaints) = parse(format!("SOCKS_USER = {long}").as_bytes());
    assert_eq!((parameters.value("SOCKS_USER"), complaints.len()), (Some(long.as_str()), 0));
}

#[test]
fn what_is_no_file_is_skipped_with_a_word() {
    for (path, expected) in [("/", Some("/: skipped: it is a directory")), ("/nonexistent/file", None)] {
        let told = RefCell::new(None);
        let parameters =
            Parameters::read(Path::new(path), &|what| *told.borrow_mut() = Some(what.to_owned()));
        assert_eq!((parameters, told.into_inner().as_deref()), (Parameters::default(), expected));
    }
}

#[test]
fn values_of_a_block_count_where_it_applies() {
    let content = "SOCKS_SERVER = everywhere\nSOCKS_USER = all\nMatch host there\nSOCKS_SERVER = there\n\
                   mAtCh host here # us\n SOCKS_SERVER = here\nSOCKS_USER = early\nMatch !host there\nSOCKS_USER = late\n";
    let (parameters, complaints) = parse(content.as_bytes());
    assert_eq!(complaints, [""; 0]);
    assert_eq!(parameters.at("SOCKS_SERVER"), Some(("here", 6)));
    assert_eq!(parameters.at("SOCKS_USER"), Some(("late", 9)));
    let (parameters, _) = parse(b"Match host there\nSOCKS_SERVER = there\nMatch all\nSOCKS_USER = me");
    assert_eq!((parameters.at("SOCKS_SERVER"), parameters.at("SOCKS_USER")), (None, Some(("me", 4))));
    let (parameters, _) = parse(b"SOCKS_SERVER = s\nMatch host there\nSOCKS_SERVER = there");
    assert_eq!(parameters.at("SOCKS_SERVER"), Some(("s", 1)));
}

#[test]
fn the_block_of_a_broken_match_applies_nowhere() {
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
        let (parameters, complaints) = parse(&content);
        assert_eq!(parameters.value("SOCKS_USER"), Some("good"), "{shown}");
        let [complaint] = complaints.as_slice() else { panic!("{shown}: {complaints:?}") };
        assert!(
            complaint.starts_with("3: Match: ") && complaint.ends_with("; its block does not apply"),
            "{complaint}"
        );
    }
    let (_, complaints) = parse(b"MATCH_ALL = x\nMatching = x");
    assert_eq!(
        complaints,
        ["1: unknown parameter 'MATCH_ALL', skipped", "2: unknown parameter 'Matching', skipped"]
    );
}

#[test]
fn a_block_is_looked_at_when_a_value_in_it_is_wanted_and_once() {
    let content =
        b"Match localnetwork 10.0.0.0/8\nSOCKS_USER = a\nSOCKS_SERVER = a\nMatch all\nSOCKS_SERVER = b";
    let (parameters, _) = parse(content);
    let told = RefCell::new(Vec::new());
    let get = |name| {
        let warn = |what: &str| told.borrow_mut().push(what.to_owned());
        parameters.get(name, &Nowhere, &warn).map(|found| found.value)
    };
    assert_eq!((get("SOCKS_SERVER"), get("HTTP_PROXY")), (Some("b"), None));
    assert!(told.borrow().is_empty(), "{told:?}");
    assert_eq!((get("SOCKS_USER"), get("SOCKS_USER")), (None, None));
    let [what] = &*told.take() else { panic!("told another number of times") };
    assert!(what.starts_with("rc:1: the networks of this machine are not known"), "{what}");
    assert!(what.ends_with(", so the block does not apply"), "{what}");
}
