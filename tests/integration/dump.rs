//! `-dd`: a dump of the relayed data, in hexadecimal and as text.

use crate::kit::*;

/// Returns the rows of the dump for one direction.
fn rows(out: &Outcome, arrow: &str) -> Vec<String> {
    let start = format!("DEBUG: {arrow} ");
    let text = out.stderr_text();
    let is_row = |line: &&str| line.len() > 10 && line.as_bytes()[8..10] == *b"  " && line.contains("  |");
    text.lines().filter_map(|line| line.strip_prefix(&start)).filter(is_row).map(str::to_owned).collect()
}

/// Returns the bytes in a dump, and checks that the offsets and the text match them.
#[track_caller]
fn parse(rows: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for row in rows {
        let offset = usize::from_str_radix(&row[..8], 16).unwrap();
        assert_eq!(offset, bytes.len(), "{row}");
        let (hex, text) = row[10..].split_at(47);
        let of_row: Vec<_> =
            hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        let expected: String = of_row
            .iter()
            .map(|&byte| if (b' '..=b'~').contains(&byte) { byte as char } else { '.' })
            .collect();
        assert_eq!(text, format!("  |{expected}|"), "{row}");
        bytes.extend(of_row);
    }
    bytes
}

#[test]
fn each_direction_is_dumped_with_offset_hex_and_text() {
    let target =
        script().expect("hello, target\r\n").send([0, 9, b'|', 0x7f, 0x80, 0xff]).expect_eof().serve();
    let out = connect(format!("-dd {}", target.args())).input("hello, target\r\n").run();
    out.expect_code(0).expect_stdout([0, 9, b'|', 0x7f, 0x80, 0xff]);
    let up = "00000000  68 65 6c 6c 6f 2c 20 74 61 72 67 65 74 0d 0a     |hello, target..|";
    assert_eq!(rows(&out, ">>>"), [up], "{out:?}");
    let down = "00000000  00 09 7c 7f 80 ff                                |..|...|";
    assert_eq!(rows(&out, "<<<"), [down], "{out:?}");
    target.finish();
}

#[test]
fn offsets_continue_through_the_whole_session() {
    let target = script().expect("one").send("1").expect("two").send("22").expect_eof().serve();
    let mut run = connect(format!("-dd {}", target.args())).start();
    run.send("one");
    run.wait_stdout(1);
    run.send("two");
    run.wait_stdout(3);
    let out = run.finish();
    let row = |offset, hex, text| format!("{offset:08x}  {hex:<47}  |{text}|");
    assert_eq!(rows(&out, ">>>"), [row(0, "6f 6e 65", "one"), row(3, "74 77 6f", "two")], "{out:?}");
    assert_eq!(rows(&out, "<<<"), [row(0, "31", "1"), row(1, "32 32", "22")], "{out:?}");
    target.finish();
}

#[test]
fn a_row_has_16_bytes_and_shows_every_byte_value() {
    let every: Vec<u8> = (0..=255).collect();
    let target = script().expect(&every).expect_eof().serve();
    let out = connect(format!("-dd {}", target.args())).input(every.clone()).run();
    let rows = rows(&out, ">>>");
    assert_eq!(rows.len(), 16, "{out:?}");
    assert_eq!(rows[4], "00000040  40 41 42 43 44 45 46 47 48 49 4a 4b 4c 4d 4e 4f  |@ABCDEFGHIJKLMNO|");
    assert_eq!(parse(&rows), every);
    target.finish();
}

/// Relays more data than a pipe holds, in both directions at once.
#[test]
fn a_large_transfer_is_neither_disturbed_by_the_dump_nor_missing_from_it() {
    const SIZE: u64 = 200_000;
    let target = script().exchange(7, SIZE).serve();
    let mut run = connect(format!("-dd {}", target.args())).start();
    run.feed(data(7, SIZE));
    let out = run.wait();
    out.expect_code(0);
    assert_eq!(Digest::from_reader(&out.stdout[..]), Digest::from_reader(data(7, SIZE)));
    for arrow in [">>>", "<<<"] {
        assert_eq!(
            Digest::from_reader(&parse(&rows(&out, arrow))[..]),
            Digest::from_reader(data(7, SIZE)),
            "{arrow}"
        );
    }
    target.finish();
}

#[test]
fn without_dd_no_relayed_data_is_shown() {
    for debug in ["", "-d"] {
        let target = script().expect("ping").send("pong").expect_eof().serve();
        let out = connect(format!("{debug} {}", target.args())).input("ping").run();
        out.expect_code(0).expect_stderr_lacks("70 69 6e 67").expect_stderr_lacks("|");
        target.finish();
    }
}

#[test]
fn the_two_letters_may_be_combined_or_separate() {
    for debug in ["-dd", "-d -d", "-ddd", "-ddn"] {
        let target = script().expect("ping").expect_eof().serve();
        let out = connect(format!("{debug} {}", target.args())).input("ping").run();
        assert_eq!(rows(&out, ">>>").len(), 1, "{debug}: {out:?}");
        target.finish();
    }
}

#[test]
fn the_dump_contains_no_password() {
    let socks5 = socks5_userpass("bob", "hunter2").early("welcome").expect("ping").expect_eof().serve();
    let out = connect(format!("-dd -S bob:hunter2@{socks5} host 22")).input("ping").run();
    expect_no_password(&out);
    socks5.finish();

    let http = http_basic("bob", "hunter2").early("welcome").expect("ping").expect_eof().serve();
    let out = connect(format!("-dd -H bob:hunter2@{http} host 22")).input("ping").run();
    expect_no_password(&out);
    http.finish();
}

#[track_caller]
fn expect_no_password(out: &Outcome) {
    out.expect_code(0).expect_stdout("welcome");
    // The password as text, in hexadecimal, and in Base64 (for Basic).
    for secret in ["hunter2", "68 75 6e 74 65 72 32", "Ym9iOmh1bnRlcjI"] {
        out.expect_stderr_lacks(secret);
    }
    // Offsets count from the first byte that passes through the tunnel.
    let down = "00000000  77 65 6c 63 6f 6d 65                             |welcome|";
    assert_eq!(rows(out, "<<<"), [down], "{out:?}");
}

#[test]
fn the_dump_goes_to_stderr_only() {
    let target = script().expect("ping").send("pong").expect_eof().serve();
    let run = connect(format!("-dd {}", target.args())).stderr(Io::Null).input("ping");
    run.run().expect_code(0).expect_stdout("pong");
    target.finish();
}
