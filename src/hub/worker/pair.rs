//! The two sides of a pair.

use std::mem;

use super::Worker;
use crate::hub::connection::{Connection, Role, Stop};
use crate::hub::rendezvous::ConnectionId;
use crate::proto::websocket::{Close, CloseCode};

impl Worker {
    /// Makes a pair of a client and the connection with which an origin has accepted it.
    pub(super) fn join(&mut self, client: ConnectionId, data: ConnectionId) {
        let statistics = &self.shared.statistics;
        statistics.add_pairs(1);
        let Some(connection) = self.connections.get_mut(&client) else { return self.lost(data) };
        let is_link = matches!(connection.role, Role::Waiting { is_link: true, .. });
        let role =
            mem::replace(&mut connection.role, Role::Data { peer: Some(data), is_dest: true, is_link });
        if let Role::Waiting { answer, since, .. } = role {
            connection.stream.set_reset_on_exit(true);
            let _ = connection.send(&answer);
            statistics.add_handshake(since.elapsed());
        }
        for id in [client, data] {
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            let early = mem::take(&mut connection.early);
            self.relay(id, &early);
        }
        self.arm(client);
    }

    /// Passes received bytes of one side of a pair to the other side.
    pub(super) fn relay(&mut self, id: ConnectionId, bytes: &[u8]) {
        let Some(Role::Data { peer: Some(peer), is_dest, .. }) = self.connections.get(&id).map(|it| &it.role)
        else {
            return;
        };
        let (peer, is_dest) = (*peer, *is_dest);
        let [Some(from), Some(to)] = self.connections.get_disjoint_mut([&id, &peer]) else { return };
        self.frames.clear();
        let (count, stop) = from.decode_to_frames(bytes, &mut self.frames);
        self.shared.statistics.add_bytes(is_dest, count);
        if !to.has_sent_close && !self.frames.is_empty() && to.send(&self.frames).is_err() {
            return self.lost(peer);
        }
        match stop {
            None => {}
            Some(Stop::Closed(close)) => self.relay_close(id, peer, &close),
            Some(Stop::Malformed(cause)) => {
                let why = cause.to_string();
                from.close(CloseCode::PROTOCOL_ERROR, &why);
                self.end_pair(id, Some(&why));
            }
        }
        self.arm(peer);
    }

    /// Passes a Close to the other side, if it has a meaning there. A normal one is EOF of its
    /// direction.
    pub(super) fn relay_close(&mut self, id: ConnectionId, peer: ConnectionId, close: &Close) {
        let [Some(from), Some(to)] = self.connections.get_disjoint_mut([&id, &peer]) else { return };
        from.has_received_close = true;
        if close.is_normal() {
            to.send_close(&Close { code: Some(CloseCode::NORMAL), reason: close.reason.clone() });
            if from.has_sent_close {
                from.end();
                to.end();
                self.end_pair(id, None);
            }
            return;
        }
        from.close(close.answer(), "");
        if matches!(close.answer().0, 1001 | 4400..=4499) && !to.has_sent_close {
            to.send_close(close);
            to.end();
        }
        self.end_pair(id, None);
    }

    /// Ends a pair of which one side has ended. The other side gets an error, unless it is ending
    /// as well.
    pub(super) fn end_pair(&mut self, id: ConnectionId, why: Option<&str>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Role::Data { peer, .. } = &mut connection.role else { return };
        let Some(other) = peer.take() else { return };
        self.shared.statistics.add_pairs(-1);
        self.rendezvous.pair_ended(&connection.session);
        if let Some(why) = why {
            let Connection { name, session, lease, .. } = &**connection;
            self.shared.report.ended(name, session, lease.identity(), why);
        }
        let Some(connection) = self.connections.get_mut(&other) else { return };
        if let Role::Data { peer, .. } = &mut connection.role {
            *peer = None;
        }
        if connection.ending.is_none() && connection.cut_off() {
            return self.remove(other);
        }
        self.arm(other);
    }
}
