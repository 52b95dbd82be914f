//! Where a reply ends and the tunnel begins, read from the specifications and not from our machines: with the whole
//! conversation at hand, that takes a few lines each.

/// SOCKS4: eight bytes, of which the first is 0 (or 4) and the second 90. `None`: no tunnel.
#[must_use]
pub fn socks4(bytes: &[u8]) -> Option<usize> {
    matches!(bytes, [0 | 4, 90, _, _, _, _, _, _, ..]).then_some(8)
}

/// SOCKS5, for a client that offered these methods (RFC 1928, RFC 1929). `None`: no tunnel.
#[must_use]
pub fn socks5(bytes: &[u8], methods: &[u8]) -> Option<usize> {
    let [5, method, rest @ ..] = bytes else { return None };
    let rest = match method {
        0 => rest,
        2 => rest.strip_prefix(&[1, 0])?,
        _ => return None,
    };
    let address = match (methods.contains(method), rest) {
        (true, [5, 0, _, 1, ..]) => 4,
        (true, [5, 0, _, 3, length, ..]) => 1 + usize::from(*length),
        (true, [5, 0, _, 4, ..]) => 16,
        _ => return None,
    };
    let end = bytes.len() - rest.len() + 4 + address + 2;
    (end <= bytes.len()).then_some(end)
}

/// Telnet: the first line that says "connected to", if none before it is a refusal. `None`: no tunnel.
#[must_use]
pub fn telnet(bytes: &[u8]) -> Option<usize> {
    let mut end = 0;
    let bytes = &bytes[..bytes.len().min(64 * 1024)];
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        end += line.len();
        // Latin-1, so that each byte is a character.
        let text: String = line.iter().map(|&byte| char::from(byte.to_ascii_lowercase())).collect();
        if !text.ends_with('\n') {
            return None;
        }
        if text.contains("connected to") {
            return Some(end);
        }
        if [" failed", " refused", " rejected", " closed"].iter().any(|word| text.contains(word)) {
            return None;
        }
    }
    None
}

/// HTTP, without a challenge: behind the blank line of the first head whose status is 2xx, if all before it are interim
/// answers (RFC 9110 §15). `None`: no tunnel, or a challenge.
#[must_use]
pub fn http(bytes: &[u8]) -> Option<usize> {
    let mut start = 0;
    loop {
        let rest = &bytes[start..];
        let blank = rest.iter().enumerate().find_map(|(at, &byte)| match (byte, &rest[at + 1..]) {
            (b'\n', [b'\n', ..]) => Some(at + 2),
            (b'\n', [b'\r', b'\n', ..]) => Some(at + 3),
            _ => None,
        });
        let end = start + blank?;
        if end > 64 * 1024 || is_ambiguous(&bytes[start..end]) {
            return None;
        }
        match status(rest)? {
            // Another protocol was not asked for.
            b"101" => return None,
            [b'1', ..] => start = end,
            [b'2', ..] => return Some(end),
            _ => return None,
        }
    }
}

/// The three digits of a status line (RFC 9112 §4).
fn status(head: &[u8]) -> Option<&[u8; 3]> {
    let [minor, b' ', rest @ ..] = head.strip_prefix(b"HTTP/1.")? else { return None };
    let (code, after) = rest.split_first_chunk()?;
    let is_exact = minor.is_ascii_digit() && code.iter().all(u8::is_ascii_digit);
    (is_exact && matches!(after, [b' ' | b'\r' | b'\n', ..])).then_some(code)
}

/// A CR that ends no line, or a NUL.
fn is_ambiguous(head: &[u8]) -> bool {
    head.contains(&0) || head.windows(2).any(|pair| pair[0] == b'\r' && pair[1] != b'\n')
}

/// The authentication schemes in the values of `Proxy-Authenticate` (RFC 9110 §11.6.1): what is left of each part of a
/// list without its quoted strings, if it does not begin with a parameter.
#[must_use]
pub fn schemes(value: &str) -> Vec<String> {
    let mut bare = String::new();
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        bare.push(c);
        if c == '"' {
            while let Some(quoted) = characters.next().filter(|&quoted| quoted != '"') {
                if quoted == '\\' {
                    characters.next();
                }
            }
        }
    }
    let token = |c: &char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(*c);
    let scheme = |part: &str| {
        let name: String = part.trim().chars().take_while(token).collect();
        let is_parameter = part.trim()[name.len()..].trim_start().starts_with('=');
        (!name.is_empty() && !is_parameter).then_some(name)
    };
    bare.split(',').filter_map(scheme).collect()
}
