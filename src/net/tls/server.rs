//! The server side of TLS, for the clients of a listener.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::{ServerConfig, ServerConnection};

use super::certificate::{Certificate, owner_text};
use super::codec::TlsCodec;
use super::description;
use super::settings::{load_server, server_chain};
use crate::error::Error;
use crate::plan::ServerIdentity;
use crate::stream::{Layered, Stream};
use crate::sys;
use crate::trace;

/// The certificate and the key for the clients of a listener. All clones share them.
#[derive(Clone)]
pub struct ServerTls(Arc<Shared>);

struct Shared {
    identity: ServerIdentity,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    configuration: Arc<ServerConfig>,
    /// The number of requests to read files again when this was read.
    hangups: usize,
}

impl ServerTls {
    /// Reads the certificate and the key.
    ///
    /// # Errors
    /// A file is missing or invalid.
    pub fn load(identity: &ServerIdentity) -> Result<Self, Error> {
        let hangups = sys::hangups();
        let configuration = Arc::new(load_server(identity)?);
        let loaded = Mutex::new(Loaded { configuration, hangups });
        Ok(Self(Arc::new(Shared { identity: identity.clone(), loaded })))
    }

    /// Reads the certificate and the key for a check of the settings. Returns the owner of the
    /// certificate and its validity period in seconds since 1970, as far as they can be parsed.
    ///
    /// # Errors
    /// A file is missing or invalid.
    pub fn describe(
        identity: &ServerIdentity,
    ) -> Result<(Option<String>, Option<RangeInclusive<i64>>), Error> {
        load_server(identity)?;
        let chain = server_chain(identity)?;
        let own = chain.first();
        let validity = own.and_then(|der| Certificate::parse(der)?.validity());
        Ok((own.and_then(|der| owner_text(der)), validity))
    }

    /// Returns the connection to a client with TLS on top. The handshake runs while the stream is
    /// read. Reads the files again first if that was [requested](sys::hangups).
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn accept(&self, client: Box<dyn Stream>) -> Result<Box<dyn Stream>, Error> {
        let tls = ServerConnection::new(self.0.configuration())
            .map_err(|error| Error::Config(format!("cannot set up TLS: {}", description::error(&error))))?;
        Ok(Box::new(Layered::new(client, TlsCodec::new(tls, Arc::default()))))
    }
}

impl Shared {
    /// Returns the current configuration. If the files cannot be read again, that is the previous
    /// one.
    fn configuration(&self) -> Arc<ServerConfig> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let hangups = sys::hangups();
        if std::mem::replace(&mut loaded.hangups, hangups) != hangups {
            match load_server(&self.identity) {
                Ok(configuration) => loaded.configuration = Arc::new(configuration),
                Err(error) => {
                    trace::message(&format!("{error}; the previous certificate stays in use"));
                }
            }
        }
        Arc::clone(&loaded.configuration)
    }
}

/// The configuration contains the key.
impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}
