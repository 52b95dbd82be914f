//! Stubs that keep libm and `libgcc_s` out of the program, so that the loader maps only the C
//! library.
//!
//! Finding, mapping and relocating one library takes about as long as all of this program's own
//! start-up work. The linker omits a library if the program uses none of its symbols
//! (`--as-needed`, set by rustc), so we define the few symbols that are used. If another symbol is
//! ever needed, the linker adds the library again, which only costs time; `tests/startup` detects
//! that.
//!
//! All symbols are hidden, so a library that the system loads to resolve names (NSS) still gets the
//! real functions.
//!
//! SAFETY of each `no_mangle`: the name and signature match the library's, and nothing else in a
//! program that is linked dynamically against glibc defines the symbol.

/// Replaces libm. The DNS library and its async runtime use these functions to average response
/// times and task run times. A static libm cannot be linked with a dynamic C library.
#[cfg(feature = "dns")]
mod mathematics {
    std::arch::global_asm!(".hidden exp", ".hidden pow");

    #[unsafe(no_mangle)]
    extern "C" fn exp(x: f64) -> f64 {
        libm::exp(x)
    }

    #[unsafe(no_mangle)]
    extern "C" fn pow(x: f64, y: f64) -> f64 {
        libm::pow(x, y)
    }
}

/// Replaces `libgcc_s`, which unwinds the stack after a panic. With `panic = "abort"` (the release
/// profile) nothing unwinds, so only the backtrace is lost, which would have no names in a stripped
/// program anyway.
#[cfg(panic = "abort")]
mod unwinding {
    use std::ffi::{c_int, c_void};
    use std::process::abort;

    /// `_URC_END_OF_STACK`: there are no frames.
    const END_OF_STACK: c_int = 5;

    type Visit = extern "C" fn(*mut c_void, *mut c_void) -> c_int;

    std::arch::global_asm!(".hidden _Unwind_Backtrace");

    #[unsafe(no_mangle)]
    extern "C" fn _Unwind_Backtrace(_visit: Visit, _argument: *mut c_void) -> c_int {
        END_OF_STACK
    }

    /// Defines functions that are called only to unwind the stack or to print a backtrace.
    macro_rules! never_called {
        ($($name:ident($($argument:ty),*) -> $value:ty;)*) => {$(
            std::arch::global_asm!(concat!(".hidden ", stringify!($name)));

            #[unsafe(no_mangle)]
            extern "C" fn $name($(_: $argument),*) -> $value {
                abort()
            }
        )*};
    }

    never_called! {
        _Unwind_GetDataRelBase(*mut c_void) -> usize;
        _Unwind_GetIP(*mut c_void) -> usize;
        _Unwind_GetIPInfo(*mut c_void, *mut c_int) -> usize;
        _Unwind_GetLanguageSpecificData(*mut c_void) -> *mut c_void;
        _Unwind_GetRegionStart(*mut c_void) -> usize;
        _Unwind_GetTextRelBase(*mut c_void) -> usize;
        _Unwind_Resume(*mut c_void) -> !;
        _Unwind_SetGR(*mut c_void, c_int, usize) -> ();
        _Unwind_SetIP(*mut c_void, usize) -> ();
    }
}
