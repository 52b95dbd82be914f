//! Hides secrets in this process's args, environment and memory from other processes.

use std::ffi::{CStr, c_char};
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The args of `main`, which the kernel shows in `ps`. Null until [`remember_args`] is called.
static ARGS: AtomicPtr<*const c_char> = AtomicPtr::new(ptr::null_mut());

unsafe extern "C" {
    /// The environment (POSIX.1): a list that ends with a null pointer.
    static environ: *const *const c_char;
}

/// Stores the location of the args, a list that ends with a null pointer.
pub(super) fn remember_args(args: *const *const c_char) {
    ARGS.store(args.cast_mut(), Ordering::Relaxed);
}

/// In each arg, overwrites the range that `find` returns with asterisks, because `ps` shows the
/// args to all users.
pub fn conceal_args(find: impl FnMut(&[u8]) -> Range<usize>) {
    // SAFETY: `ARGS` is null, or the args of `main`: a list that ends with a null pointer and lives
    // as long as the process.
    unsafe { conceal_in(ARGS.load(Ordering::Relaxed), find) };
}

/// In each environment variable, overwrites the range that `find` returns with asterisks, because
/// `ps` and `/proc` show the environment to the user's other processes. `find` is passed
/// `NAME=value`.
///
/// Must be called before the first thread starts.
pub fn conceal_variables(find: impl Fn(&[u8]) -> Range<usize>) {
    // SAFETY: the environment is a list that ends with a null pointer. No other thread exists that
    // could change it.
    unsafe { conceal_in(environ, find) };
}

/// In each string of a list, overwrites the range that `find` returns with asterisks.
///
/// # Safety
/// `list` must be null, or a list of writable C strings that ends with a null pointer.
unsafe fn conceal_in(mut list: *const *const c_char, mut find: impl FnMut(&[u8]) -> Range<usize>) {
    if list.is_null() {
        return;
    }
    loop {
        // SAFETY: `list` points to an entry of the list, because the null pointer has not been
        // reached yet.
        let text = unsafe { *list };
        if text.is_null() {
            return;
        }
        // SAFETY: the entry is a C string, and is not written to while `find` runs.
        let found = find(unsafe { CStr::from_ptr(text) }.to_bytes());
        for index in found {
            // SAFETY: `index` is within the string, whose length does not change. The store is
            // atomic because C code may read the string, and so that the compiler does not remove
            // it.
            unsafe { AtomicU8::from_ptr(text.cast_mut().cast::<u8>().add(index)) }
                .store(b'*', Ordering::Relaxed);
        }
        // SAFETY: the list continues up to the null pointer.
        list = unsafe { list.add(1) };
    }
}

/// A guard that prevents core dumps until it is dropped. On Linux, it also keeps the user's other
/// processes from reading this process's memory.
#[derive(Debug)]
pub struct DumpGuard(());

/// The guards that exist.
static GUARDS: Mutex<Guards> = Mutex::new(Guards { count: 0, restriction: None });

struct Guards {
    count: usize,
    /// The restrictions that the first guard has set.
    restriction: Option<Restriction>,
}

impl DumpGuard {
    /// Starts the protection, which lasts until all guards are dropped.
    #[must_use]
    pub fn engage() -> Self {
        let mut guards = lock_guards();
        guards.count += 1;
        guards.restriction.get_or_insert_with(Restriction::set);
        Self(())
    }
}

impl Drop for DumpGuard {
    fn drop(&mut self) {
        let mut guards = lock_guards();
        guards.count -= 1;
        if guards.count == 0
            && let Some(restriction) = guards.restriction.take()
        {
            restriction.lift();
        }
    }
}

fn lock_guards() -> MutexGuard<'static, Guards> {
    GUARDS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(not(target_os = "linux"))]
use core_limit::Restriction;
#[cfg(target_os = "linux")]
use dumpable::Restriction;

#[cfg(target_os = "linux")]
mod dumpable {
    use rustix::process::{DumpableBehavior, dumpable_behavior, set_dumpable_behavior};

    /// The "not dumpable" attribute. Holds `true` if we set it and must clear it again: a process
    /// that was not dumpable before stays that way.
    #[derive(Debug)]
    pub(super) struct Restriction(bool);

    impl Restriction {
        pub(super) fn set() -> Self {
            let dumpable = matches!(dumpable_behavior(), Ok(DumpableBehavior::Dumpable));
            Self(dumpable && set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok())
        }

        pub(super) fn lift(&self) {
            if self.0 {
                // Fails only for invalid values.
                let _ = set_dumpable_behavior(DumpableBehavior::Dumpable);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod core_limit {
    use rustix::process::{Resource, Rlimit};

    use crate::sys::unix::inheritance::{change_limit, restore_limit};

    /// A core size limit of 0, which child processes do not inherit.
    #[derive(Debug)]
    pub(super) struct Restriction;

    impl Restriction {
        pub(super) fn set() -> Self {
            change_limit(Resource::Core, |limit| Rlimit { current: Some(0), ..limit });
            Self
        }

        pub(super) fn lift(&self) {
            let Self = self;
            restore_limit(Resource::Core);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior};

    use super::DumpGuard;

    #[test]
    fn memory_stays_protected_until_the_last_guard_is_dropped() {
        let now = || dumpable_behavior().ok();
        let before = now();
        let first = DumpGuard::engage();
        assert_eq!(now(), Some(DumpableBehavior::NotDumpable));
        let second = DumpGuard::engage();
        drop(DumpGuard::engage());
        assert_eq!(now(), Some(DumpableBehavior::NotDumpable));
        drop(first);
        assert_eq!(now(), Some(DumpableBehavior::NotDumpable));
        drop(second);
        assert_eq!(now(), before);
    }
}
