//! Errors for the user: a one-line message, advice if there is any, and the exit code.

use std::io;
use std::time::Duration;

use crate::addr::{Endpoint, Family};
use crate::plan::ListenAddress;
use crate::proto;
use crate::proto::post::{Broken, Failure};
use crate::proto::server::Rejection;
use crate::text::listed;

mod exit_code;
mod hints;
mod link;
mod peer;
mod refusal;
mod tls;

pub use exit_code::ExitCode;
pub(crate) use hints::GIVEN_UP;
pub use peer::Peer;
pub use tls::{CertificateProblem, TlsAlert, TlsFailure};

/// The error of a run. Displayed as one line: what failed and the cause. [`Error::hint`] returns
/// the advice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line is malformed: an unknown option, a missing operand, or mutually exclusive
    /// options.
    ///
    /// The hint refers to `connect --help`.
    #[error("{0}")]
    Usage(String),
    /// A setting is invalid or missing: the value of an option, a variable, a file, or a
    /// certificate.
    ///
    /// The text says what is expected, so there is no hint.
    #[error("{0}")]
    Config(String),
    /// A host name could not be resolved.
    #[error("cannot resolve {peer}: {cause}")]
    Resolve {
        /// The proxy or target with that name.
        peer: Peer,
        /// The resolver's error.
        cause: String,
        /// `true` if the user required the name to be resolved here, not by the proxy (`-R local`
        /// or `-R ADDRESS`).
        explicit: bool,
    },
    /// None of a peer's addresses accepted the connection.
    #[error("cannot connect to {peer}{}", attempt_list(.peer, .attempts, *.ignored))]
    Dial {
        /// The proxy or target.
        peer: Peer,
        /// Each address that was tried, with its error.
        attempts: Vec<(String, io::Error)>,
        /// The number of further addresses that the peer has. The program does not try them.
        ignored: usize,
    },
    /// This machine lacks the address or interface of `--bind`.
    #[error("cannot connect from {to}, as {setting} requires: {cause}")]
    Bind {
        /// The address or interface.
        to: String,
        /// The option or parameter that names it.
        setting: String,
        /// The cause.
        cause: String,
        /// The addresses or interfaces that this machine has.
        available: Vec<String>,
    },
    /// The address of a peer does not belong to the only family that may be used.
    #[error("cannot connect to {peer}: it has no {family} address, which {setting} requires")]
    NoAddress {
        /// The proxy or target.
        peer: Peer,
        /// The family.
        family: Family,
        /// The option or parameter that requires the family.
        setting: String,
    },
    /// A proxy refused the request or violated its protocol, or ended the tunnel for a reason that
    /// its protocol expresses.
    #[error("{}", negotiation(.peer, .cause))]
    Negotiation {
        /// The proxy.
        peer: Peer,
        /// The refusal or violation, or the reason.
        cause: proto::Error,
    },
    /// TLS with a proxy or the target failed.
    #[error("{peer} {cause}")]
    Tls {
        /// The proxy or the target.
        peer: Peer,
        /// The reason, such as a problem with the certificate.
        cause: TlsFailure,
        /// `true` if TLS options for this proxy must be in its URL, because those on the command
        /// line are for the target.
        only_in_url: bool,
    },
    /// The connection broke during the negotiation with a proxy or the TLS handshake with the
    /// target.
    #[error("lost the connection to {peer} while waiting for {waiting_for}: {}", os_message(.cause))]
    Lost {
        /// The proxy or the target.
        peer: Peer,
        /// The message that did not arrive, such as "the reply to the SOCKS5 greeting".
        waiting_for: &'static str,
        /// The system's error.
        cause: io::Error,
    },
    /// A time limit expired before the tunnel was established.
    #[error("timed out after {}: {peer} {doing}", seconds(.limit))]
    TimedOut {
        /// The peer that did not answer.
        peer: Peer,
        /// The failure of the peer, as a predicate: "did not answer", "did not send …".
        doing: String,
        /// The time limit.
        limit: Duration,
    },
    /// No data was relayed for the duration of `--idle-timeout`.
    #[error("session with {peer} idle for {}: closed by --idle-timeout", seconds(.limit))]
    Idle {
        /// The remote end of the connection.
        peer: Peer,
        /// The time limit.
        limit: Duration,
    },
    /// Every route to the target failed.
    #[error("all routes to {target} failed: {}", numbered(.failed))]
    NoRoute {
        /// The target.
        target: String,
        /// The failed routes, each as its number in the plan (from 1) and its error. Skipped routes
        /// are absent.
        failed: Vec<(usize, Error)>,
    },
    /// A proxy requires a password, and there is no way to get one.
    #[error("{peer} requires a password for user '{user}', but {cause}")]
    NoPassword {
        /// The proxy.
        peer: Peer,
        /// The user name.
        user: Box<str>,
        /// The reason, for the message.
        cause: Box<str>,
        /// The variables that can hold the password; `None` if it should have come from a command.
        variables: Option<&'static str>,
    },
    /// A proxy rejected the password earlier, so it was not sent again.
    #[error("{peer} rejected {} earlier: not sending it again, to avoid locking the account",
        rejected_login(.user.as_deref()))]
    RejectedBefore {
        /// The proxy.
        peer: Peer,
        /// The user name. `None` if the user's own `Proxy-Authorization` header was rejected.
        user: Option<Box<str>>,
    },
    /// The established connection to the remote end was lost. Data may be missing.
    #[error("{}; data may be missing", lost(.peer, .cause))]
    Remote {
        /// The remote end of the connection.
        peer: Peer,
        /// The system's error.
        cause: io::Error,
        /// The target had sent nothing, although the local end had not sent EOF.
        unanswered: bool,
    },
    /// The remote closed or reset the connection before the target sent anything.
    #[error("{}", nothing_received(.granted_by.as_deref(), .target, *.was_reset))]
    NothingReceived {
        /// The proxy that granted the request; `None` for a direct connection.
        granted_by: Option<Box<Peer>>,
        /// The target.
        target: Box<str>,
        /// The remote reset the connection instead of closing it.
        was_reset: bool,
    },
    /// The connection to a local client was lost. Data may be missing.
    #[error("lost the connection to client {address}: {}; data may be missing", os_message(.cause))]
    Client {
        /// The client's address.
        address: String,
        /// The system's error.
        cause: io::Error,
    },
    /// The client disconnected before the tunnel was established.
    #[error("client disconnected before the target was reached")]
    ClientGone,
    /// Another origin of the same identity has registered with the hub.
    #[error("another origin has taken over session '{session}'")]
    TakenOver {
        /// The session.
        session: Box<str>,
    },
    /// The hub has denied our token.
    #[error("the hub ended session '{session}': {why}")]
    Denied {
        /// The session.
        session: Box<str>,
        /// The reason, made printable.
        why: Box<str>,
    },
    /// The client of a listener sent a request that the listener rejects.
    #[error("rejected the client: it {0}")]
    ClientRejected(Rejection),
    /// A client's address is in none of the networks of `--allow-from`.
    #[error("rejected the client: its address is in no network of --allow-from")]
    ClientNotAllowed,
    /// A client named a target that `--allow-to` does not include.
    #[error("refused to connect to {target}: --allow-to does not include it")]
    TargetNotAllowed {
        /// The target.
        target: Endpoint,
    },
    /// The route would lead back to one of our own listeners.
    #[error("refused to connect to {peer}: it is a listener of this process")]
    Loop {
        /// The target or proxy.
        peer: Peer,
    },
    /// The connection was lost before the exit status of a program at an SSH server arrived.
    #[error("lost the connection to {peer} before the exit status of the command")]
    NoExitStatus {
        /// The server.
        peer: Peer,
    },
    /// A program at an SSH server ended without an exit status.
    #[error("{0}")]
    Terminated(String),
    /// An SSH server refused to listen for `--remote-forward`.
    #[error("{peer} refused --remote-forward {from}")]
    ForwardRefused {
        /// The server.
        peer: Peer,
        /// The address at the server, as the user wrote it.
        from: String,
    },
    /// Reading standard input failed.
    #[error("cannot read standard input: {}", os_message(.0))]
    Input(io::Error),
    /// Writing to standard output failed.
    #[error("cannot write to standard output: {}; data was lost", os_message(.0))]
    Output(io::Error),
    /// The reader of our standard output closed it. Not reported, because a reader may stop once it
    /// has read enough.
    #[error("the reader of standard output closed it")]
    ReaderGone,
    /// Listening on a local address failed.
    #[error("cannot listen on {address}: {}", os_message(.cause))]
    Listen {
        /// The local address.
        address: ListenAddress,
        /// The system's error.
        cause: io::Error,
    },
    /// The file of a new key could not be created.
    #[error("cannot create key file '{path}': {}", os_message(.cause))]
    KeyFile {
        /// The path, made printable.
        path: String,
        /// The system's error.
        cause: io::Error,
    },
    /// A system call failed for a reason on this machine, not because of a peer.
    #[error("cannot {what}: {}", os_message(.cause))]
    System {
        /// The operation that failed, worded to follow "cannot".
        what: &'static str,
        /// The system's error.
        cause: io::Error,
    },
}

