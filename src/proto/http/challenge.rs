//! Which authentication schemes a proxy offers (RFC 9110 §11.6.1 and §11.7.1).

use super::head::Head;

/// The schemes of all challenges, in the proxy's order: several may stand in one line, or in several.
///
/// Proxies that answer 401 name them in `WWW-Authenticate` or in `Proxy-Authenticate`; both count.
pub(super) fn schemes(head: &Head) -> Vec<String> {
    ["proxy-authenticate", "www-authenticate"]
        .iter()
        .flat_map(|field| head.values(field))
        .flat_map(split_outside_quotes)
        .filter_map(scheme)
        .collect()
}

/// Splits a list at its commas, but not at those in a quoted string.
fn split_outside_quotes(list: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (index, c) in list.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                parts.push(&list[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts
}

/// The scheme, if this part of the list begins a challenge: a token that is not a parameter's name.
///
/// `Basic realm="x"` and `Negotiate` begin one, `charset="UTF-8"` and `nonce = "y"` go on with the last.
fn scheme(part: &str) -> Option<String> {
    let part = part.trim();
    let end = part.find(|c: char| !is_token(c)).unwrap_or(part.len());
    let (token, rest) = part.split_at(end);
    let parameter = rest.trim_start().starts_with('=');
    (!token.is_empty() && !parameter).then(|| token.to_owned())
}

/// RFC 9110 §5.6.2.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}
