//! Streams whose bytes travel over several connections, which they open themselves.

pub use broken::Broken;

mod broken;
pub mod post;
