//! An HTTP proxy that wants Digest (RFC 7616). It does its own reckoning, from the RFC and not from our machine.

use std::sync::{Arc, Mutex, MutexGuard};

use sha2::Digest as _;

use super::script::{Done, Script, script};
use super::scripted::{header, read_http_request};
use super::server::Session;

/// What the proxy asks for, and for whom.
#[derive(Clone)]
pub(crate) struct HttpDigest {
    pub(crate) user: &'static str,
    pub(crate) password: &'static str,
    /// As in its challenges, one for each; none is a challenge without an algorithm.
    pub(crate) algorithms: Vec<&'static str>,
    pub(crate) qop: Option<&'static str>,
    /// Further parameters of its challenges.
    pub(crate) more: &'static str,
    /// Challenges besides.
    pub(crate) others: &'static str,
    /// It finds so many good answers to be for a nonce that is too old.
    pub(crate) stale: usize,
    /// It closes the connection behind each challenge.
    pub(crate) closes: bool,
    /// It lets in who comes with this value of `Proxy-Authorization`, too.
    pub(crate) also: Option<String>,
    /// It takes no digest at all.
    pub(crate) broken: bool,
    pub(crate) state: Arc<Mutex<State>>,
}

/// What it remembers from one connection to the next.
#[derive(Default)]
pub(crate) struct State {
    nonces: usize,
    /// The highest count that the last nonce came with.
    count: u32,
    /// How many times it was too old.
    stale: usize,
    /// All that it was asked.
    heads: Vec<String>,
}

impl HttpDigest {
    /// For this user, with SHA-256 and the quality of protection `auth`.
    pub(crate) fn new(user: &'static str, password: &'static str) -> Self {
        Self {
            user,
            password,
            algorithms: vec!["SHA-256"],
            qop: Some("auth"),
            more: "",
            others: "",
            stale: 0,
            closes: false,
            also: None,
            broken: false,
            state: Arc::default(),
        }
    }

    /// One connection: it is asked until it lets in, and goes on inside the tunnel.
    pub(crate) fn script(&self) -> Script {
        let proxy = self.clone();
        script()
            .then("read CONNECT requests until one is proved", move |session| proxy.converse(session))
            .send("HTTP/1.1 200 OK\r\n\r\n")
    }

