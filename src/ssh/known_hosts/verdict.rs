//! The decision about a host key.

use super::{Entry, KnownHosts, Marker, Place};
use crate::ssh::certificate::{Certificate, Problem};
use crate::ssh::public_key::PublicKey;

/// The host key that a server has proved to own.
#[derive(Clone, Copy, Debug)]
pub enum Presented<'a> {
    /// A plain key.
    Key(&'a PublicKey),
    /// A certified key.
    Certificate(&'a Certificate),
}

impl<'a> Presented<'a> {
    /// Returns the key itself.
    #[must_use]
    pub fn key(self) -> &'a PublicKey {
        match self {
            Self::Key(key) => key,
            Self::Certificate(certificate) => certificate.key(),
        }
    }
}

/// The result of comparing a host key with the known ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The key is known, or an authority has certified it.
    Trusted {
        /// The line with the key, or with the authority.
        place: Place,
        /// The fingerprint of the authority; `None` if the key itself is known.
        authority: Option<String>,
    },
    /// The server has no known key.
    Unknown {
        /// The fingerprint of an authority that has certified the key, but is not trusted for the
        /// server.
        authority: Option<String>,
    },
    /// The server has known keys, but none of this type.
    OtherTypes {
        /// Those keys.
        known: Vec<Entry>,
    },
    /// The server has another known key of this type.
    Changed {
        /// The line with that key.
        place: Place,
        /// The fingerprint of that key.
        fingerprint: String,
    },
    /// The key is revoked.
    Revoked {
        /// The line that revokes it.
        place: Place,
    },
    /// The authority that has certified the key is revoked.
    AuthorityRevoked {
        /// The line that revokes it.
        place: Place,
        /// The fingerprint of the authority.
        fingerprint: String,
    },
    /// A trusted authority has certified the key, but the certificate is not valid.
    InvalidCertificate(Problem),
}

/// The policy for keys that are not known, named as the values of `StrictHostKeyChecking`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Refuses unknown keys.
    Yes,
    /// Prompts the user.
    #[default]
    Ask,
    /// Adds the first key of a server.
    AcceptNew,
    /// Accepts every key that is not revoked.
    No,
}

impl Mode {
    /// Parses a value of `StrictHostKeyChecking`, including those that only `ssh -G` prints.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "yes" | "true" => Some(Self::Yes),
            "ask" => Some(Self::Ask),
            "accept-new" => Some(Self::AcceptNew),
            "no" | "off" | "false" => Some(Self::No),
            _ => None,
        }
    }
}

/// The consequence of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect.
    Connect,
    /// Warn and connect, but use neither password nor keyboard-interactive.
    ConnectRestricted,
    /// Ask the user, add the key, and connect.
    Ask,
    /// Add the key, print a notice, and connect.
    Add,
    /// Close the connection.
    Refuse,
}

impl Verdict {
    /// Returns the consequence under a policy.
    #[must_use]
    pub fn action(&self, mode: Mode) -> Action {
        match (self, mode) {
            (Self::Trusted { .. }, _) => Action::Connect,
            (Self::Unknown { .. }, Mode::AcceptNew | Mode::No) => Action::Add,
            (Self::Unknown { .. } | Self::OtherTypes { .. }, Mode::Ask) => Action::Ask,
            (Self::OtherTypes { .. } | Self::Changed { .. }, Mode::No) => Action::ConnectRestricted,
            _ => Action::Refuse,
        }
    }
}

impl KnownHosts {
    /// Decides whether a host key is the server's, given the present time in seconds since 1970.
    #[must_use]
    pub fn judge(&self, presented: Presented<'_>, now: u64) -> Verdict {
        if let Some(entry) = self.find(Marker::Revoked, presented.key()) {
            return Verdict::Revoked { place: entry.place.clone() };
        }
        match presented {
            Presented::Key(key) => self.judge_key(key, None),
            Presented::Certificate(certificate) => self
                .judge_certificate(certificate, now)
                .unwrap_or_else(|| self.judge_key(certificate.key(), Some(certificate.authority()))),
        }
    }

    /// Decides by the authority of a certificate. Returns `None` if the authority is neither
    /// trusted nor revoked; then the key decides.
    fn judge_certificate(&self, certificate: &Certificate, now: u64) -> Option<Verdict> {
        let authority = certificate.authority();
        if let Some(entry) = self.find(Marker::Revoked, authority) {
            let (place, fingerprint) = (entry.place.clone(), authority.fingerprint());
            return Some(Verdict::AuthorityRevoked { place, fingerprint });
        }
        let place = self.find(Marker::Authority, authority)?.place.clone();
        Some(match certificate.check_host(self.name.host(), now) {
            Ok(()) => Verdict::Trusted { place, authority: Some(authority.fingerprint()) },
            Err(problem) => Verdict::InvalidCertificate(problem),
        })
    }

    /// Decides by the known keys. The key may be certified by an authority that is not trusted.
    fn judge_key(&self, key: &PublicKey, authority: Option<&PublicKey>) -> Verdict {
        if let Some(entry) = self.host_keys().find(|entry| entry.key.blob() == key.blob()) {
            return Verdict::Trusted { place: entry.place.clone(), authority: None };
        }
        // Another port may be another server, so a different key under the bare name proves
        // nothing.
        let known: Vec<_> = self.host_keys().filter(|entry| !entry.is_fallback).collect();
        if let Some(entry) = known.iter().find(|entry| entry.type_name() == key.type_name()) {
            return Verdict::Changed { place: entry.place.clone(), fingerprint: entry.fingerprint() };
        }
        if known.is_empty() {
            Verdict::Unknown { authority: authority.map(PublicKey::fingerprint) }
        } else {
            Verdict::OtherTypes { known: known.into_iter().cloned().collect() }
        }
    }

    /// Finds a line with this meaning and key. A line for the bare name applies on every port.
    fn find(&self, marker: Marker, key: &PublicKey) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.marker == marker && entry.key.blob() == key.blob())
    }
}
