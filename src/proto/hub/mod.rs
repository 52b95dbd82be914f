//! The protocol of the relay hub: the requests of origins and of their clients, and the control
//! messages between the hub and an origin.

mod control;
mod dest;
mod refusal;
mod request;

/// The text of the refusal if an origin accepts an offer that the hub does not know.
pub const UNKNOWN_OFFER: &str = "unknown offer";

pub use control::{ControlError, FromHub, Messages, Mode, ToHub};
pub use dest::{DestRequest, MAX_RETRY_TIME, cause as refusal_cause};
pub use refusal::{Label, Refusal};
pub use request::{Action, HeadReader, Request, RoleLimit, Site};

/// The subprotocol of an origin's control connection.
pub const ORIGIN_PROTOCOL: &str = "connect.origin.v1";

/// The subprotocol of a connection that carries a link.
pub const MUX_PROTOCOL: &str = "connect.mux.v1";

/// A random number of 16 bytes: the name of an offer, or of a link. Written as 32 hexadecimal
/// digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; 16]);

impl Id {
    /// Parses 32 digits in lower case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(|number| Self(number.to_be_bytes()))
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_32_digits_in_lower_case() {
        let text = "00112233445566778899aabbccddeeff";
        assert_eq!(Id::parse(text).map(|id| id.to_string()).as_deref(), Some(text));
        let plus = format!("+{}", &text[1..]);
        for other in ["", &text[1..], &text.to_uppercase(), &format!("{text}0"), &plus] {
            assert_eq!(Id::parse(other), None, "{other}");
        }
    }
}
