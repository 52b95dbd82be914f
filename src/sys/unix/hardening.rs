//! What others can see of this process: the words that it was started with, its environment, its memory.

use std::ffi::{CStr, c_char};
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

/// The words, as the system keeps them for `ps`. Null before the start.
static WORDS: AtomicPtr<*const c_char> = AtomicPtr::new(ptr::null_mut());

unsafe extern "C" {
    /// The C library's (POSIX.1): the environment, which ends with a null pointer.
    static environ: *const *const c_char;
}

/// Remembers where the words are, which end with a null pointer.
pub(super) fn remember(words: *const *const c_char) {
    WORDS.store(words.cast_mut(), Ordering::Relaxed);
}

/// Overwrites with asterisks what the function finds in a word: `ps` shows them to everybody.
pub fn conceal_args(in_word: impl FnMut(&[u8]) -> Range<usize>) {
    // SAFETY: `main` was given a list of words that ends with a null pointer, and keeps it; null is no list.
    unsafe { conceal_in(WORDS.load(Ordering::Relaxed), in_word) };
}

/// The same in a variable of the form `NAME=value`, which can be read by `ps` and in `/proc` by the same user. To be
/// called before there are threads.
pub fn conceal_variables(in_variable: impl Fn(&[u8]) -> Range<usize>) {
    // SAFETY: the environment is such a list, too; there is no other thread that could change it, and it is not
    // changed here but byte by byte.
    unsafe { conceal_in(environ, in_variable) };
}

/// # Safety
/// `list` is null or a list of C strings that may be written to, and ends with a null pointer.
unsafe fn conceal_in(mut list: *const *const c_char, mut find: impl FnMut(&[u8]) -> Range<usize>) {
    if list.is_null() {
        return;
    }
    loop {
        // SAFETY: the pointer is to one of the list, whose end has not been reached.
        let text = unsafe { *list };
        if text.is_null() {
            return;
        }
        // SAFETY: it is a C string. Nobody writes to it while it is looked at.
        let found = find(unsafe { CStr::from_ptr(text) }.to_bytes());
        for index in found {
            // SAFETY: the place is in the string, which keeps its length. It is atomic since the string is of the C
            // library, and so that the compiler does not leave it out.
            unsafe { AtomicU8::from_ptr(text.cast_mut().cast::<u8>().add(index)) }
                .store(b'*', Ordering::Relaxed);
        }
        // SAFETY: the list goes on up to the null pointer.
        list = unsafe { list.add(1) };
    }
}

/// As long as this lives, the memory of the process is for root only: no core is dumped, and on Linux no other process
/// of the user can read it.
#[derive(Debug)]
pub struct DumpGuard(Limit);

impl DumpGuard {
    /// From now on.
    #[must_use]
    pub fn engage() -> Self {
        Self(Limit::set())
    }
}

impl Drop for DumpGuard {
    fn drop(&mut self) {
        self.0.lift();
    }
}

#[cfg(target_os = "linux")]
use attribute::Limit;
#[cfg(not(target_os = "linux"))]
use resource::Limit;

#[cfg(target_os = "linux")]
mod attribute {
    use rustix::process::{DumpableBehavior, dumpable_behavior, set_dumpable_behavior};

    /// Whether it has been set by us. A process that must not be dumped for other reasons stays so.
    #[derive(Debug)]
    pub(super) struct Limit(bool);

    impl Limit {
        pub(super) fn set() -> Self {
            let dumpable = matches!(dumpable_behavior(), Ok(DumpableBehavior::Dumpable));
            Self(dumpable && set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok())
        }

        pub(super) fn lift(&self) {
            if self.0 {
                // It can only fail for values that do not exist.
                let _ = set_dumpable_behavior(DumpableBehavior::Dumpable);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod resource {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    /// What it was before.
    #[derive(Debug)]
    pub(super) struct Limit(Rlimit);

    impl Limit {
        pub(super) fn set() -> Self {
            let before = getrlimit(Resource::Core);
            let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: before.maximum });
            Self(before)
        }

        pub(super) fn lift(&self) {
            let _ = setrlimit(Resource::Core, self.0.clone());
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior};

    use super::DumpGuard;

    #[test]
    fn memory_is_closed_as_long_as_it_has_to_be() {
        let now = || dumpable_behavior().ok();
        let before = now();
        let undumped = DumpGuard::engage();
        assert_eq!(now(), Some(DumpableBehavior::NotDumpable));
        // One within the other does not open it.
        drop(DumpGuard::engage());
        assert_eq!(now(), Some(DumpableBehavior::NotDumpable));
        drop(undumped);
        assert_eq!(now(), before);
    }
}
