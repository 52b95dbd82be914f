#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "that is how a test fails")]

use std::collections::VecDeque;
use std::time::Duration;

use super::*;
use crate::ssh::cipher::{Cipher, Mac};
use crate::ssh::key_exchange::Method;
use crate::ssh::testing::{connected, host_key, random};

mod compression;
mod guess;
mod rules;

fn settings(offer: Offer) -> Settings {
    Settings {
        offer,
        host_keys: Vec::new(),
        software: "connect_test",
        limits: Limits::default(),
        is_logged: false,
    }
}

/// A client and a server, and the bytes between them.
struct Pair {
    client: Transport,
    server: Transport,
    piece: usize,
    /// The messages that each side has received, the client first.
    received: [Vec<Vec<u8>>; 2],
    events: [Vec<Event>; 2],
}

impl Pair {
    fn new(client: Offer, server: Offer, piece: usize) -> Self {
        let server = Settings { host_keys: vec![host_key(7, false)], ..settings(server) };
        Self {
            client: Transport::new(Role::Client, settings(client), random).unwrap(),
            server: Transport::new(Role::Server, server, random).unwrap(),
            piece,
            received: Default::default(),
            events: Default::default(),
        }
    }

    /// Passes bytes until nothing is left to do. The client trusts every host key.
    fn run(&mut self) -> Result<(), (Role, Error)> {
        let mut wires: [VecDeque<u8>; 2] = Default::default();
        loop {
            for (side, wire) in [&mut self.client, &mut self.server].into_iter().zip(wires.iter_mut().rev()) {
                wire.extend(side.output());
                side.sent(side.output().len());
            }
            if wires.iter().all(VecDeque::is_empty) {
                return Ok(());
            }
            #[allow(clippy::needless_range_loop, reason = "the index also selects the side")]
            for index in 0..2 {
                let (role, side) = [(Role::Client, &mut self.client), (Role::Server, &mut self.server)]
                    .into_iter()
                    .nth(index)
                    .unwrap();
                let count = wires[index].len().min(self.piece);
                side.receive(&wires[index].drain(..count).collect::<Vec<_>>());
                while let Some(event) = side.next_event().map_err(|error| (role, error))? {
                    match event {
                        Event::HostKey => side.trust_host_key().unwrap(),
                        Event::Message => self.received[index].push(side.message().to_vec()),
                        _ => {}
                    }
                    self.events[index].push(event);
                }
            }
        }
    }
}

fn every_offer() -> Vec<Offer> {
    let offer = Offer::default();
    let methods = Method::NAMES.map(|(name, _)| Offer { key_exchanges: vec![name], ..offer.clone() });
    let ciphers = Cipher::ALL.map(|cipher| Offer { ciphers: vec![cipher], ..offer.clone() });
    let macs =
        Mac::ALL.map(|mac| Offer { ciphers: vec![Cipher::Aes128Ctr], macs: vec![mac], ..offer.clone() });
    methods.into_iter().chain(ciphers).chain(macs).collect()
}

#[test]
fn messages_arrive_with_every_algorithm() {
    for offer in every_offer() {
        let mut pair = Pair::new(offer.clone(), Offer::default(), usize::MAX);
        pair.run().unwrap();
        for index in 0..40_u8 {
            pair.client.send(&[&[99, index], &vec![index; usize::from(index)]]).unwrap();
            pair.server.send(&[&[98, index]]).unwrap();
        }
        pair.run().unwrap();
        assert_eq!(pair.received[0].len(), 40, "{offer:?}");
        assert_eq!(pair.received[1][39], [&[99][..], &[39; 40]].concat(), "{offer:?}");
        assert_eq!(pair.client.session_id(), pair.server.session_id());
        assert_eq!(pair.client.algorithms(), pair.server.algorithms());
        assert_eq!(pair.client.signature_algorithms(), Some(&*crate::ssh::algorithms::SIGNATURES.join(",")));
        let expected = [Event::HostKey, Event::Established, Event::Extensions];
        assert_eq!(pair.events[0][..3], expected);
    }
}

#[test]
fn a_connection_works_in_every_fragmentation() {
    for piece in [1, 2, 5, 16, 17, 100] {
        let mut pair = Pair::new(Offer::default(), Offer::default(), piece);
        pair.run().unwrap();
        pair.client.send(&[b"\x5amessage"]).unwrap();
        pair.run().unwrap();
        assert_eq!(pair.received[1], [b"\x5amessage"]);
    }
}

