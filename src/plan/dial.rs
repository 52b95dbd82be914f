//! Connections to a hop that a protocol opens itself.

use std::error::Error;
use std::fmt;
use std::io;

use super::target::Target;
use crate::secret::Secret;
use crate::stream::Stream;

/// Opens connections to a hop: any number of them, one after another or in parallel.
pub trait Dial: Send + Sync {
    /// Connects to the hop through the hops before it. If the hop uses TLS, also performs the TLS
    /// handshake. Blocks until the connection is established.
    ///
    /// # Errors
    /// The hop, or a hop before it, cannot be reached or refuses.
    fn dial(&self) -> Result<Box<dyn Stream>, DialError>;

    /// Returns the hop's token, read again from its file; `None` if the hop has none.
    fn token(&self) -> Option<Secret> {
        None
    }

    /// Returns the hop's host for a status line about it; `None` if this run shows no status lines.
    fn status_host(&self) -> Option<String> {
        None
    }
}

/// Shows no fields: those of every implementation would make the program larger, and its start
/// slower.
impl fmt::Debug for dyn Dial + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dial")
    }
}

/// A tunnel that carries any number of streams.
pub trait Multiplexer: Send + Sync {
    /// Opens a stream to `target`.
    ///
    /// # Errors
    /// Descriptors are short.
    fn open(&self, target: &Target) -> io::Result<Opened>;
}

/// The result of [`Multiplexer::open`].
#[derive(Debug)]
pub enum Opened {
    /// A stream. It is open once [`Stream::flush`] succeeds. An error that contains an
    /// [`Error`](crate::proto::Error) of the protocol means that the server refused.
    Stream(Box<dyn Stream>),
    /// The tunnel has as many streams as it can have.
    Full,
    /// The tunnel has ended.
    Ended,
}

/// The failure of [`Dial::dial`]. Contains an [`Error`](crate::error::Error), a type that this
/// layer cannot name.
#[derive(Debug)]
pub struct DialError(Box<dyn Error + Send + Sync>);

impl DialError {
    /// Wraps an error.
    #[must_use]
    pub fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }

    /// Returns the error.
    #[must_use]
    pub fn into_inner(self) -> Box<dyn Error + Send + Sync> {
        self.0
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for DialError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