    /// The requests that have come so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.state().heads.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn converse(&self, session: &mut Session) -> Done {
        loop {
            if let Err(error) = read_http_request(session) {
                // Whoever has been challenged may leave.
                let asked = !self.state().heads.is_empty();
                session.end_script();
                return if asked { Ok(()) } else { Err(error) };
            }
            let head = session.record().head.clone().unwrap();
            self.state().heads.push(head.clone());
            let given = header(&head, "proxy-authorization");
            if self.also.is_some() && given == self.also.as_deref() {
                return Ok(());
            }
            let mut stale = false;
            if let Some(digest) = given.and_then(|given| given.strip_prefix("Digest ")) {
                let good = self.examine(digest, &head)?;
                stale = good && self.state().stale < self.stale;
                if good && !stale && !self.broken {
                    return Ok(());
                }
            }
            session.send(self.challenge(stale).as_bytes())?;
            if self.closes {
                session.end_script();
                return Ok(());
            }
        }
    }

    fn challenge(&self, too_old: bool) -> String {
        let mut state = self.state();
        state.nonces += 1;
        state.count = 0;
        state.stale += usize::from(too_old);
        let nonce = format!("nonce \\\"{}\\\"", state.nonces);
        let fields = self.algorithms.iter().map(|algorithm| {
            let qop = self.qop.map(|qop| format!(", qop=\"{qop}\"")).unwrap_or_default();
            let algorithm =
                if algorithm.is_empty() { String::new() } else { format!(", algorithm={algorithm}") };
            let old = if too_old { ", stale=true" } else { "" };
            let realm = "a \\\"test\\\", with a comma";
            let rest = format!("{qop}{algorithm}{old}, opaque=\"o=\\\\\"{}", self.more);
            format!("Digest realm=\"{realm}\", nonce=\"{nonce}\"{rest}")
        });
        let others = Some(self.others.to_owned()).filter(|others| !others.is_empty());
        let fields: Vec<_> =
            fields.chain(others).map(|field| format!("Proxy-Authenticate: {field}\r\n")).collect();
        let end = if self.closes { "Connection: close\r\n\r\nWho?" } else { "Content-Length: 4\r\n\r\nWho?" };
        format!("HTTP/1.1 407 Who are you\r\n{}{end}", fields.concat())
    }

    /// Whether it is the answer of the user with the password. It is an error if no client should say it.
    fn examine(&self, digest: &str, head: &str) -> Result<bool, String> {
        let wrong = |what: &str| Err(format!("{what} in {digest:?}"));
        let given = parameters(digest);
        let get =
            |name: &str| given.iter().find(|(known, ..)| known == name).map(|(_, value, _)| value.as_str());
        let mut state = self.state();
        for name in ["username", "realm", "nonce", "uri", "response", "cnonce", "opaque"] {
            if given.iter().any(|(known, _, quoted)| known == name && !quoted) {
                return wrong(&format!("{name} without quotes"));
            }
        }
        for name in ["algorithm", "qop", "nc", "userhash", "username*"] {
            if given.iter().any(|(known, _, quoted)| known == name && *quoted) {
                return wrong(&format!("{name} in quotes"));
            }
        }
        let uri = head.split(' ').nth(1).unwrap();
        let nonce = format!("nonce \"{}\"", state.nonces);
        let fixed =
            [("realm", "a \"test\", with a comma"), ("nonce", &nonce), ("opaque", "o=\\"), ("uri", uri)];
        if let Some((name, _)) = fixed.iter().find(|(name, value)| get(name) != Some(value)) {
            return wrong(&format!("another {name}"));
        }
        let algorithm = get("algorithm").unwrap_or_default();
        if !self.algorithms.contains(&algorithm) {
            return wrong("an algorithm that was not offered");
        }
        let hash = |text: String| hash(algorithm.trim_end_matches("-sess"), &text);
        let (user, realm) = (self.user, get("realm").unwrap());
        let name = match (get("username"), get("username*")) {
            (Some(name), None) => name.to_owned(),
            (None, Some(name)) => extended(name)?,
            _ => return wrong("one name, in one form"),
        };
        let userhash = get("userhash") == Some("true");
        if userhash != self.more.contains("userhash=true") {
            return wrong("userhash");
        }
        if name != if userhash { hash(format!("{user}:{realm}")) } else { user.into() } {
            return Ok(false);
        }
        let mut secret = hash(format!("{user}:{realm}:{}", self.password));
        let what = hash(format!("CONNECT:{uri}"));
        let due = match (self.qop, get("qop"), get("nc"), get("cnonce")) {
            (None, None, None, None) => hash(format!("{secret}:{nonce}:{what}")),
            (Some(_), Some("auth"), Some(nc), Some(cnonce)) => {
                let count = u32::from_str_radix(nc, 16).map_err(|error| error.to_string())?;
                if nc.len() != 8 || count <= state.count || cnonce.len() < 16 {
                    return wrong("a count or a nonce that will not do");
                }
                state.count = count;
                if algorithm.ends_with("-sess") {
                    secret = hash(format!("{secret}:{nonce}:{cnonce}"));
                }
                hash(format!("{secret}:{nonce}:{nc}:{cnonce}:auth:{what}"))
            }
            _ => return wrong("a quality of protection that was not offered, or parts of it"),
        };
        Ok(get("response") == Some(&due))
    }
}

fn hash(algorithm: &str, text: &str) -> String {
    let bytes = match algorithm {
        "" | "MD5" => md5::Md5::digest(text).to_vec(),
        "SHA-256" => sha2::Sha256::digest(text).to_vec(),
        "SHA-512-256" => sha2::Sha512_256::digest(text).to_vec(),
        other => panic!("algorithm {other}"),
    };
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// Names, values, and whether they stood in quotes.
fn parameters(text: &str) -> Vec<(String, String, bool)> {
    let mut parameters = Vec::new();
    let mut rest = text;
    while let Some((name, value)) = rest.split_once('=') {
        let name = name.trim_start_matches([',', ' ']).to_owned();
        let Some(quoted) = value.strip_prefix('"') else {
            let end = value.find(',').unwrap_or(value.len());
            parameters.push((name, value[..end].to_owned(), false));
            rest = &value[end..];
            continue;
        };
        let (mut plain, mut characters) = (String::new(), quoted.chars());
        while let Some(c) = characters.next().filter(|&c| c != '"') {
            plain.push(if c == '\\' { characters.next().unwrap() } else { c });
        }
        parameters.push((name, plain, true));
        rest = characters.as_str();
    }
    parameters
}

/// RFC 5987.
fn extended(text: &str) -> Result<String, String> {
    let encoded = text.strip_prefix("UTF-8''").ok_or_else(|| format!("charset of {text:?}"))?;
    let mut bytes = Vec::new();
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        let digits: Vec<_> = if byte == b'%' { rest.by_ref().take(2).collect() } else { Vec::new() };
        let decoded = || u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok();
        bytes.push(if byte == b'%' { decoded().ok_or_else(|| format!("{text:?}"))? } else { byte });
    }
    String::from_utf8(bytes).map_err(|error| error.to_string())
}
