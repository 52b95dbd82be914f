//! The user's login name and home directory.

use std::env;
use std::path::PathBuf;

use windows_sys::Win32::System::WindowsProgramming::GetUserNameW;

/// Longest user name including its final NUL (`UNLEN` + 1).
const MAX_NAME: u32 = 257;

/// Returns the user name from the system, or else from `USERNAME`. `None` if neither has it.
#[must_use]
pub fn login_name() -> Option<String> {
    let mut buffer = [0_u16; MAX_NAME as usize];
    let mut length = MAX_NAME;
    // SAFETY: the buffer has room for `length` characters. The call sets `length` to the number
    // written, NUL included.
    let found = unsafe { GetUserNameW(buffer.as_mut_ptr(), &raw mut length) } != 0;
    let length = usize::try_from(length).unwrap_or_default();
    let name = buffer.get(..length.saturating_sub(1)).filter(|_| found).map(String::from_utf16_lossy);
    name.or_else(|| env::var("USERNAME").ok()).filter(|name| !name.is_empty())
}

/// Returns the user's profile directory, or `None` if it is not set.
#[must_use]
pub fn home() -> Option<PathBuf> {
    env::var_os("USERPROFILE").filter(|home| !home.is_empty()).map(PathBuf::from)
}
