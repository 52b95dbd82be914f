//! What can go wrong, in one line for the user, and the exit code of it.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::plan::{Hop, Target};
use crate::proto;

/// Why a run failed. Displayed, it is one line: what failed, where, and why. [`Error::hint`] says what to try.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line is malformed: an unknown option, a missing operand, or options that exclude each other.
    ///
    /// The hint refers to `connect --help`.
    #[error("{0}")]
    Usage(String),
    /// A setting is invalid or missing: the value of an option, a variable, a file, or a certificate.
    ///
    /// The text says what is expected, so there is no hint.
    #[error("{0}")]
    Config(String),
    /// A name was not resolved.
    #[error("cannot resolve the name of {peer}: {cause}")]
    Resolve {
        /// Whose name.
        peer: Peer,
        /// What the resolver says.
        cause: String,
        /// It was asked here because of `-R local`.
        explicit: bool,
    },
    /// No address of a peer took a connection.
    #[error("cannot reach {peer}{}", tried(.peer, .attempts))]
    Dial {
        /// Who was dialled.
        peer: Peer,
        /// Each address and what came of it.
        attempts: Vec<(String, io::Error)>,
    },
    /// A proxy refused, or broke its protocol.
    #[error("{peer} {cause}")]
    Negotiation {
        /// The proxy.
        peer: Peer,
        /// What it did.
        cause: proto::Error,
    },
    /// There is no TLS with a proxy: it speaks none, or one does not trust the other.
    #[error("{peer} {what}")]
    Tls {
        /// The proxy.
        peer: Peer,
        /// What it did, or has.
        what: String,
        /// What to try.
        hint: Option<String>,
    },
    /// The connection to a proxy broke in mid-negotiation.
    #[error("lost the connection to {peer} while waiting for {waiting_for}: {}", os_message(.cause))]
    Lost {
        /// The proxy.
        peer: Peer,
        /// Where the negotiation stood.
        waiting_for: &'static str,
        /// What the system says.
        cause: io::Error,
    },
    /// A limit has passed.
    #[error("timed out after {}: {peer} {doing}", seconds(.limit))]
    TimedOut {
        /// Whom we waited for.
        peer: Peer,
        /// "was not reached", "did not send …".
        doing: String,
        /// The limit.
        limit: Duration,
    },
    /// Nothing was relayed for longer than `--idle-timeout` allows.
    #[error("the session with {peer} has moved nothing for {}: ended by --idle-timeout", seconds(.limit))]
    Idle {
        /// The far end of the connection.
        peer: Peer,
        /// The limit.
        limit: Duration,
    },
    /// No route led to the target.
    #[error("no way to {target}: {}", each(.failed))]
    NoRoute {
        /// The target.
        target: String,
        /// The number of each route that failed, counted from 1 over all routes of the plan, and its error. Routes that
        /// were skipped are missing.
        failed: Vec<(usize, Error)>,
    },
    /// A password is wanted and cannot be had.
    #[error("{peer} wants a password for user '{user}', and {cause}")]
    NoPassword {
        /// The proxy.
        peer: Peer,
        /// Whose password.
        user: Box<str>,
        /// Why it cannot be had.
        cause: Box<str>,
        /// The variables that could hold it, if the user was to be asked.
        variables: Option<&'static str>,
    },
    /// The remote side broke the connection: bytes may be missing.
    #[error("the connection to {peer} broke: {}; data may be missing", os_message(.cause))]
    Remote {
        /// The far end of the connection.
        peer: Peer,
        /// What the system says.
        cause: io::Error,
    },
    /// A local client broke its connection.
    #[error("client {at}: its connection broke: {}; data may be missing", os_message(.cause))]
    Client {
        /// Where it comes from.
        at: String,
        /// What the system says.
        cause: io::Error,
    },
    /// Standard input cannot be read.
    #[error("cannot read standard input: {}", os_message(.0))]
    Input(io::Error),
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {}; data is lost", os_message(.0))]
    Output(io::Error),
    /// Whoever read our output is gone: nobody is left to tell.
    #[error("the reader of standard output went away")]
    ReaderGone,
    /// A place to listen cannot be had.
    #[error("cannot listen at {at}: {}", os_message(.cause))]
    Listen {
        /// Where.
        at: String,
        /// What the system says.
        cause: io::Error,
    },
    /// This machine does not let us.
    #[error("cannot {what}: {}", os_message(.cause))]
    System {
        /// What we tried.
        what: &'static str,
        /// What the system says.
        cause: io::Error,
    },
}

