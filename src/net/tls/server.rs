//! The server side of TLS, for the clients of a listener.

use std::fmt;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

use super::codec::TlsCodec;
use super::description;
use super::settings::load_server;
use crate::error::Error;
use crate::plan::ServerIdentity;
use crate::stream::{Layered, Stream};

/// The certificate and the key for the clients of a listener.
#[derive(Clone)]
pub struct ServerTls(Arc<ServerConfig>);

impl ServerTls {
    /// Reads the certificate and the key.
    ///
    /// # Errors
    /// A file is missing or invalid.
    pub fn load(identity: &ServerIdentity) -> Result<Self, Error> {
        load_server(identity).map(|configuration| Self(Arc::new(configuration)))
    }

    /// Returns the connection to a client with TLS on top. The handshake runs while the stream is
    /// read.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn accept(&self, client: Box<dyn Stream>) -> Result<Box<dyn Stream>, Error> {
        let tls = ServerConnection::new(Arc::clone(&self.0))
            .map_err(|error| Error::Config(format!("cannot set up TLS: {}", description::error(&error))))?;
        Ok(Box::new(Layered::new(client, TlsCodec::new(tls, Arc::default()))))
    }
}

/// The configuration contains the key.
impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}
