//! Unix.

mod channel;
mod exposure;
mod family;
mod handover;
mod inherited;
#[cfg(all(target_os = "linux", target_env = "gnu", not(target_feature = "crt-static")))]
mod libraries;
mod listener;
mod machine;
mod pair;
mod passed;
mod poll;
#[cfg(target_os = "linux")]
mod splice;
mod startup;
mod terminal;
mod termination;
mod user;

pub use channel::{Channel, IN_TRANSIT};
pub use exposure::{Undumped, conceal_variables, conceal_words};
pub(super) use family::{Family, shell_command};
pub use handover::{check_handover, hand_over};
pub use inherited::read_inherited;
pub use listener::Listener;
pub(super) use machine::out_of_memory;
pub use machine::{SYSTEM_FILE, VARIABLES_IGNORE_CASE, is_trusted, others_can_read, raise_descriptor_limit};
pub(super) use pair::pair;
pub use passed::passed_listeners;
pub use poll::{HANGUP_IS_GONE, Ready, Watch, is_in_progress, poll, watch};
#[cfg(target_os = "linux")]
pub use splice::{Pipe, cannot_be_spliced, route, splice, widen};
pub use startup::start;
pub use terminal::{RestoreTerminal, error_terminal, has_terminal};
pub use termination::Termination;
pub use user::{home, login_name};
