//! What others can see of this process. The words and the variables of a process are open to its own user and to
//! administrators only, and so is its memory; a crash is reported to whom the user has chosen.

use std::ops::Range;

/// Leaves the words as they are.
pub fn conceal_args(_: impl FnMut(&[u8]) -> Range<usize>) {}

/// Leaves the variables as they are.
pub fn conceal_variables(_: impl Fn(&[u8]) -> Range<usize>) {}

/// Changes nothing.
#[derive(Debug)]
pub struct DumpGuard;

impl DumpGuard {
    /// From now on.
    #[must_use]
    pub fn engage() -> Self {
        Self
    }
}
