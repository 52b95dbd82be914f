//! The kinds of hops: one file, and one line in [`ALL`], for each.
//!
//! A kind lists the schemes that select it, and builds hops from the settings that apply. A hop
//! implements [`Protocol`](crate::plan::Protocol) for its work at run time. Outside this module,
//! only the options of the C program such as `-S`, curl's URLs for SOCKS proxies at a UNIX-domain
//! socket, and the texts of errors and hints depend on particular kinds.

pub use kind::{HopKind, LoginParameters, Scheme, Settings, UseTls};

pub mod http;
pub mod http_post;
pub mod hub;
mod kind;
pub mod relay;
pub mod socks4;
pub mod socks5;
#[cfg(feature = "ssh")]
pub mod ssh;
pub mod telnet;
pub mod websocket;

/// All kinds of hops.
pub static ALL: &[&dyn HopKind] = &[
    &http::Kind,
    &socks4::Kind,
    &socks5::Kind,
    &telnet::Kind,
    &websocket::Kind,
    &http_post::Kind,
    &relay::Kind,
    #[cfg(feature = "ssh")]
    &ssh::Kind,
];

/// Returns the scheme with this name and its kind, ignoring case.
#[must_use]
pub fn find(name: &str) -> Option<(&'static Scheme, &'static dyn HopKind)> {
    let schemes = |kind: &'static dyn HopKind| kind.schemes().iter().map(move |scheme| (scheme, kind));
    ALL.iter().copied().flat_map(schemes).find(|(scheme, _)| scheme.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_scheme_selects_one_kind() {
        let names: Vec<_> = ALL.iter().flat_map(|kind| kind.schemes()).map(|scheme| scheme.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
        for name in names {
            assert!(find(&name.to_ascii_uppercase()).is_some_and(|(scheme, _)| scheme.name == name));
        }
        assert!(find("ftp").is_none());
    }
}
