//! The server side of the proxy protocols, for listeners whose clients name the target. Like the
//! client side, it is implemented without sockets and clocks.
//!
//! A [`Server`] is a state machine. Its driver asks for the next [`Step`], performs it and passes
//! the result back. After [`Step::Connect`], it connects to the target and reports the result, from
//! which the machine makes its reply. From [`Step::Relay`] or [`Step::Forward`] on, every byte
//! belongs to the session.
//!
//! To add a protocol, add a file with a [`Kind`], and a line to [`KINDS`].
//!
//! ```
//! use connect::proto::server::{self, Step};
//! use connect::proto::{Limit, Wire};
//!
//! let kind = server::find("socks5").unwrap();
//! let mut machine = (kind.make)(None);
//!
//! assert_eq!(machine.step(), Step::Receive(Limit::Bytes(1)));
//! assert_eq!(machine.receive(b"\x04"), 1);
//! assert_eq!(machine.step(), Step::Receive(Limit::Bytes(7)));
//! assert_eq!(machine.receive(b"\x01\x00\x16\xc0\x00\x02\x01"), 7);
//! // The end of the user ID is not known in advance.
//! assert_eq!(machine.step(), Step::Receive(Limit::Unknown));
//! assert_eq!(machine.receive(b"alice\x00SSH-2.0-early"), 6);
//! let Step::Connect(target) = machine.step() else { panic!("expected a request") };
//! assert_eq!(target.to_string(), "192.0.2.1:22");
//! machine.connected(None, false);
//! assert_eq!(machine.step(), Step::Send(Wire::public(b"\x00\x5a\0\0\0\0\0\0".to_vec())));
//! assert_eq!(machine.step(), Step::Relay);
//! ```

mod filter;
mod forwarded;
mod http;
mod logins;
mod machine;
mod origin;
mod reason;
mod socks;
mod target;
#[cfg(test)]
pub(super) mod testing;

pub use filter::{Filter, Malformed, Mode, PassAll};
pub use forwarded::{client_address, forwarded_in};
pub use logins::{Logins, LoginsError};
pub use machine::{Filters, Kind, Server, Step};
pub use origin::Origin;
pub use reason::{Refusal, Rejection};

/// All kinds of listeners that speak a protocol.
pub static KINDS: &[&Kind] = &[&socks::SOCKS, &http::HTTP, &http::HTTPS];

/// Returns the kind of listener with this scheme, ignoring case. `None` for an unknown scheme.
#[must_use]
pub fn find(scheme: &str) -> Option<&'static Kind> {
    KINDS.iter().copied().find(|kind| kind.scheme.eq_ignore_ascii_case(scheme))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_kind_has_its_own_scheme() {
        for (index, kind) in KINDS.iter().enumerate() {
            assert!(KINDS[..index].iter().all(|other| other != kind), "{kind:?}");
            assert_eq!(find(&kind.scheme.to_uppercase()), Some(*kind));
        }
        assert_eq!(find("socks"), None);
    }
}
