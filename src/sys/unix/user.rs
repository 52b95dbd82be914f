//! Who runs the program.

use std::ffi::CStr;
use std::{env, mem, ptr};

/// A passwd entry is longer than this only where someone means harm.
const MAX_ENTRY: usize = 1 << 20;

/// The login name of the user whom the process runs as: from the system, or, for a user it does not know,
/// from `LOGNAME` or `USER`.
#[must_use]
pub fn login_name() -> Option<String> {
    from_system().or_else(|| {
        ["LOGNAME", "USER"].iter().find_map(|name| env::var(name).ok().filter(|name| !name.is_empty()))
    })
}

fn from_system() -> Option<String> {
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
        if error != 0 || found.is_null() || entry.pw_name.is_null() {
            return None;
        }
        // SAFETY: the name is a C string in `buffer`, which lives until after the copy is made.
        let name = unsafe { CStr::from_ptr(entry.pw_name) };
        return Some(name.to_string_lossy().into_owned()).filter(|name| !name.is_empty());
    }
}
