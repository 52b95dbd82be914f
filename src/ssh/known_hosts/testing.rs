//! Properties of every `known_hosts` file.
//!
//! The fuzz target also includes this file, so it uses only the crate's public interface.

#![allow(clippy::expect_used)]

use crate::ssh::known_hosts::{Entry, HostName, KnownHosts, Presented, Verdict, new_line};
use crate::ssh::public_key::PublicKey;

/// The encoded key that the server presents.
const KEY: &[u8] = b"\0\0\0\x0bssh-ed25519\0\0\0\x20abcdefghijklmnopqrstuvwxyz012345";

/// Checks the properties for a server on the default port, and for one on another port.
pub(crate) fn check(content: &[u8]) {
    let key = PublicKey::parse(KEY).expect("the key is valid");
    for port in [22, 2222] {
        let name = HostName::new("host.example", port);
        let verdict = judge(&name, &key, content);
        check_places(&verdict, content);

        let windows = content.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..]);
        assert_eq!(judge(&name, &key, &windows), verdict, "CRLF changes the verdict");

        let longer = [content, &new_line(content, &name, &key, [7; 20])].concat();
        let after = judge(&name, &key, &longer);
        if let Verdict::Revoked { .. } = verdict {
            assert_eq!(after, verdict, "a revoked key stays revoked");
        } else {
            assert!(matches!(after, Verdict::Trusted { .. }), "a new line is not found: {after:?}");
        }
    }
}

/// Checks that the verdict names lines of the file.
fn check_places(verdict: &Verdict, content: &[u8]) {
    let lines = content.split(|byte| *byte == b'\n').count();
    let places = match verdict {
        Verdict::Trusted { place, .. } | Verdict::Changed { place, .. } | Verdict::Revoked { place } => {
            vec![place]
        }
        Verdict::OtherTypes { known } => known.iter().map(Entry::place).collect(),
        _ => Vec::new(),
    };
    assert!(places.iter().all(|place| (1..=lines).contains(&place.line)), "{verdict:?}");
}

fn judge(name: &HostName, key: &PublicKey, content: &[u8]) -> Verdict {
    let mut known = KnownHosts::new(name.clone());
    known.add_file("known_hosts", content);
    known.judge(Presented::Key(key), 0)
}
