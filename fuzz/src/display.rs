//! Checks that text is safe to show on the user's terminal.

use connect::addr::Endpoint;
use connect::error::{Error, Peer};
use connect::plan::Target;
use connect::proto;
use connect::text::escaped;

use crate::{BASIC, PASSWORD};

/// Maximum length of a line: a message, a host, and two texts from the proxy, each truncated to 160
/// characters of at most ten bytes.
const MAX_LINE: usize = 4096;

/// Returns the message for a refusal, and checks it before the final escaping, which is only the
/// last line of defense.
///
/// # Panics
/// Panics if the message is not safe to display.
#[must_use]
pub fn refusal(error: &proto::Error, proxy: &Endpoint) -> String {
    let peer = Peer { protocol: Some("SOCKS5"), ..Peer::target(&Target::Tcp(proxy.clone())) };
    let line = Error::Negotiation { peer, cause: error.clone() }.user_message();
    assert!(!error.to_string().is_empty() && !error.to_string().ends_with(' '), "{line:?}");
    check(&line);
    line
}

/// Checks an error message in the form that the user would see.
///
/// # Panics
/// Panics if the message is not safe to display.
pub fn check_error(error: &Error) {
    check(&escaped(&format!("connect: {}", error.user_message())));
}

/// Checks that a line contains no character that moves the cursor, starts another line, or hides or
/// reorders text.
///
/// # Panics
/// Panics if the line contains such a character, or is too long.
pub fn check(line: &str) {
    let hides = |c: char| matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let controls = |c: char| matches!(c, '\0'..='\x1f' | '\x7f'..='\u{9f}');
    assert!(!line.chars().any(|c| hides(c) || controls(c)), "{line:?}");
    assert!(line.len() <= MAX_LINE, "{} bytes: {line:?}", line.len());
}

/// Checks that the line does not contain the password.
///
/// # Panics
/// Panics if it does.
pub fn check_password(line: &str) {
    assert!(!line.contains(PASSWORD), "{line:?}");
}

/// Checks that the line does not contain the password as Basic authentication encodes it, whole or
/// truncated.
///
/// # Panics
/// Panics if it does.
pub fn check_encoded_password(line: &str) {
    assert!(!line.contains(BASIC), "{line:?}");
    for (end, _) in line.match_indices('…') {
        let shown = (8..BASIC.len()).find(|&length| line[..end].ends_with(&BASIC[..length]));
        assert_eq!(shown, None, "part of the password: {line:?}");
    }
}
