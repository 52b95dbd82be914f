//! Random lines. `tests/real` compares them with `ssh-keygen`, so this file uses only what both can
//! provide.

use super::{HostName, ed25519, hashed};

/// The names that are looked up.
pub(crate) const NAMES: [(&str, u16); 10] = [
    ("h", 22),
    ("h", 2222),
    ("g", 2222),
    ("host.example", 22),
    ("host.example", 2222),
    ("a.host.example", 22),
    ("ab", 22),
    ("192.0.2.1", 22),
    ("2001:db8::1", 22),
    ("2001:db8::1", 2222),
];

/// A pseudo-random number generator (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
    }

    fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len())]
    }

    /// Returns `true` once in `count` calls.
    fn once_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// Returns a pattern that often matches one of [`NAMES`].
    fn pattern(&mut self) -> String {
        let mut pattern = String::new();
        if self.once_in(6) {
            pattern.push('!');
        }
        if self.once_in(3) {
            let (host, port) = NAMES[self.below(NAMES.len())];
            pattern.push_str(HostName::new(host, port).as_str());
        } else {
            let parts = [
                "h", "H", "g", "*", "?", "host", ".", "example", "a", "b", "[", "]:2222", "192.0.2.", "1",
                "!", "|", "::",
            ];
            for _ in 0..=self.below(4) {
                pattern.push_str(self.pick(&parts));
            }
        }
        pattern
    }

    /// Returns the first field of a line.
    fn names(&mut self) -> String {
        match self.below(12) {
            0..4 => {
                let salt = [u8::try_from(self.below(256)).unwrap(); 20];
                let (host, port) = NAMES[self.below(NAMES.len())];
                hashed(HostName::new(host, port).as_str(), salt)
            }
            4 => self.pick(&["|1|", "|1|AAAA|AAAA", "|", "||", "|1|x|y,h", "*,,", ",", "!", "@h"]).to_owned(),
            5 => format!("h,{}", "a".repeat(1000 + self.below(50))),
            _ => {
                let count = 1 + self.below(3);
                (0..count).map(|_| self.pattern()).collect::<Vec<_>>().join(",")
            }
        }
    }

    /// Returns a key, which is sometimes broken.
    fn key(&mut self, keys: &[String]) -> String {
        let key = &keys[self.below(keys.len())];
        let (kind, blob) = key.split_once(' ').unwrap();
        match self.below(14) {
            0 => format!("{kind} {}", &blob[..blob.len() - 1]),
            1 => format!("{kind} {}", &blob[1..]),
            2 => format!("{kind} {blob}*"),
            3 => {
                format!("{} {blob}", self.pick(&["ssh-ed25519", "ssh-rsa", "ssh-dss", "ecdsa-sha2-nistp384"]))
            }
            4 => self
                .pick(&["", "ssh-rsa", "ssh-rsa #", "#", "1024 35 1234", "x y", "ssh-ed25519 AAAA"])
                .to_owned(),
            5 => format!("{kind}\t {blob}"),
            // Any 32 bytes are an Ed25519 key.
            6 => ed25519(u8::try_from(self.below(256)).unwrap()).to_string(),
            7 => {
                let ed25519 = ed25519(1).to_string();
                ed25519[..ed25519.len() - 4 * (1 + self.below(5))].to_owned()
            }
            _ => key.clone(),
        }
    }

    /// Returns a line, which may be invalid.
    pub(crate) fn line(&mut self, keys: &[String]) -> String {
        if self.once_in(30) {
            return self
                .pick(&["", "#", " # h", "\t", "\r", "h", "@", "@revoked", "@ h", "@what h", "\x0ch"])
                .to_owned();
        }
        let (start, marker) = (
            self.pick(&["", "", "", " ", "\t"]),
            self.pick(&["", "", "", "", "@revoked ", "@cert-authority  ", "@x "]),
        );
        let (names, key) = (self.names(), self.key(keys));
        let (blank, comment) =
            (self.pick(&[" ", " ", "\t", " \t "]), self.pick(&["", "", " c", "\td e", " # c"]));
        format!("{start}{marker}{names}{blank}{key}{comment}{}", self.pick(&["", "", "", "\r"]))
    }
}
