//! The client's side of user authentication, with any messages of the server.
//!
//! The first byte says what the user has and allows. Each message of the server follows its length.
#![no_main]

use connect::ssh::client_auth::{ClientAuth, Identity, Step};
use connect::ssh::message;
use connect::ssh::wire::Reader;
use connect_fuzz::MEMORY;
use connect_fuzz::ssh::Decisions;
use libfuzzer_sys::fuzz_target;

const SECRET: &[u8] = b"hunter2-opensesame";

/// The most memory for the banners, the questions and the requests of one message.
const MAX_MEMORY: usize = 256 * 1024;

/// The client, and what it has sent.
struct Client {
    auth: ClientAuth,
    allows_passwords: bool,
    has_password: bool,
    signs: bool,
    /// The number of requests with a password, of questions answered, and of each key's signatures.
    passwords: usize,
    answers: usize,
    signatures: Vec<usize>,
    /// The methods that the server listed last; `None` before its first answer.
    listed: Option<Vec<String>>,
    /// The number of messages sent without an answer. The service request has one of its own.
    unanswered: usize,
}

impl Client {
    fn new(setup: u8) -> Self {
        let algorithms: &[&str] =
            if setup & 8 == 0 { &["ssh-ed25519"] } else { &["rsa-sha2-512", "rsa-sha2-256"] };
        let identities: Vec<_> = (0..setup >> 4 & 3)
            .map(|index| Identity::new(vec![index; 9], algorithms, format!("key {index}"), setup & 0x80 != 0))
            .collect();
        let signatures = vec![0; identities.len()];
        let mut auth = ClientAuth::new(b"me", identities, setup & 1 != 0);
        auth.set_session_id(b"session");
        Self {
            auth,
            allows_passwords: setup & 1 != 0,
            has_password: setup & 2 != 0,
            signs: setup & 4 != 0,
            passwords: 0,
            answers: 0,
            signatures,
            listed: None,
            unanswered: 0,
        }
    }

    /// Carries out steps until a message is needed. Returns `false` at the end.
    fn advance(&mut self) -> bool {
        for _ in 0..100 {
            match self.auth.step() {
                Err(_) | Ok(Step::Done) => return false,
                Ok(Step::Receive) => return true,
                Ok(Step::Send(request)) => self.sent(&request),
                Ok(Step::Sign { identity, algorithm, data }) => {
                    // The signature is for this session, and for nothing but a login.
                    assert!(data.starts_with(b"\0\0\0\x07session\x32\0\0\0\x02me"), "{data:?}");
                    assert!(algorithm.starts_with("ssh-ed25519") || algorithm.starts_with("rsa-sha2-"));
                    self.signatures[identity] += 1;
                    assert_eq!(self.signatures[identity], 1, "each key is tried once");
                    self.auth.signed(Some(&b"signature"[..]).filter(|_| self.signs));
                }
                Ok(Step::Password) => {
                    assert!(self.allows_passwords);
                    self.auth.password(Some(SECRET).filter(|_| self.has_password));
                }
                Ok(Step::NewPassword(_)) => {
                    assert!(self.allows_passwords);
                    self.auth.new_password(Some((SECRET, SECRET)).filter(|_| self.has_password));
                }
                Ok(Step::Ask(questions)) => {
                    assert!(self.allows_passwords && questions.questions.len() <= 64);
                    let answers = vec![SECRET.to_vec().into(); questions.questions.len()];
                    self.auth.answers(Some(&*answers).filter(|_| self.has_password));
                }
            }
        }
        panic!("steps without end");
    }

    fn sent(&mut self, request: &[u8]) {
        let holds_secret = request.windows(SECRET.len()).any(|window| window == SECRET);
        let mut reader = Reader::new(&request[1..]);
        match request[0] {
            message::SERVICE_REQUEST => assert!(!holds_secret),
            message::USERAUTH_INFO_RESPONSE => {
                self.answers += 1;
                self.unanswered += 1;
            }
            message::USERAUTH_REQUEST => {
                self.unanswered += 1;
                assert_eq!((reader.text(), reader.text()), (Ok("me"), Ok("ssh-connection")));
                let method = reader.text().expect("a method");
                let is_listed = |listed: &Vec<String>| listed.iter().any(|it| it == method);
                assert!(self.listed.as_ref().is_none_or(is_listed), "{method} is not listed");
                assert_eq!(holds_secret, method == "password");
                self.passwords += usize::from(method == "password");
            }
            other => panic!("message {other}"),
        }
        assert!(!holds_secret || self.allows_passwords && self.listed.is_some(), "a secret too early");
        assert!(self.unanswered <= 1, "a request before the answer to the last one");
    }

    /// Receives a message. Returns `false` if it is an error.
    fn receive(&mut self, payload: &[u8]) -> bool {
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let was_asked = self.unanswered == 1;
        let is_valid = self.auth.receive(payload).is_ok();
        assert!(MEMORY.peak_usage() - before <= MAX_MEMORY + 4 * payload.len());
        if !is_valid {
            return false;
        }
        match payload[0] {
            message::USERAUTH_SUCCESS => assert!(was_asked && self.auth.is_done()),
            message::USERAUTH_FAILURE => {
                assert!(was_asked);
                self.listed = self.auth.methods().map(<[String]>::to_vec);
            }
            message::USERAUTH_60 => assert!(was_asked),
            _ => assert!(!self.auth.is_done()),
        }
        if matches!(payload[0], message::USERAUTH_FAILURE | message::USERAUTH_60 | message::USERAUTH_SUCCESS)
        {
            self.unanswered = 0;
        }
        true
    }
}

fuzz_target!(|input: &[u8]| {
    let mut decisions = Decisions(input);
    let Some(setup) = decisions.next() else { return };
    let mut client = Client::new(setup);
    let mut banners = 0;
    let mut failures = 0;
    while client.advance() {
        let Some(length) = decisions.next() else { break };
        let Some((payload, rest)) = decisions.0.split_at_checked(usize::from(length)) else { break };
        decisions.0 = rest;
        if payload.first() == Some(&message::EXT_INFO) {
            client.auth.set_signature_algorithms(&String::from_utf8_lossy(&payload[1..]));
            continue;
        }
        failures += usize::from(payload.first() == Some(&message::USERAUTH_FAILURE));
        if !client.receive(payload) {
            return;
        }
        banners += client.auth.take_banners().iter().map(String::len).sum::<usize>();
    }
    // A byte that is no UTF-8 becomes three.
    assert!(banners <= 3 * 4096, "{banners} bytes of banners");
    assert!(client.passwords <= 3 + failures, "{} passwords", client.passwords);
    // The query, the signature, passwords, questions, and the method "none".
    let limit = 2 * client.signatures.len() + 3 + 3 + 1;
    assert!(failures <= limit, "{failures} attempts");
});
