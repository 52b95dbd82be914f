//! The conditions of a `Match` block in a parameter file, similar to those in `ssh_config`.

use std::io;
use std::net::IpAddr;

use super::bypass;
use super::trust::Trust;
use crate::addr::{parse_port, to_ascii};
use crate::bypass::{Pattern, Prefix};
use crate::secret;
use crate::text::{fill_in, printable};

/// The environment that conditions are evaluated in. Tests replace it.
pub(super) trait MatchEnv {
    /// Returns the target's host, as typed, or the ASCII form of an international name.
    fn host(&self) -> &str;
    /// Returns the target's port; `None` for a UNIX-domain socket.
    fn port(&self) -> Option<u16>;
    /// Returns the addresses of this machine's network interfaces.
    fn addresses(&self) -> io::Result<Vec<IpAddr>>;
    /// Returns the login name; `None` if the user has none.
    fn user(&self) -> Option<String>;
    /// Runs a command and returns `true` if it exits with status 0.
    fn succeeds(&self, command: &str) -> Result<bool, String>;
}

/// The criteria of one `Match` line, each with the expected result. The block applies if all of
/// them match.
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
    /// Parses the text after `Match`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let words = split_words(text)?;
        // A comment may have another encoding, but not a condition.
        if words.iter().any(|word| word.contains(char::REPLACEMENT_CHARACTER)) {
            return Err("not UTF-8".into());
        }
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
            [] => Err(format!("missing criterion; use {CRITERIA}")),
            [_, _, ..] if criteria.iter().any(|(_, criterion)| *criterion == Criterion::All) => {
                Err("'all' cannot be combined with other criteria".into())
            }
            _ => Ok(Self(criteria)),
        }
    }

    /// Returns `true` if all criteria match. Evaluates them from left to right and stops at the
    /// first that does not match, so an `exec` command after it does not run.
    ///
    /// # Errors
    /// A criterion cannot be evaluated, for example `exec` in a file that other users can write to.
    /// Negation does not turn an error into a match, because the result is unknown.
    pub(super) fn are_met(&self, env: &dyn MatchEnv, trust: Trust) -> Result<bool, String> {
        for (expected, criterion) in &self.0 {
            if criterion.is_met(env, trust)? != *expected {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

const CRITERIA: &str = "all, host, port, localnetwork, localuser or exec";

impl Criterion {
    fn parse<'a>(name: &str, value: &mut dyn FnMut() -> Option<&'a str>) -> Result<Self, String> {
        let mut value = || value().ok_or(format!("missing value for '{name}'"));
        Ok(match name {
            "host" => Self::Host(host_patterns(value()?)),
            "localuser" => Self::LocalUser(value()?.into()),
            "localnetwork" => Self::LocalNetwork(parse_list(value()?, "network", parse_network)?),
            "port" => Self::Port(parse_list(value()?, "port", parse_ports)?),
            "exec" => {
                let command = value()?.to_owned();
                fill_in(&command, &[('h', ""), ('p', "")])?;
                Self::Exec(command)
            }
            _ => return Err(format!("unknown criterion '{}'; use {CRITERIA}", quotable(name))),
        })
    }

    fn is_met(&self, env: &dyn MatchEnv, trust: Trust) -> Result<bool, String> {
        Ok(match self {
            Self::All => true,
            Self::LocalNetwork(networks) => {
                let addresses = env.addresses();
                let addresses = addresses.map_err(|error| {
                    format!("cannot list the network interfaces of this machine: {error}")
                })?;
                addresses.iter().any(|address| networks.iter().any(|network| network.contains(*address)))
            }
            Self::Host(patterns) => {
                let host = env.host().to_ascii_lowercase();
                // A trailing dot marks a fully qualified name; patterns are written without it.
                matches_list(patterns, host.strip_suffix('.').unwrap_or(&host))
            }
            Self::Port(ranges) => env
                .port()
                .is_some_and(|port| ranges.iter().any(|(first, last)| (*first..=*last).contains(&port))),
            Self::LocalUser(patterns) => env.user().is_some_and(|user| matches_list(patterns, &user)),
            Self::Exec(command) => {
                trust.require("exec")?;
                let port = env.port().map(|port| port.to_string()).unwrap_or_default();
                let command = fill_in(command, &[('h', env.host()), ('p', &port)])?;
                env.succeeds(&command)?
            }
        })
    }
}

/// Splits a line at blanks. A word in quotes may contain blanks. An unquoted word that begins with
/// `#` starts a comment.
fn split_words(text: &str) -> Result<Vec<&str>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next().filter(|first| *first != '#') {
        let (word, after) = match first {
            '"' | '\'' => rest[1..].split_once(first).ok_or("missing closing quote")?,
            _ => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        if !after.is_empty() && !after.starts_with(char::is_whitespace) {
            return Err("unexpected text after a closing quote".into());
        }
        words.push(word);
        rest = after.trim_start();
    }
    Ok(words)
}

/// Parses a comma-separated list. An empty entry is an error.
fn parse_list<T>(list: &str, what: &str, parse: fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    list.split(',')
        .map(|entry| parse(entry).ok_or_else(|| format!("invalid {what} '{}'", quotable(entry))))
        .collect()
}

/// Makes a word fit for a message: a password may be part of an `exec` command without quotes.
fn quotable(word: &str) -> String {
    printable(secret::masked(word).as_bytes())
}

fn parse_network(entry: &str) -> Option<Prefix> {
    match bypass::parse_pattern(entry) {
        Some(Pattern::Network(network)) => Some(network),
        _ => None,
    }
}

/// Parses `22` or `8000-8099`.
fn parse_ports(entry: &str) -> Option<(u16, u16)> {
    let (first, last) = entry.split_once('-').unwrap_or((entry, entry));
    let (first, last) = (parse_port(first)?.get(), parse_port(last)?.get());
    (first <= last).then_some((first, last))
}

/// Converts patterns for host names to ASCII and lower case, as the names themselves are. Converts
/// label by label, because a label with a wildcard has no ASCII form.
fn host_patterns(list: &str) -> String {
    let mut patterns = String::with_capacity(list.len());
    for part in list.split_inclusive(['.', ',', '!']) {
        let label = part.trim_end_matches(['.', ',', '!']);
        patterns.push_str(&to_ascii(label).unwrap_or(label.into()));
        patterns.push_str(&part[label.len()..]);
    }
    patterns.to_lowercase()
}

/// Returns `true` if the text matches a pattern in the list and none of the patterns negated with
/// `!`.
fn matches_list(list: &str, text: &str) -> bool {
    let mut found = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(pattern, text) => return false,
            Some(_) => {}
            None => found |= matches(pattern, text),
        }
    }
    found
}

/// Returns `true` if the text matches the pattern: `*` matches any string, including the empty
/// string, and `?` matches one character.
///
/// Takes O(pattern × text) steps, because only the last star is retried.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // The last star seen: the pattern index after it, and the end of the text that it has matched
    // so far. On a mismatch, the star matches one more character.
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
                let Some((after_star, matched)) = star else { return false };
                star = Some((after_star, matched + 1));
                (at, seen) = (after_star, matched + 1);
            }
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests;
