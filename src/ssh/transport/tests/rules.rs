//! Rules that each side keeps, and enforces.

use super::*;
use crate::ssh::algorithms::SIGNATURES;

/// Returns a client and a server after the key exchange.
fn connected(client: Offer, server: Offer) -> Pair {
    let mut pair = Pair::new(client, server, usize::MAX);
    pair.run().unwrap();
    pair
}

fn without_strict(ciphers: Vec<Cipher>, macs: Vec<Mac>) -> Offer {
    Offer { is_strict: false, ciphers, macs, ..Offer::default() }
}

#[test]
fn without_strict_key_exchange_sequence_numbers_continue() {
    for cipher in [Cipher::Aes256Gcm, Cipher::Aes128Ctr] {
        let server = without_strict(vec![cipher], vec![Mac::ALL[2]]);
        let mut pair = connected(Offer::default(), server);
        assert!(!pair.client.is_strict() && !pair.server.is_strict());
        pair.client.send(&[b"\x5emessage"]).unwrap();
        pair.run().unwrap();
        assert_eq!(pair.received[1], [b"\x5emessage"]);
        // After KEXINIT, the public value, NEWKEYS and EXT_INFO.
        assert_eq!(pair.server.current.1, 4);
    }
}

/// The algorithms of CVE-2023-48795.
#[test]
fn an_algorithm_that_needs_strict_key_exchange_is_an_error_without_it() {
    for (cipher, mac, name) in [
        (Cipher::ChaCha20Poly1305, Mac::ALL[0], Some("chacha20-poly1305@openssh.com")),
        (Cipher::Aes256Ctr, Mac::ALL[0], Some("hmac-sha2-256-etm@openssh.com")),
        (Cipher::Aes128Ctr, Mac::ALL[1], Some("hmac-sha2-512-etm@openssh.com")),
        (Cipher::Aes256Ctr, Mac::ALL[2], None),
        (Cipher::Aes128Gcm, Mac::ALL[0], None),
    ] {
        let other = without_strict(vec![cipher], vec![mac]);
        for (client, server) in [(Offer::default(), other.clone()), (other, Offer::default())] {
            let result = Pair::new(client, server, usize::MAX).run().map_err(|(_, error)| error);
            assert_eq!(result, name.map_or(Ok(()), |name| Err(Error::NotStrict(name))));
        }
    }
    let named =
        Offer { ciphers: vec![Cipher::ChaCha20Poly1305], allow_without_strict: true, ..Offer::default() };
    let server = without_strict(Cipher::ALL.to_vec(), Mac::ALL.to_vec());
    let pair = connected(named, Offer { allow_without_strict: true, ..server });
    assert_eq!(pair.client.algorithms().unwrap().to_server.0, Cipher::ChaCha20Poly1305);
}

#[test]
fn the_second_offer_has_no_algorithm_that_needs_strict_key_exchange() {
    let mut offer = Offer::default();
    offer.remove_strict_only();
    let server = without_strict(vec![Cipher::ChaCha20Poly1305, Cipher::Aes128Ctr], Mac::ALL.to_vec());
    let pair = connected(offer, server);
    assert_eq!(pair.client.algorithms().unwrap().to_server, (Cipher::Aes128Ctr, Mac::ALL[2]));
}

#[test]
fn a_server_tells_its_signature_algorithms_and_a_client_its_extensions() {
    let pair = connected(Offer::default(), Offer::default());
    assert_eq!(pair.client.signature_algorithms(), Some(&*SIGNATURES.join(",")));
    assert_eq!(pair.events[0], [Event::HostKey, Event::Established, Event::Extensions]);
    assert_eq!(pair.events[1], [Event::Established, Event::Extensions]);
}

#[test]
fn a_ping_is_answered_with_its_data_in_both_roles() {
    let mut pair = connected(Offer::default(), Offer::default());
    let mut ping = vec![message::PING];
    ping.put_string("data");
    pair.client.send(&[&ping]).unwrap();
    pair.server.send(&[&ping]).unwrap();
    pair.run().unwrap();
    let expected = [&[message::PONG][..], &ping[1..]].concat();
    assert_eq!(pair.received, [vec![expected.clone()], vec![expected]]);
    pair.client.send(&[&[message::PING, 0, 0, 0, 9]]).unwrap();
    assert_eq!(pair.run(), Err((Role::Server, Error::Malformed(message::PING))));
}

