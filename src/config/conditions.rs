//! Where a block of a parameter file applies: the criteria of its `Match` line, in the words of `ssh_config`.

use std::io;
use std::net::IpAddr;

use super::bypass;
use crate::addr::parse_port;
use crate::bypass::{Pattern, Prefix};
use crate::text::{fill_in, printable};

/// What conditions look at.
pub(super) trait Surroundings {
    /// The target's host, as typed.
    fn host(&self) -> &str;
    /// The target's port; a UNIX-domain socket has none.
    fn port(&self) -> Option<u16>;
    /// The addresses of this machine's interfaces.
    fn addresses(&self) -> io::Result<Vec<IpAddr>>;
    /// Who runs the program.
    fn user(&self) -> Option<String>;
    /// Whether a command ends with success.
    fn succeeds(&self, command: &str) -> Result<bool, String>;
}

/// The criteria of one line, each with whether it is expected to be met: all of that has to come true.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Conditions(Vec<(bool, Criterion)>);

#[derive(Debug, PartialEq, Eq)]
enum Criterion {
    All,
    LocalNetwork(Vec<Prefix>),
    Host(String),
    Port(Vec<(u16, u16)>),
    LocalUser(String),
    Exec(String),
}

impl Conditions {
    /// Reads what follows `Match`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let words = words(text)?;
        let mut words = words.into_iter();
        let mut criteria = Vec::new();
        while let Some(word) = words.next() {
            let (expected, name) = word.strip_prefix('!').map_or((true, word), |name| (false, name));
            let name = name.to_ascii_lowercase();
            if name == "all" {
                criteria.push((expected, Criterion::All));
                continue;
            }
            let mut value = || words.next().filter(|value| !value.is_empty());
            criteria.push((expected, Criterion::parse(&name, &mut value)?));
        }
        match criteria.as_slice() {
            [] => Err(format!("Match needs a criterion: {CRITERIA}")),
            [_, _, ..] if criteria.iter().any(|(_, criterion)| *criterion == Criterion::All) => {
                Err("all stands alone".into())
            }
            _ => Ok(Self(criteria)),
        }
    }

    /// Whether all of them are met. They are looked at from left to right, up to the first that is not. A command is run
    /// only if whoever wrote the file is to be `trusted`.
    pub(super) fn are_met(&self, surroundings: &dyn Surroundings, trusted: bool) -> Result<bool, String> {
        for (expected, criterion) in &self.0 {
            if criterion.is_met(surroundings, trusted)? != *expected {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

const CRITERIA: &str = "all, host, port, localnetwork, localuser or exec";

impl Criterion {
    fn parse<'a>(name: &str, value: &mut dyn FnMut() -> Option<&'a str>) -> Result<Self, String> {
        let mut value = || value().ok_or(format!("{name} needs a value"));
        Ok(match name {
            "host" => Self::Host(value()?.to_lowercase()),
            "localuser" => Self::LocalUser(value()?.into()),
            "localnetwork" => Self::LocalNetwork(each(value()?, "network", network)?),
            "port" => Self::Port(each(value()?, "port", ports)?),
            "exec" => {
                let command = value()?.to_owned();
                fill_in(&command, &[('h', ""), ('p', "")])?;
                Self::Exec(command)
            }
            _ => return Err(format!("'{}' is no criterion: {CRITERIA}", printable(name.as_bytes()))),
        })
    }

    fn is_met(&self, surroundings: &dyn Surroundings, trusted: bool) -> Result<bool, String> {
        Ok(match self {
            Self::All => true,
            Self::LocalNetwork(networks) => {
                let addresses = surroundings.addresses();
                let addresses = addresses
                    .map_err(|error| format!("the networks of this machine are not known ({error})"))?;
                addresses.iter().any(|address| networks.iter().any(|network| network.contains(*address)))
            }
            Self::Host(patterns) => {
                let host = surroundings.host().to_lowercase();
                // Fully qualified or not, it is the same name.
                fits_list(patterns, host.strip_suffix('.').unwrap_or(&host))
            }
            Self::Port(ranges) => surroundings
                .port()
                .is_some_and(|port| ranges.iter().any(|(first, last)| (*first..=*last).contains(&port))),
            Self::LocalUser(patterns) => surroundings.user().is_some_and(|user| fits_list(patterns, &user)),
            Self::Exec(_) if !trusted => {
                return Err(
                    "exec is not run from a file that others can write to, or that is another user's".into(),
                );
            }
            Self::Exec(command) => {
                let port = surroundings.port().map(|port| port.to_string()).unwrap_or_default();
                let command = fill_in(command, &[('h', surroundings.host()), ('p', &port)])?;
                surroundings.succeeds(&command)?
            }
        })
    }
}

/// Words between blanks; one that holds blanks or a `#` stands in quotes, and a `#` begins a comment.
fn words(text: &str) -> Result<Vec<&str>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next().filter(|first| *first != '#') {
        let (word, after) = match first {
            '"' | '\'' => rest[1..].split_once(first).ok_or("a quote without its end")?,
            _ => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        if !after.is_empty() && !after.starts_with(char::is_whitespace) {
            return Err("something behind a closing quote".into());
        }
        words.push(word);
        rest = after.trim_start();
    }
    Ok(words)
}

/// Each entry of a list, which must not be empty.
fn each<T>(list: &str, what: &str, read: fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    list.split(',')
        .map(|word| read(word).ok_or_else(|| format!("'{}' is no {what}", printable(word.as_bytes()))))
        .collect()
}

fn network(word: &str) -> Option<Prefix> {
    match bypass::parse_pattern(word) {
        Some(Pattern::Network(network)) => Some(network),
        _ => None,
    }
}

/// `22` or `8000-8099`.
fn ports(word: &str) -> Option<(u16, u16)> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let (first, last) = (parse_port(first)?.get(), parse_port(last)?.get());
    (first <= last).then_some((first, last))
}

/// Whether a text fits one of the patterns of a list, and none of those with a `!`.
fn fits_list(list: &str, text: &str) -> bool {
    let mut some = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if fits(pattern, text) => return false,
            Some(_) => {}
            None => some |= fits(pattern, text),
        }
    }
    some
}

/// `*` is any text, none included, and `?` one character.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Where to go on if what follows the last star did not fit: the star takes a character more.
    let mut star = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some('*') => {
                at += 1;
                star = Some((at, seen));
            }
            Some(&c) if c == '?' || c == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((behind, taken)) = star else { return false };
                star = Some((behind, taken + 1));
                (at, seen) = (behind, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests;
