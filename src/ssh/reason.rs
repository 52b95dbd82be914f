//! The reason codes of DISCONNECT (RFC 4253 §11.1).

/// The reason of a DISCONNECT after a violation of the protocol (RFC 4253 §11.1).
pub const PROTOCOL_ERROR: u32 = 2;
/// The reason of a DISCONNECT after a key exchange that failed.
pub const KEY_EXCHANGE_FAILED: u32 = 3;
/// The reason of a DISCONNECT after a packet with a wrong MAC.
pub const MAC_ERROR: u32 = 5;
/// The reason of a DISCONNECT from a client that does not trust the host key.
pub const HOST_KEY_NOT_VERIFIABLE: u32 = 9;
/// The reason of a DISCONNECT from a client whose credentials were all rejected.
pub const NO_MORE_AUTH_METHODS: u32 = 14;
/// The reason of a DISCONNECT that ends a connection normally.
pub const BY_APPLICATION: u32 = 11;