/// The exit codes: part of the interface, and listed in the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// The session ended normally.
    Ok = 0,
    /// This machine failed us.
    System = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// A name was not resolved.
    Resolve = 3,
    /// Neither proxy nor target was reached.
    Unreachable = 4,
    /// A proxy refused, or did not speak its protocol.
    Refused = 5,
    /// Authentication failed.
    Authentication = 6,
    /// A limit has passed.
    TimedOut = 7,
    /// The relay broke: data may be missing.
    Relay = 8,
}

impl Error {
    /// The exit code.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::NoRoute { failed, .. } => {
                failed.last().map_or(ExitCode::Unreachable, |(_, error)| error.exit_code())
            }
            Self::System { .. } | Self::Listen { .. } => ExitCode::System,
            Self::Usage(_) | Self::Config(_) => ExitCode::Usage,
            Self::Resolve { .. } => ExitCode::Resolve,
            Self::Dial { .. } => ExitCode::Unreachable,
            Self::Negotiation { cause, .. } => match cause {
                proto::Error::NoMethod { .. }
                | proto::Error::NoScheme { .. }
                | proto::Error::WrongHeader { .. }
                | proto::Error::WrongPassword { .. } => ExitCode::Authentication,
                proto::Error::NoRandomness => ExitCode::System,
                proto::Error::TooLong { .. } | proto::Error::NotEncodable(_) => ExitCode::Usage,
                proto::Error::Closed(_)
                | proto::Error::TelnetRefused { .. }
                | proto::Error::NoAnswerLine(_)
                | proto::Error::NotTheProtocol { .. }
                | proto::Error::MethodNotOffered(_)
                | proto::Error::AddressType(_)
                | proto::Error::Socks5Refused { .. }
                | proto::Error::Socks4Refused { .. }
                | proto::Error::HttpRefused { .. }
                | proto::Error::MalformedHttp(_)
                | proto::Error::HeaderTooLong(_) => ExitCode::Refused,
            },
            Self::Lost { .. } | Self::Tls { .. } => ExitCode::Refused,
            Self::NoPassword { .. } => ExitCode::Authentication,
            Self::TimedOut { .. } | Self::Idle { .. } => ExitCode::TimedOut,
            Self::Remote { .. }
            | Self::Client { .. }
            | Self::Input(_)
            | Self::Output(_)
            | Self::ReaderGone => ExitCode::Relay,
        }
    }

    /// What the user may try, where we know.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            // What to try with one of them is said where it is the only one.
            Self::NoRoute { .. } => "connect -d tells how each was tried".into(),
            Self::Usage(_) => "see connect --help".into(),
            Self::Resolve { explicit: true, .. } => {
                "try -R both, or -R remote to let the proxy resolve it".into()
            }
            Self::Resolve { peer: Peer { protocol: None, .. }, .. } => {
                "check the spelling and the name server, or let a proxy resolve it (-S, -H)".into()
            }
            Self::Resolve { .. } => "check the spelling and the name server".into(),
            Self::Dial { attempts, .. } => return dial_hint(attempts).map(str::to_owned),
            Self::Negotiation {
                peer: Peer { protocol: Some("HTTP"), .. },
                cause: proto::Error::Closed(_),
            } => {
                "it may want TLS (https://), be a proxy of another kind, or one that cannot reach the target"
                    .into()
            }
            Self::Negotiation { cause, .. } => return cause.hint().map(str::to_owned),
            Self::Tls { hint, .. } => return hint.clone(),
            Self::TimedOut { .. } => {
                "check host, port and firewall, or give it longer with -w SECONDS".into()
            }
            Self::NoPassword { variables, .. } => {
                format!("set {}, or run it on a terminal", (*variables)?)
            }
            Self::Listen { at, cause }
                if cause.kind() == io::ErrorKind::AddrInUse && at.starts_with("unix:") =>
            {
                "somebody listens there, or something else is in its place".into()
            }
            Self::Listen { at, .. } if at.starts_with("unix:") => {
                "check the directory and its permissions".into()
            }
            Self::Listen { cause, .. } if cause.kind() == io::ErrorKind::AddrInUse => {
                "choose another port, or stop what listens there".into()
            }
            Self::Listen { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
                "ports below 1024 need privileges".into()
            }
            Self::Lost { .. } => "check the proxy's kind and port".into(),
            _ => return None,
        })
    }

    /// The whole line for the user, hint included.
    #[must_use]
    pub fn user_message(&self) -> String {
        match self.hint() {
            Some(hint) => format!("{self}; {hint}"),
            None => self.to_string(),
        }
    }

    /// Whether a password was tried and not accepted.
    #[must_use]
    pub fn is_auth_rejected(&self) -> bool {
        match self {
            Self::Negotiation { cause, .. } => matches!(cause, proto::Error::WrongPassword { .. }),
            Self::NoRoute { failed, .. } => failed.iter().any(|(_, error)| error.is_auth_rejected()),
            _ => false,
        }
    }

    /// Whether it is about this machine or its user, so that another route would fare no better.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Usage(_) | Self::Config(_) | Self::System { .. })
    }

    /// Whether it is told: not when whoever could read it has left on purpose.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::ReaderGone)
    }
}

