//! Implementation for Unix.

#[cfg(feature = "ssh")]
mod agent;
mod background;
mod channel;
mod child_output;
mod entry;
#[cfg(target_os = "linux")]
mod epoll;
mod fd_passing;
#[cfg(feature = "ssh")]
mod files;
mod hangup;
mod hardening;
mod inheritance;
mod inherited_fd;
#[cfg(all(target_os = "linux", target_env = "gnu", not(target_feature = "crt-static")))]
mod link_stubs;
mod listener;
mod peer_user;
mod platform;
mod poll;
mod process_group;
#[cfg(feature = "ssh")]
mod raw_terminal;
#[cfg(feature = "ssh")]
mod signal_events;
mod signal_report;
mod signals;
mod socket_activation;
mod socket_path;
#[cfg(target_os = "linux")]
mod splice;
mod terminal;
mod termination;
mod user;

#[cfg(feature = "ssh")]
pub use agent::connect_agent;
pub use background::{Background, CAN_DETACH};
pub use channel::{Channel, STDIN_SETTLE_TIME, channel_pair};
pub use child_output::ChildOutput;
pub use entry::start;
#[cfg(target_os = "linux")]
pub use epoll::{Poller, PollerEvents};
pub use fd_passing::{check_fd_passing, send_fd};
#[cfg(feature = "ssh")]
pub use files::{
    create_directory, create_file, finish_directory, permissions, rename, report_file_size_limit,
    set_permissions, set_times,
};
pub use hangup::{hangups, reload_on_hangup};
pub use hardening::{DumpGuard, conceal_args, conceal_variables};
pub(super) use inheritance::restrict_inheritance;
pub use inherited_fd::read_inherited;
pub use listener::{Listener, bind_tcp, is_missing_address};
pub use peer_user::is_same_user;
pub use platform::{
    DEFAULT_CHARSET_IS_UTF8, SYSTEM_FILE, VARIABLES_IGNORE_CASE, create_private_file, descriptor_limit,
    is_trusted, os_string, others_can_read, raise_descriptor_limit,
};
pub(super) use platform::{NO_BUFFER_SPACE, out_of_memory};
#[cfg(feature = "ssh")]
pub use platform::{create_private_directory, open_mode};
pub use poll::{HANGUP_IS_GONE, Ready, Watch, error_has_room, is_in_progress, poll, poll_now, watch};
pub(super) use process_group::{isolate, kill_isolated, shell_command};
#[cfg(feature = "ssh")]
pub use raw_terminal::{HAS_RAW_TERMINAL, RawTerminal, TerminalSize, input_is_terminal, terminal_size};
#[cfg(feature = "ssh")]
pub use signal_events::{Signal, Signals};
pub use signal_report::SignalReport;
pub use socket_activation::passed_listeners;
#[cfg(target_os = "linux")]
pub use splice::{Pipe, cannot_be_spliced, grow_pipe, splice, splice_mode};
#[cfg(feature = "ssh")]
pub use terminal::read_visible_line;
pub use terminal::{RestoreTerminal, error_terminal, has_terminal};
pub use termination::Termination;
pub use user::{home, login_name};
