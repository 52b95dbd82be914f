//! What the fuzz targets have in common: a driver that holds the protocol machines to their contract, an independent
//! reading of where a proxy's reply ends, and what may reach the user's terminal.

use peak_alloc::PeakAlloc;

pub mod conversation;
pub mod ends;
pub mod shown;
pub mod sources;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The user that the machines speak for.
pub const USER: &str = "alice";
/// The password, which nobody but the proxy may get to see.
pub const PASSWORD: &str = "hunter2-opensesame";
/// `alice:hunter2-opensesame` in base64, as Basic authentication sends it.
pub const BASIC: &str = "YWxpY2U6aHVudGVyMi1vcGVuc2VzYW1l";
