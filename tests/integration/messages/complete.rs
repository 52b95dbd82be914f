//! Whether every error of the program is in the table: its source is read for what it can say.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::met;

/// Texts that no run here can bring about, and why.
const NOT_MET: [(&str, &str); 8] = [
    ("check the network", "loopback is always there"),
    ("ports below 1024 need privileges", "the tests may be run by root, who has them"),
    ("a firewall or a permission on this machine forbids it", "there is no firewall on loopback"),
    ("is to be spoken to in TLS, and this build has none", "this is a build with TLS"),
    ("cannot connect to the proxy over TLS: this build has no TLS support", "this is a build with TLS"),
    (": this build has no DNS client; use local, remote or both", "this is a build with one"),
    (": the system has no name for this user", "it has one"),
    ("TLS cannot be set up:", "nothing that a user says brings it about"),
];

fn source(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
    let text = fs::read_to_string(&path).unwrap();
    text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned()
}

/// The variants of the enum `Error` in a file: those lines with a name four blanks in.
fn variants(file: &str) -> BTreeSet<String> {
    let text = source(file);
    let body = text.split("pub enum Error {").nth(1).unwrap().split("\n}").next().unwrap();
    let names = body.lines().filter_map(|line| line.strip_prefix("    "));
    let names = names.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    names.map(|line| line.chars().take_while(|c| c.is_alphanumeric()).collect()).collect()
}

#[test]
fn every_kind_of_error_is_in_the_table() {
    let mut kinds = variants("error/mod.rs");
    // Nobody is told, and a kind of negotiation says it all.
    assert!(kinds.remove("ReaderGone") && kinds.remove("Negotiation"), "{kinds:?}");
    let mut causes = variants("proto/error.rs");
    assert!(causes.remove("NoRandomness"), "{causes:?}");
    kinds.append(&mut causes);
    assert!(kinds.len() > 25, "the search has gone blind: {kinds:?}");
    let mut met: BTreeSet<_> = met().iter().map(|(row, _)| row.kind.to_owned()).collect();
    met.remove("Warning");
    let missing: Vec<_> = kinds.difference(&met).collect();
    assert!(missing.is_empty(), "no message in tests/integration/messages for {missing:?}");
    let gone: Vec<_> = met.difference(&kinds).collect();
    assert!(gone.is_empty(), "there is no error {gone:?} any more");
}

/// What stands between the parenthesis at the start of a text and the one that closes it, but for those in strings.
fn within_parentheses(text: &str) -> &str {
    let (mut depth, mut in_string, mut escaped) = (0, false, false);
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            '(' | '{' if !in_string => depth += 1,
            ')' | '}' if !in_string => {
                depth -= 1;
                if depth == 0 {
                    return &text[..index];
                }
            }
            _ => {}
        }
    }
    text
}

/// The longest piece without a value in it of each string in a text.
fn pieces(code: &str) -> Vec<String> {
    let code: String =
        code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut pieces = Vec::new();
    let mut rest = code.as_str();
    while let Some((_, after)) = rest.split_once('"') {
        let mut end = 0;
        while let Some(found) = after[end..].find(['"', '\\']) {
            end += found;
            if after[end..].starts_with('"') {
                break;
            }
            end += 2;
        }
        let text = &after[..end];
        rest = &after[end + 1..];
        // A backslash at the end of a line takes the blanks of the next one away.
        let mut joined = String::new();
        for line in text.split("\\\n") {
            joined += if joined.is_empty() { line } else { line.trim_start() };
        }
        let fixed = joined.split(['{', '}']).step_by(2).max_by_key(|piece| piece.len());
        pieces.extend(fixed.map(|piece| piece.trim().to_owned()).filter(|piece| piece.len() >= 12));
    }
    pieces
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let all = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    all.filter(|path| !path.ends_with("tests.rs")).collect()
}

/// Each piece stands in a message, or there is a reason that it cannot.
#[track_caller]
fn expect_met(pieces: &BTreeSet<String>, at_least: usize) {
    assert!(pieces.len() >= at_least, "the search has gone blind: {pieces:?}");
    let is_met = |piece: &str| met().iter().any(|(_, line)| line.contains(piece));
    let excused = |piece: &str| NOT_MET.iter().any(|(text, _)| *text == piece);
    let missing: Vec<_> = pieces.iter().filter(|piece| !is_met(piece) && !excused(piece)).collect();
    assert!(missing.is_empty(), "no message in the table says {missing:#?}");
    let met_now: Vec<_> = pieces.iter().filter(|piece| is_met(piece) && excused(piece)).collect();
    assert!(met_now.is_empty(), "strike it from what is not met: {met_now:?}");
}

#[test]
fn every_hint_is_in_the_table() {
    let mut hints = BTreeSet::new();
    for (file, function) in [
        ("error/mod.rs", "pub fn hint(&self)"),
        ("error/mod.rs", "fn dial_hint("),
        ("proto/error.rs", "pub fn hint(&self)"),
        ("proto/error.rs", "const TRY_TLS: &str ="),
        ("proto/socks5.rs", "pub(super) fn reply("),
        ("proto/socks4.rs", "pub(super) fn reply("),
    ] {
        let text = source(file);
        let body = text.split(function).nth(1).unwrap_or_else(|| panic!("{file} has no {function}"));
        let body = &body
            [..body.find("\n    }\n").unwrap_or(body.len()).min(body.find("\n}\n").unwrap_or(body.len()))];
        hints.extend(pieces(body.split("fn said(").next().unwrap()));
    }
    expect_met(&hints, 40);
}

#[test]
fn every_way_of_wrong_usage_is_in_the_table() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut usages = BTreeSet::new();
    for path in files(&src) {
        let file = path.strip_prefix(&src).unwrap().display().to_string();
        let text = source(&file);
        // The helpers of `config` that make such errors are called so.
        for call in
            ["Error::Usage(", "Error::Config(", "Self::Config(", "invalid(", "conflict(", "in_option("]
        {
            for after in text.split(call).skip(1) {
                // The helpers have such names in other rooms as well, for other ends.
                if file.starts_with("config") || file.starts_with("cli") || call.contains("::") {
                    usages.extend(pieces(within_parentheses(&format!("({after}"))));
                }
            }
        }
    }
    expect_met(&usages, 50);
}

#[test]
fn only_a_malformed_command_line_refers_to_the_help() {
    for (row, line) in met() {
        let refers = line.contains("connect --help");
        assert_eq!(refers, row.kind == "Usage", "{}: {line}", row.situation);
    }
}
