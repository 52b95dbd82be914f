//! Published test vectors. RFC 5647 has none, and those for GCM have no associated data of four
//! bytes, such as the length field of a packet.

use super::*;

/// Decodes hexadecimal digits, which may be separated by spaces.
fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<_> = digits.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

/// The example of draft-ietf-sshm-chacha20-poly1305, appendix A: the keys, a packet with sequence
/// number 7, and the encrypted packet with its tag.
#[test]
fn the_packet_of_the_draft_for_chacha20_poly1305() {
    let keys = Keys {
        iv: Zeroizing::default(),
        cipher: Zeroizing::new(hex("8bbff6855fc102338c373e73aac0c914 f076a905b2444a32eecaffeae22becc5
            e9b7a7a5825a8249346ec1c28301cf39 4543fc7569887d76e168f37562ac0740")),
        mac: Zeroizing::default(),
    };
    let packet = hex("00000048065e00000000000000384c6f 72656d20697073756d20646f6c6f7220
        73697420616d65742c20636f6e736563 7465747572206164697069736963696e 6720656c69744e43e804dc6c");
    let encrypted = hex("2c3ecce4a5bc05895bf07a7ba956b6c6 8829ac7c83b780b7000ecde745afc705
        bbc378ce03a280236b87b53bed583966 2302b164b6286a48cd1e097138e3cb90 9b8b2b829dd18d2a35ff82d9
        95349e855bf02c298ef775f2d1a7e8b8");
    let mut sealed = packet.clone();
    let tag = chacha::Seal::new(&keys).unwrap().seal(7, &mut sealed);
    assert_eq!([&sealed[..], &tag].concat(), encrypted);

    let mut receiver = Opener::default();
    receiver.sequence = 7;
    receiver.rekey(Cipher::ChaCha20Poly1305, Mac::ALL[0], &keys).unwrap();
    let mut input = encrypted;
    let opened = receiver.open(&mut input);
    assert_eq!(opened, Ok(Opened::Packet { payload: 5..70, length: 92, sequence: 7 }));
    assert_eq!(input[5..70], packet[5..70]);
}

/// NIST SP 800-38A, F.5.1 and F.5.5. With a plain MAC, a packet is encrypted as a whole.
#[test]
fn the_blocks_of_nist_for_aes_in_counter_mode() {
    let plain = hex("6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51
        30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710");
    for (key, encrypted) in [
        (
            "2b7e151628aed2a6abf7158809cf4f3c",
            "874d6191b620e3261bef6864990db6ce 9806f66b7970fdff8617187bb9fffdff
            5ae4df3edbd5d35e5b4f09020db03eab 1e031dda2fbe03d1792170a0f3009cee",
        ),
        (
            "603deb1015ca71be2b73aef0857d7781 1f352c073b6108d72d9810a30914dff4",
            "601ec313775789a5b7a7f504bbf3d228 f443e3ca4d62b59aca84e990cacaf5c5
            2b0930daa23de94ce87017ba2d84988d dfc9c58db67aada613c2dd08457941a6",
        ),
    ] {
        let mac = Mac::ALL.into_iter().find(|mac| !mac.encrypts_then_macs()).unwrap();
        let keys = Keys {
            iv: Zeroizing::new(hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")),
            cipher: Zeroizing::new(hex(key)),
            mac: Zeroizing::new(vec![0; mac.key_length()]),
        };
        // The key stream continues from packet to packet.
        let mut ctr = ctr::CtrHmac::new(mac, &keys).unwrap();
        let mut packets = plain.clone();
        for (sequence, packet) in (0..).zip(packets.chunks_mut(32)) {
            ctr.seal(sequence, packet);
        }
        assert_eq!(packets, hex(encrypted), "{} bytes of key", keys.cipher.len());
    }
}
