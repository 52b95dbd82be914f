//! Parameter files: `~/.connectrc`, then `/etc/connectrc`.
//!
//! Each line is `NAME = value`. Blanks around name and value are dropped. `#` begins a comment at
//! the start of a line and after a blank, except in a quoted value. A `Match` line begins a block
//! that lasts until the next `Match`; its values apply only if its conditions are met. A later line
//! overrides an earlier one. An invalid line is reported with file and line number, and ignored.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use super::conditions::{Conditions, MatchEnv};
use super::setting::{Origin, Setting, masked_bytes};
use super::trust::Trust;
use crate::error::os_message;
use crate::parameters;
use crate::secret;
use crate::sys;
use crate::text::{bom_length, printable};
use crate::trace::{self, trace};

/// Maximum size of a file, in bytes. Limits the memory used for a hostile file.
const MAX_FILE: u64 = 1024 * 1024;

/// A parsed parameter file.
#[derive(Default, PartialEq, Eq)]
pub(super) struct ParameterFile {
    /// The path, made printable.
    path: String,
    assignments: Vec<Assignment>,
    blocks: Vec<Block>,
    trust: Trust,
}

/// A `NAME = value` line.
#[derive(PartialEq, Eq)]
struct Assignment {
    name: &'static str,
    value: Zeroizing<Vec<u8>>,
    line: usize,
    /// The index of the `Match` block that contains this line; `None` before the first block.
    block: Option<usize>,
}

#[derive(Debug, PartialEq, Eq)]
struct Block {
    line: usize,
    /// `None` if the `Match` line is invalid. The block then never applies.
    conditions: Option<Conditions>,
    applies: OnceCell<bool>,
}

/// Shows the names only, because a value may be a password.
impl fmt::Debug for ParameterFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.assignments.iter().map(|assignment| assignment.name)).finish()
    }
}

/// A parsed line.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    /// A blank line or a comment.
    Nothing,
    /// Name and value. The value need not be UTF-8.
    Assignment(&'a str, &'a [u8]),
    /// The text after `Match`, with U+FFFD for each byte that is not UTF-8.
    Match(Cow<'a, str>),
}

impl ParameterFile {
    /// Reads a file and passes a warning to `warn` for each problem. A missing file is treated as
    /// empty.
    pub(super) fn read(path: &Path, warn: &dyn Fn(&str)) -> Self {
        // Usually there is no file, so the path is formatted only on demand.
        let name = || printable(path.to_string_lossy().as_bytes());
        let (content, metadata) = match read(path) {
            Ok(read) => read,
            Err(error) if is_unavailable(&error) => {
                trace!("{}: {}", name(), os_message(&error));
                return Self::default();
            }
            Err(error) => {
                warn(&ignored(&name(), &error));
                return Self::default();
            }
        };
        let name = name();
        trace!("Reading parameter file({name})");
        let trust = Trust::from_metadata(&metadata);
        let file = Self { path: name, trust, ..Self::default() }.parsed(&content, warn);
        let has_password = file.assignments.iter().any(|set| secret::holds_password(set.name, &set.value));
        if has_password && sys::others_can_read(&metadata) {
            warn(&readable_secret(&file.path, "a password"));
        }
        file
    }

    /// Returns the value of a parameter; `None` if the file does not set it, or sets it only in
    /// blocks that do not apply.
    pub(super) fn get(&self, name: &str, env: &dyn MatchEnv, warn: &dyn Fn(&str)) -> Option<Setting<&[u8]>> {
        let counts = |assignment: &&Assignment| {
            assignment.name == name
                && assignment.block.is_none_or(|block| self.applies(&self.blocks[block], env, warn))
        };
        let assignment = self.assignments.iter().rev().find(counts)?;
        let origin = Origin::File { path: self.path.clone(), line: assignment.line };
        Some(Setting { name: assignment.name, value: &assignment.value, origin })
    }

    /// Returns how far this file is trusted.
    pub(super) fn trust(&self) -> Trust {
        self.trust
    }

    /// Returns `true` if a block applies. Evaluates its conditions on the first call only.
    fn applies(&self, block: &Block, env: &dyn MatchEnv, warn: &dyn Fn(&str)) -> bool {
        let Some(conditions) = &block.conditions else { return false };
        *block.applies.get_or_init(|| {
            let applies = conditions.are_met(env, self.trust).unwrap_or_else(|error| {
                warn(&format!("{}:{}: {error}; Match block ignored", self.path, block.line));
                false
            });
            let result = if applies { "applies" } else { "does not apply" };
            trace!("{}:{}: the Match block {result}", self.path, block.line);
            applies
        })
    }

