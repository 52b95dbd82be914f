//! An independent parser for replies, written from the specifications and not from our own code.
//! The parser is given the whole conversation at once, so a few lines per protocol suffice.
//!
//! Each function returns where the tunnel begins, or `None` if there is no tunnel.

/// SOCKS4: a reply of eight bytes grants the request if the first byte is 0 (we also accept 4) and
/// the second is 90.
#[must_use]
pub fn socks4(bytes: &[u8]) -> Option<usize> {
    matches!(bytes, [0 | 4, 90, _, _, _, _, _, _, ..]).then_some(8)
}

/// SOCKS5 (RFC 1928, RFC 1929), for a client that offered these methods.
#[must_use]
pub fn socks5(bytes: &[u8], methods: &[u8]) -> Option<usize> {
    let [5, method, rest @ ..] = bytes else { return None };
    let rest = match method {
        0 => rest,
        // Only the status byte counts: servers send other versions than 1.
        2 => match rest {
            [_, 0, rest @ ..] => rest,
            _ => return None,
        },
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

/// Telnet: the tunnel begins after the first line that contains "connected to", unless a line
/// before it is a refusal.
#[must_use]
pub fn telnet(bytes: &[u8]) -> Option<usize> {
    let mut end = 0;
    let bytes = &bytes[..bytes.len().min(64 * 1024)];
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        end += line.len();
        // Decode as Latin-1, so that each byte is one character.
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

/// HTTP without a challenge: the tunnel begins after the first head with status 2xx, if all earlier
/// heads are interim responses (RFC 9110, section 15).
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
            // Switching Protocols: we did not request another protocol.
            b"101" => return None,
            [b'1', ..] => start = end,
            [b'2', ..] => return Some(end),
            _ => return None,
        }
    }
}

/// Returns the three digits of a status line (RFC 9112, section 4).
fn status(head: &[u8]) -> Option<&[u8; 3]> {
    let [minor, b' ', rest @ ..] = head.strip_prefix(b"HTTP/1.")? else { return None };
    let (code, after) = rest.split_first_chunk()?;
    let is_exact = minor.is_ascii_digit() && code.iter().all(u8::is_ascii_digit);
    (is_exact && matches!(after, [b' ' | b'\r' | b'\n', ..])).then_some(code)
}

/// Returns `true` if the head contains a bare CR or a NUL.
fn is_ambiguous(head: &[u8]) -> bool {
    head.contains(&0) || head.windows(2).any(|pair| pair[0] == b'\r' && pair[1] != b'\n')
}

/// A challenge (RFC 9110, section 11.6.1), or credentials, which have the same syntax.
#[derive(Debug)]
pub struct Challenge {
    /// The scheme, as written.
    pub scheme: String,
    /// Lower-case names and their values. `Err` if the parameters violate the grammar.
    parameters: Result<Vec<(String, String)>, ()>,
}

impl Challenge {
    /// Returns the value of a parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let parameters = self.parameters.as_ref().ok()?;
        parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the strength of our answer: 0 for Basic, higher for Digest, and higher still for a
    /// stronger hash function (RFC 7616, section 3.3). `None` if we cannot answer.
    #[must_use]
    pub fn rank(&self) -> Option<u8> {
        if self.scheme.eq_ignore_ascii_case("basic") {
            return Some(0);
        }
        let texts = [
            self.parameter("realm")?,
            self.parameter("nonce")?,
            self.parameter("opaque").unwrap_or_default(),
        ];
        let algorithm = self.parameter("algorithm").unwrap_or("md5").to_lowercase();
        let qop = self
            .parameter("qop")
            .map(|list| list.split(',').any(|word| word.trim().to_lowercase() == "auth"));
        let rank = match algorithm.trim_end_matches("-sess") {
            "md5" => 1,
            "sha-256" => 2,
            "sha-512-256" => 3,
            _ => return None,
        };
        let session = algorithm.matches("-sess").count();
        let is_ours = self.scheme.eq_ignore_ascii_case("digest")
            && qop != Some(false)
            && (session == 0 || session == 1 && qop == Some(true))
            && !texts.concat().contains('\u{fffd}');
        is_ours.then_some(rank)
    }
}

/// Parses the challenges in a `Proxy-Authenticate` value.
#[must_use]
pub fn challenges(value: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    for part in parts(value) {
        let name: String = part.chars().take_while(|c| is_token(*c)).collect();
        let rest = &part[name.len()..];
        if name.is_empty() || rest.trim_start().starts_with('=') {
            if let Some(last) = challenges.last_mut() {
                take(&mut last.parameters, &part);
            }
            continue;
        }
        let mut challenge = Challenge { scheme: name, parameters: Ok(Vec::new()) };
        let first = rest.trim();
        let base64 = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
        let is_base64 = first.trim_end_matches('=').chars().all(base64) && !first.starts_with('=');
        if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
            challenge.parameters = Err(());
        } else if !is_base64 {
            take(&mut challenge.parameters, first);
        }
        challenges.push(challenge);
    }
    challenges
}

/// Splits at commas outside quoted strings, and drops empty parts.
fn parts(value: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        if c == ',' {
            parts.push(String::new());
            continue;
        }
        let Some(part) = parts.last_mut() else { break };
        part.push(c);
        if c == '"' {
            while let Some(quoted) = characters.next() {
                part.push(quoted);
                match quoted {
                    '"' => break,
                    '\\' => part.extend(characters.next()),
                    _ => {}
                }
            }
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// Adds a parameter. Sets `parameters` to `Err` if the new one is malformed or a duplicate.
fn take(parameters: &mut Result<Vec<(String, String)>, ()>, text: &str) {
    let Ok(known) = parameters else { return };
    match parameter(text).filter(|(name, _)| known.iter().all(|(other, _)| other != name)) {
        Some(parameter) => known.push(parameter),
        None => *parameters = Err(()),
    }
}

fn parameter(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let (name, value) = (name.trim_end().to_lowercase(), value.trim_start());
    let is_name = !name.is_empty() && name.chars().all(is_token);
    if !value.starts_with('"') {
        let is_value = !value.is_empty() && value.chars().all(is_token);
        return (is_name && is_value).then(|| (name, value.to_owned()));
    }
    let mut plain = String::new();
    let mut characters = value.chars().skip(1);
    loop {
        let c = match characters.next()? {
            '"' => break,
            '\\' => characters.next()?,
            c => c,
        };
        if c.is_control() && c != '\t' {
            return None;
        }
        plain.push(c);
    }
    (is_name && characters.next().is_none()).then_some((name, plain))
}

/// Returns `true` for token characters (RFC 9110, section 5.6.2).
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}
