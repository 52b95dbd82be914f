//! Random session scenarios. The first bytes from the client tell the target what to do.

use std::time::Duration;

use crate::kit::exchange::Pace;
use crate::kit::stream::{Random, Stream};

/// The route of a session to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Listener,
    ListenerAndProxy,
    Stdio,
    StdioAndProxy,
}

impl Via {
    /// Returns `true` if the session runs through a process of its own.
    pub(crate) fn is_stdio(self) -> bool {
        matches!(self, Self::Stdio | Self::StdioAndProxy)
    }
}

/// An interruption of a session. The numbers are byte counts for both directions combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// No interruption: all data must arrive.
    None,
    /// The target resets the connection after this many bytes.
    TargetResets(u64),
    /// The client resets its connection, or closes the program's pipes, after this many bytes.
    ClientCloses(u64),
    /// The program is killed after this many bytes.
    Killed(u64),
}

/// The parameters of one session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) via: Via,
    pub(crate) up: Stream,
    pub(crate) down: Stream,
    pub(crate) interruption: Interruption,
    pub(crate) client: Pace,
    pub(crate) target: Pace,
    /// The target half-closes only after it has received EOF.
    pub(crate) target_waits_for_eof: bool,
    /// The target may receive EOF early: a closed pipe looks like EOF to the program, and a program
    /// that is killed cannot reset its connection.
    pub(crate) may_end_early: bool,
}

impl Session {
    /// Returns session number `id` of the sequence that `seed` determines.
    pub(crate) fn random(seed: u64, id: u64) -> Self {
        let mut random = Random::new(seed ^ id.wrapping_mul(0xD134_2543_DE82_EF95));
        let via = match random.below(20) {
            0..8 => Via::Listener,
            8..16 => Via::ListenerAndProxy,
            16..18 => Via::Stdio,
            _ => Via::StdioAndProxy,
        };
        let up = Stream { seed: random.any() >> 32, len: length(&mut random) };
        let down = Stream { seed: random.any() >> 32, len: length(&mut random) };
        // Interrupt before all data has arrived, because a later interruption has no effect.
        let mut position = |limit: u64| random.below(limit);
        let interruption = match position(100) {
            0..70 => Interruption::None,
            70..82 => Interruption::TargetResets(position(up.len + down.len)),
            82..94 => Interruption::ClientCloses(position(up.len + down.len)),
            _ if via.is_stdio() => Interruption::Killed(position(up.len + down.len)),
            _ => Interruption::None,
        };
        let (client, target) = (pace(&mut random), pace(&mut random));
        // EOF from the target ends a stdio session even while stdin is open, so the target must
        // wait.
        let target_waits_for_eof = via.is_stdio() || random.percent(50);
        let may_end_early =
            via.is_stdio() && matches!(interruption, Interruption::ClientCloses(_) | Interruption::Killed(_));
        Self { id, via, up, down, interruption, client, target, target_waits_for_eof, may_end_early }
    }

    /// Length in bytes of the header, which the client sends first.
    pub(crate) const HEADER: usize = 88;

    /// Returns the header, which tells the target its part of the session.
    pub(crate) fn header(&self) -> [u8; Self::HEADER] {
        let reset = match self.interruption {
            Interruption::TargetResets(after) => after,
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
            millis(self.target.initial_pause),
            millis(self.target.read_pause),
            u64::from(self.target_waits_for_eof),
            u64::from(self.may_end_early),
        ];
        let mut header = [0; Self::HEADER];
        for (bytes, field) in header.chunks_exact_mut(8).zip(fields) {
            bytes.copy_from_slice(&field.to_le_bytes());
        }
        header
    }

    /// Parses a header; `None` if it is invalid. Fields that only the client needs have defaults.
    pub(crate) fn from_header(header: [u8; Self::HEADER]) -> Option<Self> {
        let mut fields = [0; 11];
        for (field, bytes) in fields.iter_mut().zip(header.chunks_exact(8)) {
            *field = u64::from_le_bytes(bytes.try_into().ok()?);
        }
        let [magic, id, up_seed, up, down_seed, down, reset, initial, read, waits, early] = fields;
        let interruption =
            if reset == u64::MAX { Interruption::None } else { Interruption::TargetResets(reset) };
        (magic == MAGIC).then(|| Self {
            id,
            via: Via::Listener,
            up: Stream { seed: up_seed, len: up },
            down: Stream { seed: down_seed, len: down },
            interruption,
            client: Pace::default(),
            target: Pace {
                initial_pause: Duration::from_millis(initial),
                read_pause: Duration::from_millis(read),
            },
            target_waits_for_eof: waits != 0,
            may_end_early: early != 0,
        })
    }
}

const MAGIC: u64 = 0x6b61_6f73_6b61_6f73;

/// Returns a length: mostly small, sometimes zero, and occasionally several megabytes.
fn length(random: &mut Random) -> u64 {
    match random.below(10) {
        0 => 0,
        1..4 => random.below(2_000),
        4..8 => random.below(200_000),
        8 => random.below(1_000_000),
        _ => random.below(6_000_000),
    }
}

fn pace(random: &mut Random) -> Pace {
    let millis = |random: &mut Random, limit| Duration::from_millis(random.below(limit));
    match random.below(10) {
        0 => Pace { initial_pause: millis(random, 5_000), ..Pace::default() },
        1 => Pace { read_pause: millis(random, 30), ..Pace::default() },
        _ => Pace { initial_pause: millis(random, 600), ..Pace::default() },
    }
}
