//! Compressed connections.

use super::*;
use crate::ssh::algorithms::Compression;

fn offer(compression: Compression) -> Offer {
    Offer { compression, ..Offer::default() }
}

/// Ends authentication, and returns the number of bytes for a long message in each direction.
fn lengths(pair: &mut Pair) -> [usize; 2] {
    let text = [&[0x5e][..], &b"text ".repeat(4000)].concat();
    let mut lengths = [0; 2];
    for (length, side) in lengths.iter_mut().zip([&mut pair.client, &mut pair.server]) {
        let before = side.output().len();
        side.send(&[&text]).unwrap();
        *length = side.output().len() - before;
    }
    pair.run().unwrap();
    for received in &mut pair.received {
        assert_eq!(received.drain(..).next_back(), Some(text.clone()));
    }
    lengths
}

#[test]
fn both_directions_are_compressed_after_authentication() {
    use Compression::{Accepted, Off, Preferred};
    for (client, server, is_compressed) in [
        (Preferred, Accepted, true),
        (Preferred, Preferred, true),
        (Accepted, Preferred, false),
        (Preferred, Off, false),
        (Off, Accepted, false),
    ] {
        for piece in [7, usize::MAX] {
            let mut pair = Pair::new(offer(client), offer(server), piece);
            pair.run().unwrap();
            assert!(lengths(&mut pair).iter().all(|length| *length > 20_000));
            pair.server.send(&[&[message::USERAUTH_SUCCESS]]).unwrap();
            pair.run().unwrap();
            for length in lengths(&mut pair) {
                assert_eq!(length < 1000, is_compressed, "{client:?}, {server:?}: {length}");
            }
            // New keys start with an empty history, in both directions.
            pair.client.rekey_if_due(Duration::ZERO).unwrap();
            pair.client.rekey_if_due(Duration::from_secs(3600)).unwrap();
            pair.run().unwrap();
            for length in lengths(&mut pair) {
                assert_eq!(length < 1000, is_compressed);
            }
        }
    }
}

#[test]
fn a_key_exchange_that_overlaps_the_end_of_authentication_is_compressed_from_there() {
    let mut pair = Pair::new(offer(Compression::Preferred), offer(Compression::Accepted), 100);
    pair.run().unwrap();
    pair.server.rekey_if_due(Duration::ZERO).unwrap();
    pair.server.rekey_if_due(Duration::from_secs(3600)).unwrap();
    pair.server.send(&[&[message::USERAUTH_SUCCESS]]).unwrap();
    pair.run().unwrap();
    assert!(lengths(&mut pair).iter().all(|length| *length < 1000));
}

#[test]
fn a_second_success_does_not_start_over() {
    let mut pair = Pair::new(offer(Compression::Preferred), offer(Compression::Accepted), 100);
    pair.run().unwrap();
    for _ in 0..2 {
        pair.server.send(&[&[message::USERAUTH_SUCCESS]]).unwrap();
        pair.run().unwrap();
    }
    lengths(&mut pair);
    assert!(lengths(&mut pair).iter().all(|length| *length < 200), "the history is lost");
}
