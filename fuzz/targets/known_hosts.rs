//! Files with known host keys.
#![no_main]

use connect::ssh::known_hosts::{HostName, KnownHosts, Presented, Verdict, new_line};
use connect::ssh::public_key::PublicKey;
use connect::ssh::wire::Write;
use libfuzzer_sys::fuzz_target;

fn key() -> PublicKey {
    let mut blob = Vec::new();
    blob.put_string("ssh-ed25519").put_string([7; 32]);
    PublicKey::parse(&blob).expect("a public key may have any 32 bytes")
}

fuzz_target!(|content: &[u8]| {
    for (host, port) in [("host.example", 22), ("host.example", 2222), ("::1", 22)] {
        let name = HostName::new(host, port);
        let read = |content: &[u8]| {
            let mut known = KnownHosts::new(name.clone());
            known.add_file("file", content);
            known
        };
        let lines = content.split(|byte| *byte == b'\n').count();
        let known = read(content);
        assert!(known.entries().iter().all(|entry| (1..=lines).contains(&entry.place().line)));
        assert!(known.problems().len() <= 100);
        // A line in front changes the numbers of lines, and nothing else.
        let shifted = read(&[b"# comment\r\n", content].concat());
        let places = |known: &KnownHosts, offset: usize| -> Vec<_> {
            known.entries().iter().map(|entry| (entry.place().line + offset, entry.fingerprint())).collect()
        };
        assert_eq!(places(&shifted, 0), places(&known, 1));
        let key = key();
        let before = known.judge(Presented::Key(&key), 0);
        // A line that is added makes the key known, unless it is revoked.
        let mut longer = content.to_vec();
        longer.extend_from_slice(&new_line(content, &name, &key, [1; 20]));
        let after = read(&longer).judge(Presented::Key(&key), 0);
        if matches!(before, Verdict::Revoked { .. }) {
            assert_eq!(before, after);
        } else {
            assert!(matches!(after, Verdict::Trusted { .. }), "{before:?}, then {after:?}");
        }
    }
});
