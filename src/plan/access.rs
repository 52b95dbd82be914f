//! The access rules of listeners for web clients.

use std::path::PathBuf;

use crate::bypass::Prefix;
use crate::proto::server::Origin;

/// The clients that may use a listener for web clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAccess {
    /// The check of the client's token.
    pub check: TokenCheck,
    /// `--allow-origin`: the origins whose pages may use the listener from a browser.
    pub origins: Vec<Origin>,
    /// `--trust-forwarded`: the networks of the web servers that name the client in
    /// X-Forwarded-For.
    pub forwarders: Vec<Prefix>,
}

/// The check of a client's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenCheck {
    /// `--open`: none. Tokens are ignored.
    Open,
    /// `--token-keys`: a token is required.
    Keys {
        /// The file with the keys.
        keys: PathBuf,
        /// `--relay-name`: the audience of the tokens.
        audience: String,
        /// `--deny-file`: the file with the tokens to refuse.
        denied: Option<PathBuf>,
    },
}
