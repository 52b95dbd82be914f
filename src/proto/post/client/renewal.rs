//! The replacement of a token that the server of an open tunnel no longer accepts.

use zeroize::Zeroizing;

use super::super::failure::Failure;
use super::super::lane::Sent;
use super::super::message::Answer;
use super::{Client, Direction, Renewal, State};

impl Client {
    /// Returns `true` if the server has rejected the token of the open tunnel. Call
    /// [`renew`](Self::renew) then.
    #[must_use]
    pub fn needs_token(&self) -> bool {
        matches!(self.renewal, Renewal::Needed(_)) && self.state == State::Open
    }

    /// Returns `true` from the rejection of a token until the server has accepted a new one.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        !matches!(self.renewal, Renewal::None) && self.state == State::Open
    }

    /// Replaces the token that the server has rejected. The next request of `direction`, which must
    /// not be in flight, sends the new one. The tunnel fails if the new one is the same.
    pub fn renew(&mut self, direction: Direction, token: Zeroizing<Vec<u8>>) {
        let Renewal::Needed(why) = &self.renewal else { return };
        if self.settings.token == token {
            let failure = Failure::Token(why.clone());
            // The server waits for a new token, and resets the target when it learns that none
            // will come.
            self.abort();
            self.failure.get_or_insert(failure);
            return;
        }
        self.settings.token = token;
        self.renewal = Renewal::Due(direction);
        for sent in [&mut self.up.sent, &mut self.down.sent].into_iter().flatten() {
            sent.is_outdated = true;
        }
    }

    /// Returns `true` if a new token may continue the tunnel.
    pub(super) fn can_renew(&self) -> bool {
        let is_complete = self.outgoing.is_end_acknowledged && self.incoming.has_ended;
        self.state == State::Open && !is_complete
    }

    /// Returns `true` if the next request of this direction must send the new token.
    pub(super) fn sends_token(&self, direction: Direction) -> bool {
        matches!(self.renewal, Renewal::Due(due) if due == direction)
    }

    /// Records that the server has rejected the token of a request.
    pub(super) fn token_rejected(&mut self, why: String, sent: &Sent) {
        if !sent.is_outdated {
            self.renewal = Renewal::Needed(why);
        }
    }

    /// Records an answer, which may accept the new token.
    pub(super) fn note_opened(&mut self, answer: &Answer) {
        if answer.is_opened {
            self.renewal = Renewal::None;
        }
    }
}
