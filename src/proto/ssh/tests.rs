//! The negotiation with a server in memory.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "that is how a test fails")]

use super::*;
use crate::addr::{Endpoint, Host, parse_port};
use crate::ssh::public_key::PublicKey;

mod faults;
mod server;

/// The server's name for messages.
const SERVER: &str = "SSH server bastion:22";

/// Trusts one key.
struct OnlyKey(PublicKey);

impl HostKeys for OnlyKey {
    fn arrange(&self, _: &mut [&'static str]) {}

    fn check(&mut self, key: Presented<'_>) -> Decision {
        if *key.key() == self.0 {
            Decision::Trust("known".into())
        } else {
            Decision::Refuse(format!("unknown host key of {SERVER}"))
        }
    }

    fn accept(&mut self) -> Option<String> {
        None
    }
}

/// A key whose signatures the server does not check.
struct Key(u8);

impl Signer for Key {
    fn identity(&self) -> Identity {
        Identity::new(vec![self.0; 9], &["ssh-ed25519"], format!("key {}", self.0), false)
    }

    fn sign(&self, _: &str, _: &[u8], _: Option<&Secret>) -> Result<Vec<u8>, SignError> {
        Ok(b"signature".to_vec())
    }
}

/// Returns a negotiation with two keys and a password. It trusts the key of [`server::Server`].
fn open_channel() -> OpenChannel {
    let login = Login {
        user: UserName::from("me"),
        password: Some(Secret::from("secret")),
        prompts: Prompts::None,
        password_prompt: String::new(),
        signers: vec![Box::new(Key(1)), Box::new(Key(2))],
        unusable: Vec::new(),
        host_keys: Box::new(OnlyKey(server::host_key().public_key().clone())),
        offer: Offer { key_exchanges: vec!["curve25519-sha256"], ..Offer::default() },
        server: SERVER.into(),
        is_quiet: false,
        is_logged: true,
        asks_for_methods: false,
    };
    let target = Endpoint { host: Host::parse("inner").unwrap(), port: parse_port("22").unwrap() };
    OpenChannel::new(login, Some(ChannelTarget::Tcp(target)), crate::ssh::testing::random)
}
