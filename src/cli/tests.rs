#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test panics")]

use super::*;

fn request(line: &str) -> Result<Request, Error> {
    parse(line.split(' ').map(OsString::from))
}

/// Parses the args after the program's name.
#[track_caller]
fn args(line: &str) -> Args {
    match request(&format!("connect {line}")) {
        Ok(Request::Session(args)) => *args,
        other => panic!("{line}: {other:?}"),
    }
}

#[track_caller]
fn error(line: &str) -> String {
    match request(&format!("connect {line}")) {
        Err(Error::Usage(text) | Error::Config(text)) => text,
        other => panic!("{line}: {other:?}"),
    }
}

fn to_host() -> Args {
    Args { host: "host".into(), port: Some("22".into()), ..Args::default() }
}

#[test]
fn without_options_the_connection_is_direct() {
    assert_eq!(args("host 22"), to_host());
    assert_eq!(args("host:22"), Args { host: "host:22".into(), ..Args::default() });
}

#[test]
fn values_are_kept_as_typed() {
    let all = Args {
        proxy: ProxyArg::Socks("me@s:1".into()),
        socks_version: Some(SocksVersion::V4),
        resolve: Some("Both".into()),
        auth: Some("none, userpass".into()),
        wait: Some("3".into()),
        verbosity: Verbosity::Debug(2),
        ..to_host()
    };
    let line = ["connect", "-dd4", "-SRwa", "me@s:1", "Both", "3", "none, userpass", "host", "22"];
    assert_eq!(parse(line.map(OsString::from)).unwrap(), Request::Session(Box::new(all)));
}

#[test]
fn the_last_proxy_option_wins_with_its_own_value() {
    let (http, socks) =
        (|value: &str| ProxyArg::Http(value.into()), |value: &str| ProxyArg::Socks(value.into()));
    for (options, proxy) in [
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
        // The next arg is the value, even if it looks like an option.
        ("-S -n", socks("-n")),
        ("-S --help", socks("--help")),
    ] {
        assert_eq!(args(&format!("{options} host 22")), Args { proxy, ..to_host() }, "{options}");
    }
}

#[test]
fn the_last_of_repeated_options_wins() {
    for (options, version) in [
        ("-4", Some(SocksVersion::V4)),
        ("-5", Some(SocksVersion::V5)),
        ("-45", Some(SocksVersion::V5)),
        ("-54", Some(SocksVersion::V4)),
        ("-4 -5 -4", Some(SocksVersion::V4)),
        ("-n", None),
    ] {
        assert_eq!(args(&format!("{options} host 22")).socks_version, version, "{options}");
    }
    assert_eq!(args("-w 3 -w 4 host 22").wait.as_deref(), Some("4"));
    assert_eq!(args("-R local -R remote host 22").resolve.as_deref(), Some("remote"));
    assert_eq!(args("-a none -a userpass host 22").auth.as_deref(), Some("userpass"));
}

#[test]
fn the_name_of_the_program_may_contain_the_port() {
    for (line, port) in [
        ("connect-25 host", Some("25")),
        ("/bin/connect-smtp.exe host", Some("smtp")),
        ("connect-proxy host", None),
    ] {
        let Ok(Request::Session(args)) = request(line) else { panic!("{line}") };
        assert_eq!((args.name_port.as_deref(), args.port), (port, None), "{line}");
    }
}

#[test]
fn help_and_version_ignore_all_other_args() {
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
fn without_args_the_usage_is_printed() {
    for line in [vec![], vec![OsString::from("connect")]] {
        match parse(line).unwrap() {
            Request::Print(text) => assert!(text.contains("Usage: connect ["), "{text}"),
            other => panic!("{other:?}"),
        }
    }
}

/// Regression test: the usage was generated from a second, outdated list of flags.
#[test]
fn without_args_the_usage_lists_each_letter_of_the_table() {
    let Ok(Request::Print(text)) = request("connect") else { panic!("no usage") };
    let usage = text.split_once("Usage: ").unwrap().1.split("\n\n").next().unwrap();
    for flag in flags::all() {
        let Some(letter) = flag.letter else { continue };
        match flag.value {
            Some(value) => assert!(usage.contains(&format!("[-{letter} {value}]")), "-{letter}: {usage}"),
            None => assert!(usage.split(']').next().unwrap().contains(letter), "-{letter}: {usage}"),
        }
    }
    assert!(text.lines().skip(2).all(|line| line.len() <= 80), "{text}");
}

#[test]
fn the_description_of_an_option_fits_in_a_line() {
    for flag in flags::all() {
        let length = flag.brief.chars().count();
        assert!(length <= flags::MAX_BRIEF, "{length} characters: {}", flag.brief);
        assert!(flag.text.ends_with('.') && !flag.brief.ends_with('.'), "{}", flag.brief);
    }
}

#[test]
fn the_help_lists_every_option_and_fits_a_terminal() {
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
fn an_error_is_one_line_that_names_the_arg() {
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
        let text = error(line);
        assert!(text.contains(part), "{line}: {text}");
        assert_eq!(text.lines().count(), 1, "{line}: {text}");
    }
}

#[test]
fn debug_output_masks_the_password() {
    let args = parse(["connect", "-S", "me:hunter2@proxy", "host", "22"].map(Into::into)).unwrap();
    assert!(!format!("{args:?}").contains("hunter2"), "{args:?}");
    assert!(format!("{args:?}").contains("-S me:****@proxy"), "{args:?}");
}

#[test]
fn the_last_of_q_and_d_wins() {
    let verbosity = |line: &str| match parse(line.split(' ').map(Into::into)) {
        Ok(Request::Session(args)) => args.verbosity,
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
