//! Guesses of the method of key exchange (`first_kex_packet_follows`, RFC 4253 §7.1).

use super::*;

fn guessing(names: &[&'static str]) -> Offer {
    Offer { key_exchanges: names.to_vec(), guesses: true, ..Offer::default() }
}

fn sent(transport: &mut Transport, number: u8) -> usize {
    transport.take_log().iter().filter(|entry| entry.is_sent && entry.number == number).count()
}

#[test]
fn a_right_guess_is_used_and_a_wrong_one_is_skipped() {
    let all = Method::NAMES.map(|(name, _)| name);
    for (client, server, public_values) in [
        (&all[..], &all[..], 1),
        (&all[1..], &all[..], 2),
        (&all[..], &all[3..], 2),
        (&all[3..], &all[3..], 1),
    ] {
        let server = Offer { key_exchanges: server.to_vec(), ..Offer::default() };
        for piece in [1, 1000, usize::MAX] {
            let mut pair = Pair::new(guessing(client), server.clone(), piece);
            pair.client = Transport::new(
                Role::Client,
                Settings { is_logged: true, ..settings(guessing(client)) },
                random,
            )
            .unwrap();
            pair.run().unwrap();
            assert_eq!(sent(&mut pair.client, message::KEX_ECDH_INIT), public_values, "{client:?}");
            pair.client.send(&[b"\x5emessage"]).unwrap();
            // Later key exchanges have no guess.
            pair.client.rekey_if_due(Duration::ZERO).unwrap();
            pair.client.rekey_if_due(Duration::from_secs(3600)).unwrap();
            pair.run().unwrap();
            assert_eq!(sent(&mut pair.client, message::KEX_ECDH_INIT), 1);
            assert_eq!(pair.received[1], [b"\x5emessage"]);
        }
    }
}

#[test]
fn the_host_key_algorithm_is_a_part_of_the_guess() {
    let server = Offer { host_keys: vec!["ssh-ed25519"], ..Offer::default() };
    let client = Offer { host_keys: vec!["rsa-sha2-512", "ssh-ed25519"], ..guessing(&[Method::NAMES[1].0]) };
    let server = Offer { key_exchanges: vec![Method::NAMES[1].0], ..server };
    let mut pair = Pair::new(client, server, usize::MAX);
    pair.run().unwrap();
    assert_eq!(pair.events[0][1], Event::Established);
}

/// The first message of a guessing client leaves with its KEXINIT.
#[test]
fn a_guess_saves_a_round_trip() {
    let round_trips = |offer: Offer| {
        let mut pair = Pair::new(offer, Offer::default(), usize::MAX);
        let mut count = 0;
        while pair.events[0].is_empty() {
            count += 1;
            pair.server.receive(pair.client.output());
            pair.client.sent(pair.client.output().len());
            while pair.server.next_event().unwrap().is_some() {}
            pair.client.receive(pair.server.output());
            pair.server.sent(pair.server.output().len());
            pair.events[0].extend(pair.client.next_event().unwrap());
        }
        count
    };
    assert_eq!(round_trips(Offer::default()), 2);
    assert_eq!(round_trips(Offer { guesses: true, ..Offer::default() }), 1);
}

/// Changes the flag `first_kex_packet_follows` in a KEXINIT.
fn with_guess(mut init: Vec<u8>) -> Vec<u8> {
    let flag = init.len() - 5;
    init[flag] = 1;
    init
}

#[test]
fn a_client_skips_the_wrong_guess_of_a_server() {
    for (key_exchanges, is_wrong) in [(vec!["ecdh-sha2-nistp256"], true), (vec![Method::NAMES[0].0], false)] {
        let offer = Offer { key_exchanges, is_strict: false, ..Offer::default() };
        let init = with_guess(offer.message(Role::Server, [0; 16], true));
        let client_offer = Offer { ciphers: vec![Cipher::Aes256Gcm], ..Offer::default() };
        let mut client = Transport::new(Role::Client, settings(client_offer), random).unwrap();
        let (mut sealer, mut wire) = (Sealer::default(), b"SSH-2.0-server\r\n".to_vec());
        for message in [&init[..], &[message::KEX_ECDH_REPLY, 1, 2, 3]] {
            sealer.seal(&[message], &mut wire, random).unwrap();
        }
        client.receive(&wire);
        let expected = if is_wrong { Ok(None) } else { Err(Error::Malformed(message::KEX_ECDH_REPLY)) };
        assert_eq!(client.next_event(), expected);
        // Only one message is skipped.
        let mut again = Vec::new();
        sealer.seal(&[&[message::KEX_ECDH_REPLY, 1, 2, 3]], &mut again, random).unwrap();
        if is_wrong {
            client.receive(&again);
            assert_eq!(client.next_event(), Err(Error::Malformed(message::KEX_ECDH_REPLY)));
        }
    }
}
