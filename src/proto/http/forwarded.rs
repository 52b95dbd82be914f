//! The part of the negotiation that only requests to forward need.

use super::forward::Forwarding;
use super::head::Head;
use super::{Connect, State};
use crate::proto::Error;

impl Connect {
    /// Returns `true` if the next request is the HEAD request that tests the login.
    pub(super) fn probes(&self) -> bool {
        let needs_probe = self.forwarding.as_ref().is_some_and(Forwarding::needs_probe);
        needs_probe && !self.selector.is_accepted_basic()
    }

    /// Returns `true` if the negotiation waits for the response to the next request.
    pub(super) fn awaits_response(&self) -> bool {
        let can_repeat = self.forwarding.as_ref().is_none_or(|forwarding| !forwarding.has_body());
        can_repeat || self.probes()
    }

    /// Handles a response to a request that the proxy forwards. All but challenges are for the
    /// client.
    pub(super) fn handle_forwarded_head(&mut self, head: &Head) -> Result<(), Error> {
        let probes = self.probes();
        let Some(forwarding) = &mut self.forwarding else { return Ok(()) };
        self.state = match head.status {
            407 => {
                forwarding.discard();
                self.handle_challenge(head)?
            }
            100..=199 if probes => State::AwaitHead,
            100..=199 => {
                forwarding.keep(head);
                State::AwaitHead
            }
            _ if probes => {
                forwarding.is_probed = true;
                self.selector.accepted();
                self.reused = head.keeps_alive();
                if self.reused { State::SendRequest } else { State::Reconnect }
            }
            _ => {
                forwarding.keep(head);
                self.establish()
            }
        };
        Ok(())
    }
}
