//! The system floor: the only unsafe code, and the only code that knows which system it runs on.
#![allow(unsafe_code)]

mod networks;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

pub use networks::own_networks;
#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;
