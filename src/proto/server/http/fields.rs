//! Header fields that a proxy must not pass on.

use httparse::Header;
use zeroize::Zeroizing;

/// The maximum size of a head.
pub(super) const MAX_HEAD: usize = 64 * 1024;

/// The maximum number of fields in a head.
pub(super) const MAX_FIELDS: usize = 128;

/// The fields that apply to one connection only (RFC 9110 §7.6.1), or to this proxy only.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "upgrade",
    "http2-settings",
];

/// The pseudonym of this proxy in `Via` (RFC 9110 §7.6.3).
pub(super) const PSEUDONYM: &str = "connect";

/// The fields of one head.
pub(super) struct Fields<'a>(pub(super) &'a [Header<'a>]);

impl<'a> Fields<'a> {
    /// Returns all values of a field.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// Returns the members of a comma-separated field.
    pub(super) fn members(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let members = self.values(name).flat_map(|value| value.split(|&byte| byte == b','));
        members.map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
    }

    /// Returns `true` if `Connection` names this field.
    pub(super) fn connection_names(&self, name: &str) -> bool {
        self.members("connection").any(|member| member.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// Returns `true` if the field applies to one connection only.
    pub(super) fn is_hop_by_hop(&self, name: &str) -> bool {
        HOP_BY_HOP.iter().any(|known| name.eq_ignore_ascii_case(known)) || self.connection_names(name)
    }

    /// Returns the only value of `Content-Length`; `None` if there is no such field.
    pub(super) fn content_length(&self) -> Result<Option<u64>, &'static str> {
        let mut values = self.values("content-length");
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err("several Content-Length fields");
        }
        let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        digits.and_then(|text| text.parse().ok()).map(Some).ok_or("invalid Content-Length")
    }
}

/// Returns `true` for a character of a token, such as a method (RFC 9110 §5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Appends a byte without leaving a copy of the others in freed memory.
pub(super) fn push_secret(bytes: &mut Zeroizing<Vec<u8>>, byte: u8) {
    if bytes.len() == bytes.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity((2 * bytes.len()).max(1024)));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
    bytes.push(byte);
}
