#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "that is how a test fails")]

use super::*;

/// Returns the compression of both ends, after authentication.
fn pair() -> [Compression; 2] {
    [(); 2].map(|()| {
        let mut compression = Compression::default();
        compression.switch_sending(true);
        compression.switch_receiving(true);
        compression.start(true);
        compression
    })
}

/// Returns bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn payloads_of_every_kind_arrive() {
    let [mut sender, mut receiver] = pair();
    let mut payloads = vec![vec![1], vec![0x5e; MAX_PACKET], noise(40_000), b"text ".repeat(7000)];
    payloads.extend((1..300).map(noise));
    for payload in &payloads {
        let (head, tail) = payload.split_at(payload.len() / 2);
        let compressed = sender.compress(&[head, tail]).unwrap().unwrap().to_vec();
        assert!(compressed.len() < payload.len() + payload.len() / 100 + 64, "{}", compressed.len());
        assert_eq!(receiver.expand(&compressed).unwrap().as_ref(), Some(payload));
    }
}

#[test]
fn the_history_continues_from_packet_to_packet_and_starts_over_with_new_keys() {
    let [mut sender, mut receiver] = pair();
    let payload = noise(1000);
    let send = |sender: &mut Compression, receiver: &mut Compression| {
        let compressed = sender.compress(&[&payload]).unwrap().unwrap().to_vec();
        assert_eq!(receiver.expand(&compressed).unwrap().as_ref(), Some(&payload));
        compressed.len()
    };
    assert!(send(&mut sender, &mut receiver) > 1000);
    assert!(send(&mut sender, &mut receiver) < 50);
    sender.switch_sending(true);
    receiver.switch_receiving(true);
    assert!(send(&mut sender, &mut receiver) > 1000);
    sender.switch_sending(false);
    assert_eq!(sender.compress(&[&payload]), Ok(None));
}

#[test]
fn nothing_is_compressed_before_the_end_of_authentication() {
    let mut compression = Compression::default();
    compression.switch_sending(true);
    compression.switch_receiving(true);
    assert_eq!(compression.compress(&[b"x"]), Ok(None));
    assert_eq!(compression.expand(b"x"), Ok(None));
}

#[test]
fn a_packet_that_expands_beyond_the_limit_is_an_error() {
    let too_long = Err(Error::Violation("a compressed packet contains more than 256 KiB"));
    for (length, is_accepted) in [(MAX_PACKET, true), (MAX_PACKET + 1, false), (4 << 20, false)] {
        let [mut sender, mut receiver] = pair();
        let compressed = sender.compress(&[&vec![0; length]]).unwrap().unwrap().to_vec();
        let result = receiver.expand(&compressed).map(|payload| payload.unwrap().len());
        assert_eq!(result, if is_accepted { Ok(length) } else { too_long.clone().map(|_: usize| 0) });
    }
}

#[test]
fn invalid_compressed_data_is_an_error() {
    let [mut sender, _] = pair();
    let valid = sender.compress(&[b"some text, some more text"]).unwrap().unwrap().to_vec();
    // The end of the stream, an invalid header, nothing, and a header without data.
    let ended = miniz_oxide::deflate::compress_to_vec_zlib(b"text", 6);
    for invalid in [&ended[..], b"\xff\xff\xff\xff", b"", &valid[..2]] {
        let [_, mut receiver] = pair();
        assert!(matches!(receiver.expand(invalid), Err(Error::Violation(_))), "{invalid:?}");
    }
    for length in 2..valid.len() {
        let [_, mut receiver] = pair();
        // A part of a stream expands to a part of the text, or to nothing.
        match receiver.expand(&valid[..length]) {
            Ok(text) => assert!(b"some text, some more text".starts_with(&text.unwrap())),
            Err(error) => assert!(matches!(error, Error::Violation(_)), "{error:?}"),
        }
    }
}

/// Threads of listeners have a stack of 256 KiB. With the release profile, both directions start on
/// a stack of 96 KiB, but not on one of 64 KiB.
#[test]
fn compression_starts_on_a_small_stack() {
    let thread = std::thread::Builder::new().stack_size(256 * 1024).spawn(|| {
        let [mut sender, mut receiver] = pair();
        let compressed = sender.compress(&[b"text"]).unwrap().unwrap().to_vec();
        receiver.expand(&compressed).unwrap().unwrap()
    });
    assert_eq!(thread.unwrap().join().unwrap(), b"text");
}
