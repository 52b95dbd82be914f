//! Stands in for TLS in a build without it.

use super::connection::Connection;
use super::deadline::Deadline;
use super::progress::Progress;
use crate::error::{Error, Peer};
use crate::plan::Hop;

/// There is none.
#[derive(Debug)]
pub(super) enum Client {}

impl Client {
    /// None is needed for a hop without TLS.
    ///
    /// # Errors
    /// The hop has TLS.
    pub(super) fn for_hop(hop: &Hop, peer: &Peer) -> Result<Option<Self>, Error> {
        match &hop.tls {
            None => Ok(None),
            Some(_) => {
                Err(Error::Config(format!("{peer} is to be spoken to in TLS, and this build has none")))
            }
        }
    }

    /// Never called.
    pub(super) fn secure(
        &self,
        _: Connection,
        _: &Peer,
        _: &Deadline,
        _: &dyn Progress,
    ) -> Result<Connection, Error> {
        match *self {}
    }
}
