//! One direction of a relay: a buffer, and where the bytes in it come from and go to.

use std::io;

use crate::sys::Channel;
use crate::trace;

/// The most bytes that one direction holds.
pub(super) const CAPACITY: usize = 64 * 1024;

/// One direction. It reads only when its buffer is empty: a reader that is slower than the writer makes the writer
/// wait, and no memory grows.
pub(super) struct Flow<'a> {
    /// `None` if it was closed from the start, which is the same as an end.
    from: Option<&'a Channel>,
    /// `None` if it was closed from the start, which is an error once there is something to write.
    to: Option<&'a Channel>,
    buffer: Box<[u8]>,
    /// What is in the buffer and not yet written.
    pending: std::ops::Range<usize>,
    stage: Stage,
    fault: Option<Fault>,
    /// What marks its bytes in a hex dump.
    arrow: &'static str,
    /// How many bytes have come.
    count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// No more will be read; the buffer is yet to be written.
    Ending,
    Over,
}

/// Why a direction ended before its time.
#[derive(Debug)]
pub(super) enum Fault {
    Read(io::Error),
    Write(io::Error),
}

impl<'a> Flow<'a> {
    pub(super) fn new(arrow: &'static str, from: Option<&'a Channel>, to: Option<&'a Channel>) -> Self {
        let stage = if from.is_some() { Stage::Open } else { Stage::Over };
        Self {
            from,
            to,
            buffer: vec![0; CAPACITY].into(),
            pending: 0..0,
            stage,
            fault: None,
            arrow,
            count: 0,
        }
    }

    /// Puts bytes into the empty buffer that are to be written first.
    pub(super) fn preload(&mut self, bytes: &[u8]) {
        self.buffer[..bytes.len()].copy_from_slice(bytes);
        self.pending = 0..bytes.len();
    }

    /// What is in the buffer, also of a direction whose sink has failed.
    pub(super) fn pending(&self) -> &[u8] {
        &self.buffer[self.pending.clone()]
    }

    /// The source, if it is to be read.
    pub(super) fn wants_to_read(&self) -> Option<&'a Channel> {
        self.from.filter(|_| self.stage == Stage::Open && self.pending.is_empty())
    }

    /// Whether the buffer holds bytes that are to be written.
    pub(super) fn holds_data(&self) -> bool {
        !self.pending.is_empty() && self.stage != Stage::Over
    }

    /// Whether the source has ended or failed.
    pub(super) fn source_ended(&self) -> bool {
        self.stage != Stage::Open
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    pub(super) fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    pub(super) fn into_fault(self) -> Option<Fault> {
        self.fault
    }

    /// Reads if there is room and the source is ready, writes if there is something and the sink is ready.
    /// Returns whether bytes were read.
    pub(super) fn advance(&mut self, can_read: bool, can_write: bool) -> bool {
        let fresh = can_read && self.read();
        // What was just read is tried at once: the sink is ready more often than not.
        let try_now = fresh && self.to.is_none_or(Channel::never_waits);
        if self.holds_data() && (can_write || try_now) {
            self.write();
        }
        if self.stage == Stage::Ending && !self.holds_data() {
            self.stage = Stage::Over;
        }
        fresh
    }

    /// Ends it because nobody is left to write for.
    pub(super) fn sink_gone(&mut self, cause: io::Error) {
        self.fail(Fault::Write(cause));
    }

    fn read(&mut self) -> bool {
        let Some(from) = self.wants_to_read() else { return false };
        match from.read(&mut self.buffer) {
            Ok(0) => self.stage = Stage::Ending,
            Ok(count) => {
                trace::relayed(self.arrow, self.count, &self.buffer[..count]);
                self.count += count as u64;
                self.pending = 0..count;
                return true;
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => {
                self.stage = Stage::Ending;
                self.fault = Some(Fault::Read(error));
            }
        }
        false
    }

    fn write(&mut self) {
        let written = match self.to {
            Some(to) => to.write(&self.buffer[self.pending.clone()]),
            None => Err(io::Error::new(io::ErrorKind::NotConnected, "it is closed")),
        };
        match written {
            Ok(count) => self.pending.start += count,
            Err(error) if is_passing(&error) => {}
            Err(error) => self.fail(Fault::Write(error)),
        }
    }

    fn fail(&mut self, fault: Fault) {
        self.stage = Stage::Over;
        self.fault.get_or_insert(fault);
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
