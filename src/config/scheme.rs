//! The URL schemes of proxies, in one table: protocol, default port and TLS.

use crate::addr::Port;
use crate::plan::Resolve;

/// A scheme, as in `socks5h://socks.example`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scheme {
    pub(super) name: &'static str,
    pub(super) kind: ProxyKind,
    pub(super) default_port: Port,
    /// `true` if the protocol runs over TLS.
    pub(super) has_tls: bool,
}

/// A proxy protocol. The SOCKS variants also specify where names are resolved by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxyKind {
    Http,
    Socks4(Resolve),
    Socks5(Resolve),
    Telnet,
}

const fn plain(name: &'static str, kind: ProxyKind, default_port: u16) -> Scheme {
    let default_port = match Port::new(default_port) {
        Some(port) => port,
        None => Port::MIN,
    };
    Scheme { name, kind, default_port, has_tls: false }
}

const fn over_tls(name: &'static str, kind: ProxyKind, default_port: u16) -> Scheme {
    Scheme { has_tls: true, ..plain(name, kind, default_port) }
}

const HTTP: Scheme = plain("http", ProxyKind::Http, 80);
const SOCKS: Scheme = plain("socks", ProxyKind::Socks5(Resolve::Remote), 1080);
const TELNET: Scheme = plain("telnet", ProxyKind::Telnet, 23);

/// As in curl, `socks4a` and `socks5h` resolve names at the proxy. `socks4` and `socks5` resolve
/// locally first.
static SCHEMES: [Scheme; 14] = [
    HTTP,
    over_tls("https", ProxyKind::Http, 443),
    SOCKS,
    plain("socks4", ProxyKind::Socks4(Resolve::LocalFirst), 1080),
    plain("socks4a", ProxyKind::Socks4(Resolve::Remote), 1080),
    plain("socks5", ProxyKind::Socks5(Resolve::Both), 1080),
    plain("socks5h", ProxyKind::Socks5(Resolve::Remote), 1080),
    TELNET,
    over_tls("socks+tls", ProxyKind::Socks5(Resolve::Remote), 1080),
    over_tls("socks4+tls", ProxyKind::Socks4(Resolve::LocalFirst), 1080),
    over_tls("socks4a+tls", ProxyKind::Socks4(Resolve::Remote), 1080),
    over_tls("socks5+tls", ProxyKind::Socks5(Resolve::Both), 1080),
    over_tls("socks5h+tls", ProxyKind::Socks5(Resolve::Remote), 1080),
    over_tls("telnet+tls", ProxyKind::Telnet, 23),
];

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

impl Scheme {
    /// Returns `true` for SOCKS, over TLS or not.
    pub(super) fn is_socks(self) -> bool {
        matches!(self.kind, ProxyKind::Socks4(_) | ProxyKind::Socks5(_))
    }
}

impl Syntax {
    /// Returns the scheme with this name, ignoring case; `None` if it is unknown or not allowed in
    /// this syntax.
    pub(super) fn find(self, name: &str) -> Option<Scheme> {
        SCHEMES.iter().copied().find(|scheme| scheme.name.eq_ignore_ascii_case(name) && self.allows(*scheme))
    }

    fn allows(self, scheme: Scheme) -> bool {
        match (self, scheme.kind) {
            (Self::Url, _) | (Self::Http, ProxyKind::Http) => true,
            (Self::Socks, ProxyKind::Socks4(_) | ProxyKind::Socks5(_))
            | (Self::Telnet, ProxyKind::Telnet) => !scheme.has_tls,
            _ => false,
        }
    }

    /// Returns the default scheme for a proxy that is given without one.
    pub(super) fn default_scheme(self) -> Scheme {
        match self {
            Self::Http | Self::Url => HTTP,
            Self::Socks => SOCKS,
            Self::Telnet => TELNET,
        }
    }

    /// Returns advice for a user whose scheme [`Syntax::find`] did not accept.
    pub(super) fn advice(self) -> String {
        match self {
            Self::Http => "use -S or -s for a SOCKS proxy".into(),
            Self::Socks => "use -H or -h for an HTTP proxy, or -x for TLS".into(),
            Self::Telnet => "use -S for a SOCKS proxy, or -H for an HTTP proxy".into(),
            Self::Url => {
                let names = SCHEMES.iter().map(|scheme| scheme.name).filter(|name| !name.ends_with("+tls"));
                format!(
                    "use direct, {}, or +tls after a SOCKS or telnet scheme",
                    names.collect::<Vec<_>>().join(", ")
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SCHEMES, Syntax};

    #[test]
    fn each_option_accepts_its_own_schemes_in_any_case() {
        for (syntax, accepted, rejected) in [
            (Syntax::Http, &["http", "HTTPS"][..], &["socks5", "telnet", "ftp", ""][..]),
            (
                Syntax::Socks,
                &["socks", "socks4", "socks4a", "Socks5", "socks5h"],
                &["http", "socks5+tls", "telnet", "ftp", ""],
            ),
            (Syntax::Telnet, &["telnet"], &["telnet+tls", "http", "socks5"]),
            (Syntax::Url, &SCHEMES.each_ref().map(|scheme| scheme.name), &["ftp", "https+tls", "+tls", ""]),
        ] {
            assert!(accepted.iter().all(|name| syntax.find(name).is_some()), "{syntax:?}");
            assert!(rejected.iter().all(|name| syntax.find(name).is_none()), "{syntax:?}");
            assert!(syntax.find(syntax.default_scheme().name).is_some(), "{syntax:?}");
        }
    }

    #[test]
    fn a_scheme_over_tls_differs_from_the_plain_one_in_tls_only() {
        for scheme in &SCHEMES {
            let Some(plain) = scheme.name.strip_suffix("+tls").and_then(|name| Syntax::Url.find(name)) else {
                continue;
            };
            assert_eq!((scheme.kind, scheme.default_port), (plain.kind, plain.default_port), "{scheme:?}");
            assert!(scheme.has_tls && !plain.has_tls, "{scheme:?}");
        }
    }
}
