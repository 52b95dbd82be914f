//! The local files to send, in the order in which they are sent.

use std::collections::VecDeque;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use std::vec;

use super::report::Report;
use crate::ssh::scp::MAX_DEPTH;
use crate::ssh::sftp::names::is_safe_name;
use crate::sys;

/// The most bytes of a file that are read at a time.
pub(super) const BUFFER: usize = 32 * 1024;

/// The attributes of a local file or directory.
#[derive(Debug)]
pub(super) struct Local {
    /// The path, for messages.
    pub(super) path: PathBuf,
    /// The name within the directory that is copied. `None` for a FILE without a name, such as `.`.
    pub(super) name: Option<Vec<u8>>,
    pub(super) size: u64,
    /// The permissions.
    pub(super) mode: u32,
    /// The times of the last access and modification, in seconds since 1970.
    pub(super) times: (i64, i64),
}

/// The next thing to send.
#[derive(Debug)]
pub(super) enum Step {
    File(Local, File),
    /// A directory, whose entries follow up to [`Step::Leave`].
    Enter(Local),
    Leave,
}

/// A directory whose entries are being sent.
#[derive(Debug)]
struct Level {
    path: PathBuf,
    /// The path without symbolic links, to notice loops.
    real: PathBuf,
    entries: vec::IntoIter<PathBuf>,
}

/// Walks through files and the directories below them. Follows symbolic links.
#[derive(Debug)]
pub(super) struct Walk {
    files: VecDeque<PathBuf>,
    levels: Vec<Level>,
    /// Copy directories.
    is_recursive: bool,
}

impl Walk {
    pub(super) fn new(files: impl IntoIterator<Item = PathBuf>, is_recursive: bool) -> Self {
        Self { files: files.into_iter().collect(), levels: Vec::new(), is_recursive }
    }

    /// Returns the next step; `None` at the end. Reports files that cannot be read.
    pub(super) fn next(&mut self, report: &mut Report) -> Option<Step> {
        loop {
            let path = match self.levels.last_mut() {
                None => self.files.pop_front()?,
                Some(level) => {
                    let Some(path) = level.entries.next() else {
                        self.levels.pop();
                        return Some(Step::Leave);
                    };
                    path
                }
            };
            match self.step(path, report) {
                Ok(Some(step)) => return Some(step),
                Ok(None) => {}
                Err((path, error)) => report.local_failed("read", &path, &error),
            }
        }
    }

    /// Skips the rest of the current directory.
    pub(super) fn skip(&mut self) {
        self.levels.pop();
    }

    fn step(&mut self, path: PathBuf, report: &mut Report) -> Result<Option<Step>, (PathBuf, io::Error)> {
        let data = match fs::metadata(&path) {
            Ok(data) => data,
            Err(error) => return Err((path, error)),
        };
        let name = path.as_os_str().as_encoded_bytes();
        if data.is_file() {
            return match File::open(&path) {
                Ok(file) => Ok(Some(Step::File(Local::new(path, &data), file))),
                Err(error) => Err((path, error)),
            };
        }
        if !data.is_dir() {
            report.not_copied(name, &"not a regular file");
        } else if !self.is_recursive {
            report.not_copied(name, &"is a directory; use --recursive");
        } else if self.levels.len() >= MAX_DEPTH {
            report.not_copied(name, &"too many levels of directories");
        } else {
            return match self.enter(&path) {
                Ok(true) => Ok(Some(Step::Enter(Local::new(path, &data)))),
                Ok(false) => {
                    report.not_copied(name, &"the symbolic link leads to a directory above it");
                    Ok(None)
                }
                Err(error) => Err((path, error)),
            };
        }
        Ok(None)
    }

    /// Enters a directory. Returns `false` if it contains itself.
    fn enter(&mut self, path: &Path) -> io::Result<bool> {
        let real = fs::canonicalize(path)?;
        if self.levels.iter().any(|level| level.real == real) {
            return Ok(false);
        }
        let mut entries = fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()?;
        entries.sort();
        self.levels.push(Level { path: path.into(), real, entries: entries.into_iter() });
        Ok(true)
    }

    /// Returns the directory whose entries are being sent.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.levels.last().map(|level| level.path.as_path())
    }
}

impl Local {
    fn new(path: PathBuf, data: &Metadata) -> Self {
        let name = path.file_name().map(|name| name.as_encoded_bytes().to_vec());
        Self {
            name: name.filter(|name| is_safe_name(name)),
            size: data.len(),
            mode: sys::permissions(data),
            times: (seconds(data.accessed()), seconds(data.modified())),
            path,
        }
    }

    /// Returns the path as the user knows it.
    pub(super) fn shown(&self) -> &[u8] {
        self.path.as_os_str().as_encoded_bytes()
    }
}

/// Reads from a file, and retries after a signal.
pub(super) fn read(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Returns a time in seconds since 1970.
fn seconds(time: io::Result<SystemTime>) -> i64 {
    let time = time.unwrap_or(UNIX_EPOCH);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        // Rounds down, as the system does.
        Err(before) => {
            let before = before.duration();
            let seconds = before.as_secs() + u64::from(before.subsec_nanos() > 0);
            i64::try_from(seconds).map_or(i64::MIN, |seconds| -seconds)
        }
    }
}
