//! Copies with scp: `scp -t` receives, and `scp -f` sends. Both ends, without I/O.

mod command;
mod error;
mod input;
mod receiver;
mod record;
mod sender;
#[cfg(test)]
mod tests;

pub use command::{Options, ServerCommand, client_command, split_words};
pub use error::{Error, InvalidName, cause};
pub use receiver::{Receiver, ReceiverEvent};
pub use record::{Entry, Record, Times};
pub use sender::{EntryId, Sender, SenderEvent};

/// The nesting of directories that is accepted.
pub const MAX_DEPTH: usize = 64;
