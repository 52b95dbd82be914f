//! What was typed. Nothing here looks at files or variables: help and version work with any configuration.

use std::ffi::OsString;

use clap::ArgMatches;
use clap::error::{ContextKind, ErrorKind};
use clap::parser::ValueSource;

use crate::error::Error;

mod flags;
mod help;
mod program_name;
mod words;

/// The options and words of one command line, as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// The last of `-n -h -H -s -S -t -T`.
    pub method: Method,
    /// `-c`.
    pub telnet_command: Option<String>,
    /// `-D`.
    pub own_networks: bool,
    /// The last of `-p` and `-P`.
    pub port_to_listen: Option<(String, Keep)>,
    /// Each `--listen`.
    pub listen: Vec<String>,
    /// `-F`.
    pub hand_over: bool,
    /// The last of `-4 -5`.
    pub socks_version: Option<SocksVersion>,
    /// `-R`.
    pub resolve: Option<String>,
    /// `-a`.
    pub auth: Option<String>,
    /// `-w`.
    pub wait: Option<String>,
    /// `--eager`.
    pub eager: bool,
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
    /// `-t`: the telnet-style proxy that the environment names.
    TelnetFromEnvironment,
    /// `-T`.
    Telnet(String),
}

/// `-p` or `-P`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// `-p`: the session ends with its client.
    No,
    /// `-P`: the session is kept for the next client.
    Yes,
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
    let command = flags::command();
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
        telnet_command: value(&matches, "telnet-command"),
        own_networks: matches.get_flag("own-networks"),
        port_to_listen: match last(&matches, &["port", "keep-port"]) {
            Some("port") => value(&matches, "port").map(|word| (word, Keep::No)),
            Some(_) => value(&matches, "keep-port").map(|word| (word, Keep::Yes)),
            None => None,
        },
        listen: matches.get_many("listen").into_iter().flatten().cloned().collect(),
        hand_over: matches.get_flag("hand-over"),
        socks_version: socks_version(&matches),
        resolve: value(&matches, "resolve"),
        auth: value(&matches, "auth"),
        wait: value(&matches, "wait"),
        eager: matches.get_flag("eager"),
        debug: matches.get_count("debug"),
        host: host.clone(),
        port,
        name_port: program_name::port(&program),
    })))
}

fn value(matches: &ArgMatches, id: &str) -> Option<String> {
    matches.get_one::<String>(id).cloned()
}

/// The one of these that was given last.
fn last<'a>(matches: &ArgMatches, ids: &[&'a str]) -> Option<&'a str> {
    let given = |id: &&&str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let position = |id: &&&str| matches.indices_of(id).and_then(Iterator::max);
    ids.iter().filter(given).max_by_key(position).copied()
}

fn last_method(matches: &ArgMatches) -> Method {
    let text = |id| value(matches, id).unwrap_or_default();
    match last(matches, &["direct", "socks", "socks-env", "http", "http-env", "telnet", "telnet-env"]) {
        Some("socks") => Method::Socks(text("socks")),
        Some("socks-env") => Method::SocksFromEnvironment,
        Some("http") => Method::Http(text("http")),
        Some("http-env") => Method::HttpFromEnvironment,
        Some("telnet") => Method::Telnet(text("telnet")),
        Some("telnet-env") => Method::TelnetFromEnvironment,
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
