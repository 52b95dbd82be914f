//! Words to flags, their values and operands.
//!
//! This is the C program's way with words: single letters cluster, and a letter with a value takes the next word even
//! from inside a cluster: `-dS host` and `-Sd host` are the same, `-SR host both` gives each its own. Any next word is
//! the value, whatever it begins with. Options end at the first word that is not one.

use std::ffi::OsString;
use std::iter::Peekable;
use std::vec::IntoIter;

use clap::error::{ContextKind, ContextValue};

use super::flags::{Definition, Flag, all, command};
use crate::error::Error;
use crate::secret;

/// Letters whose values are numbers: `-w5` can only mean five seconds, although `-5` is an option as well.
const NUMERIC: &str = "wpP";

/// Reads words, flags first: each is told to `found` with its value, or with an empty one, as it is come upon. It may
/// end the reading by saying no. Returns the words that are no flags.
pub(super) fn read(
    words: Vec<OsString>,
    mut found: impl FnMut(Flag, String) -> bool,
) -> Result<Vec<String>, Error> {
    let words: Result<Vec<_>, _> = words.into_iter().map(OsString::into_string).collect();
    let words = words.map_err(|word| {
        // Lossy as it is shown anyway, and not with a password in it.
        let word = word.to_string_lossy();
        Error::Config(format!("'{}' is not UTF-8", crate::text::printable(secret::masked(&word).as_bytes())))
    })?;
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next_if(|word| word.starts_with('-')) {
        let go_on = match word.strip_prefix("--") {
            Some("") => break,
            Some(long) => read_long(long, &word, &mut words, &mut found)?,
            // A lone `-` is a cluster without letters, and means nothing.
            None => read_cluster(&word[1..], &mut words, &mut found)?,
        };
        if !go_on {
            return Ok(Vec::new());
        }
    }
    Ok(words.collect())
}

fn read_long(
    long: &str,
    word: &str,
    words: &mut Peekable<IntoIter<String>>,
    found: &mut impl FnMut(Flag, String) -> bool,
) -> Result<bool, Error> {
    let (name, attached) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (long, None),
    };
    let definition = all().find(|definition| definition.long == Some(name));
    let value = match definition.map(|definition| definition.value) {
        Some(Some(_)) if definition.is_some_and(|definition| definition.optional) => {
            attached.or(Some(String::new()))
        }
        Some(Some(_)) => attached.or_else(|| words.next()),
        Some(None) if attached.is_none() => Some(String::new()),
        Some(None) | None => None,
    };
    match (definition, value) {
        (Some(definition), Some(value)) => Ok(found(definition.flag, value)),
        _ => Err(complaint(word)),
    }
}

