//! The packets of an SSH server before encryption: identification, KEXINIT and what follows.
#![no_main]

use connect::ssh::algorithms::{Offer, Role};
use connect::ssh::error::Error;
use connect::ssh::transport::{Event, Limits, Settings, Transport};
use libfuzzer_sys::fuzz_target;

/// Receives bytes in pieces of this size. Returns the events, the error, and what was sent.
fn receive(bytes: &[u8], piece: usize) -> (Vec<Event>, Option<Error>, Vec<u8>) {
    let settings = Settings {
        offer: Offer::default(),
        host_keys: Vec::new(),
        software: "fuzz",
        limits: Limits::default(),
        is_logged: false,
    };
    let mut client = Transport::new(Role::Client, settings, || Some([9; 16])).expect("has random bytes");
    let mut events = Vec::new();
    for part in bytes.chunks(piece) {
        client.receive(part);
        loop {
            match client.next_event() {
                Ok(Some(event)) => {
                    assert_ne!(event, Event::HostKey, "no signature can be guessed");
                    events.push(event);
                }
                Ok(None) => break,
                Err(error) => return (events, Some(error), client.output().to_vec()),
            }
        }
    }
    (events, None, client.output().to_vec())
}

fuzz_target!(|bytes: &[u8]| {
    let (whole, pieces) = (receive(bytes, bytes.len().max(1)), receive(bytes, 3));
    // The public values of the client are random, but the messages and the error are not.
    assert_eq!(whole.0, pieces.0);
    assert_eq!(whole.1.is_some(), pieces.1.is_some(), "{:?}, in pieces {:?}", whole.1, pieces.1);
    assert_eq!(whole.2.len(), pieces.2.len());
    assert!(whole.2.len() <= 2 * bytes.len() + 8 * 1024, "an answer of {} bytes", whole.2.len());
});