impl Error {
    /// Returns the complete line for the user: the message and the hint, if any.
    #[must_use]
    pub fn user_message(&self) -> String {
        let message = self.to_string();
        match self.hint() {
            // The message may end with text from the proxy, and so with a full stop.
            Some(hint) => format!("{}; {hint}", message.trim_end_matches('.')),
            None => message,
        }
    }

    /// Returns `true` if a proxy rejected the password or the user's own `Proxy-Authorization`
    /// header.
    #[must_use]
    pub fn is_auth_rejected(&self) -> bool {
        match self {
            Self::Negotiation { cause, .. } => {
                matches!(cause, proto::Error::WrongPassword { .. } | proto::Error::WrongHeader { .. })
            }
            Self::NoRoute { failed, .. } => failed.iter().any(|(_, error)| error.is_auth_rejected()),
            _ => false,
        }
    }

    /// Returns `true` if the hub has refused an origin for a reason that waiting does not change.
    #[must_use]
    pub fn is_final_for_origin(&self) -> bool {
        match self {
            Self::Negotiation { cause: proto::Error::Token { .. }, .. } => true,
            Self::Negotiation { cause: proto::Error::NoWebSocket { status, .. }, .. } => {
                matches!(status, 400 | 403..=405 | 409 | 426)
            }
            _ => self.is_final(),
        }
    }

