//! Host keys that the user trusts, in the format of OpenSSH's `known_hosts` files (sshd(8)).

use std::sync::Arc;

use super::certificate;
use line::{Key, Line};

mod append;
mod entry;
mod invalid;
mod line;
mod message;
mod name;
mod pattern;
mod pin;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod verdict;

pub use append::new_line;
pub use entry::{Entry, Place, Problem};
pub use invalid::Invalid;
pub use line::Marker;
pub use name::HostName;
pub use pin::{Answer, Pin};
pub use verdict::{Action, Mode, Presented, Verdict};

/// The most invalid lines that are reported.
const MAX_PROBLEMS: usize = 100;

/// The entries of one server, from any number of files.
#[derive(Clone, Debug)]
pub struct KnownHosts {
    name: HostName,
    entries: Vec<Entry>,
    problems: Vec<Problem>,
}

impl KnownHosts {
    /// Creates an empty set for a server.
    #[must_use]
    pub fn new(name: HostName) -> Self {
        Self { name, entries: Vec::new(), problems: Vec::new() }
    }

    /// Adds the entries of a file that apply to the server.
    pub fn add_file(&mut self, file: &str, content: &[u8]) {
        let file: Arc<str> = file.into();
        for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
            let place = || Place { file: Arc::clone(&file), line: index + 1 };
            match self.entry(line, place) {
                Ok(entry) => self.entries.extend(entry),
                Err(reason) if self.problems.len() < MAX_PROBLEMS => {
                    self.problems.push(Problem { place: place(), reason });
                }
                Err(_) => {}
            }
        }
    }

    /// Returns the name of the server.
    #[must_use]
    pub fn name(&self) -> &HostName {
        &self.name
    }

    /// Returns the entries in the order of the files and their lines.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the first invalid lines, at most 100. The keys of other servers are not checked.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Moves algorithms for host keys of known types to the front, so that the server does not
    /// present a key of another type. If an authority is known, algorithms for certificates come
    /// before them.
    pub fn prefer_known(&self, algorithms: &mut [&str]) {
        let has_authority = self.entries.iter().any(|entry| entry.marker == Marker::Authority);
        algorithms.sort_by_key(|algorithm| {
            let signature = certificate::signature_algorithm(algorithm);
            let is_known = self.knows_type_of(signature.unwrap_or(algorithm));
            match (signature.is_some(), is_known) {
                (true, true) if has_authority => 0,
                (true, false) if has_authority => 1,
                (false, true) => 2,
                _ => 3,
            }
        });
    }

    /// Returns `true` if the server has a known key for a signature algorithm.
    fn knows_type_of(&self, algorithm: &str) -> bool {
        self.host_keys().any(|entry| match &entry.key {
            Key::Supported(key) => key.algorithms().contains(&algorithm),
            Key::Other { .. } => false,
        })
    }

    /// Returns the entries with keys of the server: those for `[host]:port`, or if there is none,
    /// those for the bare name.
    fn host_keys(&self) -> impl Iterator<Item = &Entry> {
        let host_keys = || self.entries.iter().filter(|entry| entry.marker == Marker::HostKey);
        let use_fallback = host_keys().all(|entry| entry.is_fallback);
        host_keys().filter(move |entry| entry.is_fallback == use_fallback)
    }

    /// Parses a line. Returns `None` if it does not apply to the server.
    fn entry(&self, line: &[u8], place: impl Fn() -> Place) -> Result<Option<Entry>, Invalid> {
        let Some(line) = Line::parse(line)? else { return Ok(None) };
        let is_exact = line.names.matches(self.name.as_str());
        let is_fallback = !is_exact && self.name.fallback().is_some_and(|name| line.names.matches(name));
        if !is_exact && !is_fallback {
            return Ok(None);
        }
        Ok(Some(Entry { marker: line.marker, place: place(), key: line.key()?, is_fallback }))
    }
}