#[test]
fn keys_are_exchanged_again_while_messages_flow() {
    for offer in every_offer() {
        let mut pair = Pair::new(offer, Offer::default(), 100);
        pair.run().unwrap();
        let mut sent = Vec::new();
        for round in 0..30_u8 {
            let hour = Duration::from_secs(3600) * u32::from(round);
            match round % 3 {
                0 => pair.client.rekey_if_due(hour).unwrap(),
                1 => pair.server.rekey_if_due(hour).unwrap(),
                _ => {
                    pair.client.rekey_if_due(hour).unwrap();
                    pair.server.rekey_if_due(hour).unwrap();
                }
            }
            let message = vec![0x5e, round];
            pair.client.send(&[&message]).unwrap();
            pair.server.send(&[&message]).unwrap();
            sent.push(message);
            if round % 4 == 0 {
                pair.run().unwrap();
            }
        }
        pair.run().unwrap();
        assert_eq!(pair.received, [sent.clone(), sent]);
        let host_keys = pair.events[0].iter().filter(|event| matches!(event, Event::HostKey));
        assert_eq!(host_keys.count(), 1);
    }
}

#[test]
fn messages_that_a_peer_sends_after_its_kexinit_are_received() {
    let (mut client, mut server) = connected(&Offer::default());
    server.start_exchange().unwrap();
    // asyncssh does so; `send` would keep the message until the end of the key exchange.
    server.seal(&[b"\x5edata"]).unwrap();
    client.receive(server.output());
    server.sent(server.output().len());
    assert_eq!(client.next_event(), Ok(Some(Event::Message)));
    assert_eq!(client.message(), b"\x5edata");
    assert_eq!(client.next_event(), Ok(None));
    client.send(&[b"\x5eanswer"]).unwrap();
    server.receive(client.output());
    client.sent(client.output().len());
    assert_eq!(server.next_event(), Ok(None));
    client.receive(server.output());
    assert_eq!(client.next_event(), Ok(None));
    server.receive(client.output());
    assert_eq!(server.next_event(), Ok(Some(Event::Message)));
    assert_eq!(server.message(), b"\x5eanswer");
}

#[test]
fn keys_are_exchanged_again_after_their_limits() {
    let limits = [Limits { bytes: 2000, ..Limits::default() }, Limits { packets: 20, ..Limits::default() }];
    for limits in limits {
        let mut pair = Pair::new(Offer::default(), Offer::default(), usize::MAX);
        pair.client.settings.limits = limits;
        pair.run().unwrap();
        let session_id = pair.client.session_id().to_vec();
        let before = pair.events[1].len();
        for _ in 0..30 {
            pair.client.send(&[&[0x5e; 100]]).unwrap();
            pair.client.rekey_if_due(Duration::ZERO).unwrap();
            if !pair.client.can_send() {
                break;
            }
            pair.run().unwrap();
        }
        assert!(!pair.client.can_send(), "{limits:?}");
        pair.run().unwrap();
        assert!(pair.client.can_send());
        assert_eq!(pair.client.session_id(), session_id);
        assert!(pair.events[1].len() > before);
    }
}

#[test]
fn a_server_that_cannot_sign_is_not_trusted() {
    let mut pair = Pair::new(Offer::default(), Offer::default(), usize::MAX);
    pair.server.settings.host_keys = vec![host_key(7, true)];
    assert_eq!(pair.run(), Err((Role::Client, Error::Signature)));
    assert!(pair.events[0].is_empty());
}

#[test]
fn another_host_key_in_a_later_exchange_is_an_error() {
    let mut pair = Pair::new(Offer::default(), Offer::default(), usize::MAX);
    pair.run().unwrap();
    pair.server.settings.host_keys = vec![host_key(8, false)];
    pair.client.rekey_if_due(Duration::ZERO).unwrap();
    pair.client.rekey_if_due(Duration::from_secs(3600)).unwrap();
    assert_eq!(pair.run(), Err((Role::Client, Error::HostKeyChanged)));
}

#[test]
fn nothing_is_sent_before_the_host_key_is_trusted() {
    let mut pair = Pair::new(Offer::default(), Offer::default(), usize::MAX);
    pair.client.send(&[b"\x05service"]).unwrap();
    loop {
        pair.server.receive(pair.client.output());
        pair.client.sent(pair.client.output().len());
        while pair.server.next_event().unwrap().is_some() {}
        pair.client.receive(pair.server.output());
        pair.server.sent(pair.server.output().len());
        if let Some(Event::HostKey) = pair.client.next_event().unwrap() {
            break;
        }
    }
    assert_eq!(pair.client.output(), b"");
    assert_eq!(pair.client.next_event(), Ok(None));
    pair.client.trust_host_key().unwrap();
    pair.run().unwrap();
    assert_eq!(pair.received[1], [b"\x05service"]);
}

