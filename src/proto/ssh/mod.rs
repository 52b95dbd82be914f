//! Opens a channel to a target through an SSH server (RFC 4253, RFC 4252, RFC 4254 §7.2).

use crate::secret::{Secret, UserName};
use crate::ssh::algorithms::Offer;
use crate::ssh::client_auth::Identity;
use crate::ssh::known_hosts::Presented;

mod dialogue;
mod failure;
mod notes;
mod open;
mod target;
#[cfg(test)]
mod tests;

pub use failure::{Failure, Stage};
pub use open::OpenChannel;
pub use target::{ChannelTarget, QUEUE_PORT};

/// Decides which host keys to trust.
pub trait HostKeys: Send {
    /// Puts the algorithms of known keys first, so that the server presents one of them.
    fn arrange(&self, algorithms: &mut [&'static str]);

    /// Decides about a key whose owner the server is.
    fn check(&mut self, key: Presented<'_>) -> Decision;

    /// Records that the user trusts the key that was checked last. Returns a message for the user.
    fn accept(&mut self) -> Option<String>;
}

/// The decision about a host key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Continues. The text says why the key is trusted, for `-d` and `--check`.
    Trust(String),
    /// Records the key with [`HostKeys::accept`], prints this message, and continues.
    Add(String),
    /// Prints this warning and continues, but sends neither passwords nor answers to questions.
    Restrict(String),
    /// Asks the user, whose answer is `yes`, `no` or the fingerprint.
    Ask {
        /// The question.
        question: String,
        /// The message of the failure if the answer is not yes.
        refusal: String,
    },
    /// Sends nothing to this server. The text is the message of the failure.
    Refuse(String),
}

/// A private key, or access to one.
pub trait Signer: Send + Sync {
    /// Returns the identity for the server.
    fn identity(&self) -> Identity;

    /// Returns the prompt for the passphrase; `None` if the key can be used without one.
    fn passphrase_prompt(&self) -> Option<String> {
        None
    }

    /// Returns the reason not to use the key if there is no passphrase.
    fn without_passphrase(&self) -> String {
        String::new()
    }

    /// Signs. Returns the signature with its algorithm (RFC 4253 §6.6).
    ///
    /// # Errors
    /// The reason why the key cannot be used.
    fn sign(
        &self,
        algorithm: &str,
        message: &[u8],
        passphrase: Option<&Secret>,
    ) -> Result<Vec<u8>, SignError>;
}

/// The failure of [`Signer::sign`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignError {
    /// The passphrase is wrong. The text is the reason if the user has no more tries.
    WrongPassphrase(String),
    /// The key cannot be used, for this reason.
    Unusable(String),
}

/// The means to get a password that is not configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prompts {
    /// None: there is no terminal and no askpass program.
    #[default]
    None,
    /// The user's password command, which answers once.
    Command,
    /// The user.
    User,
}

/// The settings of a login.
pub struct Login {
    /// The user name.
    pub user: UserName,
    /// The configured password, which gets one try.
    pub password: Option<Secret>,
    /// The means to get another one.
    pub prompts: Prompts,
    /// The prompt for the password.
    pub password_prompt: String,
    /// The keys, in the order in which they are tried.
    pub signers: Vec<Box<dyn Signer>>,
    /// The reasons why other keys cannot be used.
    pub unusable: Vec<String>,
    /// Decides about the server's key.
    pub host_keys: Box<dyn HostKeys>,
    /// The algorithms to offer.
    pub offer: Offer,
    /// The server's name for messages.
    pub server: String,
    /// Ask for the methods that the server accepts before the first key is tried.
    pub asks_for_methods: bool,
    /// Show no warnings, notices and banners.
    pub is_quiet: bool,
    /// Keep a log of the messages for `-d`.
    pub is_logged: bool,
}
