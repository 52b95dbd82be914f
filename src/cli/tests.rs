#![allow(clippy::unwrap_used, clippy::panic, reason = "that is how a test fails")]

use super::*;

fn request(line: &str) -> Result<Request, Error> {
    parse(line.split(' ').map(OsString::from))
}

/// What was typed after the program's name.
#[track_caller]
fn typed(line: &str) -> Args {
    match request(&format!("connect {line}")) {
        Ok(Request::Session(typed)) => *typed,
        other => panic!("{line}: {other:?}"),
    }
}

#[track_caller]
fn usage(line: &str) -> String {
    match request(&format!("connect {line}")) {
        Err(Error::Usage(text) | Error::Config(text)) => text,
        other => panic!("{line}: {other:?}"),
    }
}

fn to_host() -> Args {
    Args { host: "host".into(), port: Some("22".into()), ..Args::default() }
}

#[test]
fn without_options_it_goes_directly() {
    assert_eq!(typed("host 22"), to_host());
    assert_eq!(typed("host:22"), Args { host: "host:22".into(), ..Args::default() });
}

#[test]
fn every_option_is_kept_as_it_was_typed() {
    let all = Args {
        method: ProxyArg::Socks("me@s:1".into()),
        socks_version: Some(SocksVersion::V4),
        resolve: Some("Both".into()),
        auth: Some("none, userpass".into()),
        wait: Some("3".into()),
        verbosity: Verbosity::Debug(2),
        ..to_host()
    };
    let words = ["connect", "-dd4", "-SRwa", "me@s:1", "Both", "3", "none, userpass", "host", "22"];
    assert_eq!(parse(words.map(OsString::from)).unwrap(), Request::Session(Box::new(all)));
}

#[test]
fn the_last_method_wins_with_its_own_value() {
    let (http, socks) = (|word: &str| ProxyArg::Http(word.into()), |word: &str| ProxyArg::Socks(word.into()));
    for (options, method) in [
        ("-n", ProxyArg::Direct),
        ("-h", ProxyArg::HttpFromEnvironment),
        ("-s", ProxyArg::SocksFromEnvironment),
        ("-H h:1", http("h:1")),
        ("-S s:1", socks("s:1")),
        ("-S s:1 -H h:1", http("h:1")),
        ("-H h:1 -S s:1", socks("s:1")),
        ("-S s:1 -S s:2", socks("s:2")),
        ("-S s:1 -H h:1 -S s:2", socks("s:2")),
        ("-S s:1 -n", ProxyArg::Direct),
        ("-n -S s:1", socks("s:1")),
        ("-n -S s:1 -n", ProxyArg::Direct),
        ("-S s:1 -h", ProxyArg::HttpFromEnvironment),
        ("-h -s -h", ProxyArg::HttpFromEnvironment),
        ("-HSs h:1 s:1", ProxyArg::SocksFromEnvironment),
        ("-sSH s:1 h:1", http("h:1")),
        // Any next word is the value.
        ("-S -n", socks("-n")),
        ("-S --help", socks("--help")),
    ] {
        assert_eq!(typed(&format!("{options} host 22")), Args { method, ..to_host() }, "{options}");
    }
}

#[test]
fn the_last_of_other_options_wins_too() {
    for (options, version) in [
        ("-4", Some(SocksVersion::V4)),
        ("-5", Some(SocksVersion::V5)),
        ("-45", Some(SocksVersion::V5)),
        ("-54", Some(SocksVersion::V4)),
        ("-4 -5 -4", Some(SocksVersion::V4)),
        ("-n", None),
    ] {
        assert_eq!(typed(&format!("{options} host 22")).socks_version, version, "{options}");
    }
    assert_eq!(typed("-w 3 -w 4 host 22").wait.as_deref(), Some("4"));
    assert_eq!(typed("-R local -R remote host 22").resolve.as_deref(), Some("remote"));
    assert_eq!(typed("-a none -a userpass host 22").auth.as_deref(), Some("userpass"));
}

