//! Makes untrusted text safe to print on a terminal, and our symbols readable on any.

use std::ffi::OsString;
use std::fmt;

pub mod date;

/// Maximum number of characters that [`printable`] shows before it truncates.
const MAX_SHOWN: usize = 160;

/// Returns bytes from a peer, a file or the user as one printable line.
///
/// Escapes control characters and invisible characters that reorder or hide text, shows bytes that
/// are not UTF-8 as `\xNN`, trims blanks, and truncates after 160 characters (`…`).
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    let mut line = String::new();
    let mut left = MAX_SHOWN;
    for chunk in bytes.trim_ascii().utf8_chunks() {
        let valid = chunk.valid().chars().map(escape_char);
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

/// Returns the longest prefix that has at most `max` bytes and ends between two characters.
#[must_use]
pub fn prefix(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or_default()]
}

/// Text in UTF-16, as some programs on Windows write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("UTF-16 text, expected UTF-8")]
pub struct Utf16Error;

/// The byte order mark that editors on Windows put at the start of a UTF-8 file.
pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

/// Returns the length of the UTF-8 byte order mark at the start of a text, or 0 if there is none.
///
/// # Errors
/// The text begins with a byte order mark of UTF-16.
pub fn bom_length(text: &[u8]) -> Result<usize, Utf16Error> {
    match text {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Err(Utf16Error),
        _ if text.starts_with(BOM) => Ok(BOM.len()),
        _ => Ok(0),
    }
}

/// Escapes control and invisible characters, and changes nothing else.
#[must_use]
pub fn escaped(text: &str) -> String {
    text.chars().map(escape_char).collect()
}

/// Returns `true` if the locale's character set is UTF-8. As in POSIX, the first of `LC_ALL`,
/// `LC_CTYPE` and `LANG` that is set and not empty names the locale; without one, returns
/// `default`.
#[must_use]
pub fn is_utf8_locale(variable: impl Fn(&str) -> Option<OsString>, default: bool) -> bool {
    let locale =
        ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable).find(|name| !name.is_empty());
    locale.map_or(default, |name| {
        let name = name.to_string_lossy().to_ascii_lowercase();
        name.contains("utf-8") || name.contains("utf8")
    })
}

/// Replaces the symbols that this program prints with ASCII, for a terminal without Unicode. Keeps
/// other characters, because they come from the user or a peer.
#[must_use]
pub fn to_ascii(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '✓' => plain.push('+'),
            '–' => plain.push('-'),
            '✗' => plain.push('x'),
            '→' => plain.push_str("->"),
            '…' => plain.push_str("..."),
            c => plain.push(c),
        }
    }
    plain
}

/// Joins the first `max` items with commas, and counts the others: `a, b, 2 more`.
#[must_use]
pub fn listed<T: fmt::Display>(items: &[T], max: usize) -> String {
    let mut shown: Vec<_> = items.iter().take(max).map(ToString::to_string).collect();
    if items.len() > max {
        shown.push(format!("{} more", items.len() - max));
    }
    shown.join(", ")
}

/// Expands the `%` placeholders of a shell command; `%%` is a percent sign.
///
/// # Errors
/// The placeholder is unknown, or its value contains characters that are special to the shell.
pub fn fill_in(command: &str, values: &[(char, &str)]) -> Result<String, String> {
    let mut filled = String::with_capacity(command.len());
    let mut rest = command;
    while let Some((before, after)) = rest.split_once('%') {
        filled.push_str(before);
        let letter = after.chars().next();
        match values.iter().find(|(known, _)| Some(*known) == letter) {
            Some((letter, value)) if !is_plain(value) => {
                return Err(format!(
                    "%{letter} is '{}', which contains characters special to the shell",
                    printable(value.as_bytes())
                ));
            }
            Some((_, value)) => filled.push_str(value),
            None if letter == Some('%') => filled.push('%'),
            None => {
                let known: Vec<_> = values.iter().map(|(letter, _)| format!("%{letter}")).collect();
                let letter = letter.map(escape_char).unwrap_or_default();
                return Err(format!("unknown placeholder %{letter}; use {} or %%", known.join(", ")));
            }
        }
        rest = &after[letter.map_or(0, char::len_utf8)..];
    }
    Ok(filled + rest)
}

/// Returns `true` if a word needs no quoting in any shell and does not look like an option.
fn is_plain(word: &str) -> bool {
    !word.starts_with('-') && word.chars().all(|c| c.is_alphanumeric() || "._:@+,-".contains(c))
}

fn escape_char(c: char) -> String {
    match c {
        '\n' => "\\n".into(),
        '\r' => "\\r".into(),
        '\t' => "\\t".into(),
        c if c.is_ascii_control() => format!("\\x{:02x}", u32::from(c)),
        c if c.is_control() || reorders_or_hides(c) => format!("\\u{{{:x}}}", u32::from(c)),
        c => c.into(),
    }
}

/// Returns `true` for line separators, bidirectional controls, zero-width and tag characters.
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
    use std::ffi::OsString;

    use super::{fill_in, is_utf8_locale, printable};

    #[test]
    fn the_first_locale_variable_that_is_set_names_the_character_set() {
        for (variables, expected) in [
            (&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")][..], false),
            (&[("LC_ALL", ""), ("LC_CTYPE", "de_DE.utf8"), ("LANG", "C")], true),
            (&[("LANG", "ru_RU.KOI8-R")], false),
            (&[("LANG", "C.UTF-8")], true),
            // macOS
            (&[("LC_CTYPE", "UTF-8")], true),
        ] {
            let variable = |name: &str| {
                let known = variables.iter().find(|(known, _)| *known == name);
                known.map(|(_, value)| OsString::from(*value))
            };
            assert_eq!(is_utf8_locale(variable, !expected), expected, "{variables:?}");
        }
        assert!(is_utf8_locale(|_| None, true) && !is_utf8_locale(|_| None, false));
    }

    #[test]
    fn control_sequences_are_escaped() {
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
    fn placeholders_expand_to_plain_words_only() {
        for (command, host, expected) in [
            ("ping %h", "a.example", Ok("ping a.example")),
            ("%h%%%p%h", "h", Ok("h%22h")),
            ("ping6 %h", "fe80::1", Ok("ping6 fe80::1")),
            ("echo bücher", "x;y", Ok("echo bücher")),
            ("ping %h", "bücher.example", Ok("ping bücher.example")),
            ("ping %h", "$(id)", Err("%h is '$(id)', which contains characters special to the shell")),
            ("ping %h", "-f", Err("%h is '-f', which contains characters special to the shell")),
            ("ping %h", "a b", Err("%h is 'a b', which contains characters special to the shell")),
            ("date +%s", "h", Err("unknown placeholder %s; use %h, %p or %%")),
            ("100%", "h", Err("unknown placeholder %; use %h, %p or %%")),
        ] {
            let filled = fill_in(command, &[('h', host), ('p', "22")]);
            assert_eq!(filled.as_deref().map_err(String::as_str), expected, "{command} {host}");
        }
        for c in " \t\n$`\"'\\;&|<>()[]{}*?!#~^=%/".chars() {
            assert!(fill_in("%h", &[('h', &format!("a{c}b"))]).is_err(), "{c:?}");
        }
    }

    #[test]
    fn long_text_is_truncated() {
        assert_eq!(printable(&[b'x'; 160]), "x".repeat(160));
        assert_eq!(printable(&[b'x'; 161]), format!("{}…", "x".repeat(160)));
    }

    #[test]
    fn long_text_that_is_not_utf_8_is_truncated_too() {
        assert!(printable(&vec![0xff; 100_000]).len() < 1000);
    }
}
