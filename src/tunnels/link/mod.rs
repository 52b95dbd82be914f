//! Links between a dest and its origin: a thread for each link carries its streams over one pipe
//! after another.

mod dest;
mod handshake;
mod local;
mod mailbox;
mod pipe;
mod redial;
mod role;
mod runner;
#[cfg(not(feature = "noise"))]
#[path = "no_noise.rs"]
mod secure;
#[cfg(feature = "noise")]
mod secure;
mod state;
mod stream;
#[cfg(test)]
mod tests;

pub use dest::{DestLink, DestSettings, LINK_LINGER_TIME};
pub use handshake::websocket_pipe;
pub use mailbox::{DialFailure, Mailbox, Message};
pub use pipe::{Pipe, PipeEnd};
pub use redial::{PipeSource, Redial};
pub use role::Role;
pub use runner::Runner;
pub use secure::{Insecure, Side, secure};
pub use state::StreamState;
pub use stream::LinkStream;
