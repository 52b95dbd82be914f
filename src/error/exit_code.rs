//! The exit code for each error.

use std::io;

use super::Error;
use crate::proto;
use crate::proto::link::{Cause, Failure};
use crate::proto::post as post_tunnel;
use crate::proto::post::ResetCode;

/// The exit codes. They are a public interface, documented in the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// The session ended normally.
    Ok = 0,
    /// A system call failed on this machine.
    System = 1,
    /// Invalid command line or configuration.
    Usage = 2,
    /// A host name could not be resolved.
    Resolve = 3,
    /// The proxy or target did not accept the connection.
    Unreachable = 4,
    /// A proxy refused the request or violated its protocol, or its tunnel led nowhere.
    Refused = 5,
    /// Authentication failed.
    Authentication = 6,
    /// A time limit expired.
    TimedOut = 7,
    /// Relaying failed and data may be missing, or the reader of the output exited.
    Relay = 8,
}

impl Error {
    /// Returns the exit code.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::NoRoute { failed, .. } => {
                failed.last().map_or(ExitCode::Unreachable, |(_, error)| error.exit_code())
            }
            Self::System { .. } | Self::Listen { .. } | Self::Bind { .. } | Self::KeyFile { .. } => {
                ExitCode::System
            }
            Self::Usage(_) | Self::Config(_) => ExitCode::Usage,
            Self::Resolve { .. } => ExitCode::Resolve,
            Self::Dial { .. } | Self::NoAddress { .. } => ExitCode::Unreachable,
            Self::Negotiation { cause, .. } => negotiation_exit_code(cause),
            Self::Lost { .. }
            | Self::Tls { .. }
            | Self::NothingReceived { .. }
            | Self::ClientRejected(_)
            | Self::ClientNotAllowed
            | Self::TargetNotAllowed { .. }
            | Self::TakenOver { .. }
            | Self::Denied { .. }
            | Self::ForwardRefused { .. }
            | Self::Loop { .. } => ExitCode::Refused,
            Self::NoPassword { .. } | Self::RejectedBefore { .. } => ExitCode::Authentication,
            Self::TimedOut { .. } | Self::Idle { .. } => ExitCode::TimedOut,
            Self::Remote { cause, .. } => remote_exit_code(cause),
            Self::Client { .. }
            | Self::ClientGone
            | Self::NoExitStatus { .. }
            | Self::Terminated(_)
            | Self::Input(_)
            | Self::Output(_)
            | Self::ReaderGone => ExitCode::Relay,
        }
    }
}

/// Returns the exit code after the loss of a connection. These two kinds mean that the server has
/// ended it because the token is no longer valid, or was denied.
fn remote_exit_code(cause: &io::Error) -> ExitCode {
    if let Some(post_tunnel::Broken(failure)) = cause.get_ref().and_then(|cause| cause.downcast_ref()) {
        return post_exit_code(failure);
    }
    match cause.kind() {
        io::ErrorKind::PermissionDenied => ExitCode::Authentication,
        io::ErrorKind::ConnectionRefused => ExitCode::Refused,
        _ => ExitCode::Relay,
    }
}

fn negotiation_exit_code(cause: &proto::Error) -> ExitCode {
    use proto::Error as E;
    match cause {
        E::NoMethod { .. }
        | E::NoScheme { .. }
        | E::WrongHeader { .. }
        | E::WrongPassword { .. }
        | E::Token { .. } => ExitCode::Authentication,
        E::NoRandomness => ExitCode::System,
        E::Post(failure) => post_exit_code(failure),
        E::Link(failure) => link_exit_code(failure),
        #[cfg(feature = "ssh")]
        E::Ssh(failure) => ssh_exit_code(failure),
        E::TooLong { .. } | E::NotEncodable(_) => ExitCode::Usage,
        E::Closed(_)
        | E::TelnetRefused { .. }
        | E::NoAnswerLine(_)
        | E::NotTheProtocol { .. }
        | E::MethodNotOffered(_)
        | E::AddressType(_)
        | E::Socks5Refused { .. }
        | E::Socks4Refused { .. }
        | E::HttpRefused { .. }
        | E::WebPage { .. }
        | E::NoWebSocket { .. }
        | E::BadUpgrade(_)
        | E::NotHttp { .. }
        | E::MalformedHttp(_)
        | E::HeaderTooLong(_) => ExitCode::Refused,
    }
}

/// Returns the exit code for an SSH channel that was not opened.
#[cfg(feature = "ssh")]
fn ssh_exit_code(failure: &proto::ssh::Failure) -> ExitCode {
    match &failure.cause {
        _ if failure.is_login() => ExitCode::Authentication,
        _ if failure.is_unreachable() => ExitCode::Unreachable,
        crate::ssh::error::Error::NoRandomBytes => ExitCode::System,
        _ => ExitCode::Refused,
    }
}

/// Returns the exit code for a tunnel that failed.
fn post_exit_code(failure: &post_tunnel::Failure) -> ExitCode {
    use post_tunnel::Failure;
    match failure {
        Failure::NotATunnel(_) | Failure::Refused(_) => ExitCode::Refused,
        Failure::Token(_) => ExitCode::Authentication,
        Failure::NotOpened(_) => ExitCode::Unreachable,
        Failure::NoRandomness | Failure::Aborted => ExitCode::System,
        Failure::Reset(reset) => reset_exit_code(reset.code),
        _ => ExitCode::Relay,
    }
}

/// Returns the exit code for a link that failed.
fn link_exit_code(failure: &Failure) -> ExitCode {
    match &failure.cause {
        Cause::Absent
        | Cause::Unreachable(_)
        | Cause::NoAnswer
        | Cause::Draining
        | Cause::Refused(502..=504, _) => ExitCode::Unreachable,
        Cause::Refused(..) | Cause::Denied(_) => ExitCode::Refused,
        Cause::Token(_) | Cause::Key => ExitCode::Authentication,
        Cause::Reset(reset) => reset_exit_code(reset.code),
        _ => ExitCode::Relay,
    }
}

/// Returns the exit code after a RESET.
fn reset_exit_code(code: ResetCode) -> ExitCode {
    match code {
        ResetCode::Policy | ResetCode::TooMany => ExitCode::Refused,
        ResetCode::Unreachable => ExitCode::Unreachable,
        ResetCode::Idle => ExitCode::TimedOut,
        ResetCode::CutOff | ResetCode::Protocol | ResetCode::GoingAway => ExitCode::Relay,
    }
}
