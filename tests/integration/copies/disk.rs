//! The files of an sftp server, in a directory of the disk.

use std::fs::{self, File, FileTimes, Metadata, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use connect::ssh::sftp::server::Files;
use connect::ssh::sftp::wire::{Attributes, FileSystem, Name, Open, StatusCode};

/// A directory, which clients see as the root and as the login directory.
pub(crate) struct Disk(pub(crate) PathBuf);

type Result<T> = std::result::Result<T, StatusCode>;

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn code(error: std::io::Error) -> StatusCode {
    match error.kind() {
        ErrorKind::NotFound => StatusCode::NO_SUCH_FILE,
        ErrorKind::PermissionDenied => StatusCode::PERMISSION_DENIED,
        _ => StatusCode::FAILURE,
    }
}

fn attributes(data: &Metadata) -> Attributes {
    let seconds = |time: i64| u32::try_from(time).unwrap();
    Attributes {
        size: Some(data.len()),
        owner: None,
        mode: Some(data.mode()),
        times: Some((seconds(data.atime()), seconds(data.mtime()))),
    }
}

fn set(file: &File, attributes: &Attributes) -> Result<()> {
    if let Some((access, modification)) = attributes.times {
        let time = |seconds: u32| UNIX_EPOCH + Duration::from_secs(seconds.into());
        let times = FileTimes::new().set_accessed(time(access)).set_modified(time(modification));
        file.set_times(times).map_err(code)?;
    }
    if let Some(mode) = attributes.permissions() {
        file.set_permissions(Permissions::from_mode(mode)).map_err(code)?;
    }
    Ok(())
}

impl Disk {
    fn path(&self, path: &[u8]) -> PathBuf {
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }
}

impl Files for Disk {
    type File = File;
    type Directory = std::vec::IntoIter<Name>;

    fn open(&mut self, path: &[u8], flags: Open, attributes: &Attributes) -> Result<File> {
        OpenOptions::new()
            .read(flags.has(Open::READ))
            .write(flags.has(Open::WRITE))
            .create(flags.has(Open::CREATE))
            .create_new(flags.has(Open::CREATE | Open::EXCLUSIVE))
            .truncate(flags.has(Open::TRUNCATE))
            .mode(attributes.permissions().unwrap_or(0o666))
            .open(self.path(path))
            .map_err(code)
    }

    fn close(&mut self, _: File) -> Result<()> {
        Ok(())
    }

    fn read(&mut self, file: &mut File, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        file.read_at(buffer, offset).map_err(code)
    }

    fn write(&mut self, file: &mut File, offset: u64, data: &[u8]) -> Result<()> {
        file.write_all_at(data, offset).map_err(code)
    }

    fn sync(&mut self, _: &mut File) -> Result<()> {
        Ok(())
    }

    fn file_attributes(&mut self, file: &mut File) -> Result<Attributes> {
        file.metadata().map(|data| attributes(&data)).map_err(code)
    }

    fn set_file_attributes(&mut self, file: &mut File, attributes: &Attributes) -> Result<()> {
        set(file, attributes)
    }

    fn file_system_of(&mut self, _: &mut File) -> Result<FileSystem> {
        Err(StatusCode::UNSUPPORTED)
    }

    fn open_directory(&mut self, path: &[u8]) -> Result<Self::Directory> {
        let entries = fs::read_dir(self.path(path)).map_err(code)?.map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().as_bytes().to_vec();
            Name { name, long_name: Vec::new(), attributes: attributes(&entry.metadata().unwrap()) }
        });
        Ok(entries.collect::<Vec<_>>().into_iter())
    }

    fn read_directory(&mut self, directory: &mut Self::Directory, max: usize) -> Result<Vec<Name>> {
        Ok(directory.take(max).collect())
    }

    fn attributes(&mut self, path: &[u8], follow: bool) -> Result<Attributes> {
        let path = self.path(path);
        let data = if follow { fs::metadata(path) } else { fs::symlink_metadata(path) };
        data.map(|data| attributes(&data)).map_err(code)
    }

    fn set_attributes(&mut self, path: &[u8], attributes: &Attributes, _: bool) -> Result<()> {
        set(&File::open(self.path(path)).map_err(code)?, attributes)
    }

    fn remove(&mut self, path: &[u8]) -> Result<()> {
        fs::remove_file(self.path(path)).map_err(code)
    }

    fn make_directory(&mut self, path: &[u8], attributes: &Attributes) -> Result<()> {
        let mode = attributes.permissions().unwrap_or(0o777);
        fs::DirBuilder::new().mode(mode).create(self.path(path)).map_err(code)
    }

    fn remove_directory(&mut self, path: &[u8]) -> Result<()> {
        fs::remove_dir(self.path(path)).map_err(code)
    }

    fn real_path(&mut self, path: &[u8]) -> Result<Vec<u8>> {
        let real = fs::canonicalize(self.path(path)).map_err(code)?;
        let root = fs::canonicalize(&self.0).map_err(code)?;
        let below = real.strip_prefix(root).map_err(|_| StatusCode::PERMISSION_DENIED)?;
        Ok([b"/", below.as_os_str().as_bytes()].concat())
    }

    fn expand_path(&mut self, path: &[u8]) -> Result<Vec<u8>> {
        self.real_path(path)
    }

    fn rename(&mut self, from: &[u8], to: &[u8], _: bool) -> Result<()> {
        fs::rename(self.path(from), self.path(to)).map_err(code)
    }

    fn read_link(&mut self, path: &[u8]) -> Result<Vec<u8>> {
        let target = fs::read_link(self.path(path)).map_err(code)?;
        Ok(target.as_os_str().as_bytes().to_vec())
    }

    fn symbolic_link(&mut self, target: &[u8], link: &[u8]) -> Result<()> {
        std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(target), self.path(link)).map_err(code)
    }

    fn hard_link(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        fs::hard_link(self.path(from), self.path(to)).map_err(code)
    }

    fn file_system(&mut self, _: &[u8]) -> Result<FileSystem> {
        Err(StatusCode::UNSUPPORTED)
    }

    fn user_name(&mut self, _: u32) -> Option<Vec<u8>> {
        None
    }

    fn group_name(&mut self, _: u32) -> Option<Vec<u8>> {
        None
    }
}
