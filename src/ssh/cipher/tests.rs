#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "that is how a test fails")]

use std::iter;

use super::*;

mod vectors;

#[allow(clippy::unnecessary_wraps, reason = "the type of `Random`")]
fn random() -> Option<[u8; 16]> {
    Some([0x5a; 16])
}

/// Returns each usable pair of a cipher and a MAC.
fn suites() -> impl Iterator<Item = (Cipher, Mac)> {
    Cipher::ALL.into_iter().flat_map(|cipher| {
        let count = if cipher.is_aead() { 1 } else { Mac::ALL.len() };
        Mac::ALL.into_iter().take(count).map(move |mac| (cipher, mac))
    })
}

fn keys(cipher: Cipher, mac: Mac) -> Keys {
    let bytes = |seed: u8, length: usize| {
        Zeroizing::new(
            iter::successors(Some(seed), |it| Some(it.wrapping_mul(5).wrapping_add(seed)))
                .take(length)
                .collect::<Vec<_>>(),
        )
    };
    Keys {
        iv: bytes(3, cipher.iv_length()),
        cipher: bytes(7, cipher.key_length()),
        mac: bytes(11, mac.key_length()),
    }
}

fn pair(cipher: Cipher, mac: Mac) -> (Sealer, Opener) {
    let (mut sealer, mut opener) = (Sealer::default(), Opener::default());
    sealer.rekey(cipher, mac, &keys(cipher, mac)).unwrap();
    opener.rekey(cipher, mac, &keys(cipher, mac)).unwrap();
    (sealer, opener)
}

/// Opens all packets in `wire`, which arrives in pieces of `piece` bytes.
fn open_all(opener: &mut Opener, wire: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, Error> {
    let (mut input, mut payloads) = (Vec::new(), Vec::new());
    for piece in wire.chunks(piece) {
        input.extend_from_slice(piece);
        while let Opened::Packet { payload, length, .. } = opener.open(&mut input)? {
            payloads.push(input[payload].to_vec());
            input.drain(..length);
        }
    }
    assert!(input.is_empty(), "{} bytes are left", input.len());
    Ok(payloads)
}

#[test]
fn packets_arrive_in_every_fragmentation() {
    let payloads: Vec<_> = (1..70_usize).map(|length| vec![u8::try_from(length).unwrap(); length]).collect();
    for (mut sealer, cipher) in iter::once((Sealer::default(), None))
        .chain(suites().map(|(cipher, mac)| (pair(cipher, mac).0, Some((cipher, mac)))))
    {
        let mut wire = Vec::new();
        for payload in &payloads {
            let (head, tail) = payload.split_at(payload.len() / 2);
            sealer.seal(&[head, tail], &mut wire, random).unwrap();
        }
        for piece in [1, 2, 3, 7, 16, 17, 100, wire.len()] {
            let mut opener = cipher.map_or_else(Opener::default, |(cipher, mac)| pair(cipher, mac).1);
            assert_eq!(open_all(&mut opener, &wire, piece).as_deref(), Ok(&payloads[..]), "{cipher:?}");
        }
    }
}

#[test]
fn a_changed_bit_is_an_error() {
    for (cipher, mac) in suites() {
        let mut wire = Vec::new();
        let (mut sealer, _) = pair(cipher, mac);
        sealer.seal(&[b"payload"], &mut wire, random).unwrap();
        for bit in 0..wire.len() * 8 {
            let mut changed = wire.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let result = pair(cipher, mac).1.open(&mut changed);
            // A changed length may look like that of a packet that is not complete yet.
            let is_rejected =
                matches!(result, Err(Error::Corrupt | Error::PacketLength) | Ok(Opened::Incomplete));
            assert!(is_rejected, "{cipher:?}, bit {bit}: {result:?}");
        }
    }
}

#[test]
fn a_packet_is_accepted_only_once_and_in_order() {
    for (cipher, mac) in suites() {
        let (mut sealer, _) = pair(cipher, mac);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        sealer.seal(&[b"first"], &mut first, random).unwrap();
        sealer.seal(&[b"second"], &mut second, random).unwrap();
        for order in [[&first, &first], [&second, &first]] {
            let mut wire = order.map(Vec::as_slice).concat();
            let mut opener = pair(cipher, mac).1;
            let result = opener.open(&mut wire).and_then(|opened| match opened {
                Opened::Packet { length, .. } => opener.open(&mut wire[length..]),
                Opened::Incomplete => Ok(opened),
            });
            let is_rejected =
                matches!(result, Err(Error::Corrupt | Error::PacketLength) | Ok(Opened::Incomplete));
            assert!(is_rejected, "{cipher:?}: {result:?}");
        }
    }
}

#[test]
fn lengths_and_padding_are_checked() {
    let plain = |length: u32, padding: u8| {
        let mut packet = length.to_be_bytes().to_vec();
        packet.push(padding);
        packet.resize(64, 0);
        packet
    };
    let open = |mut packet: Vec<u8>| Opener::default().open(&mut packet);
    for length in [0, 1, 5, 11, 13, 262_148, 262_156, u32::MAX] {
        assert_eq!(open(plain(length, 4)), Err(Error::PacketLength), "{length}");
    }
    assert_eq!(open(plain(262_140, 4)), Ok(Opened::Incomplete));
    for padding in [0, 3, 11, 12, 255] {
        assert_eq!(open(plain(12, padding)), Err(Error::Padding), "{padding}");
    }
    assert_eq!(open(plain(12, 10)), Ok(Opened::Packet { payload: 5..6, length: 16, sequence: 0 }));
}

#[test]
fn sequence_numbers_wrap() {
    for (cipher, mac) in suites() {
        let (mut sealer, mut opener) = pair(cipher, mac);
        (sealer.sequence, opener.sequence) = (u32::MAX, u32::MAX);
        let mut wire = Vec::new();
        for _ in 0..3 {
            sealer.seal(&[b"payload"], &mut wire, random).unwrap();
        }
        assert_eq!(open_all(&mut opener, &wire, 5).map(|payloads| payloads.len()), Ok(3), "{cipher:?}");
        assert_eq!(opener.sequence, 2);
    }
}

#[test]
fn without_random_bytes_nothing_is_sent() {
    let mut wire = Vec::new();
    assert_eq!(Sealer::default().seal(&[b"x"], &mut wire, || None), Err(Error::NoRandomBytes));
}
