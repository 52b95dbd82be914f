//! Both ends of SSH connections.

use std::sync::Arc;

use connect::ssh::algorithms::{Offer, Role};
use connect::ssh::error::Error;
use connect::ssh::private_key::KeyFile;
use connect::ssh::transport::{Event, Limits, Settings, Transport};

/// Returns a client or a server, whose host key is that of the integration tests.
///
/// # Panics
/// The key is missing.
#[must_use]
pub fn transport(role: Role, offer: Offer, limits: Limits) -> Transport {
    let mut settings = Settings { offer, host_keys: Vec::new(), software: "fuzz", limits, is_logged: false };
    if role == Role::Server {
        let file = KeyFile::parse(include_bytes!("../../tests/kit/ssh_keys/host")).expect("a key file");
        settings.host_keys = vec![Arc::new(file.into_private_key(None).expect("no passphrase"))];
    }
    Transport::new(role, settings, || Some([9; 16])).expect("random bytes")
}

/// Passes up to `count` bytes, and returns the messages for the layer above. The client trusts
/// every host key.
///
/// # Errors
/// Those of the receiver.
pub fn pass(from: &mut Transport, to: &mut Transport, count: usize) -> Result<Vec<Vec<u8>>, Error> {
    let count = from.output().len().min(count);
    let bytes = from.output()[..count].to_vec();
    from.sent(count);
    receive(to, &bytes)
}

/// Receives bytes, and returns the messages for the layer above. The client trusts every host key.
///
/// # Errors
/// Those of the receiver.
pub fn receive(transport: &mut Transport, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let mut messages = Vec::new();
    transport.receive(bytes);
    while let Some(event) = transport.next_event()? {
        match event {
            Event::HostKey => transport.trust_host_key()?,
            Event::Message => messages.push(transport.message().to_vec()),
            Event::Established | Event::Extensions => {}
        }
    }
    Ok(messages)
}

/// Returns both ends of a connection after the first key exchange.
///
/// # Panics
/// The key exchange fails.
#[must_use]
pub fn connected(offer: &Offer, limits: Limits) -> [Transport; 2] {
    let mut client = transport(Role::Client, offer.clone(), limits);
    let mut server = transport(Role::Server, offer.clone(), limits);
    while !(client.output().is_empty() && server.output().is_empty()) {
        for _ in 0..2 {
            let messages = pass(&mut client, &mut server, usize::MAX).expect("a valid message");
            assert!(messages.is_empty());
            std::mem::swap(&mut client, &mut server);
        }
    }
    [client, server]
}

/// Decisions, taken from the input of a fuzz target.
pub struct Decisions<'a>(pub &'a [u8]);

impl Iterator for Decisions<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }
}

impl Decisions<'_> {
    /// Returns the next number from 0 to 65535, or 0 at the end.
    pub fn number(&mut self) -> usize {
        let [high, low] = [(); 2].map(|()| self.next().unwrap_or_default());
        usize::from(u16::from_be_bytes([high, low]))
    }
}
