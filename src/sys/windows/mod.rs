//! Windows.

mod channel;
mod pair;
mod poll;
mod terminal;
mod user;

pub use channel::Channel;
pub use poll::{HANGUP_IS_GONE, Ready, Watch, is_in_progress, poll, watch};
pub use terminal::{RestoreTerminal, has_terminal};
pub use user::login_name;
