//! Reads, without a copy of the data.

use super::Service;
use super::answer::MAX_DATA;
use super::files::Files;
use crate::ssh::sftp::wire::{Reply, StatusCode};

impl<F: Files> Service<F> {
    /// Appends the reply to a read. The file is read into `output` itself.
    pub(super) fn read(&mut self, id: u32, handle: &[u8], offset: u64, length: u32, output: &mut Vec<u8>) {
        let start = output.len();
        let length = usize::try_from(length).unwrap_or(MAX_DATA).min(MAX_DATA);
        let result = self.handles.file(handle).and_then(|file| {
            Reply::encode_data(id, length, output, |buffer| self.files.read(file, offset, buffer))
        });
        match result {
            Ok(count) if count > 0 || length == 0 => {}
            Ok(_) => Self::replace(id, start, StatusCode::EOF, output),
            Err(code) => Self::replace(id, start, code, output),
        }
    }

    fn replace(id: u32, start: usize, code: StatusCode, output: &mut Vec<u8>) {
        output.truncate(start);
        Reply::status(code).encode(id, output);
    }
}
