#![allow(clippy::unwrap_used, clippy::panic, reason = "that is how a test fails")]

use std::cell::RefCell;

use super::*;

/// A machine in two networks, on the way to `git.corp.example:22`.
struct Here {
    host: &'static str,
    port: Option<u16>,
    ran: RefCell<Vec<String>>,
    asked: RefCell<usize>,
}

impl Here {
    fn with(host: &'static str, port: Option<u16>) -> Self {
        Self { host, port, ran: RefCell::default(), asked: RefCell::default() }
    }
}

impl Surroundings for Here {
    fn host(&self) -> &str {
        self.host
    }

    fn port(&self) -> Option<u16> {
        self.port
    }

    fn addresses(&self) -> io::Result<Vec<IpAddr>> {
        *self.asked.borrow_mut() += 1;
        Ok(["127.0.0.1", "192.168.1.23", "2001:db8::17"].map(|address| address.parse().unwrap()).into())
    }

    fn user(&self) -> Option<String> {
        Some("alice".into())
    }

    fn succeeds(&self, command: &str) -> Result<bool, String> {
        self.ran.borrow_mut().push(command.to_owned());
        if command == "hang" { Err("too long".into()) } else { Ok(command.starts_with("true")) }
    }
}

#[track_caller]
fn met(line: &str) -> bool {
    let conditions = Conditions::parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    conditions.are_met(&Here::with("git.corp.example", Some(22)), true).unwrap()
}

#[test]
fn each_criterion_looks_at_what_it_is_about() {
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
        assert_eq!(met(line), expected, "{line}");
    }
}

#[test]
fn a_target_is_compared_as_it_was_typed() {
    for (host, port, line, expected) in [
        ("Git.Corp.Example", Some(22), "host *.corp.example", true),
        ("git.corp.example.", Some(22), "host *.corp.example", true),
        ("192.0.2.1", Some(22), "host 192.0.2.*", true),
        ("2001:db8::1", Some(22), "host 2001:db8::?", true),
        ("unix:/run/socket", None, "host unix:*", true),
        ("unix:/run/socket", None, "port 1-65535", false),
        ("unix:/run/socket", None, "!port 22", true),
    ] {
        let conditions = Conditions::parse(line).unwrap();
        assert_eq!(conditions.are_met(&Here::with(host, port), true), Ok(expected), "{line}: {host}");
    }
}

#[test]
fn what_follows_an_unmet_criterion_is_not_looked_at() {
    let here = Here::with("git.corp.example", Some(22));
    let look = |line: &str| Conditions::parse(line).unwrap().are_met(&here, true);
    assert_eq!(look("host other localnetwork 0.0.0.0/0 exec true"), Ok(false));
    assert_eq!((here.ran.take(), here.asked.take()), (vec![], 0));
    assert_eq!(look("localnetwork 0.0.0.0/0 exec 'true %h:%p %%'"), Ok(true));
    assert_eq!((here.ran.take(), here.asked.take()), (vec!["true git.corp.example:22 %".into()], 1));
}

/// Nor is its opposite: nothing is known then.
#[test]
fn a_criterion_that_cannot_be_told_is_not_met() {
    let look = |line: &str, host, trusted| {
        Conditions::parse(line).unwrap().are_met(&Here::with(host, Some(22)), trusted)
    };
    for line in ["exec hang", "!exec hang"] {
        assert_eq!(look(line, "h", true), Err("too long".into()));
    }
    for line in ["exec true", "!exec true"] {
        assert!(look(line, "h", false).unwrap_err().starts_with("exec is not run"), "{line}");
    }
    assert_eq!(look("host other exec true", "h", false), Ok(false));
    let hostile = look("exec 'true %h'", "$(touch owned)", true).unwrap_err();
    assert!(hostile.contains("special to the shell"), "{hostile}");
}

#[test]
fn a_line_that_makes_no_sense_is_an_error() {
    for (line, part) in [
        ("", "needs a criterion"),
        ("# host x", "needs a criterion"),
        ("host", "host needs a value"),
        ("host ''", "host needs a value"),
        ("host # x", "host needs a value"),
        ("all all", "all stands alone"),
        ("all host x", "all stands alone"),
        ("host x !all", "all stands alone"),
        ("user bob", "'user' is no criterion"),
        ("*.corp.example", "'*.corp.example' is no criterion"),
        ("host x final", "'final' is no criterion"),
        ("localnetwork corp.example", "'corp.example' is no network"),
        ("localnetwork 10.0.0.0/33", "'10.0.0.0/33' is no network"),
        ("localnetwork !10.0.0.0/8", "'!10.0.0.0/8' is no network"),
        ("localnetwork 10.0.0.0/8, 192.168.1.0/24", "'' is no network"),
        ("port ssh", "'ssh' is no port"),
        ("port 0", "'0' is no port"),
        ("port 90-80", "'90-80' is no port"),
        ("port 1-", "'1-' is no port"),
        ("exec \"true", "a quote without its end"),
        ("exec 'true'x", "behind a closing quote"),
        ("exec 'date +%s'", "unknown placeholder %s"),
        ("a\x1b[2J", "'a\\x1b[2j' is no criterion"),
    ] {
        let error = Conditions::parse(line).unwrap_err();
        assert!(error.contains(part), "{line}: {error}");
    }
}

#[test]
fn patterns_have_stars_and_question_marks() {
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
        assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
    }
    // A star after another costs no more than their product.
    assert!(!fits(&"*a".repeat(500), &"a".repeat(499)));
}
