//! Splits the args into flags, their values and operands.
//!
//! As in the C program, single letters can be combined, and a letter that takes a value takes the
//! next arg, even in the middle of a cluster: `-dS host` and `-Sd host` mean the same, and
//! `-SR host both` gives each letter its own value. The next arg is the value even if it begins
//! with a dash. Options end at the first arg that is not an option.

use std::cell::Cell;
use std::ffi::OsString;
use std::iter::Peekable;
use std::vec::IntoIter;

use clap::error::{ContextKind, ContextValue};

use super::flags::{Definition, Flag, all, command};
use crate::error::Error;
use crate::secret;
use crate::text::printable;

/// Letters whose values are numbers: `-w5` means five seconds, although `-5` is also an option.
const NUMERIC: &str = "wpP";

/// Parses the args without the program's name, and returns the operands.
///
/// Calls `found` for each flag, with its value or an empty string. If `found` returns `false`,
/// parsing stops and no operands are returned.
pub(super) fn read(
    args: Vec<OsString>,
    mut found: impl FnMut(Flag, String) -> bool,
) -> Result<Vec<String>, Error> {
    let args: Result<Vec<_>, _> = args.into_iter().map(OsString::into_string).collect();
    let args = args.map_err(|arg| {
        let arg = arg.to_string_lossy();
        Error::Config(format!("invalid argument '{}': not UTF-8", printable(secret::masked(&arg).as_bytes())))
    })?;
    let mut args = args.into_iter().peekable();
    let copies_to_server = Cell::new(false);
    let mut found = |flag, value| {
        copies_to_server.set(copies_to_server.get() || flag == Flag::Put);
        found(flag, value)
    };
    // With --put, a lone `-` is standard input.
    let is_option = |arg: &String| arg.starts_with('-') && !(arg == "-" && copies_to_server.get());
    while let Some(arg) = args.next_if(is_option) {
        let go_on = match arg.strip_prefix("--") {
            Some("") => break,
            Some(long) => read_long(long, &arg, &mut args, &mut found)?,
            // Any other lone `-` is an empty cluster and has no effect.
            None => read_cluster(&arg[1..], &mut args, &mut found)?,
        };
        if !go_on {
            return Ok(Vec::new());
        }
    }
    Ok(args.collect())
}

fn read_long(
    long: &str,
    arg: &str,
    args: &mut Peekable<IntoIter<String>>,
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
        Some(Some(_)) => attached.or_else(|| args.next()),
        Some(None) if attached.is_none() => Some(String::new()),
        Some(None) | None => None,
    };
    match (definition, value) {
        (Some(definition), Some(value)) => Ok(found(definition.flag, value)),
        _ => Err(usage_error(arg)),
    }
}

fn read_cluster(
    letters: &str,
    args: &mut Peekable<IntoIter<String>>,
    found: &mut impl FnMut(Flag, String) -> bool,
) -> Result<bool, Error> {
    for (index, letter) in letters.char_indices() {
        let error = || usage_error(&format!("-{letter}"));
        let definition = by_letter(letter).ok_or_else(error)?;
        if definition.value.is_none() {
            if !found(definition.flag, String::new()) {
                return Ok(false);
            }
            continue;
        }
        let rest = &letters[index + letter.len_utf8()..];
        if is_attached_value(letter, rest, args.peek()) {
            return Ok(found(definition.flag, rest.to_owned()));
        }
        if !found(definition.flag, args.next().ok_or_else(error)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns `true` if `rest`, the rest of a cluster, is the value of `letter` (`-Shost`) rather than
/// more letters (`-Sd host`).
fn is_attached_value(letter: char, rest: &str, next: Option<&String>) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let next_is_number = next.is_some_and(|next| is_number(next));
    let all_letters = rest.chars().all(|letter| by_letter(letter).is_some());
    !all_letters || (NUMERIC.contains(letter) && is_number(rest) && !next_is_number)
}

fn by_letter(letter: char) -> Option<&'static Definition> {
    all().find(|definition| definition.letter == Some(letter))
}

/// Explains what is wrong with an option, and suggests a similar one if it is unknown.
fn usage_error(arg: &str) -> Error {
    let name = arg.split('=').next().unwrap_or(arg);
    let shown = secret::masked_option(arg);
    let has_name = |definition: &&Definition| match name.strip_prefix("--") {
        Some(long) => definition.long == Some(long),
        None => definition.letter.is_some_and(|letter| name[1..].starts_with(letter)),
    };
    match all().find(has_name).map(|definition| definition.value) {
        Some(Some(value)) => Error::Usage(format!("missing value for option '{name} {value}'")),
        Some(None) => Error::Usage(format!("option '{name}' takes no value")),
        None => match suggestion(arg) {
            // The suggestion is the advice, so the message need not refer to the help.
            Some(similar) => Error::Config(format!("unknown option '{shown}'; did you mean '{similar}'?")),
            None => Error::Usage(format!("unknown option '{shown}'")),
        },
    }
}

/// Asks clap for a known option that resembles `arg`; `None` if there is none.
fn suggestion(arg: &str) -> Option<String> {
    let error = command().try_get_matches_from(["connect", arg]).err()?;
    match error.get(ContextKind::SuggestedArg)? {
        ContextValue::String(option) => Some(option.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test panics")]

    use super::*;

    /// Returns each parsed flag and each value as a separate word, then `--` and the operands.
    fn normalized(line: &str) -> String {
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
    fn clusters_are_parsed_as_by_the_c_program() {
        for (line, expected) in [
            ("host 22", "-- host 22"),
            ("-dS h:1 host 22", "-d -S h:1 -- host 22"),
            ("-Sd h:1 host 22", "-S h:1 -d -- host 22"),
            ("-SR h:1 both host 22", "-S h:1 -R both -- host 22"),
            ("-dSRwa h:1 both 3 none host 22", "-d -S h:1 -R both -w 3 -a none -- host 22"),
            ("-S -n host 22", "-S -n -- host 22"),
            ("-S5 h:1 host 22", "-S h:1 -5 -- host 22"),
            ("-w5 3 host 22", "-w 3 -5 -- host 22"),
            ("-d - host 22", "-d -- host 22"),
            ("--put - name", "--put -- - name"),
            ("host 22 -d", "-- host 22 -d"),
        ] {
            assert_eq!(normalized(line), expected, "{line}");
        }
    }

    #[test]
    fn attached_values_and_long_options_are_parsed_too() {
        for (line, expected) in [
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
            assert_eq!(normalized(line), expected, "{line}");
        }
    }

    #[test]
    fn an_invalid_option_is_explained() {
        for (line, expected) in [
            ("-X host", "unknown option '-X'"),
            ("-S", "missing value for option '-S PROXY'"),
            ("--listen", "missing value for option '--listen ADDR:PORT|unix:PATH|URL'"),
            ("--eagr host", "unknown option '--eagr'; did you mean '--eager'?"),
            ("--eager=yes host", "option '--eager' takes no value"),
        ] {
            assert_eq!(normalized(line), format!("error: {expected}"), "{line}");
        }
    }

    /// clap can suggest only the flags that it knows.
    #[test]
    fn clap_accepts_each_flag() {
        for definition in all() {
            let value = definition.value.map(|_| "value");
            let letter = definition.letter.map(|letter| format!("-{letter}"));
            for name in letter.into_iter().chain(definition.long.map(|long| format!("--{long}"))) {
                let name = if definition.optional { format!("{name}=value") } else { name };
                let args = ["connect", &name].into_iter().chain(value.filter(|_| !definition.optional));
                assert!(command().try_get_matches_from(args).is_ok(), "{name}");
            }
        }
    }
}
