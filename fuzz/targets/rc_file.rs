//! Parameter files. The last valid line for a name wins, and no warning shows a password.
#![no_main]

use connect::cli::ProxyArg;
use connect_fuzz::{PASSWORD, display, planning};
use libfuzzer_sys::fuzz_target;

/// Other parameters of an HTTP proxy, whose values may be invalid. The last three each name a
/// source for the password.
const OTHERS: [&str; 6] = [
    "HTTP_PROXY_AUTH",
    "CONNECT_HEADER",
    "CONNECT_USER_AGENT",
    "CONNECT_PASSWORD_FILE",
    "CONNECT_PASSWORD_COMMAND",
    "CONNECT_NETRC",
];

fuzz_target!(|input: &[u8]| {
    let names = |names: &[&str]| names.iter().any(|name| String::from_utf8_lossy(input).contains(name));
    let proxy = ProxyArg::Http("proxy.example".into());
    let (plan, warnings) = planning::plan(&planning::args(proxy), &|_| None, vec![planning::file(input)]);
    let plan = match plan {
        Ok(plan) => plan,
        Err(error) => {
            assert!(names(&OTHERS), "a file made the plan fail: {error}");
            if !is_misplaced(input) {
                display::check_password(&error.user_message());
            }
            return;
        }
    };
    if !is_misplaced(input) {
        display::check_password(&format!("{plan:?}"));
        display::check_password(&warnings.concat());
    }

    let login = plan.routes[0].hops[0].protocol.login().expect("HTTP has logins");
    // Skip files with a `Match` block, which depends on more than the file, files in UTF-16, which
    // the program ignores, and files that name another source for the password.
    if has_block(input) || is_utf_16(input) || names(&OTHERS[3..]) {
        return;
    }
    let read = |names: [&str; 2]| names.iter().find_map(|name| value(input, name));
    let password = login.password.as_ref().map(|password| password.expose().to_vec());
    let user = login.user.as_ref().map(|user| user.as_bytes().to_vec());
    assert_eq!(user, read(["HTTP_PROXY_USER", "CONNECT_USER"]));
    assert_eq!(password, read(["HTTP_PROXY_PASSWORD", "CONNECT_PASSWORD"]));
});

/// Returns the value that a file sets for a name: the text between the first `=` and a comment, or
/// the text in quotes.
fn value(content: &[u8], name: &str) -> Option<Vec<u8>> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let mut values = content.split(|&byte| byte == b'\n').filter_map(|line| {
        let rest = line.trim_ascii().strip_prefix(name.as_bytes())?.trim_ascii();
        let rest = rest.strip_prefix(b"=")?.trim_ascii();
        let Some(quote) = rest.first().filter(|quote| b"'\"".contains(quote)) else {
            // A comment begins after a blank.
            let marks = rest.iter().enumerate().filter(|(_, byte)| **byte == b'#').map(|(at, _)| &rest[..at]);
            let before = marks
                .into_iter()
                .find(|before| before.trim_ascii_end().len() < before.len() || before.is_empty());
            return Some(before.unwrap_or(rest).trim_ascii_end().to_vec());
        };
        let mut parts = rest.splitn(3, |byte| byte == quote).skip(1);
        let (inside, after) = (parts.next()?, parts.next()?.trim_ascii());
        (after.is_empty() || after.starts_with(b"#")).then(|| inside.to_vec())
    });
    values.next_back()
}

/// Returns `true` if the file begins with a byte order mark of UTF-16.
fn is_utf_16(content: &[u8]) -> bool {
    content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff")
}

/// Returns `true` if a line begins with the word `Match`.
fn has_block(content: &[u8]) -> bool {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let mut lines = content.split(|&byte| byte == b'\n').map(String::from_utf8_lossy);
    lines.any(|line| {
        let word: String =
            line.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        word.eq_ignore_ascii_case("match")
    })
}

/// Returns `true` if the password is in a place where the program cannot recognize it.
fn is_misplaced(content: &[u8]) -> bool {
    let is_password = |line: &str| {
        let after = ["CONNECT_PASSWORD", "HTTP_PROXY_PASSWORD"]
            .iter()
            .find_map(|name| line.trim().strip_prefix(name));
        after.is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    let mut lines = content.split(|&byte| byte == b'\n').map(String::from_utf8_lossy);
    // A message shows the name of an unknown criterion in lower case.
    lines.any(|line| line.to_lowercase().contains(PASSWORD) && !is_password(&line))
}
