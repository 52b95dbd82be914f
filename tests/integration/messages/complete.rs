//! Checks that the table of messages covers every error in the program, by searching the source
//! code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::messages;

/// Message texts that no row can trigger, each with the reason.
const UNREACHABLE: [(&str, &str); 25] = [
    ("check that the service on the target works and accepts your address", "only `--check` reports it"),
    ("check the network", "loopback is always reachable"),
    ("choose a port above 1023, or run connect as root", "the tests may run as root"),
    ("check the firewall and the permissions of this machine", "loopback has no firewall"),
    ("over TLS: this build has no TLS support", "this build has TLS"),
    ("cannot listen with TLS: this build has no TLS support", "this build has TLS"),
    ("cannot connect to the proxy over TLS: this build has no TLS support", "this build has TLS"),
    (": this build has no DNS client; use local, remote or both", "this build has a DNS client"),
    (": the system has no name for this user", "every user of the tests has a name"),
    ("cannot set up TLS:", "no setting causes it"),
    ("check the permissions of the socket and its directory", "the tests may run as root"),
    ("no proxy can reach", "`config` rejects such a chain"),
    ("--background is not supported on Windows", "this is not Windows"),
    ("--mint-signing-key:", "this build supports tokens"),
    (
        "' for --allow-origin; use a scheme and a host, such as https://www.example",
        "no listener serves browsers yet",
    ),
    (": this build has no SSH", "this build has SSH"),
    ("set the attributes of", "the tests may run as root"),
    ("use standard input and output", "the system has descriptors left"),
    ("no channels are accepted", "only the server receives it"),
    ("the file could not be written", "only the server receives it"),
    ("the file cannot be read", "only the server receives it"),
    ("the file has become shorter", "only the server receives it"),
    ("--tty yes is not supported on this system", "this is not Windows"),
    (": this build does not support end-to-end encryption", "this build supports it"),
    ("cannot check tokens (--token-keys): this build does not support tokens", "this build supports tokens"),
];

/// Returns the text of a source file without its tests.
fn source(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
    let text = fs::read_to_string(&path).unwrap();
    text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned()
}

/// Returns the names of the `Error` variants in a file. A variant's line is indented by four spaces
/// and starts with a capital letter.
fn variants(file: &str) -> BTreeSet<String> {
    let text = source(file);
    let body = text.split("pub enum Error {").nth(1).unwrap().split("\n}").next().unwrap();
    let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
    let names = lines.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    names.map(|line| line.chars().take_while(|c| c.is_alphanumeric()).collect()).collect()
}

#[test]
fn every_variant_of_an_error_is_in_the_table() {
    let mut variants_in_source = variants("error/mod.rs");
    // `ReaderGone` is never reported, and `Negotiation` wraps the variants of `proto::Error`.
    for name in ["ReaderGone", "Negotiation"] {
        assert!(variants_in_source.remove(name), "{variants_in_source:?}");
    }
    let mut causes = variants("proto/error.rs");
    // No row can make the system's random number generator fail.
    assert!(causes.remove("NoRandomness"), "{causes:?}");
    variants_in_source.append(&mut causes);
    assert!(variants_in_source.len() > 25, "the search finds too little: {variants_in_source:?}");
    let mut in_table: BTreeSet<_> = messages().iter().map(|(row, _)| row.variant.to_owned()).collect();
    // Copies report each file on its own, without an `Error`.
    for name in ["Warning", "Signal", "Copy"] {
        assert!(in_table.remove(name), "{in_table:?}");
    }
    let missing: Vec<_> = variants_in_source.difference(&in_table).collect();
    assert!(missing.is_empty(), "no message in tests/integration/messages for {missing:?}");
    let gone: Vec<_> = in_table.difference(&variants_in_source).collect();
    assert!(gone.is_empty(), "unknown variants in the table: {gone:?}");
}

/// Returns the text up to the parenthesis that closes the one at the start, ignoring parentheses in
/// strings.
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

/// Returns the longest placeholder-free part of each string literal, unless the part is too short
/// to be distinctive.
fn fixed_parts(code: &str) -> Vec<String> {
    let code: String =
        code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut parts = Vec::new();
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
        // A backslash at the end of a line joins it to the next line, without that line's
        // indentation.
        let mut joined = String::new();
        for line in text.split("\\\n") {
            joined += if joined.is_empty() { line } else { line.trim_start() };
        }
        let fixed = joined.split(['{', '}']).step_by(2).max_by_key(|part| part.len());
        parts.extend(fixed.map(|part| part.trim().to_owned()).filter(|part| part.len() >= 12));
    }
    parts
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let all = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    all.filter(|path| !path.ends_with("tests.rs")).collect()
}

/// Checks that each part occurs in a message in the table or is listed in `UNREACHABLE`.
#[track_caller]
fn expect_in_table(parts: &BTreeSet<String>, at_least: usize) {
    assert!(parts.len() >= at_least, "the search finds too little: {parts:?}");
    let in_table = |part: &str| messages().iter().any(|(_, line)| line.contains(part));
    let unreachable = |part: &str| UNREACHABLE.iter().any(|(text, _)| *text == part);
    let missing: Vec<_> = parts.iter().filter(|part| !in_table(part) && !unreachable(part)).collect();
    assert!(missing.is_empty(), "no message in the table contains {missing:#?}");
    let reached: Vec<_> = parts.iter().filter(|part| in_table(part) && unreachable(part)).collect();
    assert!(reached.is_empty(), "remove these from UNREACHABLE: {reached:?}");
}

#[test]
fn every_hint_is_in_the_table() {
    let mut hints = BTreeSet::new();
    for file in ["hints.rs", "hints/advice.rs", "hints/negotiation.rs", "hints/tls.rs", "hints/web.rs"] {
        hints.extend(fixed_parts(&source(&format!("error/{file}"))));
    }
    for function in ["fn socks5_reply(", "fn socks4_reply("] {
        let text = source("proto/error.rs");
        let body = text.split(function).nth(1).unwrap_or_else(|| panic!("{function} is missing"));
        hints.extend(fixed_parts(body.split("\n}\n").next().unwrap()));
    }
    expect_in_table(&hints, 60);
}

#[test]
fn every_usage_error_is_in_the_table() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut texts = BTreeSet::new();
    for path in files(&src) {
        let file = path.strip_prefix(&src).unwrap().display().to_string();
        let text = source(&file);
        // The last three are helper functions in `config` and `cli` that construct these errors.
        for call in
            ["Error::Usage(", "Error::Config(", "Self::Config(", "invalid(", "conflict(", "in_option("]
        {
            for after in text.split(call).skip(1) {
                // Other modules have unrelated functions with these names.
                if file.starts_with("config") || file.starts_with("cli") || call.contains("::") {
                    texts.extend(fixed_parts(within_parentheses(&format!("({after}"))));
                }
            }
        }
    }
    expect_in_table(&texts, 50);
}

#[test]
fn every_failure_of_a_copy_is_in_the_table() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut texts = BTreeSet::new();
    for path in files(&src.join("remote/copy")) {
        texts.extend(fixed_parts(&source(&path.strip_prefix(&src).unwrap().display().to_string())));
    }
    expect_in_table(&texts, 12);
}

#[test]
fn only_a_malformed_command_line_refers_to_the_help() {
    for (row, line) in messages() {
        let refers = line.contains("connect --help");
        assert_eq!(refers, row.variant == "Usage", "{}: {line}", row.situation);
    }
}
