//! The program; see the library for all of it.

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    connect::run(env::args_os(), |name| env::var_os(name))
}
