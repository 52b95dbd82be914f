//! The relay tests that depend on how data is moved, run again with copying instead of splice(2).

#[path = "relay/bulk.rs"]
mod bulk;
#[path = "relay/ending.rs"]
mod ending;
#[path = "relay/idle.rs"]
mod idle;

use crate::kit::*;
use crate::relay::SOON;

/// Returns a run of the program that copies all data through its own memory.
fn connect(args: impl AsRef<str>) -> Program {
    crate::kit::connect(args).env("CONNECT_RELAY", "copy")
}
