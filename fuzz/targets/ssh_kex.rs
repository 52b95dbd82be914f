//! Key exchanges between a client and a server, in every order of calls.
//!
//! The first bytes select the algorithms of both sides, the guess, and a bit to change. Each of the
//! others is a step of one side.
#![no_main]

use std::time::Duration;

use connect::ssh::algorithms::{Compression, Offer, Role};
use connect::ssh::cipher::{Cipher, Mac};
use connect::ssh::error::Error;
use connect::ssh::key_exchange::Method;
use connect::ssh::transport::{Limits, Transport};
use connect_fuzz::ssh::{Decisions, pass, receive, transport};
use libfuzzer_sys::fuzz_target;

/// Returns the items whose bits are set, or all of them if none is. Rotated, so that each can be
/// the preferred one.
fn select<T: Copy>(all: &[T], bits: u8) -> Vec<T> {
    let chosen = |index: &usize| bits & (1 << index) != 0;
    let mut some: Vec<_> = (0..all.len()).filter(chosen).map(|index| all[index]).collect();
    if some.is_empty() {
        some = all.to_vec();
    }
    let first = usize::from(bits >> 5) % some.len();
    some.rotate_left(first);
    some
}

fn offer(decisions: &mut Decisions<'_>) -> Offer {
    let mut next = || decisions.next().unwrap_or_default();
    let (methods, ciphers, others) = (next(), next(), next());
    Offer {
        key_exchanges: select(&Method::NAMES.map(|(name, _)| name), methods),
        host_keys: vec!["ssh-ed25519"],
        ciphers: select(&Cipher::ALL, ciphers),
        macs: select(&Mac::ALL, others & 0xef),
        compression: [Compression::Off, Compression::Preferred][usize::from(others >> 4 & 1)],
        is_strict: others & 0x60 != 0x60,
        allow_without_strict: false,
        guesses: others & 0x80 != 0,
    }
}

/// Returns `true` if these sides have algorithms in common that are safe.
fn can_connect(client: &Offer, server: &Offer) -> bool {
    let method = client.key_exchanges.iter().any(|it| server.key_exchanges.contains(it));
    let cipher = client.ciphers.iter().find(|it| server.ciphers.contains(it));
    let mac = client.macs.iter().find(|it| server.macs.contains(it));
    let is_strict = client.is_strict && server.is_strict;
    let suite_is_safe = match cipher {
        None => false,
        Some(Cipher::ChaCha20Poly1305) => is_strict,
        Some(cipher) if cipher.is_aead() => true,
        Some(_) => mac.is_some_and(|mac| is_strict || !mac.encrypts_then_macs()),
    };
    let compression = client.compression == server.compression
        || client.compression == Compression::Preferred
        || server.compression == Compression::Preferred;
    method && suite_is_safe && compression
}

/// Returns the algorithms of the current keys.
fn suite(transport: &Transport) -> impl PartialEq + std::fmt::Debug {
    let it = transport.algorithms().expect("keys");
    (it.key_exchange, it.host_key, it.to_server, it.to_client, it.compresses)
}

/// Both sides, the messages that each has sent, and those that each has received.
struct Pair {
    sides: [Transport; 2],
    sent: [Vec<Vec<u8>>; 2],
    received: [Vec<Vec<u8>>; 2],
}

impl Pair {
    /// Passes bytes from one side to the other.
    fn pass(&mut self, from: usize, count: usize) -> Result<(), Error> {
        let [client, server] = &mut self.sides;
        let messages = if from == 0 { pass(client, server, count) } else { pass(server, client, count) };
        self.received[1 - from].extend(messages?);
        Ok(())
    }

    /// Passes bytes until nothing is left.
    fn finish(&mut self) -> Result<(), Error> {
        while self.sides.iter().any(|side| !side.output().is_empty()) {
            self.pass(0, usize::MAX)?;
            self.pass(1, usize::MAX)?;
        }
        Ok(())
    }

    fn step(&mut self, step: u8, number: usize, hours: &mut u32) -> Result<(), Error> {
        let side = usize::from(step & 1);
        match step >> 1 & 3 {
            0 => self.pass(side, number)?,
            1 => {
                *hours += 1;
                self.sides[side].rekey_if_due(Duration::from_hours(1) * *hours)?;
            }
            2 => {
                // The end of authentication starts compression, if it was negotiated.
                let success = side == 1 && step & 0x80 != 0;
                let message = if success { vec![52] } else { vec![94 + step % 4; 1 + number % 40_000] };
                self.sides[side].send(&[&message])?;
                self.sent[side].push(message);
            }
            _ => self.finish()?,
        }
        Ok(())
    }
}

fuzz_target!(|input: &[u8]| {
    let mut decisions = Decisions(input);
    let offers = [offer(&mut decisions), offer(&mut decisions)];
    let (changed_side, changed_bit) = (decisions.next().unwrap_or_default(), decisions.number());
    let [client, server] = offers.clone();
    let mut pair = Pair {
        sides: [
            transport(Role::Client, client, Limits::default()),
            transport(Role::Server, server, Limits::default()),
        ],
        sent: Default::default(),
        received: Default::default(),
    };

    if changed_side & 0x80 != 0 {
        return check_change(&mut pair, usize::from(changed_side & 1), changed_bit);
    }
    let mut result = Ok(());
    let mut hours = 0;
    for _ in 0..64 {
        let Some(step) = decisions.next() else { break };
        let number = if step >> 1 & 1 == 0 { decisions.number() } else { 0 };
        result = result.and_then(|()| pair.step(step, number, &mut hours));
    }
    result = result.and_then(|()| pair.finish());
    match result {
        Ok(()) => {
            assert!(can_connect(&offers[0], &offers[1]), "{offers:?}");
            let [client, server] = &pair.sides;
            assert!(client.can_send() && server.can_send());
            assert_eq!(client.session_id(), server.session_id());
            assert_eq!(suite(client), suite(server));
            assert!(pair.received[1] == pair.sent[0] && pair.received[0] == pair.sent[1]);
        }
        Err(Error::NothingInCommon { .. } | Error::NotStrict(_)) => {
            assert!(!can_connect(&offers[0], &offers[1]), "{offers:?}");
        }
        // More than 4 MiB wait.
        Err(Error::Violation("the key exchange takes too long" | "the answers to requests are not read")) => {
        }
        Err(error) => panic!("{error:?}"),
    }
});

/// Changes a bit of the first key exchange. Either nobody notices, because the bit was padding, or
/// the client does not accept the key.
fn check_change(pair: &mut Pair, from: usize, bit: usize) {
    let mut before = 0;
    let result = loop {
        let output = pair.sides[from].output().to_vec();
        if (before..before + output.len()).contains(&(bit / 8)) {
            let mut changed = output.clone();
            changed[bit / 8 - before] ^= 1 << (bit % 8);
            pair.sides[from].sent(output.len());
            let received = receive(&mut pair.sides[1 - from], &changed);
            break received.and_then(|_| pair.finish());
        }
        before += output.len();
        let progress = pair.pass(from, usize::MAX).and_then(|()| pair.pass(1 - from, usize::MAX));
        if progress.is_err() || pair.sides.iter().all(|side| side.output().is_empty()) {
            return;
        }
    };
    let [client, server] = &pair.sides;
    if client.host_key().is_some() {
        assert_eq!(client.session_id(), server.session_id(), "{result:?}");
    }
    if result.is_ok() && client.can_send() && server.can_send() {
        assert_eq!(suite(client), suite(server));
        assert_eq!(client.peer_identification(), Some(&b"SSH-2.0-fuzz"[..]));
    }
}
