//! The open files and directories.

use std::collections::BTreeMap;
use std::fmt;

use super::files::{Files, Result};
use crate::ssh::sftp::wire::StatusCode;

/// The most handles of a channel.
pub const MAX_HANDLES: usize = 256;

pub(super) enum Handle<F: Files> {
    File(F::File),
    Directory(F::Directory),
}

pub(super) struct Handles<F: Files> {
    open: BTreeMap<[u8; 4], Handle<F>>,
    next: u32,
}

impl<F: Files> Default for Handles<F> {
    fn default() -> Self {
        Self { open: BTreeMap::new(), next: 0 }
    }
}

impl<F: Files> fmt::Debug for Handles<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.open.keys()).finish()
    }
}

impl<F: Files> Handles<F> {
    /// Checks that another handle may be opened.
    pub(super) fn check_room(&self) -> Result<()> {
        if self.open.len() < MAX_HANDLES { Ok(()) } else { Err(StatusCode::FAILURE) }
    }

    /// Adds a handle and returns its name, which is not used again before 2^32 others.
    pub(super) fn insert(&mut self, handle: Handle<F>) -> [u8; 4] {
        while self.open.contains_key(&self.next.to_be_bytes()) {
            self.next = self.next.wrapping_add(1);
        }
        let name = self.next.to_be_bytes();
        self.next = self.next.wrapping_add(1);
        self.open.insert(name, handle);
        name
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Result<Handle<F>> {
        self.open.remove(name).ok_or(StatusCode::FAILURE)
    }

    /// Adds a handle again under its old name.
    pub(super) fn restore(&mut self, name: &[u8], handle: Handle<F>) {
        if let Ok(name) = name.try_into() {
            self.open.insert(name, handle);
        }
    }

    pub(super) fn file(&mut self, name: &[u8]) -> Result<&mut F::File> {
        match self.open.get_mut(name) {
            Some(Handle::File(file)) => Ok(file),
            Some(Handle::Directory(_)) | None => Err(StatusCode::FAILURE),
        }
    }

    pub(super) fn directory(&mut self, name: &[u8]) -> Result<&mut F::Directory> {
        match self.open.get_mut(name) {
            Some(Handle::Directory(directory)) => Ok(directory),
            Some(Handle::File(_)) | None => Err(StatusCode::FAILURE),
        }
    }
}