#[test]
fn sides_without_a_common_algorithm_say_what_the_other_offers() {
    let client = Offer { ciphers: vec![Cipher::Aes128Ctr], macs: vec![Mac::ALL[1]], ..Offer::default() };
    let server = Offer { macs: vec![Mac::ALL[0], Mac::ALL[2]], ..Offer::default() };
    let error = Pair::new(client, server, usize::MAX).run().unwrap_err().1;
    let offers = "hmac-sha2-256-etm@openssh.com,hmac-sha2-256".into();
    let expected = Error::NothingInCommon { kind: "MAC", offers };
    let other = Error::NothingInCommon { kind: "MAC", offers: "hmac-sha2-512-etm@openssh.com".into() };
    assert!(error == expected || error == other, "{error:?}");
}

/// CVE-2023-48795: an attacker inserts IGNORE before the key exchange ends and then drops the first
/// encrypted message, so that sequence numbers still agree.
#[test]
fn a_message_before_the_first_keys_is_an_error_with_strict_key_exchange() {
    for before_init in [true, false] {
        let mut pair = Pair::new(Offer::default(), Offer::default(), usize::MAX);
        let mut ignore = Vec::new();
        Sealer::default().seal(&[&[message::IGNORE, 0, 0, 0, 0]], &mut ignore, random).unwrap();
        let output = pair.server.output().to_vec();
        pair.server.sent(output.len());
        let line = output.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let at = if before_init { line } else { output.len() };
        pair.client.receive(&[&output[..at], &ignore, &output[at..]].concat());
        let result = pair.client.next_event();
        let expected = if before_init { message::KEXINIT } else { message::IGNORE };
        assert_eq!(result, Err(Error::Unexpected(expected)));
    }
}

#[test]
fn a_peer_without_strict_key_exchange_gets_no_cipher_that_needs_it() {
    let offer = Offer { ciphers: vec![Cipher::ChaCha20Poly1305], ..Offer::default() };
    let strict = Offer::default().message(Role::Server, [0; 16], true);
    let mut other = strict.clone();
    let marker = b"kex-strict-s-v00@";
    let at = other.windows(marker.len()).position(|window| window == marker).unwrap();
    other[at] = b'x';
    for (init, expected) in [
        (&strict, Ok(Cipher::ChaCha20Poly1305)),
        (&other, Err(Error::NotStrict("chacha20-poly1305@openssh.com"))),
    ] {
        let init = crate::ssh::algorithms::Init::parse(init).unwrap();
        let chosen = negotiate_for_test(&offer, &init);
        assert_eq!(chosen, expected);
    }
}

fn negotiate_for_test(offer: &Offer, init: &crate::ssh::algorithms::Init<'_>) -> Result<Cipher, Error> {
    let strict = init.is_strict(Role::Server);
    crate::ssh::algorithms::negotiate(offer, init, Role::Client, strict).map(|it| it.to_server.0)
}

#[test]
fn lines_before_the_identification_are_limited() {
    let receive = |role, bytes: &[u8]| {
        let mut transport = Transport::new(role, settings(Offer::default()), random).unwrap();
        transport.receive(bytes);
        transport.next_event().map(|_| transport.peer_identification().map(<[u8]>::to_vec))
    };
    let line = b"SSH-2.0-server comment\r\n";
    let found = Ok(Some(b"SSH-2.0-server comment".to_vec()));
    assert_eq!(receive(Role::Client, line), found);
    assert_eq!(receive(Role::Client, b"SSH-1.99-old\n"), Ok(Some(b"SSH-1.99-old".to_vec())));
    assert_eq!(receive(Role::Client, &[b"welcome\r\n".repeat(20), line.to_vec()].concat()), found);
    let not_ssh = |text: &str| Err(Error::NotSsh(text.into()));
    assert_eq!(receive(Role::Client, &[b"welcome\n".repeat(21), line.to_vec()].concat()), not_ssh("welcome"));
    assert_eq!(receive(Role::Client, &[b'x'; 8192]), not_ssh(&"x".repeat(60)));
    assert_eq!(receive(Role::Client, &[b'x'; 8191]), Ok(None));
    assert_eq!(receive(Role::Client, b"SSH-1.5-older\n"), Err(Error::Version1));
    assert_eq!(
        receive(Role::Client, &[&b"SSH-2.0-"[..], &[b'x'; 247]].concat()),
        not_ssh(&format!("SSH-2.0-{}", "x".repeat(52)))
    );
    assert_eq!(receive(Role::Client, b"HTTP/1.1 400 Bad Request\r\n\r\n"), Ok(None));
    // A client sends its identification first.
    assert_eq!(receive(Role::Server, line), found);
    assert_eq!(receive(Role::Server, b"GET / HTTP/1.1\r\n"), not_ssh("GET / HTTP/1.1"));
}
