//! What may reach the user's terminal.

use connect::addr::Endpoint;
use connect::error::{Error, Peer};
use connect::plan::Target;
use connect::proto;
use connect::text::escaped;

use crate::{BASIC, PASSWORD};

/// The longest line: a message, two texts of the proxy's that are cut at 160 characters of at most ten each, and a host.
const LONGEST: usize = 4096;

/// What the user reads of a refusal, held to what may be shown before the last precaution escapes the line.
///
/// # Panics
/// It may not.
#[must_use]
pub fn refusal(error: &proto::Error, proxy: &Endpoint) -> String {
    let peer = Peer { protocol: Some("SOCKS5"), ..Peer::target(&Target::Tcp(proxy.clone())) };
    let line = Error::Negotiation { peer, cause: error.clone() }.user_message();
    assert!(!error.to_string().is_empty() && !error.to_string().ends_with(' '), "{line:?}");
    check(&line);
    line
}

/// Holds an error to what may be shown, as the user would see it.
///
/// # Panics
/// It may not.
pub fn check_error(error: &Error) {
    check(&escaped(&format!("connect: {}", error.user_message())));
}

/// Holds a line to what may be shown: nothing that moves the cursor, starts another line, or hides or reorders text.
///
/// # Panics
/// It may not.
pub fn check(line: &str) {
    let hides = |c: char| matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let controls = |c: char| matches!(c, '\0'..='\x1f' | '\x7f'..='\u{9f}');
    assert!(!line.chars().any(|c| hides(c) || controls(c)), "{line:?}");
    assert!(line.len() <= LONGEST, "{} bytes: {line:?}", line.len());
}

/// Looks for the password.
///
/// # Panics
/// It is there.
pub fn check_password(line: &str) {
    assert!(!line.contains(PASSWORD), "{line:?}");
}

/// Looks for the password in the form of Basic authentication, whole or cut by the end of a text.
///
/// # Panics
/// It is there.
pub fn check_sent_password(line: &str) {
    assert!(!line.contains(BASIC), "{line:?}");
    for (end, _) in line.match_indices('…') {
        let shown = (8..BASIC.len()).find(|&length| line[..end].ends_with(&BASIC[..length]));
        assert_eq!(shown, None, "a part of the password: {line:?}");
    }
}
