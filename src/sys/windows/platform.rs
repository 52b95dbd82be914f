//! What this machine and this process may do.

use std::fs::Metadata;

/// The parameter file of everybody on the machine. There is none: a path such as `/etc` is one of the current drive,
/// where every user may make folders for the others to find.
pub const SYSTEM_FILE: Option<&str> = None;

/// Whether variables of the environment have the same name in capitals and in small letters.
pub const VARIABLES_IGNORE_CASE: bool = true;

/// Whether others than its owner can read a file. What a profile directory holds is the user's own here.
#[must_use]
pub fn others_can_read(_: &Metadata) -> bool {
    false
}

/// Whether what stands in a file is said by the user, as it is in a profile directory.
#[must_use]
pub fn is_trusted(_: &Metadata) -> bool {
    true
}

/// Allows as many descriptors as the system lets us have. There is no limit to raise.
pub fn raise_descriptor_limit() {}

/// Ends the process.
pub(crate) fn out_of_memory() -> ! {
    std::process::abort()
}
