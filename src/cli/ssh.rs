//! The options for SSH servers.

use super::flags::Flag;

/// The options for SSH servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SshArgs {
    /// Each `--ssh-identity`.
    pub identities: Vec<IdentityArg>,
    /// A `--ssh-cert` without a `--ssh-identity` before it.
    pub stray_certificate: bool,
    /// The value of each `--ssh-known-hosts`.
    pub known_hosts: Vec<String>,
    /// `--ssh-strict`.
    pub strict: Option<String>,
    /// `--ssh-pin`.
    pub pin: Option<String>,
    /// `--ssh-agent`.
    pub agent: Option<String>,
    /// `--ssh-ciphers`.
    pub ciphers: Option<String>,
    /// `--ssh-compress`.
    pub compresses: bool,
    /// `--ssh-config`.
    pub uses_config: bool,
}

/// An `--ssh-identity`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityArg {
    /// The file.
    pub file: String,
    /// The value of the `--ssh-cert` after it.
    pub certificate: Option<String>,
}

impl SshArgs {
    /// Stores the value of a flag from the group of flags for SSH servers.
    pub(super) fn take(&mut self, flag: Flag, value: String) {
        match flag {
            Flag::SshIdentity => self.identities.push(IdentityArg { file: value, certificate: None }),
            Flag::SshCert => match self.identities.last_mut() {
                Some(identity) => identity.certificate = Some(value),
                None => self.stray_certificate = true,
            },
            Flag::SshKnownHosts => self.known_hosts.push(value),
            Flag::SshStrict => self.strict = Some(value),
            Flag::SshPin => self.pin = Some(value),
            Flag::SshAgent => self.agent = Some(value),
            Flag::SshCiphers => self.ciphers = Some(value),
            Flag::SshCompress => self.compresses = true,
            Flag::SshConfig => self.uses_config = true,
            _ => {}
        }
    }
}
