//! SSH 2 (RFC 4250 to 4254): machines for client and server, without I/O.

pub mod agent;
pub mod algorithms;
pub mod certificate;
pub mod cipher;
pub mod client_auth;
pub mod connection;
pub mod error;
pub mod key_exchange;
pub mod key_type;
pub mod known_hosts;
pub mod liveness;
pub mod message;
pub mod private_key;
pub mod public_key;
pub mod reason;
pub mod scp;
pub mod session;
pub mod sftp;
pub mod transport;
pub mod wire;

#[cfg(test)]
pub(crate) mod testing;
