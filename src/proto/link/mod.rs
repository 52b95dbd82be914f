//! A link: streams between a dest and its origin, over one pipe after another. Like the other
//! protocols, it is implemented without sockets and clocks.
//!
//! A pipe carries frames in both directions. Frames that change the state of the link are
//! *counted*: each end keeps them until the other has acknowledged them, and repeats them on the
//! next pipe if this one breaks. So no byte of a stream is lost or delivered twice.

mod decoder;
mod failure;
mod frame;
mod machine;
mod outbox;
mod receive;
mod send;
mod stream;
#[cfg(test)]
mod tests;
mod timing;
mod violation;
mod window;

pub use decoder::{Decoder, Frame};
pub use failure::{Cause, Failure};
pub use frame::{HEADER, Hello, LinkId, MAX_PAYLOAD, MAX_TARGET, Malformed, StreamId, rejection};
pub use machine::{End, HELLO_TIMEOUT, Link, MAX_STREAMS, Settings};
pub use receive::Event;
pub use send::{TURN, Turn};
pub use timing::{ACK_DELAY, MAX_REDIAL_DELAY, MIN_REDIAL_DELAY, PING_INTERVAL, redial_delay};
pub use violation::Violation;
pub use window::MIN_WINDOW;
