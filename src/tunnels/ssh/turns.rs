//! The order in which the channels of a connection send their packets.

use std::collections::{BTreeSet, VecDeque};

use crate::ssh::connection::ChannelId;

/// The channels that wait for room in the output, in the order in which they began to wait.
///
/// Room is given out in packets. A channel with a turn has one packet reserved until it writes or
/// gives the turn up, so a channel that always has data cannot overtake those that wait.
#[derive(Debug, Default)]
pub(super) struct Turns {
    waiting: VecDeque<ChannelId>,
    granted: BTreeSet<ChannelId>,
}

impl Turns {
    /// Returns `true` if a channel may write a packet while there is room for this many.
    pub(super) fn may_write(&self, id: ChannelId, room: usize) -> bool {
        let is_unclaimed = self.waiting.is_empty() && room > self.granted.len();
        room > 0 && (self.granted.contains(&id) || is_unclaimed)
    }

    /// Records that a channel has written a packet.
    pub(super) fn wrote(&mut self, id: ChannelId) {
        self.granted.remove(&id);
    }

    /// Lets a channel wait for its turn.
    pub(super) fn wait(&mut self, id: ChannelId) {
        if !self.granted.contains(&id) && !self.waiting.contains(&id) {
            self.waiting.push_back(id);
        }
    }

    /// Removes a channel that does not want to write anymore.
    pub(super) fn give_up(&mut self, id: ChannelId) {
        self.granted.remove(&id);
        self.waiting.retain(|waiting| *waiting != id);
    }

    /// Gives the next channel its turn if there is room for another packet.
    pub(super) fn grant(&mut self, room: usize) -> Option<ChannelId> {
        if self.granted.len() >= room {
            return None;
        }
        let id = self.waiting.pop_front()?;
        self.granted.insert(id);
        Some(id)
    }
}
