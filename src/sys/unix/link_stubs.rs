//! Keeps the loader from mapping two libraries at every start that a run has no use for: the C library is enough.
//!
//! Each costs as much time at the start as the rest of this program's own work: it is searched, opened, mapped,
//! relocated. The linker leaves out a library of which nothing is needed (`--as-needed`, which rustc sets), so what
//! little is needed of these stands here. Should another function of theirs be needed one day, the linker takes the
//! library in again, and all that is lost is time; `tests/startup` tells.
//!
//! All of it is hidden: a library that the system loads for names, and that needs such functions, gets the real ones.
//!
//! SAFETY, of each `no_mangle`: the names are those of the two libraries, with their signatures, and nobody else
//! defines them in a program for a dynamic glibc.

/// libm: the DNS library keeps an average of a server's response times, and its runtime one of its tasks' times.
/// A static libm is no way: it does not link with a dynamic C library.
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

/// libgcc_s: it unwinds the stack after a panic. With `panic = "abort"` (the release profile) nothing does, and all
/// that is lost is the backtrace, in which a stripped program has no names anyway.
#[cfg(panic = "abort")]
mod unwinding {
    use std::ffi::{c_int, c_void};
    use std::process::abort;

    /// `_URC_END_OF_STACK`: no frame to be seen.
    const END_OF_STACK: c_int = 5;

    type Visit = extern "C" fn(*mut c_void, *mut c_void) -> c_int;

    std::arch::global_asm!(".hidden _Unwind_Backtrace");

    #[unsafe(no_mangle)]
    extern "C" fn _Unwind_Backtrace(_visit: Visit, _argument: *mut c_void) -> c_int {
        END_OF_STACK
    }

    /// Functions that only an unwinding or a backtrace calls.
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
