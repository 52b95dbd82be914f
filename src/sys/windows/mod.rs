//! Implementation for Windows.

#[cfg(feature = "ssh")]
mod agent;
mod background;
mod channel;
mod child_output;
mod entry;
mod fd_passing;
#[cfg(feature = "ssh")]
mod files;
mod hangup;
mod hardening;
mod inherited_fd;
mod listener;
mod platform;
mod poll;
mod process_group;
#[cfg(feature = "ssh")]
mod raw_terminal;
#[cfg(feature = "ssh")]
mod signal_events;
mod signal_report;
mod socketpair;
mod tcp;
mod terminal;
mod termination;
mod user;

#[cfg(feature = "ssh")]
pub use agent::connect_agent;
pub use background::{Background, CAN_DETACH};
pub use channel::{Channel, STDIN_SETTLE_TIME, channel_pair, is_same_user};
pub use child_output::ChildOutput;
pub use fd_passing::{check_fd_passing, send_fd};
#[cfg(feature = "ssh")]
pub use files::{
    create_directory, create_file, finish_directory, permissions, rename, report_file_size_limit,
    set_permissions, set_times,
};
pub use hangup::{hangups, reload_on_hangup};
pub use hardening::{DumpGuard, conceal_args, conceal_variables};
pub use inherited_fd::{passed_listeners, read_inherited};
pub use listener::{Listener, is_missing_address};
pub use platform::{
    DEFAULT_CHARSET_IS_UTF8, SYSTEM_FILE, VARIABLES_IGNORE_CASE, create_private_file, descriptor_limit,
    is_trusted, os_string, others_can_read, raise_descriptor_limit,
};
pub(super) use platform::{NO_BUFFER_SPACE, out_of_memory};
#[cfg(feature = "ssh")]
pub use platform::{create_private_directory, open_mode};
pub use poll::{HANGUP_IS_GONE, Ready, Watch, error_has_room, is_in_progress, poll, poll_now, watch};
pub(super) use process_group::{isolate, kill_isolated, restrict_inheritance, shell_command};
#[cfg(feature = "ssh")]
pub use raw_terminal::{HAS_RAW_TERMINAL, RawTerminal, TerminalSize, input_is_terminal, terminal_size};
#[cfg(feature = "ssh")]
pub use signal_events::{Signal, Signals};
pub use signal_report::SignalReport;
pub use tcp::bind_tcp;
#[cfg(feature = "ssh")]
pub use terminal::read_visible_line;
pub use terminal::{RestoreTerminal, error_terminal, has_terminal};
pub use termination::Termination;
pub use user::{home, login_name};
