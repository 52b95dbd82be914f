//! The files of keys and of denied tokens, which are read again when they change.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::os_message;
use crate::text::printable;
use crate::token::LineError;
use crate::trace;

/// Maximum size of a file, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// A file with its parsed content.
#[derive(Debug)]
pub(super) struct WatchedFile<T> {
    path: PathBuf,
    /// The option that names the file, for messages.
    option: &'static str,
    parse: fn(&[u8]) -> Result<T, LineError>,
    /// The state of the file when it was last read; `None` if that failed.
    stamp: Option<Stamp>,
    content: Arc<T>,
    /// The last error, which is not reported again.
    error: Option<String>,
}

/// The properties of a file that change if its content does.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

impl<T> WatchedFile<T> {
    /// Reads the file.
    ///
    /// # Errors
    /// A message for the user.
    pub(super) fn open(
        option: &'static str,
        path: &Path,
        parse: fn(&[u8]) -> Result<T, LineError>,
    ) -> Result<Self, String> {
        let (stamp, content) = read(path, parse).map_err(|why| format!("{option}: {why}"))?;
        let (path, content) = (path.to_owned(), Arc::new(content));
        Ok(Self { path, option, parse, stamp: Some(stamp), content, error: None })
    }

    pub(super) fn content(&self) -> Arc<T> {
        Arc::clone(&self.content)
    }

    /// Reads the file again if it has changed, or in any case with `force`. Returns `true` if the
    /// content may have changed. An unusable file is reported once, and changes nothing.
    pub(super) fn refresh(&mut self, force: bool) -> bool {
        let current = fs::metadata(&self.path).ok().map(|metadata| Stamp::new(&metadata));
        if current.is_some() && current == self.stamp && !force {
            return false;
        }
        match read(&self.path, self.parse) {
            Ok((stamp, content)) => {
                (self.stamp, self.content, self.error) = (Some(stamp), Arc::new(content), None);
                trace::message(&format!("{}: read {} again", self.option, shown(&self.path)));
                true
            }
            Err(why) => {
                self.stamp = current;
                if self.error.as_ref() != Some(&why) {
                    trace::message(&format!("{}: {why}; its previous content stays in use", self.option));
                    self.error = Some(why);
                }
                false
            }
        }
    }
}

impl Stamp {
    fn new(metadata: &fs::Metadata) -> Self {
        Self { modified: metadata.modified().ok(), length: metadata.len() }
    }
}

/// Reads a regular file. Does not open anything else, because reading a pipe could block forever.
fn read<T>(path: &Path, parse: fn(&[u8]) -> Result<T, LineError>) -> Result<(Stamp, T), String> {
    let read = || -> io::Result<_> {
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let file = File::open(path)?;
        // Take the stamp first: a change during the read then leads to another one.
        let stamp = Stamp::new(&file.metadata()?);
        let mut text = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut text)?;
        if text.len() as u64 > MAX_FILE {
            return Err(io::Error::other(format!("larger than {} KiB", MAX_FILE / 1024)));
        }
        Ok((stamp, text))
    };
    let name = shown(path);
    let (stamp, text) = read().map_err(|error| format!("cannot read {name}: {}", os_message(&error)))?;
    let content = parse(&text).map_err(|error| format!("invalid {name}: {error}"))?;
    Ok((stamp, content))
}

fn shown(path: &Path) -> String {
    printable(path.to_string_lossy().as_bytes())
}
