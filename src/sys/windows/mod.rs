//! Windows.

mod channel;
mod exposure;
mod family;
mod handover;
mod inherited;
mod listener;
mod machine;
mod pair;
mod poll;
mod startup;
mod terminal;
mod termination;
mod user;

pub use channel::{Channel, IN_TRANSIT};
pub use exposure::{Undumped, conceal_variables, conceal_words};
pub(super) use family::{Family, shell_command};
pub use handover::{check_handover, hand_over};
pub use inherited::{passed_listeners, read_inherited};
pub use listener::Listener;
pub(super) use machine::out_of_memory;
pub use machine::{SYSTEM_FILE, VARIABLES_IGNORE_CASE, is_trusted, others_can_read, raise_descriptor_limit};
pub(super) use pair::pair;
pub use poll::{HANGUP_IS_GONE, Ready, Watch, is_in_progress, poll, watch};
pub use terminal::{RestoreTerminal, error_terminal, has_terminal};
pub use termination::Termination;
pub use user::{home, login_name};
