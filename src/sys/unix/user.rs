//! Who runs the program.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::{env, mem, ptr};

/// A passwd entry is longer than this only where someone means harm.
const MAX_ENTRY: usize = 1 << 20;

/// The login name of the user whom the process runs as: from the system, or, for a user it does not know,
/// from `LOGNAME` or `USER`.
#[must_use]
pub fn login_name() -> Option<String> {
    let name = from_passwd(|entry| entry.pw_name).map(|name| String::from_utf8_lossy(&name).into_owned());
    name.or_else(|| {
        ["LOGNAME", "USER"].iter().find_map(|name| env::var(name).ok().filter(|name| !name.is_empty()))
    })
}

/// The user's home directory, as the system knows it.
#[must_use]
pub fn home() -> Option<PathBuf> {
    from_passwd(|entry| entry.pw_dir).map(|home| OsStr::from_bytes(&home).into())
}

/// A field of the user's entry, if it is there and not empty.
fn from_passwd(field: fn(&libc::passwd) -> *mut libc::c_char) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 1024];
    loop {
        // SAFETY: passwd is plain data, for which all zeros are valid.
        let mut entry: libc::passwd = unsafe { mem::zeroed() };
        let mut found = ptr::null_mut();
        // SAFETY: every pointer is valid for the call, and the length is the buffer's. getuid cannot fail.
        let error = unsafe {
            libc::getpwuid_r(
                libc::getuid(),
                &raw mut entry,
                buffer.as_mut_ptr(),
                buffer.len(),
                &raw mut found,
            )
        };
        if error == libc::ERANGE && buffer.len() < MAX_ENTRY {
            buffer.resize(buffer.len() * 2, 0);
            continue;
        }
        let value = field(&entry);
        if error != 0 || found.is_null() || value.is_null() {
            return None;
        }
        // SAFETY: the field is a C string in `buffer`, which lives until after the copy is made.
        let value = unsafe { CStr::from_ptr(value) };
        return Some(value.to_bytes().to_vec()).filter(|value| !value.is_empty());
    }
}
