//! Codecs that several modules use: layers on top of a stream after its handshake.

#[cfg(feature = "noise")]
pub mod noise;
#[cfg(feature = "ssh")]
pub mod ssh;
pub mod websocket;
