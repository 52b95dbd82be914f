//! The tokens of open tunnels: their end, and their replacement.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Engine, Opening, Target, Task};
use crate::listen::gate::Lease;
use crate::proto::post::Sid;
use crate::token::{Refusal, Refused};
use crate::trace::trace;

impl Engine {
    /// Starts to check the token of a request for a tunnel whose own token has become invalid.
    pub(super) fn check_new_token(&mut self, sid: Sid, request: u64, token: Zeroizing<Vec<u8>>) {
        let Some(client) = self.target(sid).map(|target| target.client.clone()) else { return };
        if !(self.open)(Opening { sid, token, client, renewal: Some(request) }) {
            // The client repeats the request.
            let now = self.now();
            self.table.not_renewed(sid, request, 429, "too many clients at a time", now);
        }
    }

    /// Continues a tunnel with the new token in a request, or refuses the request.
    pub(super) fn renew(&mut self, sid: Sid, request: u64, result: Result<Lease, Refused>) {
        let (now, mailbox) = (self.now(), Arc::clone(&self.mailbox));
        let Some(target) = self.target(sid) else { return };
        match result {
            Ok(lease) => {
                let client = target.client.described(lease.identity());
                trace!("client {client} has renewed the token of tunnel {sid}");
                mailbox.watch(sid, &lease);
                target.lease = lease;
                self.table.connected(sid, now);
            }
            Err(Refused { why, identity }) => {
                let (client, text) = (target.client.described(&identity), why.to_string());
                self.report.refused(&client, why.status(), &text);
                self.table.not_renewed(sid, request, why.status(), &text, now);
            }
        }
    }

    fn target(&mut self, sid: Sid) -> Option<&mut Target> {
        match self.targets.get(&sid).and_then(|id| self.tasks.get_mut(id)) {
            Some(Task::Target(target)) => Some(target),
            Some(Task::Connection(_)) | None => None,
        }
    }

    /// Refuses all requests of a tunnel because of its token.
    pub(super) fn reject(&mut self, sid: Sid, client: &str, refusal: Refusal) {
        let (text, now) = (refusal.to_string(), self.now());
        self.report.refused(client, refusal.status(), &text);
        self.table.rejected(sid, refusal.status(), &text, now);
    }

    /// Ends a tunnel whose token has become invalid.
    pub(super) fn revoke(&mut self, sid: Sid, refusal: Refusal) {
        let Some(client) = self.target(sid).map(|target| target.described()) else { return };
        self.reject(sid, &client, refusal);
    }
}
