//! The C program's way with words, turned into the one that clap knows.
//!
//! Single letters cluster, and a letter with a value takes the next word even from inside a cluster: `-dS host` and
//! `-Sd host` are the same, `-SR host both` gives each its own. Options end at the first word that is not one.

use std::ffi::{OsStr, OsString};

use clap::Command;

/// Letters whose values are numbers: `-w5` can only mean five seconds, although `-5` is an option as well.
const NUMERIC: &str = "wpP";

/// Takes clusters apart, one option a word, and marks the end of the options. The first word is the program's name.
pub(super) fn expand(command: &Command, words: Vec<OsString>) -> Vec<OsString> {
    let mut expanded = vec!["connect".into()];
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if let Some(long) = text.strip_prefix("--") {
            let takes_value = find(command, |arg| arg.get_long() == Some(long)).is_some_and(takes_value);
            expanded.push(word);
            if long_is_end(&expanded) {
                expanded.extend(words.by_ref());
            } else if takes_value {
                expanded.extend(words.next());
            }
        } else if let Some(letters) = text.strip_prefix('-') {
            cluster(command, letters, &mut words, &mut expanded);
        } else {
            expanded.push("--".into());
            expanded.push(word);
            expanded.extend(words.by_ref());
        }
    }
    expanded
}

fn long_is_end(expanded: &[OsString]) -> bool {
    expanded.last().is_some_and(|word| word == "--")
}

/// A lone `-` is a cluster without letters, and means nothing.
fn cluster(
    command: &Command,
    letters: &str,
    words: &mut std::iter::Peekable<std::vec::IntoIter<OsString>>,
    expanded: &mut Vec<OsString>,
) {
    for (index, letter) in letters.char_indices() {
        expanded.push(format!("-{letter}").into());
        if !by_letter(command, letter).is_some_and(takes_value) {
            continue;
        }
        let rest = &letters[index + letter.len_utf8()..];
        if is_attached_value(command, letter, rest, words.peek()) {
            expanded.push(rest.into());
            return;
        }
        expanded.extend(words.next());
    }
}

/// Whether what follows a letter in its cluster is its value (`-Shost`) and not more letters (`-Sd host`).
fn is_attached_value(command: &Command, letter: char, rest: &str, next: Option<&OsString>) -> bool {
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let next_is_number = next.map(OsString::as_os_str).and_then(OsStr::to_str).is_some_and(is_number);
    let all_letters = rest.chars().all(|letter| by_letter(command, letter).is_some());
    !all_letters || (NUMERIC.contains(letter) && is_number(rest) && !next_is_number)
}

fn by_letter(command: &Command, letter: char) -> Option<&clap::Arg> {
    find(command, |arg| arg.get_short() == Some(letter))
}

fn find(command: &Command, is_it: impl Fn(&clap::Arg) -> bool) -> Option<&clap::Arg> {
    command.get_arguments().find(|arg| is_it(arg))
}

fn takes_value(arg: &clap::Arg) -> bool {
    arg.get_action().takes_values()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(line: &str) -> String {
        let words = line.split(' ').map(OsString::from).collect();
        let words = expand(&super::super::flags::command(), words);
        let words: Vec<_> = words[1..].iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
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
            ("-S", "-S"),
        ] {
            assert_eq!(expanded(typed), expected, "{typed}");
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
            ("--help", "--help"),
            ("-- -odd 22", "-- -odd 22"),
            ("-d -- host 22", "-d -- host 22"),
        ] {
            assert_eq!(expanded(typed), expected, "{typed}");
        }
    }
}
