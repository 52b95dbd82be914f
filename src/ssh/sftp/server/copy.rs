//! Copies between two open files at the server (`copy-data`).

use super::Service;
use super::files::{Files, Result};
use super::handles::Handle;
use crate::ssh::sftp::wire::{Request, StatusCode};

/// The bytes that are copied at a time.
const BUFFER: usize = 64 * 1024;

impl<F: Files> Service<F> {
    /// Performs a copy request. Source and target must be two handles.
    pub(super) fn copy(&mut self, request: &Request) -> Result<()> {
        let Request::CopyData { from, from_offset, length, to, to_offset } = *request else {
            return Err(StatusCode::FAILURE);
        };
        // While it is removed, the source is not found as the target.
        let mut source = self.handles.remove(from)?;
        let result = match &mut source {
            Handle::File(source) => self.copy_from(source, from_offset, length, to, to_offset),
            Handle::Directory(_) => Err(StatusCode::FAILURE),
        };
        self.handles.restore(from, source);
        result
    }

    fn copy_from(
        &mut self,
        source: &mut F::File,
        mut from_offset: u64,
        length: u64,
        to: &[u8],
        mut to_offset: u64,
    ) -> Result<()> {
        let target = self.handles.file(to)?;
        let mut left = length;
        if length == 0 {
            // A file that is copied into itself has no end, so the size is that of the start.
            let size = self.files.file_attributes(source)?.size;
            left = size.map_or(u64::MAX, |size| size.saturating_sub(from_offset));
        }
        let mut buffer = vec![0; BUFFER];
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
            let count = self.files.read(source, from_offset, &mut buffer[..count])?.min(count);
            if count == 0 {
                break;
            }
            self.files.write(target, to_offset, &buffer[..count])?;
            left -= count as u64;
            from_offset = from_offset.checked_add(count as u64).ok_or(StatusCode::FAILURE)?;
            to_offset = to_offset.checked_add(count as u64).ok_or(StatusCode::FAILURE)?;
        }
        Ok(())
    }
}
