//! Keys in an SSH agent.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::os_message;
use crate::proto::ssh::{SignError, Signer};
use crate::secret::Secret;
use crate::ssh::agent::{self, AgentKey, MAX_MESSAGE};
use crate::ssh::client_auth::Identity;
use crate::ssh::key_type::KeyType;
use crate::sys;
use crate::text::escaped;
use crate::trace::trace;

/// The time for one answer of an agent.
const AGENT_TIMEOUT: Duration = Duration::from_secs(10);

/// A key in an agent.
#[derive(Clone, Debug)]
pub(super) struct InAgent {
    socket: PathBuf,
    key: AgentKey,
    /// The key for the server: that of the agent, or a certificate of it from a file.
    shown: Vec<u8>,
    kind: &'static KeyType,
}

impl InAgent {
    /// Returns the public key or the certificate.
    pub(super) fn blob(&self) -> &[u8] {
        &self.key.blob
    }

    /// Returns the same key, presented as itself or as a certificate. `None` for an unknown type.
    pub(super) fn presented_as(&self, shown: Vec<u8>) -> Option<Self> {
        Some(Self { kind: KeyType::of(&shown)?, shown, ..self.clone() })
    }

    fn name(&self) -> String {
        format!("{}, {} in the agent", self.kind.describe(&self.shown), escaped(&self.key.comment))
    }
}

impl Signer for InAgent {
    fn identity(&self) -> Identity {
        Identity::new(self.shown.clone(), self.kind.algorithms(), self.name(), false)
    }

    fn sign(&self, algorithm: &str, message: &[u8], _: Option<&Secret>) -> Result<Vec<u8>, SignError> {
        let unusable =
            |reason: &str| SignError::Unusable(format!("cannot use key {}: {reason}", self.name()));
        let request = agent::sign_request(&self.key.blob, algorithm, message);
        let answer = ask(&self.socket, &request).map_err(|error| unusable(&cause(&error)))?;
        agent::signature(&answer).map_err(|_| unusable("the agent did not sign"))
    }
}

/// Returns the keys of an agent that can log in; empty if no agent answers.
pub(super) fn keys(socket: &Path) -> Vec<InAgent> {
    let keys = match ask(socket, &agent::list_request()) {
        Ok(answer) => agent::keys(&answer).unwrap_or_default(),
        Err(error) => {
            trace!("no agent at {}: {}", socket.display(), cause(&error));
            return Vec::new();
        }
    };
    let usable = |key: AgentKey| {
        let kind = KeyType::of(&key.blob)?;
        Some(InAgent { socket: socket.to_owned(), shown: key.blob.clone(), key, kind })
    };
    keys.into_iter().filter_map(usable).collect()
}

/// Sends a request to the agent, and returns the answer without its length.
fn ask(socket: &Path, request: &[u8]) -> io::Result<Vec<u8>> {
    let started = Instant::now();
    let mut agent = sys::connect_agent(socket, AGENT_TIMEOUT)?;
    agent.write_all(request)?;
    let mut length = [0; 4];
    read_within(&mut agent, &mut length, started)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_MESSAGE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too long"));
    }
    let mut answer = vec![0; length];
    read_within(&mut agent, &mut answer, started)?;
    Ok(answer)
}

/// Fills the buffer, until [`AGENT_TIMEOUT`] has passed. Each read takes at most this time, too.
fn read_within(agent: &mut impl Read, mut buffer: &mut [u8], started: Instant) -> io::Result<()> {
    while !buffer.is_empty() {
        if started.elapsed() >= AGENT_TIMEOUT {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match agent.read(buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => buffer = &mut buffer[count..],
        }
    }
    Ok(())
}

/// Describes why an agent did not answer.
fn cause(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            let limit = AGENT_TIMEOUT.as_secs();
            format!("the agent did not answer within {limit} seconds, the time to confirm the use of a key")
        }
        io::ErrorKind::UnexpectedEof => "the agent closed the connection".into(),
        _ => os_message(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// An agent that sends one byte at a time.
    struct Slow;

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer[0] = 0;
            Ok(1)
        }
    }

    #[test]
    fn the_limit_applies_to_the_whole_answer() {
        let long_ago = Instant::now().checked_sub(AGENT_TIMEOUT).unwrap();
        let error = read_within(&mut Slow, &mut [0; 4], long_ago).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        read_within(&mut Slow, &mut [0; 4], Instant::now()).unwrap();
    }

    #[test]
    fn an_agent_that_is_too_slow_is_named_with_the_limit() {
        // A socket reports its timeout as either of these, by system.
        for kind in [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut] {
            let expected = "the agent did not answer within 10 seconds, the time to confirm the use of a key";
            assert_eq!(cause(&kind.into()), expected);
        }
        assert_eq!(cause(&io::ErrorKind::UnexpectedEof.into()), "the agent closed the connection");
    }
}
