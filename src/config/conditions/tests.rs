#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test panics")]

use std::cell::RefCell;

use super::*;

/// A fake machine on two networks. Records which commands ran and how often the interfaces were
/// listed.
struct FakeEnv {
    host: &'static str,
    port: Option<u16>,
    commands: RefCell<Vec<String>>,
    interface_lists: RefCell<usize>,
}

impl FakeEnv {
    fn new(host: &'static str, port: Option<u16>) -> Self {
        Self { host, port, commands: RefCell::default(), interface_lists: RefCell::default() }
    }
}

impl MatchEnv for FakeEnv {
    fn host(&self) -> &str {
        self.host
    }

    fn port(&self) -> Option<u16> {
        self.port
    }

    fn addresses(&self) -> io::Result<Vec<IpAddr>> {
        *self.interface_lists.borrow_mut() += 1;
        Ok(["127.0.0.1", "192.168.1.23", "2001:db8::17"].map(|address| address.parse().unwrap()).into())
    }

    fn user(&self) -> Option<String> {
        Some("alice".into())
    }

    fn succeeds(&self, command: &str) -> Result<bool, String> {
        self.commands.borrow_mut().push(command.to_owned());
        if command == "hang" { Err("too long".into()) } else { Ok(command.starts_with("true")) }
    }
}

/// Evaluates a line for the target `git.corp.example:22`.
#[track_caller]
fn is_met(line: &str) -> bool {
    let conditions = Conditions::parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    conditions.are_met(&FakeEnv::new("git.corp.example", Some(22)), Trust::Full).unwrap()
}

#[test]
fn each_criterion_matches_its_own_property() {
    for (line, expected) in [
        ("all", true),
        ("ALL # everywhere", true),
        ("!all", false),
        ("localnetwork 192.168.1.0/24", true),
        ("LocalNetwork 192.168.10.0/24", false),
        ("localnetwork 10.0.0.0/8,2001:db8::/32", true),
        ("localnetwork 2001:db8::17", true),
        ("localnetwork 2001:db8::18/128", false),
        ("localnetwork 192.168.1.", true),
        ("localnetwork 192.168.1.0/255.255.255.0", true),
        ("!localnetwork 192.168.1.0/24", false),
        ("!localnetwork 10.0.0.0/8", true),
        ("host git.corp.example", true),
        ("host GIT.*", true),
        ("host *.corp.example", true),
        ("host corp.example", false),
        ("host *.corp.example,!git.*", false),
        ("host !git.*,*.corp.example", false),
        ("host !*.elsewhere", false),
        ("host !*.elsewhere,*", true),
        ("!host *.corp.example", false),
        ("!host *.elsewhere", true),
        ("port 22", true),
        ("port 80,20-25", true),
        ("port 23-65535", false),
        ("!port 22", false),
        ("localuser alice,bob", true),
        ("localuser a*", true),
        ("localuser Alice", false),
        ("exec true", true),
        ("exec false", false),
        ("!exec false", true),
        ("exec 'true # %h'", true),
        ("host git.* port 22 !localnetwork 10.0.0.0/8 exec \"true\"", true),
        ("host git.* port 23 exec true", false),
    ] {
        assert_eq!(is_met(line), expected, "{line}");
    }
}

#[test]
fn the_target_is_compared_as_typed() {
    for (host, port, line, expected) in [
        ("Git.Corp.Example", Some(22), "host *.corp.example", true),
        ("git.corp.example.", Some(22), "host *.corp.example", true),
        ("git.xn--bcher-kva.example", Some(22), "host *.BÜCHER.example", true),
        ("git.xn--bcher-kva.example", Some(22), "host *,!git.bücher.example", false),
        ("git.xn--bcher-kva.example", Some(22), "host *.büch*.example", false),
        ("192.0.2.1", Some(22), "host 192.0.2.*", true),
        ("2001:db8::1", Some(22), "host 2001:db8::?", true),
        ("unix:/run/socket", None, "host unix:*", true),
        ("unix:/run/socket", None, "port 1-65535", false),
        ("unix:/run/socket", None, "!port 22", true),
    ] {
        let conditions = Conditions::parse(line).unwrap();
        assert_eq!(
            conditions.are_met(&FakeEnv::new(host, port), Trust::Full),
            Ok(expected),
            "{line}: {host}"
        );
    }
}

