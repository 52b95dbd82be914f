//! The schemes that an option or a variable accepts.

use crate::addr::Port;
use crate::hops::{self, HopKind, Scheme, UseTls};

/// The scheme of a proxy's URL, resolved to a kind of hop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Selection {
    pub(super) scheme: &'static Scheme,
    pub(super) kind: &'static dyn HopKind,
    /// `true` if the protocol runs over TLS.
    pub(super) has_tls: bool,
}

/// The syntax that an option or a variable uses to specify its proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    /// `-H` and `-h`: an address, or a URL with an HTTP scheme.
    Http,
    /// `-S` and `-s`: an address, or a URL with a SOCKS scheme without TLS.
    Socks,
    /// `-T` and `-t`: an address, or a `telnet` URL.
    Telnet,
    /// `-x` and `-A`: a URL with any scheme, which may have options after a `?`.
    Url,
}

impl Selection {
    /// Resolves a known scheme without a `+tls` suffix.
    pub(super) fn of(name: &'static str) -> Self {
        let known = hops::find(name);
        debug_assert!(known.is_some(), "{name}");
        let (scheme, kind) = known.unwrap_or_else(|| {
            let kind = hops::ALL[0];
            (&kind.schemes()[0], kind)
        });
        Self { scheme, kind, has_tls: scheme.tls == UseTls::Always }
    }

    /// Returns the scheme as it is written.
    pub(super) fn name(self) -> String {
        let suffix = if self.has_tls && self.scheme.tls == UseTls::WithSuffix { "+tls" } else { "" };
        format!("{}{suffix}", self.scheme.name)
    }

    pub(super) fn default_port(self) -> Port {
        self.scheme.default_port
    }

    /// Returns `true` for SOCKS, over TLS or not.
    pub(super) fn is_socks(self) -> bool {
        self.kind.option() == Some("-S")
    }
}

impl PartialEq for Selection {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Selection {}

impl Syntax {
    /// Resolves the scheme with this name, ignoring case; `None` if the scheme is unknown or not
    /// allowed in this syntax.
    pub(super) fn find(self, name: &str) -> Option<Selection> {
        const SUFFIX: &str = "+tls";
        let split = name.len().checked_sub(SUFFIX.len()).and_then(|at| name.split_at_checked(at));
        let plain = split.filter(|(_, suffix)| suffix.eq_ignore_ascii_case(SUFFIX)).map(|(plain, _)| plain);
        let (scheme, kind) = hops::find(plain.unwrap_or(name))?;
        let has_tls = match scheme.tls {
            UseTls::WithSuffix => plain.is_some(),
            _ if plain.is_some() => return None,
            UseTls::Always => true,
            UseTls::Never => false,
        };
        let selection = Selection { scheme, kind, has_tls };
        self.allows(selection).then_some(selection)
    }

    fn allows(self, selection: Selection) -> bool {
        let option = selection.kind.option();
        match self {
            Self::Url => true,
            Self::Http => option == Some("-H"),
            Self::Socks => option == Some("-S") && !selection.has_tls,
            Self::Telnet => option == Some("-T") && !selection.has_tls,
        }
    }

    /// Returns the default for a proxy that is given without a scheme.
    pub(super) fn default_scheme(self) -> Selection {
        Selection::of(match self {
            Self::Http | Self::Url => "http",
            Self::Socks => "socks",
            Self::Telnet => "telnet",
        })
    }

    /// Returns advice for a user whose scheme [`Syntax::find`] did not accept.
    pub(super) fn advice(self) -> String {
        match self {
            Self::Http => "use -S or -s for a SOCKS proxy".into(),
            Self::Socks => "use -H or -h for an HTTP proxy, or -x for TLS".into(),
            Self::Telnet => "use -S for a SOCKS proxy, or -H for an HTTP proxy".into(),
            Self::Url => {
                let schemes = hops::ALL.iter().flat_map(|kind| kind.schemes());
                let mut names: Vec<_> = schemes.map(|scheme| scheme.name).collect();
                names.sort_unstable();
                format!("use direct, {}, or +tls after a SOCKS or telnet scheme", names.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_accepts_its_own_schemes_in_any_case() {
        let all = ["http", "https", "socks", "socks4", "socks4a", "socks5", "socks5h", "telnet"];
        for (syntax, accepted, rejected) in [
            (Syntax::Http, &["http", "HTTPS"][..], &["socks5", "telnet", "ftp", ""][..]),
            (
                Syntax::Socks,
                &["socks", "socks4", "socks4a", "Socks5", "socks5h"],
                &["http", "socks5+tls", "telnet", "ftp", ""],
            ),
            (Syntax::Telnet, &["telnet"], &["telnet+tls", "http", "socks5"]),
            (Syntax::Url, &all, &["ftp", "http+tls", "https+tls", "+tls", "é+tls", ""]),
            (Syntax::Url, &["socks+TLS", "socks4a+tls", "Socks5h+tls", "telnet+tls"], &["tls"]),
        ] {
            assert!(accepted.iter().all(|name| syntax.find(name).is_some()), "{syntax:?}");
            assert!(rejected.iter().all(|name| syntax.find(name).is_none()), "{syntax:?}");
            assert!(syntax.find(syntax.default_scheme().scheme.name).is_some(), "{syntax:?}");
        }
    }

    #[test]
    fn a_scheme_over_tls_differs_from_the_plain_one_in_tls_only() {
        for scheme in hops::ALL.iter().flat_map(|kind| kind.schemes()) {
            let over_tls = Syntax::Url.find(&format!("{}+tls", scheme.name));
            assert_eq!(over_tls.is_some(), scheme.tls == UseTls::WithSuffix, "{scheme:?}");
            let Some((tls, plain)) = over_tls.zip(Syntax::Url.find(scheme.name)) else { continue };
            assert!(tls.has_tls && !plain.has_tls, "{scheme:?}");
            assert_eq!((tls.scheme.name, tls.default_port()), (plain.scheme.name, plain.default_port()));
        }
    }
}
