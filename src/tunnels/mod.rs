//! Streams whose bytes travel over several connections, which they open themselves.

pub use aborting::abort_all;
pub use broken::Broken;

mod aborting;
mod broken;
pub mod link;
pub mod post;
#[cfg(feature = "ssh")]
pub mod ssh;
