//! What this machine and this process may do.

use std::path::Path;

/// Whether others than its owner can read a file. What a profile directory holds is the user's own here.
#[must_use]
pub fn others_can_read(_: &Path) -> bool {
    false
}

/// Allows as many descriptors as the system lets us have. There is no limit to raise.
pub fn raise_descriptor_limit() {}
