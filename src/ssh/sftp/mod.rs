//! Copies with sftp, version 3 (draft-ietf-secsh-filexfer-02): packets, client and server, without
//! I/O.

pub(in crate::ssh) mod buffer;
pub mod client;
mod error;
mod failure;
pub mod names;
pub mod server;
#[cfg(test)]
mod testing;
pub mod wire;

pub use error::Error;
pub use failure::{Direction, Failure, failure_line};
