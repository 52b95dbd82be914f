#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "that is how a test fails")]

use super::*;

#[test]
fn lengths_have_their_shortest_form() {
    for length in [0_usize, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff] {
        let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
        let forms = [vec![low], vec![0x81, low], vec![0x82, high, low], vec![0x83, 0, high, low]];
        let shortest = [0x80, 0x100, 0x10000].iter().position(|limit| length < *limit).unwrap();
        for (index, form) in forms.iter().enumerate() {
            let bytes = [&[OCTET_STRING], &form[..], &vec![7; length]].concat();
            let element = Der::new(&bytes).element(OCTET_STRING);
            let is_allowed = index == shortest;
            assert_eq!(element.map(<[u8]>::len) == Ok(length), is_allowed, "{length} {form:?}");
        }
    }
}

#[test]
fn integers_are_short_and_not_negative() {
    let integer = |bytes: &[u8]| Der::new(bytes).integer().map(<[u8]>::to_vec);
    assert_eq!(integer(&[2, 1, 0]), Ok(vec![]));
    assert_eq!(integer(&[2, 1, 0x7f]), Ok(vec![0x7f]));
    assert_eq!(integer(&[2, 2, 0, 0x80]), Ok(vec![0x80]));
    for invalid in
        [&[2, 0][..], &[2, 1, 0x80], &[2, 2, 0, 0x7f], &[2, 2, 0, 0], &[4, 1, 1], &[2, 2, 1], &[2], &[]]
    {
        assert_eq!(integer(invalid), Err(Malformed), "{invalid:?}");
    }
}
