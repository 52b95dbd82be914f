//! Private keys: the files that contain them, and the signatures that they make (RFC 4253 §6.6,
//! RFC 5656 §3.1.2, RFC 8332, RFC 8709).

mod der;
mod ecdsa;
mod error;
mod file;
mod generate;
mod key;
mod openssh;
mod pem;
mod pkcs;
mod public_line;
mod rsa;
mod section;
mod signer;
#[cfg(test)]
mod tests;

pub use error::KeyFileError;
pub use generate::{NewKey, generate};
pub use key::PrivateKey;
pub use openssh::{EncryptedKey, KeyFile};
pub use public_line::PublicKeyLine;