/// Who is at the other end, as it reads in a message: `SOCKS5 proxy socks.example:1080`, with `(hop 2 of 3)` where
/// there are several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The proxy protocol, or `None` for the target.
    pub protocol: Option<&'static str>,
    /// Its address.
    pub address: Target,
    /// The position in a chain of proxies, as (index from 1, count). `None` for the target and for a single proxy.
    pub hop: Option<(u8, u8)>,
}

impl Peer {
    /// The target itself.
    #[must_use]
    pub fn target(target: &Target) -> Self {
        Self { protocol: None, address: target.clone(), hop: None }
    }

    /// A proxy, by its index, on the way through `hops`.
    #[must_use]
    pub fn proxy(hop: &Hop, index: usize, hops: usize) -> Self {
        let number = |count| u8::try_from(count).unwrap_or(u8::MAX);
        Self {
            protocol: Some(hop.protocol.name()),
            address: Target::Tcp(hop.proxy.clone()),
            hop: (hops > 1).then(|| (number(index + 1), number(hops))),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            Some(protocol) => write!(f, "{protocol} proxy {}", self.address)?,
            None => write!(f, "{}", self.address)?,
        }
        match self.hop {
            Some((index, count)) => write!(f, " (hop {index} of {count})"),
            None => Ok(()),
        }
    }
}

fn each(failed: &[(usize, Error)]) -> String {
    let each = failed.iter().map(|(number, error)| format!("{number}. {error}"));
    each.collect::<Vec<_>>().join("; ")
}

fn tried(peer: &Peer, attempts: &[(String, io::Error)]) -> String {
    match attempts {
        [] => ": it has no address".into(),
        [(address, cause)] if *address == peer.address.to_string() => {
            format!(": {}", os_message(cause))
        }
        [(address, cause)] => format!(" ({address}): {}", os_message(cause)),
        several => {
            let each: Vec<_> =
                several.iter().map(|(address, cause)| format!("{address}: {}", os_message(cause))).collect();
            format!(" at any of its {} addresses ({})", several.len(), each.join(", "))
        }
    }
}

fn dial_hint(attempts: &[(String, io::Error)]) -> Option<&'static str> {
    match attempts.last()?.1.kind() {
        io::ErrorKind::ConnectionRefused => Some("check that it runs and that the port is right"),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => Some("check the network"),
        io::ErrorKind::TimedOut => Some("check host, port and firewall"),
        io::ErrorKind::PermissionDenied => Some("a firewall or a permission on this machine forbids it"),
        io::ErrorKind::NotFound => Some("check the path"),
        _ => None,
    }
}

/// An error of the system, without the number that Rust adds. What everybody meets has the same words on every system;
/// else they are the system's own.
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
    // What we say ourselves has no number.
    if !common.is_empty() && error.raw_os_error().is_some() {
        return common.to_owned();
    }
    let text = error.to_string();
    let words = text.split_once(" (os error ").map_or(text.as_str(), |(words, _)| words);
    words.trim_end_matches('.').to_owned()
}

/// "1 second", "2.5 seconds".
pub(crate) fn seconds(limit: &Duration) -> String {
    match limit.as_secs_f64() {
        1.0 => "1 second".into(),
        seconds => format!("{seconds} seconds"),
    }
}
