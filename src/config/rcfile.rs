//! Parameter files: `~/.connectrc`, then `/etc/connectrc`.
//!
//! One `NAME = value` a line; a `#` begins a comment, unless it stands in a quoted value; blanks around name and value
//! are dropped. `Match` and conditions begin a block, whose values count where these are met; it ends at the next one. A
//! later line wins. A line that makes no sense is reported with file and line, and skipped.

use std::cell::OnceCell;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use super::conditions::{Conditions, Surroundings};
use super::origin::{Found, Origin};
use crate::error::os_message;
use crate::secret;
use crate::sys;
use crate::text::printable;
use crate::trace::trace;

/// The most that is read of a file, in bytes. Whoever needs more means harm.
const MAX_FILE: u64 = 1024 * 1024;

/// The names that a file may set.
const NAMES: [&str; 37] = [
    "CONNECT_DIRECT",
    "CONNECT_HEADER",
    "CONNECT_NETRC",
    "CONNECT_PASSWORD",
    "CONNECT_PASSWORD_COMMAND",
    "CONNECT_PASSWORD_FILE",
    "CONNECT_PROXY",
    "CONNECT_TLS_CA",
    "CONNECT_TLS_CERT",
    "CONNECT_TLS_KEY",
    "CONNECT_TLS_PIN",
    "CONNECT_TLS_SERVER_NAME",
    "CONNECT_USER",
    "CONNECT_USER_AGENT",
    "HTTP_DIRECT",
    "HTTP_PROXY",
    "HTTP_PROXY_AUTH",
    "HTTP_PROXY_PASSWORD",
    "HTTP_PROXY_USER",
    "SOCKS4_DIRECT",
    "SOCKS4_RESOLVE",
    "SOCKS4_SERVER",
    "SOCKS4_USER",
    "SOCKS5_AUTH",
    "SOCKS5_DIRECT",
    "SOCKS5_PASSWD",
    "SOCKS5_PASSWORD",
    "SOCKS5_RESOLVE",
    "SOCKS5_SERVER",
    "SOCKS5_USER",
    "SOCKS_DIRECT",
    "SOCKS_PASSWORD",
    "SOCKS_RESOLVE",
    "SOCKS_SERVER",
    "SOCKS_USER",
    "SSH_ASKPASS",
    "TELNET_PROXY",
];

/// What one file sets.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Parameters {
    /// The file, fit to be shown.
    path: String,
    settings: Vec<Setting>,
    blocks: Vec<Block>,
    /// Whether what it says is the user's or root's own word, so that its commands may be run.
    trusted: bool,
}

#[derive(PartialEq, Eq)]
struct Setting {
    name: &'static str,
    value: Zeroizing<String>,
    line: usize,
    /// The block that it stands in.
    block: Option<usize>,
}

#[derive(Debug, PartialEq, Eq)]
struct Block {
    line: usize,
    /// None, if they make no sense: then it applies nowhere.
    conditions: Option<Conditions>,
    applies: OnceCell<bool>,
}

/// The names: values may be passwords.
impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.settings.iter().map(|setting| setting.name)).finish()
    }
}

/// What a line of a file says.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Nothing,
    Value(&'a str, &'a str),
    /// What follows `Match`.
    Match(&'a str),
}