#[test]
fn evaluation_stops_at_the_first_criterion_that_does_not_match() {
    let env = FakeEnv::new("git.corp.example", Some(22));
    let evaluate = |line: &str| Conditions::parse(line).unwrap().are_met(&env, Trust::Full);
    assert_eq!(evaluate("host other localnetwork 0.0.0.0/0 exec true"), Ok(false));
    assert_eq!((env.commands.take(), env.interface_lists.take()), (vec![], 0));
    assert_eq!(evaluate("localnetwork 0.0.0.0/0 exec 'true %h:%p %%'"), Ok(true));
    assert_eq!(
        (env.commands.take(), env.interface_lists.take()),
        (vec!["true git.corp.example:22 %".into()], 1)
    );
}

/// Neither the criterion nor its negation matches.
#[test]
fn a_criterion_that_cannot_be_evaluated_is_an_error() {
    let evaluate = |line: &str, host, trust| {
        Conditions::parse(line).unwrap().are_met(&FakeEnv::new(host, Some(22)), trust)
    };
    for line in ["exec hang", "!exec hang"] {
        assert_eq!(evaluate(line, "h", Trust::Full), Err("too long".into()));
    }
    for line in ["exec true", "!exec true"] {
        assert!(
            evaluate(line, "h", Trust::Limited).unwrap_err().starts_with("exec is allowed only in"),
            "{line}"
        );
    }
    assert_eq!(evaluate("host other exec true", "h", Trust::Limited), Ok(false));
    let hostile = evaluate("exec 'true %h'", "$(touch owned)", Trust::Full).unwrap_err();
    assert!(hostile.contains("$(touch owned)"), "{hostile}");
}

#[test]
fn an_invalid_line_is_an_error() {
    for (line, part) in [
        ("", "missing criterion"),
        ("# host x", "missing criterion"),
        ("host", "missing value for 'host'"),
        ("host ''", "missing value for 'host'"),
        ("host # x", "missing value for 'host'"),
        ("all all", "'all' cannot be combined"),
        ("all host x", "'all' cannot be combined"),
        ("host x !all", "'all' cannot be combined"),
        ("user bob", "unknown criterion 'user'"),
        ("*.corp.example", "unknown criterion '*.corp.example'"),
        ("host x final", "unknown criterion 'final'"),
        ("localnetwork corp.example", "invalid network 'corp.example'"),
        ("localnetwork 10.0.0.0/33", "invalid network '10.0.0.0/33'"),
        ("localnetwork !10.0.0.0/8", "invalid network '!10.0.0.0/8'"),
        ("localnetwork 10.0.0.0/8, 192.168.1.0/24", "invalid network ''"),
        ("port ssh", "invalid port 'ssh'"),
        ("port 0", "invalid port '0'"),
        ("port 90-80", "invalid port '90-80'"),
        ("port 1-", "invalid port '1-'"),
        ("exec \"true", "missing closing quote"),
        ("exec 'true'x", "after a closing quote"),
        ("exec 'date +%s'", "unknown placeholder %s"),
        ("a\x1b[2J", "unknown criterion 'a\\x1b[2j'"),
    ] {
        let error = Conditions::parse(line).unwrap_err();
        assert!(error.contains(part), "{line}: {error}");
    }
}

#[test]
fn patterns_contain_stars_and_question_marks() {
    for (pattern, text, expected) in [
        ("", "", true),
        ("", "a", false),
        ("*", "", true),
        ("**", "a.b", true),
        ("a*", "a", true),
        ("*a", "ba", true),
        ("*ab", "aab", true),
        ("a*b*c", "a-b-b-c", true),
        ("a*b*c", "a-b-b-", false),
        ("?", "", false),
        ("?", "ä", true),
        ("a?c", "abc", true),
        ("a?", "abc", false),
        ("*.example", ".example", true),
        ("*.example", "example", false),
        ("a.c", "abc", false),
        ("[a]", "a", false),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
    }
    // Even with many stars, matching must not take exponential time.
    assert!(!matches(&"*a".repeat(500), &"a".repeat(499)));
}
