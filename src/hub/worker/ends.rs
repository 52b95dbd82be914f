//! The ends of connections for which the hub has a reason: time limits, tokens, its own end.

use std::time::{Duration, Instant};

use super::{TICK_INTERVAL, Worker};
use crate::hub::connection::{Connection, Role};
use crate::hub::rendezvous::ConnectionId;
use crate::proto::hub::Refusal;
use crate::proto::websocket::CloseCode;
use crate::token;

/// Time for which a peer may accept nothing while bytes wait.
const STALLED_PEER_TIMEOUT: Duration = Duration::from_secs(300);

impl Worker {
    /// Ends a connection whose token has become invalid.
    pub(super) fn revoke(&mut self, id: ConnectionId, refusal: token::Refusal) {
        let Some(connection) = self.connections.get_mut(&id).filter(|it| it.ending.is_none()) else { return };
        let why = refusal.to_string();
        let Connection { name, session, lease, .. } = &**connection;
        self.shared.report.ended(name, session, lease.identity(), &why);
        if let Role::Waiting { .. } = connection.role {
            connection.refuse(&refusal.into());
        } else {
            connection.close(CloseCode(refusal.close_code()), &why);
        }
        self.leave(id);
        self.arm(id);
    }

    /// Checks all time limits.
    pub(super) fn tick(&mut self, now: Instant) {
        self.next_tick = now + TICK_INTERVAL;
        self.rendezvous.tick(self.now());
        self.handle_acts();
        let (mut over, mut lost) = (Vec::new(), Vec::new());
        for (id, connection) in &mut self.connections {
            let has_stalled = connection.output.has_stalled(now, STALLED_PEER_TIMEOUT);
            if let Some(ending) = &connection.ending {
                if has_stalled || ending.is_over(now) {
                    over.push(*id);
                }
            } else if has_stalled || connection.check_peer(now) {
                lost.push(*id);
            }
        }
        for id in over {
            self.remove(id);
        }
        for id in lost {
            if let Some(Connection { stream, name, session, lease, .. }) =
                self.connections.get_mut(&id).map(|it| &mut **it)
            {
                stream.reset_on_close();
                self.shared.report.ended(name, session, lease.identity(), "no answer");
            }
            self.lost(id);
        }
        self.move_links(now);
    }

    /// Closes some of the pairs that carry links, while the hub drains. Their clients continue at
    /// another hub. They are spread over the time, so that not all of them connect there at once.
    fn move_links(&mut self, now: Instant) {
        let Some(until) = self.links_move_until else { return };
        let is_link = |connection: &Connection| {
            connection.ending.is_none()
                && matches!(connection.role, Role::Data { peer: Some(_), is_link: true, .. })
        };
        let links: Vec<_> =
            self.connections.iter().filter(|(_, it)| is_link(it)).map(|(id, _)| *id).collect();
        let ticks = until.saturating_duration_since(now).as_secs().max(1);
        let count = links.len().div_ceil(usize::try_from(ticks).unwrap_or(usize::MAX));
        for id in links.into_iter().take(count) {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.close(CloseCode::GOING_AWAY, "the hub shuts down");
            }
            self.end_pair(id, None);
            self.arm(id);
        }
    }

    /// Ends all connections, because the hub shuts down.
    pub(super) fn stop(&mut self) {
        let ids: Vec<_> = self.connections.keys().copied().collect();
        for id in &ids {
            let Some(connection) = self.connections.get_mut(id).filter(|it| it.ending.is_none()) else {
                continue;
            };
            if let Role::Waiting { .. } = connection.role {
                connection.refuse(&Refusal::draining());
            } else {
                connection.close(CloseCode::GOING_AWAY, "the hub shuts down");
            }
        }
        for id in ids {
            self.leave(id);
            self.arm(id);
        }
    }
}

#[cfg(test)]
mod tests;