impl Parameters {
    /// Reads a file. What is wrong with it is told to `warn`; a file that does not exist is as good as an empty one.
    pub(super) fn read(path: &Path, warn: &dyn Fn(&str)) -> Self {
        // Mostly there is no file, and nothing to be said.
        let name = || printable(path.to_string_lossy().as_bytes());
        let (content, data) = match read(path) {
            Ok(read) => read,
            // What is kept from us is not for us: the system's file may be root's. A home that is a file, like /dev/null,
            // holds none.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied
                ) =>
            {
                trace!("{}: {}", name(), os_message(&error));
                return Self::default();
            }
            Err(error) => {
                warn(&format!("{}: skipped: {}", name(), os_message(&error)));
                return Self::default();
            }
        };
        let name = name();
        trace!("Reading parameter file({name})");
        let trusted = sys::is_trusted(&data);
        let parameters = Self { path: name, trusted, ..Self::default() }.parsed(&content, warn);
        let has_password = parameters.settings.iter().any(|set| secret::holds_password(set.name, &set.value));
        if has_password && sys::others_can_read(&data) {
            let name = &parameters.path;
            warn(&format!("{name} holds a password and others can read it; try: chmod 600 {name}"));
        }
        parameters
    }

    /// The value of a parameter, if the file sets it here.
    pub(super) fn get(
        &self,
        name: &str,
        surroundings: &dyn Surroundings,
        warn: &dyn Fn(&str),
    ) -> Option<Found<&str>> {
        let counts = |setting: &&Setting| {
            setting.name == name
                && setting.block.is_none_or(|block| self.applies(&self.blocks[block], surroundings, warn))
        };
        let setting = self.settings.iter().rev().find(counts)?;
        let origin = Origin::File { path: self.path.clone(), line: setting.line };
        Some(Found { name: setting.name, value: &setting.value, origin })
    }

    /// Whether its commands may be run.
    pub(super) fn is_trusted(&self) -> bool {
        self.trusted
    }

    fn applies(&self, block: &Block, surroundings: &dyn Surroundings, warn: &dyn Fn(&str)) -> bool {
        let Some(conditions) = &block.conditions else { return false };
        *block.applies.get_or_init(|| {
            let applies = conditions.are_met(surroundings, self.trusted).unwrap_or_else(|what| {
                warn(&format!("{}:{}: {what}, so the block does not apply", self.path, block.line));
                false
            });
            let verdict = if applies { "applies" } else { "does not apply" };
            trace!("{}:{}: the block {verdict}", self.path, block.line);
            applies
        })
    }

    fn parsed(mut self, content: &[u8], warn: &dyn Fn(&str)) -> Self {
        // Some editors begin a file with a byte order mark.
        let content = content.strip_prefix("\u{feff}".as_bytes()).unwrap_or(content);
        for (index, content) in content.split(|&byte| byte == b'\n').enumerate() {
            let line = index + 1;
            let complain = |what: &str| warn(&format!("{}:{line}: {what}", self.path));
            match parse_line(content) {
                Ok(Line::Nothing) => {}
                Ok(Line::Match(conditions)) => {
                    let conditions = Conditions::parse(conditions).map_err(|what| {
                        complain(&format!("Match: {what}; its block does not apply"));
                    });
                    self.blocks.push(Block { line, conditions: conditions.ok(), applies: OnceCell::new() });
                }
                Ok(Line::Value(name, value)) => match NAMES.iter().find(|known| **known == name) {
                    Some(known) => {
                        let block = self.blocks.len().checked_sub(1);
                        self.show(known, value, block);
                        self.settings.push(Setting {
                            name: known,
                            value: Zeroizing::new(value.to_owned()),
                            line,
                            block,
                        });
                    }
                    None => {
                        complain(&format!("unknown parameter '{}', skipped", printable(name.as_bytes())));
                    }
                },
                Err(what) => complain(&what),
            }
        }
        self
    }

    fn show(&self, name: &str, value: &str, block: Option<usize>) {
        let secret = secret::holds_password(name, value);
        let shown = if secret { "****".into() } else { printable(value.as_bytes()) };
        let block = block.map(|block| self.blocks[block].line);
        let place = block.map_or_else(String::new, |line| format!(" in the block of line {line}"));
        trace!("Parameter `{name}' is set to `{shown}'{place}");
    }
}

/// Something other than a file (a directory, a pipe that would never end) is not read.
pub(super) fn read(path: &Path) -> io::Result<(Zeroizing<Vec<u8>>, Metadata)> {
    let length = match std::fs::metadata(path)? {
        data if data.is_file() => data.len(),
        data if data.is_dir() => return Err(io::Error::other("it is a directory")),
        // The customary way to have no such file.
        _ if path.canonicalize()? == Path::new("/dev/null") => 0,
        _ => return Err(io::Error::other("it is not a file")),
    };
    if length > MAX_FILE {
        return Err(io::Error::other(format!("it is longer than {} KiB", MAX_FILE / 1024)));
    }
    let file = File::open(path)?;
    // Of the file that is read, whatever has the name by now.
    let data = file.metadata()?;
    // Large enough from the start: growing would leave a copy of a password behind, and what is read into little room
    // comes by way of the stack.
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 64));
    file.take(MAX_FILE).read_to_end(&mut content)?;
    Ok((content, data))
}

/// Takes a line apart.
fn parse_line(line: &[u8]) -> Result<Line<'_>, String> {
    let Ok(line) = std::str::from_utf8(line) else {
        // A block that begins here must not count as one that began before.
        let is_match = after_match(&String::from_utf8_lossy(line)).is_some();
        return if is_match { Ok(Line::Match("\u{fffd}")) } else { Err("not UTF-8, skipped".into()) };
    };
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(Line::Nothing);
    }
    if let Some(conditions) = after_match(line) {
        return Ok(Line::Match(conditions));
    }
    let (name, rest) = line.split_once('=').ok_or("no '=' (NAME = value), skipped")?;
    if name.contains('#') {
        return Err("no '=' before the comment (NAME = value), skipped".into());
    }
    // It is not repeated: where an '=' is missing or misplaced it may be a password.
    if !name.trim().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err("what stands before '=' is not a parameter's name, skipped".into());
    }
    Ok(Line::Value(name.trim(), value(rest.trim())?))
}

/// What follows the word `Match`.
fn after_match(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    word.eq_ignore_ascii_case("match").then_some(rest)
}

/// A value up to a comment, or one in quotes, which may hold a `#` and outer blanks.
fn value(rest: &str) -> Result<&str, String> {
    let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        return Ok(rest.split('#').next().unwrap_or_default().trim_end());
    };
    let (inside, after) = rest[1..].split_once(quote).ok_or("a quote without its end, skipped")?;
    match after.trim_start() {
        "" => Ok(inside),
        comment if comment.starts_with('#') => Ok(inside),
        _ => Err("words after the closing quote, skipped".into()),
    }
}

#[cfg(test)]
mod tests;
