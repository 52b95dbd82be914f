//! Local files that are received.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::ssh::sftp::names::{is_safe_name, partial};
use crate::sys;

/// The attributes to give to a file or directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The permissions, less the umask unless times are set.
    pub(super) mode: u32,
    /// With `--preserve`, the times of the last access and modification.
    pub(super) times: Option<(u64, u64)>,
}

/// A file that is being received. Dropping it removes what was received.
#[derive(Debug)]
pub(super) struct Incoming {
    file: File,
    wanted: Wanted,
    /// The partial file, which gets this name in the end. `None` for a device, which is written in
    /// place.
    names: Option<(PathBuf, PathBuf)>,
}

impl Incoming {
    /// Creates the partial file for `target`. A symbolic link there is followed.
    pub(super) fn create(target: &Path, wanted: Wanted) -> io::Result<Self> {
        // A link whose target is missing is replaced.
        let target = fs::canonicalize(target).unwrap_or_else(|_| target.into());
        if let Ok(data) = fs::metadata(&target) {
            if data.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            if !data.is_file() {
                let file = OpenOptions::new().write(true).open(&target)?;
                return Ok(Self { file, wanted, names: None });
            }
        }
        let partial = partial_path(&target)?;
        let file = match sys::create_file(&partial, wanted.mode) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&partial)?;
                sys::create_file(&partial, wanted.mode)
            }
            result => result,
        }?;
        Ok(Self { file, wanted, names: Some((partial, target)) })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Gives the file its attributes and its name.
    pub(super) fn commit(mut self) -> io::Result<()> {
        let Some((partial, target)) = &self.names else { return Ok(()) };
        if let Some(times) = self.wanted.times {
            sys::set_permissions(&self.file, self.wanted.mode)?;
            sys::set_times(&self.file, times)?;
        }
        self.file.sync_all()?;
        sys::rename(partial, target)?;
        self.names = None;
        Ok(())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some((partial, _)) = &self.names {
            // Nothing is left to do if that fails.
            let _ = fs::remove_file(partial);
        }
    }
}

/// Returns the path of the partial file.
fn partial_path(target: &Path) -> io::Result<PathBuf> {
    let name = target.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    Ok(target.with_file_name(sys::os_string(partial(name.as_encoded_bytes()))))
}

/// A received directory. Its attributes are set at the end, because each new entry changes its
/// modification time.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    mode: u32,
    wanted: Wanted,
}

impl Directory {
    /// Creates a directory, or uses one that exists. Its owner can write to it meanwhile.
    pub(super) fn create(path: &Path, wanted: Wanted) -> io::Result<Option<Self>> {
        match sys::create_directory(path, wanted.mode | 0o700) {
            Ok(()) => {
                let created = sys::permissions(&fs::metadata(path)?);
                // `created` already lacks the bits of the umask.
                let mode = if wanted.times.is_some() { wanted.mode } else { created & wanted.mode };
                let is_final = wanted.times.is_none() && mode == created;
                Ok((!is_final).then(|| Self { path: path.into(), mode, wanted }))
            }
            Err(_) if fs::metadata(path).is_ok_and(|data| data.is_dir()) => {
                let keeps = wanted.times.is_some();
                Ok(keeps.then(|| Self { path: path.into(), mode: wanted.mode, wanted }))
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Sets the attributes.
    pub(super) fn finish(&self) -> io::Result<()> {
        sys::finish_directory(&self.path, self.mode, self.wanted.times)
    }
}

/// Returns the path of an entry of a local directory. `None` if the name could lead out of the
/// directory on this system.
pub(super) fn entry(directory: &Path, name: &[u8]) -> Option<PathBuf> {
    let name = PathBuf::from(sys::os_string(name.to_vec()));
    let mut parts = name.components();
    let is_one = matches!((parts.next(), parts.next()), (Some(std::path::Component::Normal(part)), None)
        if part == name.as_os_str());
    (is_one && is_safe_name(name.as_os_str().as_encoded_bytes())).then(|| directory.join(name))
}

/// The local place of the copies.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// The copies are entries of this directory.
    In(PathBuf),
    /// The only copy gets this path.
    As(PathBuf),
}

impl Place {
    /// Finds the place as `cp` does. A directory must exist for several files, or if the
    /// destination ends with a slash.
    pub(super) fn find(destination: &str, files: usize) -> io::Result<Self> {
        let path = PathBuf::from(destination);
        match fs::metadata(&path) {
            Ok(data) if data.is_dir() => Ok(Self::In(path)),
            Ok(_) if files > 1 || ends_with_slash(destination) => Err(io::ErrorKind::NotADirectory.into()),
            Err(error) if files > 1 || ends_with_slash(destination) => Err(error),
            _ => Ok(Self::As(path)),
        }
    }

    /// Returns the path of the copy of a file. `None` if the file's name is not that of an entry.
    pub(super) fn of(&self, name: Option<&[u8]>) -> Option<PathBuf> {
        match (self, name) {
            (Self::As(path), _) => Some(path.clone()),
            (Self::In(directory), Some(name)) => entry(directory, name),
            // A directory without a name, such as `.`, is copied into the destination.
            (Self::In(directory), None) => Some(directory.clone()),
        }
    }
}

/// Returns `true` if a destination must be a directory.
pub(super) fn ends_with_slash(destination: &str) -> bool {
    destination.ends_with(std::path::is_separator)
}
