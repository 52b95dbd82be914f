//! Replaces the `tls` module in a build without TLS support.

use super::connection::Connection;
use super::deadline::Deadline;
use super::progress::Progress;
use crate::error::{Error, Peer, TlsFailure};
use crate::plan::Hop;

/// A TLS client, which cannot exist in this build.
#[derive(Debug)]
pub(super) enum Client {}

/// The cache of TLS settings, which is always empty in this build.
#[derive(Debug, Default)]
pub struct TlsCache(());

impl Client {
    /// Returns `None` for a hop without TLS.
    ///
    /// # Errors
    /// The hop requires TLS.
    pub(super) fn for_hop(hop: &Hop, peer: &Peer, _: &TlsCache) -> Result<Option<Self>, Error> {
        match &hop.tls {
            None => Ok(None),
            Some(_) => Err(Error::Config(format!(
                "cannot connect to {peer} over TLS: this build has no TLS support"
            ))),
        }
    }

    /// Cannot be called, because no `Client` exists.
    pub(super) fn secure(
        &self,
        _: Connection,
        _: &Peer,
        _: &Deadline<'_>,
        _: &dyn Progress,
    ) -> Result<Connection, Error> {
        match *self {}
    }

    /// Cannot be called, because no `Client` exists.
    pub(super) fn late_failure(&self) -> Option<TlsFailure> {
        match *self {}
    }
}
