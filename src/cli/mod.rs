//! What was typed. Nothing here looks at files or variables: help and version work with any configuration.

use std::ffi::OsString;

use clap::error::{ContextKind, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::error::Error;

mod help;
mod program_name;
mod words;

/// The options and words of one command line, as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// The last of `-n -h -H -s -S`.
    pub method: Method,
    /// The last of `-4 -5`.
    pub socks_version: Option<SocksVersion>,
    /// `-R`.
    pub resolve: Option<String>,
    /// `-a`.
    pub auth: Option<String>,
    /// `-w`.
    pub wait: Option<String>,
    /// How many `-d`.
    pub debug: u8,
    /// The first word: a host, which may have a port.
    pub host: String,
    /// The second word.
    pub port: Option<String>,
    /// The port in the program's name, as in `connect-25`.
    pub name_port: Option<String>,
}

/// How to get to the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// `-n`, and the default.
    #[default]
    Direct,
    /// `-h`: the HTTP proxy that the environment names.
    HttpFromEnvironment,
    /// `-H`.
    Http(String),
    /// `-s`: the SOCKS proxy that the environment names.
    SocksFromEnvironment,
    /// `-S`.
    Socks(String),
}

/// `-4` or `-5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocksVersion {
    /// SOCKS4 and 4a.
    V4,
    /// SOCKS5.
    V5,
}

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A session.
    Session(Box<Typed>),
    /// A text for standard output.
    Print(String),
}

/// Reads a command line, the program's name first.
///
/// # Errors
/// [`Error::Usage`] for whatever makes no sense.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Request, Error> {
    let mut words = words.into_iter();
    let program = words.next().unwrap_or_default();
    let words: Vec<_> = words.collect();
    if words.is_empty() {
        return Ok(Request::Print(help::short()));
    }
    let command = command();
    let words = words::expand(&command, words);
    let matches = match command.try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) if error.kind() == ErrorKind::DisplayHelp => return Ok(Request::Print(error.to_string())),
        Err(error) if error.kind() == ErrorKind::DisplayVersion => {
            return Ok(Request::Print(help::version()));
        }
        Err(error) => return Err(usage(&error)),
    };
    let mut targets = matches.get_many::<String>("target").into_iter().flatten();
    let Some(host) = targets.next() else {
        return Err(Error::Usage("no host given".into()));
    };
    let port = targets.next().cloned();
    if let Some(extra) = targets.next() {
        return Err(Error::Usage(format!("'{extra}' after host and port: options go before the host")));
    }
    Ok(Request::Session(Box::new(Typed {
        method: last_method(&matches),
        socks_version: socks_version(&matches),
        resolve: value(&matches, "resolve"),
        auth: value(&matches, "auth"),
        wait: value(&matches, "wait"),
        debug: matches.get_count("debug"),
        host: host.clone(),
        port,
        name_port: program_name::port(&program),
    })))
}

/// The one definition of the flags. Help and errors are made from it.
fn command() -> Command {
    let flag = |id: &'static str, letter| Arg::new(id).short(letter).action(ArgAction::SetTrue);
    let option = |id: &'static str, letter, name| {
        // The C program takes any next word for the value, whatever it begins with.
        Arg::new(id).short(letter).value_name(name).allow_hyphen_values(true)
    };
    Command::new("connect")
        .about(help::ABOUT)
        .override_usage("connect [OPTIONS] HOST [PORT]")
        .after_help(help::AFTER)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .next_help_heading("Way to the target")
        .args([
            flag("direct", 'n').help("Directly, through no proxy (the default)"),
            option("socks", 'S', "[USER[:PASSWORD]@]HOST[:PORT]")
                .help("Through this SOCKS proxy; port 1080 if not given"),
            flag("socks-env", 's')
                .help("Through the SOCKS proxy in SOCKS5_SERVER, SOCKS4_SERVER, SOCKS_SERVER or ALL_PROXY"),
            option("http", 'H', "[USER[:PASSWORD]@]HOST[:PORT]")
                .help("Through this HTTP proxy; port 80 if not given"),
            flag("http-env", 'h').help("Through the HTTP proxy in HTTP_PROXY, https_proxy or ALL_PROXY"),
        ])
        .next_help_heading("SOCKS")
        .args([
            flag("v4", '4').overrides_with("v5").help("Speak SOCKS version 4 (4a where a name is sent)"),
            flag("v5", '5').overrides_with("v4").help("Speak SOCKS version 5 (the default)"),
            option("resolve", 'R', "local|remote|both")
                .help("Who resolves the target's name: this machine, the proxy, or whoever can"),
            option("auth", 'a', "METHODS")
                .help("SOCKS5 authentication to offer: none, userpass, or both with a comma"),
        ])
        .next_help_heading("General")
        .args([
            option("wait", 'w', "SECONDS")
                .help("Give up if the target is not reached in this time; 0 for no limit"),
            Arg::new("debug").short('d').action(ArgAction::Count).help("Say on standard error what is done"),
            Arg::new("help").long("help").action(ArgAction::Help).help("Print this help"),
            Arg::new("version")
                .short('V')
                .long("version")
                .action(ArgAction::Version)
                .help("Print the version"),
            Arg::new("target")
                .value_name("HOST [PORT]")
                .num_args(0..)
                .hide(true)
                .value_parser(value_parser!(String)),
        ])
        .version(env!("CARGO_PKG_VERSION"))
}

fn value(matches: &ArgMatches, id: &str) -> Option<String> {
    matches.get_one::<String>(id).cloned()
}

fn last_method(matches: &ArgMatches) -> Method {
    let text = |id| value(matches, id).unwrap_or_default();
    let given = |id: &&str| matches.value_source(id) == Some(clap::parser::ValueSource::CommandLine);
    let last = ["direct", "socks", "socks-env", "http", "http-env"]
        .into_iter()
        .filter(given)
        .max_by_key(|id| matches.indices_of(id).and_then(Iterator::max));
    match last {
        Some("socks") => Method::Socks(text("socks")),
        Some("socks-env") => Method::SocksFromEnvironment,
        Some("http") => Method::Http(text("http")),
        Some("http-env") => Method::HttpFromEnvironment,
        _ => Method::Direct,
    }
}

fn socks_version(matches: &ArgMatches) -> Option<SocksVersion> {
    if matches.get_flag("v4") {
        Some(SocksVersion::V4)
    } else {
        matches.get_flag("v5").then_some(SocksVersion::V5)
    }
}

/// clap's error in one line.
fn usage(error: &clap::Error) -> Error {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default().trim_start_matches("error: ");
    let tip = lines.find_map(|line| line.strip_prefix("tip: "));
    Error::Usage(match tip {
        // The tip that an unknown option may be meant as a word is of no use to us.
        Some(tip) if error.get(ContextKind::SuggestedArg).is_some() => format!("{first}: {tip}"),
        _ => first.to_owned(),
    })
}

#[cfg(test)]
mod tests;
