//! The user's login name and home directory.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::{env, mem, ptr};

/// Longest passwd entry to read. A longer one can only be an attack.
const MAX_ENTRY: usize = 1 << 20;

/// Returns the login name from the user database, or else from `LOGNAME` or `USER`. `None` if none
/// of them has it.
#[must_use]
pub fn login_name() -> Option<String> {
    let name = from_passwd(|entry| entry.pw_name).map(|name| String::from_utf8_lossy(&name).into_owned());
    name.or_else(|| {
        ["LOGNAME", "USER"].iter().find_map(|name| env::var(name).ok().filter(|name| !name.is_empty()))
    })
}

/// Returns the user's home directory from the user database, or `None` if the database lists none.
#[must_use]
pub fn home() -> Option<PathBuf> {
    from_passwd(|entry| entry.pw_dir).map(|home| OsStr::from_bytes(&home).into())
}

/// Returns a field of the user's passwd entry, or `None` if it is missing or empty.
fn from_passwd(field: fn(&libc::passwd) -> *mut libc::c_char) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 1024];
    loop {
        // SAFETY: passwd is plain data, for which the all-zero bit pattern is valid.
        let mut entry: libc::passwd = unsafe { mem::zeroed() };
        let mut found = ptr::null_mut();
        // SAFETY: all pointers are valid during the call, and the length is the buffer's. getuid
        // cannot fail.
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
        // SAFETY: the field points to a C string in `buffer`, which stays alive and unmodified
        // until the string has been copied.
        let value = unsafe { CStr::from_ptr(value) };
        return Some(value.to_bytes().to_vec()).filter(|value| !value.is_empty());
    }
}
