#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::addr::Endpoint;
use crate::error::{Error, Peer};
use crate::plan::Target;

fn scheme(name: &str, reason: Unusable) -> UnusableScheme {
    UnusableScheme { name: name.into(), reason }
}

/// Regression test: the advice to run a relay for NTLM took precedence, although leaving out
/// `-a` would have been enough.
#[test]
fn a_scheme_that_only_a_excludes_is_advised_before_a_relay() {
    let ntlm = scheme("NTLM", Unusable::NeedsRelay);
    let basic = scheme("Basic", Unusable::NotAllowed);
    for offered in [vec![ntlm.clone(), basic.clone()], vec![basic.clone(), ntlm.clone()], vec![basic]] {
        assert_eq!(scheme_hint(&offered), Some("leave out -a, or add the scheme to it"));
    }
    assert!(scheme_hint(&[ntlm]).is_some_and(|hint| hint.contains("cntlm")));
    assert_eq!(scheme_hint(&[scheme("Bearer", Unusable::Unsupported)]), None);
    assert_eq!(scheme_hint(&[]), None);
}

#[test]
fn the_first_byte_suggests_the_protocol() {
    for (got, hint) in [
        (b'H', "try -H, because it may be an HTTP proxy"),
        (0, "try -4 -R remote, because it may be a SOCKS4 proxy"),
        (5, "try -5, because it may be a SOCKS5 proxy"),
        (b'+', CHECK_TYPE),
    ] {
        assert_eq!(first_byte_hint(got), hint);
    }
}

fn target(host: &str, port: &str) -> Endpoint {
    Endpoint { host: Host::parse(host).unwrap(), port: crate::addr::parse_port(port).unwrap() }
}

/// Every hint for a refused request or a failed lookup.
fn hints_for(host: &str) -> Vec<String> {
    let refused = (0..=255).flat_map(|code| {
        let target = Box::new(target(host, "22"));
        [
            proto::Error::Socks4Refused { target: target.clone(), code },
            proto::Error::Socks5Refused { target, code },
        ]
    });
    let refused = refused.filter_map(|cause| negotiation_hint(&cause).map(str::to_owned));
    let unresolved = [false, true].map(|explicit| {
        let peer = Peer::target(&Target::Tcp(target(host, "22")));
        Error::Resolve { peer, cause: "unknown".into(), explicit }
    });
    refused.chain(unresolved.iter().filter_map(Error::hint)).collect()
}

#[test]
fn the_hint_for_a_refused_onion_name_advised_to_show_it_to_a_name_server() {
    let hints = hints_for("abc.onion");
    assert!(hints.len() > 20, "{hints:?}");
    for hint in hints {
        assert!(!hint.contains("-R local") && !hint.contains("-R both"), "{hint}");
    }
}

#[test]
fn a_hint_to_resolve_a_name_here_says_who_sees_the_name() {
    let local: Vec<_> =
        hints_for("host.example").into_iter().filter(|hint| hint.contains("-R local")).collect();
    assert_eq!(local.len(), 3, "{local:?}");
    for hint in local {
        assert!(hint.contains("reveals the name to your DNS server"), "{hint}");
    }
    assert!(first_byte_hint(4).contains("-4 -R remote"));
    // An address cannot be resolved elsewhere.
    for hint in hints_for("192.0.2.1") {
        assert!(!hint.contains("-R local"), "{hint}");
    }
}

#[test]
fn a_403_on_port_443_was_explained_by_the_port() {
    let refused = |port, text: &str, sent_user_agent| proto::Error::HttpRefused {
        target: target("host.example", port).into(),
        status: 403,
        text: text.into(),
        expects_tls: false,
        sent_user_agent,
    };
    let hint = |port, text, sent| negotiation_hint(&refused(port, text, sent)).unwrap();
    assert!(hint("22", "Forbidden", false).contains("port 443 only"));
    for sent_user_agent in [false, true] {
        let hint = hint("443", "Forbidden", sent_user_agent);
        assert!(hint.contains("allow this host") && !hint.contains("443"), "{hint}");
        assert_eq!(hint.contains("--user-agent"), !sent_user_agent, "{hint}");
    }
    for port in ["22", "443"] {
        assert!(hint(port, "Forbidden: unknown User-Agent", false).contains("your browser"));
        assert!(!hint(port, "Forbidden: unknown User-Agent", true).contains("your browser"));
    }
}

#[test]
fn a_password_is_advised_unless_it_was_offered() {
    let no_method = |userpass_offered| proto::Error::NoMethod { offered: String::new(), userpass_offered };
    assert!(negotiation_hint(&no_method(false)).is_some_and(|hint| hint.contains("SOCKS5_PASSWORD")));
    assert!(negotiation_hint(&no_method(true)).is_some_and(|hint| !hint.contains("SOCKS5_PASSWORD")));
}
