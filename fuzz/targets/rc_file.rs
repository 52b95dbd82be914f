//! Parameter files. What a file sets is what the last line sets that makes sense, and what is wrong with it is told
//! without what may be a password.
#![no_main]

use connect::cli::{Args, ProxyArg};
use connect::plan::Protocol;
use connect_fuzz::{PASSWORD, shown, sources};
use libfuzzer_sys::fuzz_target;

/// What else a file may say of an HTTP proxy, and say wrong; the last three of where the password is.
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
    let args = Args { proxy, host: "host.example".into(), port: Some("22".into()), ..Args::default() };
    let (plan, told) = sources::plan(&args, &|_| None, vec![sources::file(input)]);
    let plan = match plan {
        Ok(plan) => plan,
        Err(error) => {
            assert!(names(&OTHERS), "a file is no reason to give up: {error}");
            if !is_misplaced(input) {
                shown::check_password(&error.user_message());
            }
            return;
        }
    };
    if !is_misplaced(input) {
        shown::check_password(&format!("{plan:?}"));
        shown::check_password(&told.concat());
    }

    let Protocol::Http { login, .. } = &plan.routes[0].hops[0].protocol else {
        panic!("another protocol: {plan:?}")
    };
    // What is in blocks depends on more than the file.
    if has_block(input) || names(&OTHERS[3..]) {
        return;
    }
    let read = |names: [&str; 2]| names.iter().find_map(|name| value(input, name));
    let password =
        login.password.as_ref().map(|password| String::from_utf8_lossy(password.expose()).into_owned());
    assert_eq!(login.user, read(["HTTP_PROXY_USER", "CONNECT_USER"]));
    assert_eq!(password, read(["HTTP_PROXY_PASSWORD", "CONNECT_PASSWORD"]));
});

/// The value that a file sets, read line by line: the value is what stands between the first `=` and a comment, or
/// within quotes.
fn value(content: &[u8], name: &str) -> Option<String> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let lines = content.split(|&byte| byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    let mut values = lines.filter_map(|line| {
        let rest = line.trim().strip_prefix(name)?.trim_start().strip_prefix('=')?.trim();
        let Some(quote) = rest.chars().next().filter(|quote| "'\"".contains(*quote)) else {
            return Some(rest.split('#').next()?.trim_end().to_owned());
        };
        let mut parts = rest.splitn(3, quote).skip(1);
        let (inside, after) = (parts.next()?, parts.next()?.trim_start());
        (after.is_empty() || after.starts_with('#')).then(|| inside.to_owned())
    });
    values.next_back()
}

/// Whether a line begins with the word `Match`.
fn has_block(content: &[u8]) -> bool {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let mut lines = content.split(|&byte| byte == b'\n').map(String::from_utf8_lossy);
    lines.any(|line| {
        let word: String =
            line.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        word.eq_ignore_ascii_case("match")
    })
}

/// Whether the password stands where it does not belong, and is not known for one.
fn is_misplaced(content: &[u8]) -> bool {
    let is_password = |line: &str| {
        let after = ["CONNECT_PASSWORD", "HTTP_PROXY_PASSWORD"]
            .iter()
            .find_map(|name| line.trim().strip_prefix(name));
        after.is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    let mut lines = content.split(|&byte| byte == b'\n').map(String::from_utf8_lossy);
    lines.any(|line| line.contains(PASSWORD) && !is_password(&line))
}
