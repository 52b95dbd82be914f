//! Text from elsewhere, made fit for a terminal.

/// The most characters of a peer's text that are shown.
const MAX_SHOWN: usize = 160;

/// Makes bytes from a peer, a file or a user fit to stand in one line of a terminal.
///
/// Control characters and the invisible ones that reorder or hide text are escaped, bytes that are not UTF-8
/// are shown as `\xNN`, blanks at both ends are dropped, and what is over 160 characters is cut (`…`).
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    let mut line = String::new();
    let mut left = MAX_SHOWN;
    for chunk in bytes.trim_ascii().utf8_chunks() {
        let valid = chunk.valid().chars().map(shown);
        let invalid = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}"));
        for text in valid.chain(invalid) {
            if left == 0 {
                line.push('…');
                return line;
            }
            line.push_str(&text);
            left -= 1;
        }
    }
    line
}

/// Escapes what must not reach a terminal, and nothing else.
#[must_use]
pub fn escaped(text: &str) -> String {
    text.chars().map(shown).collect()
}

fn shown(c: char) -> String {
    match c {
        '\n' => "\\n".into(),
        '\r' => "\\r".into(),
        '\t' => "\\t".into(),
        c if c.is_ascii_control() => format!("\\x{:02x}", u32::from(c)),
        c if c.is_control() || reorders_or_hides(c) => format!("\\u{{{:x}}}", u32::from(c)),
        c => c.into(),
    }
}

/// Whether a character is a line separator, bidirectional controls, zero-width or a tag character.
pub(crate) fn reorders_or_hides(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn a_terminal_is_not_written_to() {
        for (bytes, expected) in [
            (&b"  Service down \r\n"[..], "Service down"),
            (b"\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
            (b"a\nb\rc\td\0", "a\\nb\\rc\\td\\x00"),
            (b"\xff\xfeok", "\\xff\\xfeok"),
            ("a\u{202e}b\u{9b}c".as_bytes(), "a\\u{202e}b\\u{9b}c"),
            ("Zugriff über Port 22".as_bytes(), "Zugriff über Port 22"),
        ] {
            assert_eq!(printable(bytes), expected);
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(printable(&[b'x'; 160]), "x".repeat(160));
        assert_eq!(printable(&[b'x'; 161]), format!("{}…", "x".repeat(160)));
    }

    #[test]
    fn a_long_text_of_broken_bytes_is_cut_too() {
        assert!(printable(&vec![0xff; 100_000]).len() < 1000);
    }
}