#[test]
fn the_name_of_the_program_is_taken_note_of() {
    for (line, port) in [
        ("connect-25 host", Some("25")),
        ("/bin/connect-smtp.exe host", Some("smtp")),
        ("connect-proxy host", None),
    ] {
        let Ok(Request::Session(typed)) = request(line) else { panic!("{line}") };
        assert_eq!((typed.name_port.as_deref(), typed.port), (port, None), "{line}");
    }
}

#[test]
fn help_and_version_are_texts_whatever_else_is_typed() {
    for line in ["--help", "-d --help", "-S s:1 --help", "--help -X", "-S s:1 --help host 22 extra"] {
        match request(&format!("connect {line}")) {
            Ok(Request::Print(text)) => assert!(text.contains("Usage: connect [OPTIONS]"), "{line}: {text}"),
            other => panic!("{line}: {other:?}"),
        }
    }
    for line in ["-V", "--version", "-dV", "-V host 22 extra"] {
        let version = concat!("connect ", env!("CARGO_PKG_VERSION"), "\n").to_owned();
        assert_eq!(request(&format!("connect {line}")).unwrap(), Request::Print(version), "{line}");
    }
}

#[test]
fn no_words_at_all_are_answered_with_the_usage_and_so_is_no_name() {
    for words in [vec![], vec![OsString::from("connect")]] {
        match parse(words).unwrap() {
            Request::Print(text) => assert!(text.contains("Usage: connect ["), "{text}"),
            Request::Session(typed) => panic!("{typed:?}"),
        }
    }
}

#[test]
fn help_says_every_option_and_the_text_fits_a_terminal() {
    let Ok(Request::Print(text)) = request("connect --help") else { panic!("no help") };
    for argument in flags::command().get_arguments().filter(|argument| !argument.is_hide_set()) {
        let option = argument
            .get_short()
            .map_or_else(|| format!("--{}", argument.get_long().unwrap()), |letter| format!("-{letter}"));
        assert!(text.contains(&option), "{option}");
    }
    for line in text.lines() {
        assert!(line.chars().count() <= 120, "{line}");
    }
}

#[test]
fn an_error_is_one_line_that_names_the_word() {
    for (line, part) in [
        ("-S", "-S"),
        ("--help=some", "--help=all"),
        ("--generate bush", "bash"),
        ("--generate", "--generate"),
        ("-d -w", "-w"),
        ("-X host 22", "-X"),
        ("-dX host 22", "-X"),
        ("--nonsense", "--nonsense"),
        ("-d", "host"),
        ("-", "host"),
        ("--", "host"),
        ("host 22 extra", "extra"),
        ("host 22 -d", "-d"),
        ("-- host 22 -d", "-d"),
    ] {
        let text = usage(line);
        assert!(text.contains(part), "{line}: {text}");
        assert_eq!(text.lines().count(), 1, "{line}: {text}");
    }
}

#[test]
fn what_was_typed_can_be_shown_without_its_password() {
    let typed = parse(["connect", "-S", "me:hunter2@proxy", "host", "22"].map(Into::into)).unwrap();
    assert!(!format!("{typed:?}").contains("hunter2"), "{typed:?}");
    assert!(format!("{typed:?}").contains("-S me:****@proxy"), "{typed:?}");
}

#[test]
fn of_q_and_d_the_last_one_counts() {
    let verbosity = |line: &str| match parse(line.split(' ').map(Into::into)) {
        Ok(Request::Session(typed)) => typed.verbosity,
        other => panic!("{line}: {other:?}"),
    };
    for (line, expected) in [
        ("connect host", Verbosity::Normal),
        ("connect -q host", Verbosity::Quiet),
        ("connect -d -q host", Verbosity::Quiet),
        ("connect -ddq --quiet host", Verbosity::Quiet),
        ("connect -qd host", Verbosity::Debug(1)),
        ("connect -dqdd host", Verbosity::Debug(2)),
    ] {
        assert_eq!(verbosity(line), expected, "{line}");
    }
}
