//! The program's entry point. On Windows, the startup code of Rust's runtime runs as usual.

/// Defines `main`, which passes the args to `$run` and exits with the code that `$run` returns.
#[macro_export]
macro_rules! entry {
    ($run:expr) => {
        fn main() -> ::std::process::ExitCode {
            let args: ::std::vec::Vec<::std::ffi::OsString> = ::std::env::args_os().collect();
            let code: u8 = ($run)(args);
            ::std::process::ExitCode::from(code)
        }
    };
}
