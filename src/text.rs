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

/// Puts a value in the place of each `%` and letter of a command for the shell; `%%` is a percent sign.
///
/// # Errors
/// The letter is none of these, or its value is no plain word: the shell would take part of it for its own.
pub fn fill_in(command: &str, values: &[(char, &str)]) -> Result<String, String> {
    let mut filled = String::with_capacity(command.len());
    let mut rest = command;
    while let Some((before, after)) = rest.split_once('%') {
        filled.push_str(before);
        let letter = after.chars().next();
        match values.iter().find(|(known, _)| Some(*known) == letter) {
            Some((letter, value)) if !is_plain(value) => {
                return Err(format!(
                    "%{letter} is '{}', which the shell may misread",
                    printable(value.as_bytes())
                ));
            }
            Some((_, value)) => filled.push_str(value),
            None if letter == Some('%') => filled.push('%'),
            None => {
                let known: Vec<_> = values.iter().map(|(letter, _)| format!("%{letter}")).collect();
                let letter = letter.map(shown).unwrap_or_default();
                return Err(format!("%{letter} stands for nothing; {} and %% do", known.join(", ")));
            }
        }
        rest = &after[letter.map_or(0, char::len_utf8)..];
    }
    Ok(filled + rest)
}

/// Whether a word means itself to every shell, and is no option to the program that gets it.
fn is_plain(word: &str) -> bool {
    !word.starts_with('-') && word.chars().all(|c| c.is_alphanumeric() || "._:@+,-".contains(c))
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
    use super::{fill_in, printable};

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
    fn a_command_is_filled_in_with_plain_words_only() {
        for (command, host, expected) in [
            ("ping %h", "a.example", Ok("ping a.example")),
            ("%h%%%p%h", "h", Ok("h%22h")),
            ("ping6 %h", "fe80::1", Ok("ping6 fe80::1")),
            ("echo bücher", "x;y", Ok("echo bücher")),
            ("ping %h", "bücher.example", Ok("ping bücher.example")),
            ("ping %h", "$(id)", Err("%h is '$(id)', which the shell may misread")),
            ("ping %h", "-f", Err("%h is '-f', which the shell may misread")),
            ("ping %h", "a b", Err("%h is 'a b', which the shell may misread")),
            ("date +%s", "h", Err("%s stands for nothing; %h, %p and %% do")),
            ("100%", "h", Err("% stands for nothing; %h, %p and %% do")),
        ] {
            let filled = fill_in(command, &[('h', host), ('p', "22")]);
            assert_eq!(filled.as_deref().map_err(String::as_str), expected, "{command} {host}");
        }
        for c in " \t\n$`\"'\\;&|<>()[]{}*?!#~^=%/".chars() {
            assert!(fill_in("%h", &[('h', &format!("a{c}b"))]).is_err(), "{c:?}");
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
