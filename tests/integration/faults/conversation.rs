//! The valid conversations: for each protocol, the client's requests and the proxy's answers, turn
//! by turn.

use base64::prelude::{BASE64_STANDARD, Engine};

/// The password, which must never be displayed.
pub(crate) const PASSWORD: &str = "5ecret-0f-mine";

/// Returns the user name and password in base64, as sent to an HTTP proxy.
pub(crate) fn credentials() -> String {
    BASE64_STANDARD.encode(format!("me:{PASSWORD}"))
}

/// A conversation that establishes a tunnel.
#[derive(Clone)]
pub(crate) struct Conversation {
    pub(crate) name: &'static str,
    /// The program's arguments, in which `{proxy}` stands for the peer's address.
    pub(crate) args: &'static str,
    /// The environment variable that contains the password. `None` if an askpass program supplies
    /// it.
    pub(crate) variable: Option<&'static str>,
    pub(crate) turns: Vec<Turn>,
}

/// A client request and the peer's answer.
#[derive(Clone)]
pub(crate) struct Turn {
    pub(crate) question: Question,
    pub(crate) answer: Vec<u8>,
    /// The length of the decisive part of the answer. The rest is a body, which is drained to reuse
    /// the connection.
    pub(crate) settled_at: usize,
    /// Bytes that may precede the answer any number of times.
    pub(crate) interim: &'static str,
    /// The peer closes the connection after its answer, and the next turn uses a new one.
    pub(crate) closes: bool,
}

/// The kind of request, which determines where it ends. The C program and ours may encode the
/// target differently, so requests are not compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    Socks4,
    Greeting,
    UserPass,
    Socks5,
    Http,
    Telnet,
}

impl Question {
    /// Returns `true` if `bytes` is a complete request.
    pub(crate) fn is_complete(self, bytes: &[u8]) -> bool {
        let at = |index: usize| bytes.get(index).copied().map(usize::from);
        let has = |length: usize| bytes.len() >= length;
        match self {
            Self::Socks4 => {
                let named = bytes.get(4..7) == Some(&[0; 3]) && at(7) != Some(0);
                bytes.iter().skip(8).filter(|&&byte| byte == 0).count() > usize::from(named)
            }
            Self::Greeting => at(1).is_some_and(|methods| has(2 + methods)),
            Self::UserPass => {
                at(1).is_some_and(|user| at(2 + user).is_some_and(|password| has(3 + user + password)))
            }
            Self::Socks5 => match (at(3), at(4)) {
                (Some(1), _) => has(10),
                (Some(4), _) => has(22),
                (Some(3), Some(name)) => has(7 + name),
                _ => false,
            },
            Self::Http => bytes.ends_with(b"\r\n\r\n"),
            Self::Telnet => bytes.ends_with(b"\n"),
        }
    }

    /// Returns `true` if the answer is text.
    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Http | Self::Telnet)
    }
}

impl Turn {
    fn new(question: Question, answer: impl AsRef<[u8]>) -> Self {
        let answer = answer.as_ref().to_vec();
        let settled_at = answer.len();
        let interim = match question {
            Question::Http => "HTTP/1.1 100 Continue\r\nVia: a proxy\r\n\r\n",
            Question::Telnet => "Welcome to the gate.\r\n",
            _ => "",
        };
        Self { question, answer, settled_at, interim, closes: false }
    }

    fn with_page(mut self, page: &str) -> Self {
        self.answer.extend(page.as_bytes());
        self
    }

    fn closing(mut self) -> Self {
        self.closes = true;
        self
    }
}

impl Conversation {
    fn new(name: &'static str, args: &'static str, turns: impl Into<Vec<Turn>>) -> Self {
        Self { name, args, variable: None, turns: turns.into() }
    }

    fn with_password_in(mut self, variable: &'static str) -> Self {
        self.variable = Some(variable);
        self
    }

    /// Returns the first turn on a connection. A second connection starts at the last turn, because
    /// the client has already received the challenge.
    pub(crate) fn first_turn(&self, connection: usize) -> usize {
        if connection == 0 { 0 } else { self.turns.len() - 1 }
    }
}

pub(crate) fn all() -> Vec<Conversation> {
    use Question::{Greeting, Http, Socks4, Socks5, Telnet, UserPass};
    let granted4 = Turn::new(Socks4, [0, 90, 0, 0, 0, 0, 0, 0]);
    let granted5 = Turn::new(Socks5, [5, 0, 0, 1, 10, 0, 0, 1, 4, 56]);
    let named5 = Turn::new(Socks5, b"\x05\0\0\x03\x04gate\x04\x38");
    let ok = Turn::new(Http, "HTTP/1.1 200 Connection established\r\nVia: a proxy\r\n\r\n");
    let asks = |connection: &str| {
        format!(
            "HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 8\r\n{connection}\r\n"
        )
    };
    let digest = "HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Digest realm=\"x\", nonce=\"a, \\\"b\", \
        qop=\"auth,auth-int\", algorithm=SHA-256-sess\r\nContent-Length: 0\r\n\r\n";
    vec![
        Conversation::new("socks4", "-4 -S me@{proxy} 10.9.8.7 22", [granted4.clone()]),
        Conversation::new("socks4a", "-4 -R remote -S me@{proxy} host.example 22", [granted4]),
        Conversation::new(
            "socks5",
            "-a none -S {proxy} host.example 22",
            [Turn::new(Greeting, [5, 0]), granted5],
        ),
        Conversation::new(
            "socks5-password",
            "-a userpass -S me@{proxy} host.example 22",
            [Turn::new(Greeting, [5, 2]), Turn::new(UserPass, [1, 0]), named5],
        )
        .with_password_in("SOCKS5_PASSWORD"),
        Conversation::new("http", "-H {proxy} host.example 22", [ok.clone()]),
        Conversation::new(
            "http-407",
            "-H me@{proxy} host.example 22",
            [Turn::new(Http, asks("")).with_page("Who am I"), ok.clone()],
        ),
        Conversation::new(
            "http-407-redial",
            "-H me@{proxy} host.example 22",
            [Turn::new(Http, asks("Connection: close\r\n")).with_page("Who am I").closing(), ok.clone()],
        ),
        Conversation::new("http-digest", "-H me@{proxy} host.example 22", [Turn::new(Http, digest), ok]),
        Conversation::new(
            "telnet",
            "-T {proxy} host.example 22",
            [Turn::new(Telnet, "Trying 10.9.8.7...\r\nConnected to host.example.\r\n")],
        ),
    ]
}
