//! Tokens that clients send.

use std::path::PathBuf;

use crate::secret::Secret;

/// The token for the server that a hop leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The token, as it was when the plan was made.
    pub value: Secret,
    /// The file to read the token from again for each session, because it may have been renewed;
    /// `None` if the token cannot change.
    pub file: Option<PathBuf>,
}