fn read_cluster(
    letters: &str,
    words: &mut Peekable<IntoIter<String>>,
    found: &mut impl FnMut(Flag, String) -> bool,
) -> Result<bool, Error> {
    for (index, letter) in letters.char_indices() {
        let complaint = || complaint(&format!("-{letter}"));
        let definition = by_letter(letter).ok_or_else(complaint)?;
        if definition.value.is_none() {
            if !found(definition.flag, String::new()) {
                return Ok(false);
            }
            continue;
        }
        let rest = &letters[index + letter.len_utf8()..];
        if is_attached_value(letter, rest, words.peek()) {
            return Ok(found(definition.flag, rest.to_owned()));
        }
        if !found(definition.flag, words.next().ok_or_else(complaint)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether what follows a letter in its cluster is its value (`-Shost`) and not more letters (`-Sd host`).
fn is_attached_value(letter: char, rest: &str, next: Option<&String>) -> bool {
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let next_is_number = next.is_some_and(|next| is_number(next));
    let all_letters = rest.chars().all(|letter| by_letter(letter).is_some());
    !all_letters || (NUMERIC.contains(letter) && is_number(rest) && !next_is_number)
}

fn by_letter(letter: char) -> Option<&'static Definition> {
    all().find(|definition| definition.letter == Some(letter))
}

/// What is wrong with a word. What may be meant by one that is no option, clap knows.
fn complaint(word: &str) -> Error {
    let name = word.split('=').next().unwrap_or(word);
    let is_named = |definition: &&Definition| match name.strip_prefix("--") {
        Some(long) => definition.long == Some(long),
        None => definition.letter.is_some_and(|letter| name[1..].starts_with(letter)),
    };
    Error::Usage(match all().find(is_named).map(|definition| definition.value) {
        Some(Some(value)) => format!("{name} needs a value: {value}"),
        Some(None) => format!("{name} takes no value"),
        None => match similar(word) {
            Some(similar) => format!("there is no option {name}, but there is {similar}"),
            None => format!("there is no option {name}"),
        },
    })
}

fn similar(word: &str) -> Option<String> {
    let error = command().try_get_matches_from(["connect", word]).err()?;
    match error.get(ContextKind::SuggestedArg)? {
        ContextValue::String(option) => Some(option.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "that is how a test fails")]

    use super::*;

    /// What was read, one flag after another, and then the operands.
    fn read_back(line: &str) -> String {
        let mut back = Vec::new();
        let operands = read(line.split(' ').map(OsString::from).collect(), |flag, value| {
            let definition = all().find(|definition| definition.flag == flag).unwrap();
            back.push(match definition.letter {
                Some(letter) => format!("-{letter}"),
                None => format!("--{}", definition.long.unwrap()),
            });
            back.extend(definition.value.map(|_| value));
            flag != Flag::Help
        });
        back.push("--".into());
        match operands {
            Ok(operands) => [back, operands].concat().join(" "),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn clusters_are_read_as_the_c_program_reads_them() {
        for (typed, expected) in [
            ("host 22", "-- host 22"),
            ("-dS h:1 host 22", "-d -S h:1 -- host 22"),
            ("-Sd h:1 host 22", "-S h:1 -d -- host 22"),
            ("-SR h:1 both host 22", "-S h:1 -R both -- host 22"),
            ("-dSRwa h:1 both 3 none host 22", "-d -S h:1 -R both -w 3 -a none -- host 22"),
            ("-S -n host 22", "-S -n -- host 22"),
            ("-S5 h:1 host 22", "-S h:1 -5 -- host 22"),
            ("-w5 3 host 22", "-w 3 -5 -- host 22"),
            ("-d - host 22", "-d -- host 22"),
            ("host 22 -d", "-- host 22 -d"),
        ] {
            assert_eq!(read_back(typed), expected, "{typed}");
        }
    }

    #[test]
    fn attached_values_and_long_options_work_beside_them() {
        for (typed, expected) in [
            ("-Ssocks.example host 22", "-S socks.example -- host 22"),
            ("-S10.0.0.1:1080 host 22", "-S 10.0.0.1:1080 -- host 22"),
            ("-dShost host 22", "-d -S host -- host 22"),
            ("-w5 host 22", "-w 5 -- host 22"),
            ("-w10 host 22", "-w 10 -- host 22"),
            ("--listen 80 --listen=81 host 22", "--listen 80 --listen 81 -- host 22"),
            ("--listen= host 22", "--listen  -- host 22"),
            ("--fdpass host 22", "-F -- host 22"),
            ("--help -X", "--help  --"),
            ("--help=all -X", "--help all --"),
            ("-- -odd 22", "-- -odd 22"),
            ("-d -- host 22", "-d -- host 22"),
        ] {
            assert_eq!(read_back(typed), expected, "{typed}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_told_with_what_may_be_meant() {
        for (typed, expected) in [
            ("-X host", "there is no option -X"),
            ("-S", "-S needs a value: PROXY"),
            ("--listen", "--listen needs a value: ADDR:PORT|unix:PATH"),
            ("--eagr host", "there is no option --eagr, but there is --eager"),
            ("--eager=yes host", "--eager takes no value"),
        ] {
            assert_eq!(read_back(typed), format!("error: {expected}"), "{typed}");
        }
    }

    /// The two read the same words in the same way, where they know the same.
    #[test]
    fn each_flag_is_known_to_clap() {
        for definition in all() {
            let value = definition.value.map(|_| "value");
            let letter = definition.letter.map(|letter| format!("-{letter}"));
            for name in letter.into_iter().chain(definition.long.map(|long| format!("--{long}"))) {
                let name = if definition.optional { format!("{name}=value") } else { name };
                let words = ["connect", &name].into_iter().chain(value.filter(|_| !definition.optional));
                assert!(command().try_get_matches_from(words).is_ok(), "{name}");
            }
        }
    }
}
