//! Where the system enters the program: Rust's own start is what we want here.

/// Defines `main` for a program that hands its words to a function and ends with the code that it returns.
#[macro_export]
macro_rules! entry {
    ($run:expr) => {
        fn main() -> ::std::process::ExitCode {
            let words: ::std::vec::Vec<::std::ffi::OsString> = ::std::env::args_os().collect();
            let code: u8 = ($run)(words);
            ::std::process::ExitCode::from(code)
        }
    };
}
