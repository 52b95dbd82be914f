//! Stubs that keep libm and `libgcc_s` out of the program, so that the loader maps only the C
//! library.
//!
//! Finding, mapping and relocating one library takes as long as all of this program's own start-up
//! work. The linker omits a library of which no symbol is used (`--as-needed`, set by rustc), so
//! the few symbols that are used are defined here. If another symbol is needed one day, the linker
//! adds the library again, which only costs time; `tests/startup` detects that.
//!
//! All symbols are hidden. If a library that the system loads to resolve names needs these
//! functions, it gets the real ones.
//!
//! SAFETY of each `no_mangle`: name and signature are those of the library, and nothing else
//! defines the symbol in a program linked dynamically against glibc.

/// libm. The DNS library and its runtime use it to average response times and task times. A static
/// libm does not link with a dynamic C library.
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

/// libgcc_s, which unwinds the stack after a panic. With `panic = "abort"` (the release profile)
/// nothing unwinds. Only the backtrace is lost, which has no names in a stripped program anyway.
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