    /// Returns `true` if the cause is on this side of the connection, so another route would fail
    /// too.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Usage(_) | Self::Config(_) | Self::System { .. } | Self::Bind { .. } | Self::ClientGone
        )
    }

    /// Returns `true` if the error should not be reported, because the reader of our output closed
    /// it on purpose, because a client closed its connection before its request was complete, or
    /// because this process ends.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        match self {
            Self::ReaderGone | Self::ClientRejected(Rejection::Closed) => true,
            Self::Remote { cause, .. } => {
                let broken = cause.get_ref().and_then(|cause| cause.downcast_ref());
                matches!(broken, Some(Broken(Failure::Aborted)))
            }
            _ => false,
        }
    }
}

/// Describes the loss of a connection. The texts of some layers begin with the name of the peer.
fn lost(peer: &Peer, cause: &io::Error) -> String {
    let (peer, cause) = (peer.to_string(), os_message(cause));
    if cause.starts_with(&peer) { cause } else { format!("lost the connection to {peer}: {cause}") }
}

fn negotiation(peer: &Peer, cause: &proto::Error) -> String {
    match cause {
        #[cfg(feature = "ssh")]
        proto::Error::Ssh(failure) => failure.message(peer),
        proto::Error::Link(failure) => failure.describe(&peer.address),
        cause => format!("{peer} {cause}"),
    }
}

fn nothing_received(granted_by: Option<&Peer>, target: &str, was_reset: bool) -> String {
    let ended = if was_reset { "reset" } else { "closed" };
    match granted_by {
        Some(proxy) => format!(
            "{proxy} granted the request for {target}, but the connection was {ended} before the target sent anything"
        ),
        None => format!("{target} {ended} the connection before it sent anything"),
    }
}

fn rejected_login(user: Option<&str>) -> String {
    match user {
        Some(user) => format!("the password for user '{user}'"),
        None => "the Proxy-Authorization header".into(),
    }
}

fn numbered(failed: &[(usize, Error)]) -> String {
    let each = failed.iter().map(|(number, error)| format!("{number}. {error}"));
    each.collect::<Vec<_>>().join("; ")
}

/// Maximum number of addresses in a message.
pub(crate) const MAX_SHOWN_ADDRESSES: usize = 4;

fn attempt_list(peer: &Peer, attempts: &[(String, io::Error)], ignored: usize) -> String {
    match attempts {
        [] => ": it has no address".into(),
        [(address, cause)] if *address == peer.address.to_string() => {
            format!(": {}", os_message(cause))
        }
        [(address, cause)] => format!(" ({address}): {}", os_message(cause)),
        several => {
            let each: Vec<_> =
                several.iter().map(|(address, cause)| format!("{address}: {}", os_message(cause))).collect();
            let each = listed(&each, MAX_SHOWN_ADDRESSES);
            match (several.len(), ignored) {
                (tried, 0) => format!(" at any of its {tried} addresses ({each})"),
                (tried, _) => format!(" at {tried} of its {} addresses ({each})", tried + ignored),
            }
        }
    }
}

/// Formats a system error without the number that std appends. Common errors have the same text on
/// every system.
pub(crate) fn os_message(error: &io::Error) -> String {
    let common = match error.kind() {
        io::ErrorKind::AddrInUse => "Address already in use",
        io::ErrorKind::ConnectionRefused => "Connection refused",
        io::ErrorKind::ConnectionReset => "Connection reset by peer",
        io::ErrorKind::HostUnreachable => "No route to host",
        io::ErrorKind::NetworkUnreachable => "Network is unreachable",
        io::ErrorKind::TimedOut => "Connection timed out",
        _ => "",
    };
    // Errors that we create ourselves have no number, and keep their own text.
    if !common.is_empty() && error.raw_os_error().is_some() {
        return common.to_owned();
    }
    let text = error.to_string();
    let message = text.split_once(" (os error ").map_or(text.as_str(), |(message, _)| message);
    message.trim_end_matches('.').to_owned()
}

/// Formats a duration: "1 second", "2.5 seconds".
pub(crate) fn seconds(limit: &Duration) -> String {
    match limit.as_secs_f64() {
        1.0 => "1 second".into(),
        seconds => format!("{seconds} seconds"),
    }
}
