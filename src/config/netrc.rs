//! Parses `~/.netrc`, which holds user names and passwords, following curl's rules.
//!
//! The file is a sequence of words, separated by blanks and newlines: `machine NAME`, or `default`
//! for any machine, then `login`, `password` and `account`, each followed by a value. A word in
//! double quotes may contain blanks and the escapes `\"`, `\\`, `\n`, `\r` and `\t`. A word that
//! begins with `#` starts a comment. A macro (`macdef`) extends to the next blank line and is
//! skipped.

use zeroize::Zeroizing;

use crate::addr::to_ascii;
use crate::secret::{Secret, UserName};

/// The login for one machine.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) login: Option<UserName>,
    pub(super) password: Option<Secret>,
}

type Word = Zeroizing<Vec<u8>>;

/// Finds the first entry for the machine `host` that has the login `user`, if one is given.
///
/// Also returns the number of the line with an unclosed quote, if there is one. Everything from
/// that quote on is ignored.
pub(super) fn find(content: &[u8], host: &str, user: Option<&UserName>) -> (Option<Entry>, Option<usize>) {
    let (words, invalid_line) = words(content);
    let mut words = words.into_iter();
    // The entry being parsed, if it is for this machine.
    let mut entry = None;
    let is_for_user = |entry: &Entry| user.is_none() || entry.login.as_ref() == user;
    while let Some(word) = words.next() {
        let keyword = word.as_slice();
        if matches!(keyword, b"machine" | b"default") {
            if let Some(entry) = entry.take_if(|entry| is_for_user(entry)) {
                return (Some(entry), invalid_line);
            }
            let is_for_host =
                keyword == b"default" || words.next().is_some_and(|name| is_same_host(&name, host));
            entry = is_for_host.then(Entry::default);
        } else if matches!(keyword, b"login" | b"password" | b"account") {
            let (Some(value), Some(entry)) = (words.next(), &mut entry) else { continue };
            match keyword {
                b"login" => entry.login = Some(UserName::new(value.to_vec())),
                b"password" => entry.password = Some(Secret::new(value.to_vec())),
                _ => {}
            }
        }
    }
    (entry.filter(is_for_user), invalid_line)
}

/// Returns `true` if the name of a machine is `host`, which is in ASCII.
fn is_same_host(name: &[u8], host: &str) -> bool {
    let ascii = str::from_utf8(name).ok().and_then(to_ascii);
    ascii.is_some_and(|name| name.eq_ignore_ascii_case(host))
}

/// Splits a file into words, skipping macros. Stops at an unclosed quote and returns its line
/// number.
fn words(content: &[u8]) -> (Vec<Word>, Option<usize>) {
    let (mut words, mut in_macro) = (Vec::new(), false);
    for (index, line) in content.split(|&byte| byte == b'\n').enumerate() {
        if in_macro {
            in_macro = !line.trim_ascii().is_empty();
            continue;
        }
        let mut rest = line.trim_ascii_start();
        while rest.first().is_some_and(|first| *first != b'#') {
            let Some((word, after)) = split_word(rest) else { return (words, Some(index + 1)) };
            if word.as_slice() == b"macdef" && !expects_value(&words) {
                in_macro = true;
                break;
            }
            words.push(word);
            rest = after.trim_ascii_start();
        }
    }
    (words, None)
}

/// Returns `true` if the next word is a value, even if it looks like a keyword.
fn expects_value(words: &[Word]) -> bool {
    let is_keyword =
        |word: &Word| matches!(word.as_slice(), b"machine" | b"login" | b"password" | b"account");
    // The second word of `password password` is a value, so a keyword follows.
    words.iter().rev().take_while(|word| is_keyword(word)).count() % 2 == 1
}