    fn parsed(mut self, content: &[u8], warn: &dyn Fn(&str)) -> Self {
        for (index, content) in content.split(|&byte| byte == b'\n').enumerate() {
            let line = index + 1;
            let warn = |what: &str| warn(&format!("{}:{line}: {what}", self.path));
            match parse_line(content) {
                Ok(Line::Nothing) => {}
                Ok(Line::Match(conditions)) => {
                    let conditions = Conditions::parse(&conditions)
                        .map_err(|error| warn(&format!("{error}; Match block ignored")));
                    self.blocks.push(Block { line, conditions: conditions.ok(), applies: OnceCell::new() });
                }
                Ok(Line::Assignment(name, value)) => {
                    let Some(parameter) = parameters::find_for_file(name) else {
                        let name = if secret::is_name(name) { format!(" '{name}'") } else { String::new() };
                        warn(&format!("unknown parameter{name}; line ignored"));
                        continue;
                    };
                    if !parameter.allows_any_encoding() && str::from_utf8(value).is_err() {
                        warn("not UTF-8; line ignored");
                        continue;
                    }
                    let block = self.blocks.len().checked_sub(1);
                    let name = parameter.name;
                    self.trace_assignment(name, value, block);
                    let value = Zeroizing::new(value.to_owned());
                    self.assignments.push(Assignment { name, value, line, block });
                }
                Err(error) => warn(&format!("{error}; line ignored")),
            }
        }
        self
    }

    fn trace_assignment(&self, name: &str, value: &[u8], block: Option<usize>) {
        if !trace::is_on() {
            return;
        }
        let is_secret = secret::holds_password(name, value);
        let value = if is_secret { "****".into() } else { masked_bytes(name, value) };
        let block = block.map(|block| self.blocks[block].line);
        let place = block.map_or_else(String::new, |line| format!(" in the Match block of line {line}"));
        trace!("Parameter `{name}' is set to `{value}'{place}");
    }
}

/// Returns the warning that a file contains a secret, such as a password, and other users can read
/// it.
pub(super) fn readable_secret(path: &str, secret: &str) -> String {
    format!("{path} contains {secret} and other users can read it; run: chmod 600 {path}")
}

/// Returns `true` if an optional file could not be read for a reason that deserves no warning: an
/// administrator may have made the system-wide file unreadable to users, and HOME may be /dev/null.
pub(super) fn is_unavailable(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied
    )
}

/// Returns the warning about an optional file that cannot be read.
pub(super) fn ignored(name: &str, error: &io::Error) -> String {
    format!("cannot read {name}: {}; file ignored", os_message(error))
}

/// Reads a regular file, and removes the byte order mark at its start. Does not open anything else,
/// because reading a pipe could block forever.
pub(super) fn read(path: &Path) -> io::Result<(Zeroizing<Vec<u8>>, Metadata)> {
    let length = match std::fs::metadata(path)? {
        metadata if metadata.is_file() => metadata.len(),
        metadata if metadata.is_dir() => return Err(io::Error::other("is a directory")),
        // A link to /dev/null is the usual way to disable a file.
        _ if path.canonicalize()? == Path::new("/dev/null") => 0,
        _ => return Err(io::Error::other("not a regular file")),
    };
    if length > MAX_FILE {
        return Err(io::Error::other(format!("larger than {} KiB", MAX_FILE / 1024)));
    }
    let file = File::open(path)?;
    // Check the open file, because the path may refer to a different file by now.
    let metadata = file.metadata()?;
    // Reserve enough from the start: reallocating would leave a copy of a password in freed memory,
    // and read_to_end reads the last bytes through a buffer on the stack if there is little spare
    // capacity.
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 64));
    file.take(MAX_FILE).read_to_end(&mut content)?;
    let bom = bom_length(&content).map_err(io::Error::other)?;
    content.drain(..bom);
    Ok((content, metadata))
}

fn parse_line(line: &[u8]) -> Result<Line<'_>, &'static str> {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(Line::Nothing);
    }
    if let Some(conditions) = after_match(line) {
        return Ok(Line::Match(String::from_utf8_lossy(conditions)));
    }
    let equals = line.iter().position(|&byte| byte == b'=').ok_or("missing '=' (NAME = value)")?;
    let (name, rest) = (line[..equals].trim_ascii(), &line[equals + 1..]);
    if name.contains(&b'#') {
        return Err("missing '=' before the comment (NAME = value)");
    }
    // Do not quote the name: if the '=' is misplaced, it may be a password.
    let is_name = name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let name = str::from_utf8(name).ok().filter(|_| is_name).ok_or("invalid parameter name before '='")?;
    Ok(Line::Assignment(name, parse_value(rest.trim_ascii())?))
}

/// Returns the text after the keyword `Match`; `None` if the line begins with another word.
fn after_match(line: &[u8]) -> Option<&[u8]> {
    let end = line.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
    let (word, rest) = line.split_at(end.unwrap_or(line.len()));
    word.eq_ignore_ascii_case(b"match").then_some(rest)
}

/// Returns the value without its comment, or the text inside the quotes of a quoted value, which
/// may contain `#` after a blank, and leading or trailing blanks. Without quotes, `#` begins a
/// comment only after a blank, because passwords contain it.
fn parse_value(rest: &[u8]) -> Result<&[u8], &'static str> {
    let [quote @ (b'"' | b'\''), quoted @ ..] = rest else {
        let is_comment = |at: &usize| {
            rest[*at] == b'#' && at.checked_sub(1).is_none_or(|before| rest[before].is_ascii_whitespace())
        };
        let end = (0..rest.len()).find(is_comment).unwrap_or(rest.len());
        return Ok(rest[..end].trim_ascii_end());
    };
    let end = quoted.iter().position(|byte| byte == quote).ok_or("missing closing quote")?;
    match quoted[end + 1..].trim_ascii_start() {
        [] | [b'#', ..] => Ok(&quoted[..end]),
        _ => Err("unexpected text after the closing quote"),
    }
}

#[cfg(test)]
mod tests;
