//! The numbers of messages (RFC 4250 §4.1, RFC 8308, OpenSSH's `PROTOCOL`).

use std::borrow::Cow;

/// Ends the connection.
pub const DISCONNECT: u8 = 1;
/// Has no effect.
pub const IGNORE: u8 = 2;
/// Answers an unknown message.
pub const UNIMPLEMENTED: u8 = 3;
/// A text for the log.
pub const DEBUG: u8 = 4;
/// Requests a service.
pub const SERVICE_REQUEST: u8 = 5;
/// Grants a service.
pub const SERVICE_ACCEPT: u8 = 6;
/// Lists extensions.
pub const EXT_INFO: u8 = 7;
/// Starts a key exchange.
pub const KEXINIT: u8 = 20;
/// Announces the use of new keys.
pub const NEWKEYS: u8 = 21;
/// The client's public value.
pub const KEX_ECDH_INIT: u8 = 30;
/// The server's public value.
pub const KEX_ECDH_REPLY: u8 = 31;
/// Tries to log in.
pub const USERAUTH_REQUEST: u8 = 50;
/// Rejects an attempt to log in.
pub const USERAUTH_FAILURE: u8 = 51;
/// Accepts the user.
pub const USERAUTH_SUCCESS: u8 = 52;
/// A text for the user.
pub const USERAUTH_BANNER: u8 = 53;
/// `USERAUTH_PK_OK`, `USERAUTH_PASSWD_CHANGEREQ` or `USERAUTH_INFO_REQUEST`, by the method.
pub const USERAUTH_60: u8 = 60;
/// The user's answers.
pub const USERAUTH_INFO_RESPONSE: u8 = 61;
/// A request for the connection.
pub const GLOBAL_REQUEST: u8 = 80;
/// Grants such a request.
pub const REQUEST_SUCCESS: u8 = 81;
/// Rejects such a request.
pub const REQUEST_FAILURE: u8 = 82;
/// Asks for a channel.
pub const CHANNEL_OPEN: u8 = 90;
/// Opens the channel.
pub const CHANNEL_OPEN_CONFIRMATION: u8 = 91;
/// Refuses the channel.
pub const CHANNEL_OPEN_FAILURE: u8 = 92;
/// Allows more data.
pub const CHANNEL_WINDOW_ADJUST: u8 = 93;
/// Data.
pub const CHANNEL_DATA: u8 = 94;
/// Data of another kind, such as error output.
pub const CHANNEL_EXTENDED_DATA: u8 = 95;
/// Ends one direction.
pub const CHANNEL_EOF: u8 = 96;
/// Closes the channel.
pub const CHANNEL_CLOSE: u8 = 97;
/// A request for the channel.
pub const CHANNEL_REQUEST: u8 = 98;
/// Grants such a request.
pub const CHANNEL_SUCCESS: u8 = 99;
/// Rejects such a request.
pub const CHANNEL_FAILURE: u8 = 100;
/// `ping@openssh.com`.
pub const PING: u8 = 192;
/// Answers [`PING`].
pub const PONG: u8 = 193;

/// Returns the name of a message for people, or its number if it has no name.
#[must_use]
pub fn name(number: u8) -> Cow<'static, str> {
    Cow::Borrowed(match number {
        DISCONNECT => "DISCONNECT",
        IGNORE => "IGNORE",
        UNIMPLEMENTED => "UNIMPLEMENTED",
        DEBUG => "DEBUG",
        SERVICE_REQUEST => "SERVICE_REQUEST",
        SERVICE_ACCEPT => "SERVICE_ACCEPT",
        EXT_INFO => "EXT_INFO",
        KEXINIT => "KEXINIT",
        NEWKEYS => "NEWKEYS",
        KEX_ECDH_INIT => "KEX_ECDH_INIT",
        KEX_ECDH_REPLY => "KEX_ECDH_REPLY",
        USERAUTH_REQUEST => "USERAUTH_REQUEST",
        USERAUTH_FAILURE => "USERAUTH_FAILURE",
        USERAUTH_SUCCESS => "USERAUTH_SUCCESS",
        USERAUTH_BANNER => "USERAUTH_BANNER",
        USERAUTH_60 => "USERAUTH_PK_OK, PASSWD_CHANGEREQ or INFO_REQUEST",
        USERAUTH_INFO_RESPONSE => "USERAUTH_INFO_RESPONSE",
        GLOBAL_REQUEST => "GLOBAL_REQUEST",
        REQUEST_SUCCESS => "REQUEST_SUCCESS",
        REQUEST_FAILURE => "REQUEST_FAILURE",
        CHANNEL_OPEN => "CHANNEL_OPEN",
        CHANNEL_OPEN_CONFIRMATION => "CHANNEL_OPEN_CONFIRMATION",
        CHANNEL_OPEN_FAILURE => "CHANNEL_OPEN_FAILURE",
        CHANNEL_WINDOW_ADJUST => "CHANNEL_WINDOW_ADJUST",
        CHANNEL_DATA => "CHANNEL_DATA",
        CHANNEL_EXTENDED_DATA => "CHANNEL_EXTENDED_DATA",
        CHANNEL_EOF => "CHANNEL_EOF",
        CHANNEL_CLOSE => "CHANNEL_CLOSE",
        CHANNEL_REQUEST => "CHANNEL_REQUEST",
        CHANNEL_SUCCESS => "CHANNEL_SUCCESS",
        CHANNEL_FAILURE => "CHANNEL_FAILURE",
        PING => "PING",
        PONG => "PONG",
        _ => return Cow::Owned(format!("with number {number}")),
    })
}
