//! The state of a key exchange.

use crate::ssh::algorithms::Algorithms;
use crate::ssh::cipher::Keys;
use crate::ssh::key_exchange::ClientShare;

/// The state of a key exchange.
#[derive(Debug, Default)]
pub(super) enum Exchange {
    /// No key exchange is in progress.
    #[default]
    Idle,
    /// This side's KEXINIT is sent, and the peer's has not arrived. A client that guesses has also
    /// sent its public value.
    Offered { own_init: Vec<u8>, share: Option<Box<ClientShare>> },
    /// Both KEXINITs are known; the peer's public value has not arrived.
    Agreeing(Box<Agreeing>),
    /// The client has the new keys and waits for the user to trust the host key.
    Trusting(NewKeys),
    /// NEWKEYS is sent, and the peer's has not arrived.
    Switching(NewKeys),
}

#[derive(Debug)]
pub(super) struct Agreeing {
    pub(super) own_init: Vec<u8>,
    pub(super) peer_init: Vec<u8>,
    pub(super) algorithms: Algorithms,
    /// The client's part.
    pub(super) share: Option<ClientShare>,
    /// The peer's next message belongs to a wrong guess.
    pub(super) skip_next: bool,
}

/// The result of a key exchange.
#[derive(Debug)]
pub(super) struct NewKeys {
    pub(super) algorithms: Algorithms,
    pub(super) send: Keys,
    pub(super) receive: Keys,
}

impl Exchange {
    pub(super) fn awaits_trust(&self) -> bool {
        matches!(self, Self::Trusting(_))
    }
}
