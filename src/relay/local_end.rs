//! The local end of a session: standard input and output, or a client.

use crate::stream::Stream;
use crate::sys::Channel;

/// The local end of a session.
#[derive(Debug)]
pub(super) enum LocalEnd {
    /// Standard input and output; `None` if the descriptor was closed at program start. The
    /// remote's EOF ends the session.
    Stdio { input: Option<Channel>, output: Option<Channel> },
    /// A client. The session lasts until both directions have ended.
    Client(Box<dyn Stream>),
    /// A client. The connection to the remote outlives the client (`-P`).
    PersistentClient(Box<dyn Stream>),
}

impl LocalEnd {
    pub(super) fn input(&self) -> Option<&(dyn Stream + 'static)> {
        match self {
            Self::Stdio { input, .. } => input.as_ref().map(|input| input as _),
            Self::Client(client) | Self::PersistentClient(client) => Some(&**client),
        }
    }

    pub(super) fn input_mut(&mut self) -> Option<&mut (dyn Stream + 'static)> {
        match self {
            Self::Stdio { input, .. } => input.as_mut().map(|input| input as _),
            Self::Client(client) | Self::PersistentClient(client) => Some(&mut **client),
        }
    }

    pub(super) fn output(&self) -> Option<&(dyn Stream + 'static)> {
        match self {
            Self::Stdio { output, .. } => output.as_ref().map(|output| output as _),
            Self::Client(client) | Self::PersistentClient(client) => Some(&**client),
        }
    }

    pub(super) fn output_mut(&mut self) -> Option<&mut (dyn Stream + 'static)> {
        match self {
            Self::Stdio { output, .. } => output.as_mut().map(|output| output as _),
            Self::Client(client) | Self::PersistentClient(client) => Some(&mut **client),
        }
    }

    /// Returns standard output.
    pub(super) fn into_output(self) -> Option<Channel> {
        match self {
            Self::Stdio { output, .. } => output,
            Self::Client(_) | Self::PersistentClient(_) => None,
        }
    }

    pub(super) fn is_stdio(&self) -> bool {
        matches!(self, Self::Stdio { .. })
    }

    pub(super) fn is_persistent(&self) -> bool {
        matches!(self, Self::PersistentClient(_))
    }
}
