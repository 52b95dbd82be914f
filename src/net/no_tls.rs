//! Replaces the `tls` module in a build without TLS support.

use std::ops::RangeInclusive;

use super::connection::Connection;
use super::deadline::Deadline;
use super::progress::Progress;
use crate::error::{Error, Peer};
use crate::plan::{ServerIdentity, Tls};
use crate::stream::Stream;

/// A TLS client, which cannot exist in this build.
#[derive(Debug)]
pub(super) enum Client {}

/// The cache of TLS settings, which is always empty in this build.
#[derive(Debug, Default)]
pub(super) struct TlsCache(());

impl Client {
    /// Fails, because the peer requires TLS.
    ///
    /// # Errors
    /// Always.
    pub(super) fn new(_: &Tls, peer: &Peer, _: &TlsCache) -> Result<Self, Error> {
        Err(Error::Config(format!("cannot connect to {peer} over TLS: this build has no TLS support")))
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
    pub(super) fn late_failure(&self, _: &Peer) -> Option<Error> {
        match *self {}
    }
}

/// The server side of TLS, which cannot exist in this build.
#[derive(Clone, Debug)]
pub enum ServerTls {}

impl ServerTls {
    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub fn load(_: &ServerIdentity) -> Result<Self, Error> {
        Err(Error::Config("cannot listen with TLS: this build has no TLS support".into()))
    }

    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub fn describe(
        identity: &ServerIdentity,
    ) -> Result<(Option<String>, Option<RangeInclusive<i64>>), Error> {
        Self::load(identity).map(|tls| match tls {})
    }

    /// Cannot be called, because no `ServerTls` exists.
    ///
    /// # Errors
    /// Never.
    pub fn accept(&self, _: Box<dyn Stream>) -> Result<Box<dyn Stream>, Error> {
        match *self {}
    }
}
