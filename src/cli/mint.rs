//! The options that create a key or a token.

use super::verbosity::Verbosity;
use crate::error::Error;

/// The options that create keys and tokens, which replace the session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MintArgs {
    /// `--mint-signing-key`.
    pub new_signing_key: Option<String>,
    /// `--mint-token`.
    pub claims: Option<String>,
    /// `--signing-key`.
    pub signing_key: Option<String>,
    /// `--mint-key`.
    pub key: bool,
    /// Whichever of `-d` and `-q` came last.
    pub verbosity: Verbosity,
}

/// Checks that nothing else was requested than to create a key or a token. `has_others` is set if
/// operands or other options were given.
pub(super) fn check(mint: MintArgs, has_others: bool) -> Result<MintArgs, Error> {
    let MintArgs { new_signing_key, claims, signing_key, key, .. } = &mint;
    let requested = [
        ("--mint-signing-key", new_signing_key.is_some()),
        ("--mint-token", claims.is_some()),
        ("--mint-key", *key),
    ];
    let mut requested = requested.iter().filter(|(_, is_given)| *is_given).map(|(option, _)| *option);
    let problem = match (requested.next(), requested.next()) {
        (None, _) => "--signing-key has no effect without --mint-token".into(),
        (Some(first), Some(second)) => format!("{first} cannot be combined with {second}; run connect twice"),
        (Some("--mint-token"), _) if signing_key.is_none() => {
            "--mint-token requires --signing-key FILE".into()
        }
        (Some(option), _) if option != "--mint-token" && signing_key.is_some() => {
            format!("--signing-key has no effect with {option}")
        }
        (Some(option), _) if has_others => format!("{option} takes no host and no other options"),
        (Some(_), _) => return Ok(mint),
    };
    Err(Error::Usage(problem))
}
