//! Temporary files and directories.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A unique temporary path. Dropping it removes the file or directory at that path.
pub(crate) struct TempPath(PathBuf);

impl TempPath {
    /// Returns a path that ends in `name` and does not exist yet.
    pub(crate) fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let directory = directory.join(format!("{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        Self(directory.join(name))
    }

    /// Creates an empty directory.
    pub(crate) fn directory(name: &str) -> Self {
        let path = Self::new(name);
        std::fs::create_dir(&*path).unwrap();
        path
    }

    /// Creates a file with these contents.
    pub(crate) fn file(name: &str, contents: impl AsRef<[u8]>) -> Self {
        let path = Self::new(name);
        std::fs::write(&*path, contents).unwrap();
        path
    }

    /// Creates a file that only this user can read.
    #[cfg(unix)]
    pub(crate) fn private(name: &str, contents: impl AsRef<[u8]>) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let path = Self::file(name, contents);
        std::fs::set_permissions(&*path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Creates a file that only this user can read, like any file in a profile directory.
    #[cfg(not(unix))]
    pub(crate) fn private(name: &str, contents: impl AsRef<[u8]>) -> Self {
        Self::file(name, contents)
    }
}

impl Deref for TempPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempPath {
    fn drop(&mut self) {
        if let Some(own) = self.0.parent() {
            let _ = std::fs::remove_dir_all(own);
        }
    }
}
