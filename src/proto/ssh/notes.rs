//! Texts that accompany a negotiation: for the debug log, for `--check`, and for the user.

use std::collections::VecDeque;

use crate::ssh::algorithms::{Algorithms, ZLIB};
use crate::ssh::message;
use crate::ssh::transport::{LogEntry, Transport};
use crate::text::printable;

/// The texts that the driver has not taken.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// For the debug log.
    pub(super) log: VecDeque<String>,
    /// For the debug log and `--check`.
    facts: VecDeque<String>,
    /// For the user.
    messages: VecDeque<String>,
    is_quiet: bool,
}

impl Notes {
    pub(super) fn new(is_quiet: bool) -> Self {
        Self { is_quiet, ..Self::default() }
    }

    /// Adds a result of the negotiation.
    pub(super) fn fact(&mut self, text: String) {
        self.log.push_back(text.clone());
        self.facts.push_back(text);
    }

    /// Adds a message for the user, unless `-q` hides it.
    pub(super) fn message(&mut self, text: String) {
        if self.is_quiet {
            self.log.push_back(text);
        } else {
            self.messages.push_back(text);
        }
    }

    /// Adds the lines of a banner (RFC 4252 §5.4).
    pub(super) fn banner(&mut self, server: &str, text: &str) {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            self.message(format!("{server}: {}", printable(line.as_bytes())));
        }
    }

    /// Adds the messages that were sent and received. Leaves out the length of those that may
    /// contain a secret, because it depends on the length of the secret.
    pub(super) fn traffic(&mut self, entries: Vec<LogEntry>) {
        for LogEntry { is_sent, number, length } in entries {
            let direction = if is_sent { "sent" } else { "received" };
            let name = message::name(number);
            let is_secret = matches!(number, message::USERAUTH_REQUEST | message::USERAUTH_INFO_RESPONSE);
            let length = if is_secret { String::new() } else { format!(" ({})", bytes(length)) };
            self.log.push_back(format!("{direction} {name}{length}"));
        }
    }

    pub(super) fn take_fact(&mut self) -> Option<String> {
        self.facts.pop_front()
    }

    pub(super) fn take_message(&mut self) -> Option<String> {
        self.messages.pop_front()
    }
}

fn bytes(count: usize) -> String {
    if count == 1 { "1 byte".into() } else { format!("{count} bytes") }
}

/// Describes the algorithms of a connection.
pub(super) fn algorithms(transport: &Transport) -> Option<String> {
    let algorithms = transport.algorithms()?;
    let Algorithms { key_exchange: (key_exchange, _), host_key, to_server, to_client, .. } = algorithms;
    let direction = |(cipher, mac): &(crate::ssh::cipher::Cipher, crate::ssh::cipher::Mac)| {
        if cipher.is_aead() {
            cipher.name().to_owned()
        } else {
            format!("{} with {}", cipher.name(), mac.name())
        }
    };
    let (up, down) = (direction(to_server), direction(to_client));
    let ciphers = if up == down { up } else { format!("{up} to the server, {down} to the client") };
    let compression = match algorithms.compresses {
        [false, false] => String::new(),
        [true, true] => format!(", compression {ZLIB}"),
        [true, false] => format!(", compression {ZLIB} to the server"),
        [false, true] => format!(", compression {ZLIB} to the client"),
    };
    let strict = if transport.is_strict() { "" } else { ", not strict" };
    Some(format!(
        "key exchange {key_exchange}{strict}, host key algorithm {host_key}, cipher {ciphers}{compression}"
    ))
}