#[test]
fn a_peer_that_does_not_read_answers_is_stopped() {
    let mut pair = connected(Offer::default(), Offer::default());
    let mut ping = vec![message::PING];
    ping.put_string(vec![0; 30_000]);
    let error = loop {
        pair.client.send(&[&ping]).unwrap();
        pair.server.receive(pair.client.output());
        pair.client.sent(pair.client.output().len());
        if let Err(error) = pair.server.next_event() {
            break error;
        }
        assert!(pair.server.output().len() < MAX_OUTPUT + 40_000);
    };
    assert_eq!(error, Error::Violation("the answers to requests are not read"));
}

#[test]
fn messages_that_wait_for_a_key_exchange_are_limited() {
    let mut pair = connected(Offer::default(), Offer::default());
    pair.client.rekey_if_due(Duration::ZERO).unwrap();
    pair.client.rekey_if_due(Duration::from_secs(3600)).unwrap();
    let message = vec![0x5e; 32 * 1024];
    let result = (0..=MAX_QUEUED / message.len()).try_for_each(|_| pair.client.send(&[&message]));
    assert_eq!(result, Err(Error::Violation("the key exchange takes too long")));
}

#[test]
fn other_messages_during_the_first_key_exchange_are_errors() {
    for (number, is_allowed) in [
        (message::IGNORE, true),
        (message::DEBUG, true),
        (message::SERVICE_REQUEST, false),
        (message::EXT_INFO, false),
        (message::USERAUTH_REQUEST, false),
        (message::CHANNEL_DATA, false),
    ] {
        for is_strict in [true, false] {
            let server = Offer { is_strict, ..without_strict(vec![Cipher::Aes256Gcm], Mac::ALL.to_vec()) };
            let mut pair = Pair::new(Offer::default(), server, usize::MAX);
            // The client's KEXINIT precedes the message.
            pair.client.seal(&[&[number, 0, 0, 0, 0]]).unwrap();
            let is_allowed = is_allowed && !is_strict;
            let expected = if is_allowed { Ok(()) } else { Err((Role::Server, Error::Unexpected(number))) };
            assert_eq!(pair.run(), expected, "{number}");
        }
    }
}

#[test]
fn a_message_of_the_wrong_side_or_step_is_an_error() {
    for number in [message::NEWKEYS, message::KEX_ECDH_INIT, message::KEX_ECDH_REPLY, 22, 49] {
        let mut pair = connected(Offer::default(), Offer::default());
        pair.client.send(&[&[number]]).unwrap();
        assert_eq!(pair.run(), Err((Role::Server, Error::Unexpected(number))), "{number}");
    }
}

#[test]
fn the_keys_of_a_new_exchange_get_the_whole_time() {
    let (hour, almost) = (Duration::from_secs(3600), Duration::from_secs(3599));
    let mut pair = connected(Offer::default(), Offer::default());
    for side in [&mut pair.client, &mut pair.server] {
        side.rekey_if_due(Duration::ZERO).unwrap();
        side.rekey_if_due(almost).unwrap();
        assert!(side.can_send());
    }
    pair.server.rekey_if_due(hour).unwrap();
    assert!(!pair.server.can_send());
    pair.run().unwrap();
    // The server's key exchange counts for the client as well.
    pair.client.rekey_if_due(hour).unwrap();
    pair.client.rekey_if_due(hour + almost).unwrap();
    assert!(pair.client.can_send());
    pair.client.rekey_if_due(hour * 2).unwrap();
    assert!(!pair.client.can_send());
    pair.run().unwrap();
}

/// A packet has at most 256 KiB, and a payload.
#[test]
fn the_length_of_packets_is_limited_with_every_cipher() {
    for offer in every_offer() {
        let mut pair = connected(offer.clone(), offer.clone());
        let largest = vec![0x5e; 256 * 1024 - 64];
        pair.client.send(&[&largest]).unwrap();
        pair.run().unwrap();
        assert_eq!(pair.received[1], [largest]);
        pair.client.send(&[&vec![0x5e; 256 * 1024]]).unwrap();
        assert_eq!(pair.run(), Err((Role::Server, Error::PacketLength)), "{offer:?}");
        let mut pair = connected(offer.clone(), offer.clone());
        pair.client.send(&[]).unwrap();
        let error = pair.run().unwrap_err().1;
        assert!(matches!(error, Error::PacketLength | Error::Padding), "{offer:?}: {error:?}");
    }
}
