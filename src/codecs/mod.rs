//! Codecs that several modules use: layers on top of a stream after its handshake.

pub mod websocket;