/// Splits off the first word. Returns `None` if the word has an unclosed quote.
fn split_word(line: &[u8]) -> Option<(Word, &[u8])> {
    // Reserve the maximum: reallocating would leave a copy of a password in freed memory.
    let mut word = Zeroizing::new(Vec::with_capacity(line.len()));
    let [b'"', quoted @ ..] = line else {
        let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
        word.extend_from_slice(&line[..end]);
        return Some((word, &line[end..]));
    };
    let mut bytes = quoted.iter().enumerate();
    while let Some((index, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((word, &quoted[index + 1..])),
            b'\\' => word.push(match bytes.next()?.1 {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                other => *other,
            }),
            other => word.push(*other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn expect(content: &str, user: Option<&str>, expected: Option<(Option<&str>, Option<&str>)>) {
        let expected = expected.map(|(login, password)| Entry {
            login: login.map(UserName::from),
            password: password.map(Secret::from),
        });
        let (found, invalid_line) =
            find(content.as_bytes(), "proxy.example", user.map(UserName::from).as_ref());
        let password = found.as_ref().and_then(|entry| entry.password.as_ref().map(Secret::expose));
        assert!(found == expected, "{content}: {found:?} {password:?}");
        assert_eq!(invalid_line, None, "{content}");
    }

    #[test]
    fn an_entry_is_for_one_machine_or_for_any() {
        let bob = Some((Some("bob"), Some("pw")));
        for (content, expected) in [
            ("machine proxy.example login bob password pw", bob),
            ("machine proxy.example\n\tlogin bob\n\tpassword\npw\n", bob),
            ("machine PROXY.example login bob password pw", bob),
            ("machine proxy.example password pw login bob account x", bob),
            ("machine other login a password b machine proxy.example login bob password pw", bob),
            ("machine other login a password b\r\ndefault login bob password pw\r\n", bob),
            ("machine proxy.example login bob password pw default login x password y", bob),
            ("machine proxy.example login bob password pw machine proxy.example login x password y", bob),
            ("# machine proxy.example\nmachine proxy.example # us\nlogin bob password pw # x", bob),
            ("machine proxy.example account password login bob password pw", bob),
            (
                "macdef init\nmachine proxy.example login x password y\n\nmachine proxy.example login bob password pw",
                bob,
            ),
            ("machine proxy.example login bob password pw\nmacdef init\nlogin x\n\n", bob),
            ("machine proxy.example login bob", Some((Some("bob"), None))),
            ("machine proxy.example password pw", Some((None, Some("pw")))),
            ("machine proxy.example password", Some((None, None))),
            ("machine other.proxy.example login bob password pw", None),
            ("machine", None),
            ("login bob password pw", None),
            ("", None),
        ] {
            expect(content, None, expected);
        }
    }

    #[test]
    fn with_a_user_only_entries_of_this_user_match() {
        let content = "machine proxy.example login alice password a\nmachine proxy.example password b login bob\n\
                       machine proxy.example password c\ndefault login carol password d";
        for (user, password) in
            [("alice", Some("a")), ("bob", Some("b")), ("carol", Some("d")), ("dave", None)]
        {
            expect(content, Some(user), password.map(|password| (Some(user), Some(password))));
        }
    }

    #[test]
    fn values_may_be_quoted() {
        for (word, password) in [
            ("\"two words\"", "two words"),
            ("\"#1\"", "#1"),
            ("\"a\\\"b\\\\c\\n\\r\\t\\x\"", "a\"b\\c\n\r\tx"),
            ("\"\"", ""),
            ("a\"b", "a\"b"),
            ("a#b", "a#b"),
            ("a\\nb", "a\\nb"),
            ("machine", "machine"),
            ("macdef", "macdef"),
            ("default", "default"),
            ("pässword", "pässword"),
        ] {
            let content = format!("machine proxy.example password {word} login bob");
            expect(&content, Some("bob"), Some((Some("bob"), Some(password))));
        }
    }

    /// The names of proxies are converted to ASCII.
    #[test]
    fn the_name_of_a_machine_may_be_international() {
        for name in ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example", "XN--BCHER-kva.example"] {
            let content = format!("machine \u{fc} password x machine {name} password pw");
            let (found, _) = find(content.as_bytes(), "xn--bcher-kva.example", None);
            assert_eq!(found.and_then(|entry| entry.password), Some(Secret::from("pw")), "{name}");
        }
        assert_eq!(find(b"machine b\xfccher.example password x", "xn--bcher-kva.example", None).0, None);
    }

    #[test]
    fn everything_after_an_unclosed_quote_is_ignored() {
        let content =
            b"machine proxy.example login bob password pw\nmachine x password \"pw\ndefault login x";
        let (found, invalid_line) = find(content, "proxy.example", None);
        assert!(found.is_some_and(|entry| entry.login == Some("bob".into())));
        assert_eq!(invalid_line, Some(2));
        assert_eq!(find(content, "other", None), (None, Some(2)));
        assert_eq!(find(b"\n\"\\", "other", None).1, Some(2));
    }

    #[test]
    fn a_password_may_contain_any_bytes() {
        let (found, _) = find(b"default password \xff\xfe", "h", None);
        assert_eq!(found.and_then(|entry| entry.password), Some(Secret::new(vec![0xff, 0xfe])));
    }
}
