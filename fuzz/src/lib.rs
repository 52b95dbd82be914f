//! Code shared by the fuzz targets: a driver that holds negotiations to their contract, an
//! independent parser for the proxies' replies, and checks that text is safe to show on the user's
//! terminal.

use connect::{proto, secret};
use peak_alloc::PeakAlloc;

pub mod conversation;
pub mod display;
// Shared with `connect`'s unit tests. The driver uses `crate::proto` and `crate::secret`, hence the
// imports above.
#[path = "../../src/proto/testing/driver.rs"]
mod driver;
pub mod planning;
pub mod reference;
// Also shared with the unit tests.
#[path = "../../src/proto/server/testing/driver.rs"]
mod server_driver;
pub mod serving;
pub mod ssh;

/// The allocator, which measures memory use.
#[global_allocator]
pub static MEMORY: PeakAlloc = PeakAlloc;

/// The user name in every negotiation.
pub const USER: &str = "alice";
/// The password, which only the proxy may see.
pub const PASSWORD: &str = "hunter2-opensesame";
/// `alice:hunter2-opensesame` in base64, as Basic authentication sends it.
pub const BASIC: &str = "YWxpY2U6aHVudGVyMi1vcGVuc2VzYW1l";
