//! The conditions under which a certificate is valid.

use super::{Certificate, Kind};
use crate::text::date::{LAST_TIME, date};
use crate::text::printable;

/// The reason that a certificate is not valid for a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The certificate is for a user.
    #[error("a user certificate")]
    UserCertificate,
    /// The certificate is valid only from this time on, in seconds since 1970.
    #[error("not valid before {}", shown(*.0))]
    NotYetValid(u64),
    /// The certificate was valid until this time, in seconds since 1970.
    #[error("expired on {}", shown(*.0))]
    Expired(u64),
    /// The certificate names no host. For OpenSSH 9.2, it would be valid for every host.
    #[error("no principals")]
    NoPrincipals,
    /// The certificate is for other hosts.
    #[error("principal \"{}\", expected \"{}\"", printable(found.as_bytes()), printable(expected.as_bytes()))]
    Principal {
        /// The names of those hosts, with commas.
        found: String,
        /// The name of the host.
        expected: String,
    },
    /// The certificate has a critical option. None is defined for hosts.
    #[error("critical option \"{}\"", printable(.0.as_bytes()))]
    CriticalOption(String),
}

/// Formats a time for a message.
fn shown(seconds: u64) -> String {
    date(seconds.min(LAST_TIME).cast_signed())
}

impl Certificate {
    /// Checks the dates of the certificate, given the present time in seconds since 1970.
    ///
    /// # Errors
    /// The certificate has expired or is not valid yet.
    pub fn check_dates(&self, now: u64) -> Result<(), Problem> {
        if now < self.valid_after {
            return Err(Problem::NotYetValid(self.valid_after));
        }
        if now >= self.valid_before {
            return Err(Problem::Expired(self.valid_before));
        }
        Ok(())
    }

    /// Checks that the certificate is valid for the host with this name in lower case, given the
    /// present time in seconds since 1970. The caller decides whether to trust the authority.
    ///
    /// # Errors
    /// The certificate is not valid for the host.
    pub fn check_host(&self, name: &str, now: u64) -> Result<(), Problem> {
        if self.kind != Kind::Host {
            return Err(Problem::UserCertificate);
        }
        self.check_dates(now)?;
        if self.principals.is_empty() {
            return Err(Problem::NoPrincipals);
        }
        if !self.principals.iter().any(|principal| principal == name) {
            return Err(Problem::Principal { found: self.principals.join(","), expected: name.to_owned() });
        }
        match self.critical_options.first() {
            Some(option) => Err(Problem::CriticalOption(option.name.clone())),
            None => Ok(()),
        }
    }
}
