//! What happens in a session: thrown with dice, and told to the far end in the first bytes that go through.

use std::time::Duration;

use crate::exchange::Pace;
use crate::stream::{Dice, Stream};

/// How a session gets to the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Listener,
    ListenerThroughProxy,
    Stdio,
    StdioThroughProxy,
}

impl Way {
    pub(crate) fn is_stdio(self) -> bool {
        matches!(self, Self::Stdio | Self::StdioThroughProxy)
    }
}

/// Who breaks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nobody: all must arrive.
    Whole,
    /// The target resets the connection, after so many bytes of both directions.
    TargetResets(u64),
    /// The client resets it, or leaves a program's pipes.
    ClientLeaves(u64),
    /// The program is killed.
    Killed(u64),
}

/// One session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) way: Way,
    pub(crate) up: Stream,
    pub(crate) down: Stream,
    pub(crate) fate: Fate,
    pub(crate) client: Pace,
    pub(crate) target: Pace,
    /// The target ends its stream after the client's only.
    pub(crate) target_waits_for_end: bool,
    /// What the target gets may end early and look complete: a program that is killed tells nobody.
    pub(crate) may_end_short: bool,
}

impl Session {
    pub(crate) fn thrown(seed: u64, id: u64) -> Self {
        let mut dice = Dice::new(seed ^ id.wrapping_mul(0xD134_2543_DE82_EF95));
        let way = match dice.below(20) {
            0..8 => Way::Listener,
            8..16 => Way::ListenerThroughProxy,
            16..18 => Way::Stdio,
            _ => Way::StdioThroughProxy,
        };
        let up = Stream { seed: dice.roll() >> 32, len: length(&mut dice) };
        let down = Stream { seed: dice.roll() >> 32, len: length(&mut dice) };
        // Before all is through: nobody could tell a later break from none.
        let mut early = |limit: u64| dice.below(limit);
        let fate = match early(100) {
            0..70 => Fate::Whole,
            70..82 => Fate::TargetResets(early(up.len + down.len)),
            82..94 => Fate::ClientLeaves(early(up.len + down.len)),
            _ if way.is_stdio() => Fate::Killed(early(up.len + down.len)),
            _ => Fate::Whole,
        };
        let (client, target) = (pace(&mut dice), pace(&mut dice));
        // The remote's end ends a program's session, although its input be open.
        let target_waits_for_end = way.is_stdio() || dice.percent(50);
        let may_end_short = way.is_stdio() && matches!(fate, Fate::ClientLeaves(_) | Fate::Killed(_));
        Self { id, way, up, down, fate, client, target, target_waits_for_end, may_end_short }
    }

    /// The first bytes that the client sends.
    pub(crate) const HEADER: usize = 88;

    pub(crate) fn header(&self) -> [u8; Self::HEADER] {
        let reset = match self.fate {
            Fate::TargetResets(after) => after,
            _ => u64::MAX,
        };
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let fields = [
            MAGIC,
            self.id,
            self.up.seed,
            self.up.len,
            self.down.seed,
            self.down.len,
            reset,
            millis(self.target.silence),
            millis(self.target.slow),
            u64::from(self.target_waits_for_end),
            u64::from(self.may_end_short),
        ];
        let mut header = [0; Self::HEADER];
        for (place, field) in header.chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        header
    }

    /// What the target has to know.
    pub(crate) fn of_header(header: [u8; Self::HEADER]) -> Option<Self> {
        let mut fields = [0; 11];
        for (field, bytes) in fields.iter_mut().zip(header.chunks_exact(8)) {
            *field = u64::from_le_bytes(bytes.try_into().ok()?);
        }
        let [magic, id, up_seed, up, down_seed, down, reset, silence, slow, waits, short] = fields;
        (magic == MAGIC).then(|| Self {
            id,
            way: Way::Listener,
            up: Stream { seed: up_seed, len: up },
            down: Stream { seed: down_seed, len: down },
            fate: if reset == u64::MAX { Fate::Whole } else { Fate::TargetResets(reset) },
            client: Pace::default(),
            target: Pace { silence: Duration::from_millis(silence), slow: Duration::from_millis(slow) },
            target_waits_for_end: waits != 0,
            may_end_short: short != 0,
        })
    }
}

const MAGIC: u64 = 0x6b61_6f73_6b61_6f73;

/// Mostly little, sometimes nothing, and now and then some mebibytes.
fn length(dice: &mut Dice) -> u64 {
    match dice.below(10) {
        0 => 0,
        1..4 => dice.below(2_000),
        4..8 => dice.below(200_000),
        8 => dice.below(1_000_000),
        _ => dice.below(6_000_000),
    }
}

fn pace(dice: &mut Dice) -> Pace {
    let millis = |dice: &mut Dice, limit| Duration::from_millis(dice.below(limit));
    match dice.below(10) {
        0 => Pace { silence: millis(dice, 5_000), slow: Duration::ZERO },
        1 => Pace { silence: Duration::ZERO, slow: millis(dice, 30) },
        _ => Pace { silence: millis(dice, 600), slow: Duration::ZERO },
    }
}
