//! The `-p` tests that depend on how data is moved, run again with copying instead of splice(2).

#[path = "local_port/transfer.rs"]
mod transfer;

use crate::kit::*;
use crate::listening::Listening;

/// Starts the program with `-d` and these args, and makes it copy all data through memory.
fn listening(args: impl AsRef<str>) -> Listening {
    let program = connect(format!("-d {}", args.as_ref())).env("CONNECT_RELAY", "copy");
    Listening::start(program.limit(3 * TIMEOUT))
}
