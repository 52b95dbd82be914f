//! Helpers for tests.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "that is how a test fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ring::signature::{Ed25519KeyPair, KeyPair};

use super::algorithms::{Offer, Role};
use super::public_key::PublicKey;
use super::transport::{Event, HostKey, Limits, Settings, Transport};
use super::wire::Write;

/// Returns numbers that differ, from a counter.
#[allow(clippy::unnecessary_wraps, reason = "the type of `Random`")]
pub(crate) fn random() -> Option<[u8; 16]> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let [a, b] = [(); 2].map(|()| NEXT.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed));
    Some((u128::from(a) << 64 | u128::from(b)).to_ne_bytes())
}

#[derive(Debug)]
struct Ed25519 {
    pair: Ed25519KeyPair,
    public: PublicKey,
    /// Sign something else.
    lies: bool,
}

impl HostKey for Ed25519 {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Option<Vec<u8>> {
        let signature = self.pair.sign(if self.lies { b"another message" } else { message });
        let mut blob = Vec::new();
        blob.put_string(algorithm).put_string(signature);
        Some(blob)
    }
}

/// Returns an Ed25519 key. If `lies` is set, its signatures are invalid.
pub(crate) fn host_key(seed: u8, lies: bool) -> Arc<dyn HostKey> {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let mut blob = Vec::new();
    blob.put_string("ssh-ed25519").put_string(pair.public_key());
    let public = PublicKey::parse(&blob).unwrap();
    Arc::new(Ed25519 { pair, public, lies })
}

/// Returns both sides of a connection after the first key exchange.
pub(crate) fn connected(offer: &Offer) -> (Transport, Transport) {
    connected_with(offer, Limits::default())
}

/// Returns the same, with these limits for keys.
pub(crate) fn connected_with(offer: &Offer, limits: Limits) -> (Transport, Transport) {
    let settings =
        |host_keys| Settings { offer: offer.clone(), host_keys, software: "test", limits, is_logged: false };
    let mut client = Transport::new(Role::Client, settings(Vec::new()), random).unwrap();
    let mut server = Transport::new(Role::Server, settings(vec![host_key(7, false)]), random).unwrap();
    while !(client.output().is_empty() && server.output().is_empty()) {
        server.receive(client.output());
        client.sent(client.output().len());
        while server.next_event().unwrap().is_some() {}
        client.receive(server.output());
        server.sent(server.output().len());
        while let Some(event) = client.next_event().unwrap() {
            if let Event::HostKey = event {
                client.trust_host_key().unwrap();
            }
        }
    }
    (client, server)
}
