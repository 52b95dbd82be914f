//! An HTTP proxy that requires Digest authentication (RFC 7616). It computes the expected response
//! independently of the program's own code.

use std::sync::{Arc, Mutex, MutexGuard};

use sha2::Digest as _;

use super::proxy::{HTTP_GRANTED, header};
use super::script::{Script, StepResult, script};
use super::server::Session;

/// The settings of the proxy, and the state that its connections share.
#[derive(Clone)]
pub(crate) struct HttpDigest {
    pub(crate) user: &'static str,
    pub(crate) password: &'static str,
    /// The proxy sends one challenge for each algorithm. An empty string omits the `algorithm`
    /// parameter.
    pub(crate) algorithms: Vec<&'static str>,
    pub(crate) qop: Option<&'static str>,
    /// Additional parameters for each challenge, starting with a comma.
    pub(crate) extra_parameters: &'static str,
    /// Additional challenges, for other schemes.
    pub(crate) other_challenges: &'static str,
    /// The number of correct responses to reject with `stale=true`.
    pub(crate) stale: usize,
    /// `true` if the proxy closes the connection after each challenge.
    pub(crate) closes: bool,
    /// A `Proxy-Authorization` value that the proxy also accepts.
    pub(crate) also_accepts: Option<String>,
    /// `true` if the proxy rejects every Digest response, even a correct one.
    pub(crate) rejects_digest: bool,
    pub(crate) state: Arc<Mutex<State>>,
}

/// State that the proxy keeps across connections.
#[derive(Default)]
pub(crate) struct State {
    nonces: usize,
    /// The highest nonce count received for the latest nonce.
    nonce_count: u32,
    /// The number of responses rejected as stale.
    stale: usize,
    /// The heads of all requests.
    heads: Vec<String>,
}

impl HttpDigest {
    /// Returns a proxy that accepts this user and password and uses SHA-256 and `qop=auth`.
    pub(crate) fn new(user: &'static str, password: &'static str) -> Self {
        Self {
            user,
            password,
            algorithms: vec!["SHA-256"],
            qop: Some("auth"),
            extra_parameters: "",
            other_challenges: "",
            stale: 0,
            closes: false,
            also_accepts: None,
            rejects_digest: false,
            state: Arc::default(),
        }
    }

    /// Returns the script for one connection. Steps added to it run inside the tunnel.
    pub(crate) fn script(&self) -> Script {
        let proxy = self.clone();
        script()
            .then("read CONNECT requests until one is authorized", move |session| proxy.negotiate(session))
            .send(HTTP_GRANTED)
    }

    /// Returns the heads of the requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.state().heads.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn negotiate(&self, session: &mut Session) -> StepResult {
        loop {
            let head = match session.read_connect_request() {
                Ok(head) => head,
                Err(error) => {
                    // A client may disconnect after a challenge.
                    session.end_script();
                    return if self.state().heads.is_empty() { Err(error) } else { Ok(()) };
                }
            };
            self.state().heads.push(head.clone());
            let given = header(&head, "Proxy-Authorization");
            if self.also_accepts.is_some() && given == self.also_accepts.as_deref() {
                return Ok(());
            }
            let mut stale = false;
            if let Some(digest) = given.and_then(|given| given.strip_prefix("Digest ")) {
                let correct = self.check(digest, &head)?;
                stale = correct && self.state().stale < self.stale;
                if correct && !stale && !self.rejects_digest {
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

    /// Returns a 407 response with the next nonce.
    fn challenge(&self, is_stale: bool) -> String {
        let mut state = self.state();
        state.nonces += 1;
        state.nonce_count = 0;
        state.stale += usize::from(is_stale);
        let nonce = format!("nonce \\\"{}\\\"", state.nonces);
        let fields = self.algorithms.iter().map(|algorithm| {
            let qop = self.qop.map(|qop| format!(", qop=\"{qop}\"")).unwrap_or_default();
            let algorithm =
                if algorithm.is_empty() { String::new() } else { format!(", algorithm={algorithm}") };
            let flag = if is_stale { ", stale=true" } else { "" };
            let realm = "a \\\"test\\\", with a comma";
            let rest = format!("{qop}{algorithm}{flag}, opaque=\"o=\\\\\"{}", self.extra_parameters);
            format!("Digest realm=\"{realm}\", nonce=\"{nonce}\"{rest}")
        });
        let others = Some(self.other_challenges.to_owned()).filter(|others| !others.is_empty());
        let fields: Vec<_> =
            fields.chain(others).map(|field| format!("Proxy-Authenticate: {field}\r\n")).collect();
        let end = if self.closes { "Connection: close\r\n\r\nWho?" } else { "Content-Length: 4\r\n\r\nWho?" };
        format!("HTTP/1.1 407 Who are you\r\n{}{end}", fields.concat())
    }

    /// Returns `true` if the response matches the user and the password. Fails if no correct client
    /// would send this header.
    fn check(&self, digest: &str, head: &str) -> Result<bool, String> {
        let wrong = |problem: &str| Err(format!("{problem} in {digest:?}"));
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
            return wrong(&format!("wrong {name}"));
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
            _ => return wrong("not exactly one of username and username*"),
        };
        let userhash = get("userhash") == Some("true");
        if userhash != self.extra_parameters.contains("userhash=true") {
            return wrong("wrong userhash");
        }
        if name != if userhash { hash(format!("{user}:{realm}")) } else { user.into() } {
            return Ok(false);
        }
        let mut secret = hash(format!("{user}:{realm}:{}", self.password));
        let request = hash(format!("CONNECT:{uri}"));
        let expected = match (self.qop, get("qop"), get("nc"), get("cnonce")) {
            (None, None, None, None) => hash(format!("{secret}:{nonce}:{request}")),
            (Some(_), Some("auth"), Some(nc), Some(cnonce)) => {
                let count = u32::from_str_radix(nc, 16).map_err(|error| error.to_string())?;
                if nc.len() != 8 || count <= state.nonce_count || cnonce.len() < 16 {
                    return wrong("nonce count not increased, or cnonce too short");
                }
                state.nonce_count = count;
                if algorithm.ends_with("-sess") {
                    secret = hash(format!("{secret}:{nonce}:{cnonce}"));
                }
                hash(format!("{secret}:{nonce}:{nc}:{cnonce}:auth:{request}"))
            }
            _ => return wrong("qop not as offered, or without its parameters"),
        };
        Ok(get("response") == Some(&expected))
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

/// Parses parameters into `(name, value, is_quoted)` tuples.
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

/// Decodes an extended value (RFC 5987).
fn extended(text: &str) -> Result<String, String> {
    let encoded = text.strip_prefix("UTF-8''").ok_or_else(|| format!("charset of {text:?} is not UTF-8"))?;
    let mut bytes = Vec::new();
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        let digits: Vec<_> = if byte == b'%' { rest.by_ref().take(2).collect() } else { Vec::new() };
        let decoded = || u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok();
        bytes.push(if byte == b'%' { decoded().ok_or_else(|| format!("{text:?}"))? } else { byte });
    }
    String::from_utf8(bytes).map_err(|error| error.to_string())
}
