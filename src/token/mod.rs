//! Tokens: JSON Web Tokens (RFC 7519) that a server accepts from its clients. The signature is
//! Ed25519 (`EdDSA`, RFC 8037), so that a server needs only public keys.
//!
//! Nothing here does I/O. The caller passes the content of files and the time, in seconds since
//! 1970.

mod claims;
mod deny;
#[cfg(feature = "relay")]
mod ed25519;
#[cfg(not(feature = "relay"))]
#[path = "no_ed25519.rs"]
mod ed25519;
mod json;
mod keys;
mod lines;
mod mint;
mod pattern;
mod refusal;
#[cfg(all(test, feature = "relay"))]
mod tests;
mod verify;

pub use claims::{Claims, Role, is_session_name};
pub use deny::DenyList;
pub use ed25519::{SigningKey, SigningKeyError};
pub use keys::{KeySet, key_line};
pub use lines::LineError;
pub use mint::{MintError, MintRequest};
pub use refusal::Refusal;
pub use verify::{Check, MAX_TOKEN, Refused, Usage, Verified};
