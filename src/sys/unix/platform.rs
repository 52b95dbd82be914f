//! What this machine and this process may do.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use rustix::process::{Resource, Rlimit, getrlimit, getuid, setrlimit};

/// The parameter file of everybody on the machine.
pub const SYSTEM_FILE: Option<&str> = Some("/etc/connectrc");

/// Whether variables of the environment have the same name in capitals and in small letters.
pub const VARIABLES_IGNORE_CASE: bool = false;

/// Whether others than its owner can read a file.
#[must_use]
pub fn others_can_read(data: &Metadata) -> bool {
    data.mode() & 0o044 != 0
}

/// Whether what stands in a file is said by the user or by root: it is theirs, and nobody else can write to it.
#[must_use]
pub fn is_trusted(data: &Metadata) -> bool {
    let owner = data.uid();
    (owner == 0 || owner == getuid().as_raw()) && data.mode() & 0o022 == 0
}

/// Allows as many descriptors as the system lets us have.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Failing leaves the limit as it is, which shows when it is met.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// Ends the process, with what can be done without memory. Other threads may be at work.
pub(crate) fn out_of_memory() -> ! {
    // Nobody is left to tell if this fails.
    let _ = rustix::io::write(rustix::stdio::stderr(), b"connect: this machine is out of memory\n");
    // SAFETY: it ends the process at once, and runs nothing of ours.
    unsafe { libc::_exit(1) }
}
