//! The file system of a server.

use crate::ssh::sftp::wire::{Attributes, FileSystem, Name, Open, StatusCode};

/// The outcome of an operation.
pub(super) type Result<T> = std::result::Result<T, StatusCode>;

/// The file system of a server. Paths are not empty and contain no NUL; relative ones start at the
/// login directory. Each operation returns the code to send if it fails.
#[allow(clippy::missing_errors_doc, reason = "the trait explains the errors of all operations")]
pub trait Files {
    /// An open file.
    type File;
    /// An open directory.
    type Directory;

    /// Opens a file. New files get the permissions in `attributes`, or else 0666, less the umask.
    fn open(&mut self, path: &[u8], flags: Open, attributes: &Attributes) -> Result<Self::File>;

    /// Closes a file.
    fn close(&mut self, file: Self::File) -> Result<()>;

    /// Reads into `buffer`. Returns 0 at the end of the file.
    fn read(&mut self, file: &mut Self::File, offset: u64, buffer: &mut [u8]) -> Result<usize>;

    /// Writes all of `data`. If the file is open for appending, the offset has no effect.
    fn write(&mut self, file: &mut Self::File, offset: u64, data: &[u8]) -> Result<()>;

    /// Writes the file to the disk.
    fn sync(&mut self, file: &mut Self::File) -> Result<()>;

    /// Returns the attributes of an open file.
    fn file_attributes(&mut self, file: &mut Self::File) -> Result<Attributes>;

    /// Sets attributes of an open file.
    fn set_file_attributes(&mut self, file: &mut Self::File, attributes: &Attributes) -> Result<()>;

    /// Returns the state of the file system of an open file.
    fn file_system_of(&mut self, file: &mut Self::File) -> Result<FileSystem>;

    /// Opens a directory.
    fn open_directory(&mut self, path: &[u8]) -> Result<Self::Directory>;

    /// Returns at most `max` further entries of a directory, at first `.` and `..`; none at its
    /// end. [`super::LongName`] formats the long names.
    fn read_directory(&mut self, directory: &mut Self::Directory, max: usize) -> Result<Vec<Name>>;

    /// Returns the attributes of a file, or of a symbolic link itself unless `follow` is set.
    fn attributes(&mut self, path: &[u8], follow: bool) -> Result<Attributes>;

    /// Sets attributes of a file, or of a symbolic link itself unless `follow` is set.
    fn set_attributes(&mut self, path: &[u8], attributes: &Attributes, follow: bool) -> Result<()>;

    /// Removes a file, but no directory.
    fn remove(&mut self, path: &[u8]) -> Result<()>;

    /// Creates a directory with the permissions in `attributes`, or else 0777, less the umask.
    fn make_directory(&mut self, path: &[u8], attributes: &Attributes) -> Result<()>;

    /// Removes an empty directory.
    fn remove_directory(&mut self, path: &[u8]) -> Result<()>;

    /// Returns the absolute path of a file, without symbolic links. The file need not exist.
    fn real_path(&mut self, path: &[u8]) -> Result<Vec<u8>>;

    /// Like [`Self::real_path`], but replaces `~` and `~USER` at the start.
    fn expand_path(&mut self, path: &[u8]) -> Result<Vec<u8>>;

    /// Renames a file. Fails if the new name exists, unless `replace` is set.
    fn rename(&mut self, from: &[u8], to: &[u8], replace: bool) -> Result<()>;

    /// Returns the target of a symbolic link.
    fn read_link(&mut self, path: &[u8]) -> Result<Vec<u8>>;

    /// Creates a symbolic link.
    fn symbolic_link(&mut self, target: &[u8], link: &[u8]) -> Result<()>;

    /// Creates another name for a file.
    fn hard_link(&mut self, from: &[u8], to: &[u8]) -> Result<()>;

    /// Returns the state of the file system that contains a path.
    fn file_system(&mut self, path: &[u8]) -> Result<FileSystem>;

    /// Returns the name of a user; `None` if there is no user with this ID.
    fn user_name(&mut self, id: u32) -> Option<Vec<u8>>;

    /// Returns the name of a group; `None` if there is no group with this ID.
    fn group_name(&mut self, id: u32) -> Option<Vec<u8>>;
}
