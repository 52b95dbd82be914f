#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "that is how a test fails")]

use super::*;
use crate::ssh::sftp::Direction;

mod commands;
mod copies;

fn entry(name: &str, size: u64) -> Entry {
    Entry { name: name.into(), mode: 0o644, size }
}

#[test]
fn records_are_decoded_as_they_were_encoded() {
    let times = Times { access: 5_000_000_000, modification: 1 };
    for (record, line) in [
        (Record::File(entry("a b", 5 << 30)), "C0644 5368709120 a b"),
        (Record::Directory(Entry { mode: 0o2755, ..entry("d", 0) }), "D2755 0 d"),
        (Record::End, "E"),
        (Record::Times(times), "T1 0 5000000000 0"),
    ] {
        assert_eq!(record.encode(), Ok(format!("{line}\n").into_bytes()));
        assert_eq!(Record::parse(line.as_bytes()), Ok(record));
    }
    for line in [
        "",
        "X",
        "C",
        "C0644",
        "C0644 1",
        "C644 1 a",
        "C0648 1 a",
        "C0644 -1 a",
        "C0644 1x a",
        "C0644 +1 a",
        "C0644 9223372036854775808 a",
        "C0644 99999999999999999999 a",
        "C0644  1 a",
        "EE",
        "T1 0 2",
        "T1 0 2 0 ",
        "T1 0 2 -1",
        "D0755 0",
        "c0644 1 a",
    ] {
        assert_eq!(Record::parse(line.as_bytes()), Err(Error::Malformed(line.into())), "{line}");
    }
}

#[test]
fn names_stay_in_their_directory() {
    for name in ["", ".", "..", "a/b", "/a", "../a", "a\0"] {
        for line in [format!("C0644 1 {name}"), format!("D0755 0 {name}")] {
            assert_eq!(Record::parse(line.as_bytes()), Err(Error::Name(name.into())), "{line}");
        }
        assert_eq!(Record::File(entry(name, 1)).encode(), Err(InvalidName::Unsafe));
    }
    assert_eq!(Record::Directory(entry("a\nb", 0)).encode(), Err(InvalidName::Newline));
}

#[test]
fn causes_are_short() {
    for (line, expected) in [
        ("scp: /x/y: No such file or directory", "no such file"),
        ("scp: a: Permission denied\r", "permission denied"),
        ("scp: d: not a regular file", "not a regular file"),
        ("scp: odd \x1b[31m", "odd \\x1b[31m"),
    ] {
        assert_eq!(cause(line.as_bytes()), expected);
    }
    assert_eq!(Error::Fatal(b"scp: x: Permission denied".into()).to_string(), "permission denied");
}
