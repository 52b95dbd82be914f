//! The settings for a login at an SSH server.

use std::path::PathBuf;
use std::time::Duration;

use crate::ssh::cipher::Cipher;
use crate::ssh::known_hosts::{Mode, Pin};

/// A file with a private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFile {
    /// The file.
    pub path: PathBuf,
    /// The file with a certificate of the key; `None` for the one beside the key, if it exists.
    pub certificate: Option<PathBuf>,
    /// The user has not named the file, which need not exist.
    pub is_optional: bool,
}

/// The settings for a login at an SSH server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssh {
    /// The private keys to try, in this order.
    pub identities: Vec<IdentityFile>,
    /// The user named the private keys, so that no other key is tried.
    pub only_identities: bool,
    /// The socket of the agent; `None` for no agent.
    pub agent: Option<PathBuf>,
    /// The files with known host keys. The first one gets new keys.
    pub known_hosts: Vec<PathBuf>,
    /// The name of the server in these files; `None` for its host as it was typed.
    pub host_key_name: Option<String>,
    /// The policy for unknown host keys.
    pub strict: Mode,
    /// The only host key to accept, whatever the files contain.
    pub pin: Option<Pin>,
    /// The ciphers to offer, in this order; `None` for the default.
    pub ciphers: Option<Vec<Cipher>>,
    /// Prefer compression, in both directions.
    pub compresses: bool,
    /// The time without input before the server must prove that it is alive: zero for never, and
    /// `None` for the default.
    pub keep_alive: Option<Duration>,
    /// Show no warnings, notices and banners.
    pub is_quiet: bool,
}
