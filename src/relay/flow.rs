//! One direction of a relay: where its bytes come from and go to, what they are in meanwhile, and how it ended.

use std::io;

use super::carrier::{Buffer, Bulk, Conduit, Pipes};
use crate::sys::{self, Channel, SpliceMode};
use crate::trace::{self, trace};

/// So many calls in turn may move nothing, although each time the side that was waited for was ready. After that the
/// two are not made for each other.
const MAX_SPLICE_RETRIES: u32 = 4;

/// One direction. It reads only when it holds nothing: a reader that is slower than the writer makes the writer
/// wait, and no memory grows.
pub(super) struct Flow<'a> {
    /// `None` if it was closed from the start, which is the same as an end.
    from: Option<&'a Channel>,
    /// `None` if it was closed from the start, which is an error once there is something to write.
    to: Option<&'a Channel>,
    carrier: Carrier<'a>,
    stage: Stage,
    fault: Option<Fault>,
    /// The source is known to be broken, although reading it may say that it has ended.
    broken: Option<io::Error>,
    /// What marks its bytes in a hex dump.
    arrow: &'static str,
    /// How many bytes have come.
    count: u64,
    /// How many of them at last.
    last: usize,
    /// How often bytes have come or gone.
    moves: u64,
}

/// How the bytes get from one side to the other.
enum Carrier<'a> {
    /// Through memory.
    Copied(Buffer),
    /// In one call, which says that there is something and no room for it, or room and nothing for it.
    Spliced { into_pipe: bool, blocked: bool, futile: u32, bulk: Bulk, wide: bool },
    /// Through a pipe of our own.
    Piped(Conduit<'a>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// No more will be read; what is held is yet to be written.
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
    /// A direction that goes through memory.
    pub(super) fn copied(arrow: &'static str, from: Option<&'a Channel>, to: Option<&'a Channel>) -> Self {
        let stage = if from.is_some() { Stage::Open } else { Stage::Over };
        Self {
            from,
            to,
            carrier: Carrier::Copied(Buffer::default()),
            stage,
            fault: None,
            broken: None,
            arrow,
            count: 0,
            last: 0,
            moves: 0,
        }
    }

    /// Keeps the bytes inside the kernel where the two sides allow it.
    pub(super) fn spliced(self, pipes: &'a Pipes) -> Self {
        let route = self.from.zip(self.to).map(|(from, to)| sys::splice_mode(from, to));
        let carrier = match route {
            Some(route @ (SpliceMode::IntoPipe | SpliceMode::OutOfPipe)) => {
                let into_pipe = route == SpliceMode::IntoPipe;
                Carrier::Spliced { into_pipe, blocked: false, futile: 0, bulk: Bulk::default(), wide: false }
            }
            Some(SpliceMode::ThroughPipe) => Carrier::Piped(Conduit::new(pipes)),
            Some(SpliceMode::Copy) | None => return self,
        };
        Self { carrier, ..self }
    }

    /// How its bytes are carried, for `-d`.
    pub(super) fn how(&self) -> &'static str {
        match self.carrier {
            Carrier::Copied(_) => "by copying",
            Carrier::Spliced { .. } => "by splice",
            Carrier::Piped(_) => "by splice, through a pipe of our own",
        }
    }

    /// Puts bytes into it, which must be empty, that are to be written first.
    pub(super) fn preload(&mut self, bytes: Vec<u8>) {
        self.carrier = Carrier::Copied(Buffer::holding(bytes));
    }

    /// What has been read and not written, also of a direction whose sink has failed. Only memory can be looked into.
    pub(super) fn pending(&self) -> &[u8] {
        match &self.carrier {
            Carrier::Copied(buffer) => buffer.pending(),
            Carrier::Spliced { .. } | Carrier::Piped(_) => &[],
        }
    }

    /// The source, if it is to be read.
    pub(super) fn wants_to_read(&self) -> Option<&'a Channel> {
        self.from.filter(|_| self.stage == Stage::Open && !self.carrier.is_loaded())
    }

    /// Whether there is something that is to be written.
    pub(super) fn holds_data(&self) -> bool {
        self.carrier.is_loaded() && self.stage != Stage::Over
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

    pub(super) fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    /// Reads if nothing is held and the source is ready, writes if something is and the sink is ready.
    /// Returns whether bytes came from the source.
    pub(super) fn advance(&mut self, can_read: bool, can_write: bool) -> bool {
        if let Carrier::Spliced { blocked, .. } = self.carrier {
            let ready = if blocked { can_write } else { can_read };
            return ready && self.stage == Stage::Open && self.splice();
        }
        let fresh = can_read && self.read();
        // What was just read is tried at once: the sink is ready more often than not.
        let try_now = fresh && self.to.is_none_or(Channel::can_write_unpolled);
        if self.holds_data() && (can_write || try_now) {
            self.write();
        }
        if self.stage == Stage::Ending && !self.holds_data() {
            self.stage = Stage::Over;
        }
        fresh
    }

    /// Why the connection that it writes to is no more, if that is what ended it.
    pub(super) fn lost_connection(&self) -> Option<io::Error> {
        match &self.fault {
            Some(Fault::Write(error)) if is_loss(error.kind()) => Some(sys::clone_io_error(error)),
            _ => None,
        }
    }

    /// What looked like the end of its source was none.
    pub(super) fn was_cut_off(&mut self, cause: io::Error) {
        self.fault.get_or_insert(Fault::Read(cause));
    }

    /// Nobody is left whom it could write to.
    pub(super) fn sink_has_left(&self) -> bool {
        let has_left = |kind| kind == io::ErrorKind::BrokenPipe || is_loss(kind);
        matches!(&self.fault, Some(Fault::Write(error)) if has_left(error.kind()))
    }

    /// Writing failed, although somebody is there to read: waiting for what he says to that would be in vain.
    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.fault, Some(Fault::Write(_))) && !self.sink_has_left()
    }

    /// The connection that it reads is no more. What has come can still be read, and behind it the system tells of an
    /// end: the error was for whoever asked first.
    pub(super) fn source_lost(&mut self, cause: io::Error) {
        if self.stage == Stage::Open {
            self.broken = Some(cause);
        }
    }

    /// How often bytes have come or gone.
    pub(super) fn moves(&self) -> u64 {
        self.moves
    }

    /// Whether not all of it has arrived, so that its reader must not take what has for all.
    pub(super) fn is_cut(&self) -> bool {
        self.stage != Stage::Over || self.fault.is_some()
    }

    /// Whether the last that came was much, and more of it is likely.
    pub(super) fn is_rushing(&self) -> bool {
        self.stage == Stage::Open && self.last >= Bulk::LARGE
    }

    /// Nothing has come for a while.
    pub(super) fn pause(&mut self) {
        self.last = 0;
    }

    /// Ends it because nobody is left to write for.
    pub(super) fn sink_gone(&mut self, cause: io::Error) {
        self.fail(Fault::Write(cause));
    }

    fn splice(&mut self) -> bool {
        let (Some(from), Some(to)) = (self.from, self.to) else { return false };
        let Carrier::Spliced { into_pipe, blocked, futile, bulk, wide } = &mut self.carrier else {
            return false;
        };
        match sys::splice(from, to) {
            Ok(0) => self.end(Stage::Over),
            Ok(count) => {
                (*blocked, *futile) = (false, 0);
                self.last = count;
                self.moves += 1;
                if bulk.moved(count) && !std::mem::replace(wide, true) {
                    sys::grow_pipe(from, to);
                }
                return true;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // It is the side that was not waited for that is not ready.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && *futile < MAX_SPLICE_RETRIES => {
                (*blocked, *futile) = (!*blocked, *futile + 1);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock || sys::cannot_be_spliced(&error) => {
                self.copy_from_now_on(&error);
            }
            // A pipe has no errors but that there is no reader.
            Err(error) if *into_pipe && error.kind() != io::ErrorKind::BrokenPipe => {
                self.stage = Stage::Over;
                self.fault = Some(Fault::Read(error));
            }
            Err(error) => self.fail(Fault::Write(error)),
        }
        false
    }

    fn read(&mut self) -> bool {
        let Some(from) = self.wants_to_read() else { return false };
        let filled = match &mut self.carrier {
            Carrier::Copied(buffer) => buffer.fill(from),
            Carrier::Piped(conduit) => conduit.fill(from),
            Carrier::Spliced { .. } => return false,
        };
        match filled {
            Ok(0) => self.end(Stage::Ending),
            Ok(count) => {
                trace::relayed(self.arrow, self.count, self.pending());
                self.count += count as u64;
                self.last = count;
                self.moves += 1;
                return true;
            }
            Err(error) if sys::is_transient(&error) => {}
            Err(error) if self.is_piped() && sys::cannot_be_spliced(&error) => self.copy_from_now_on(&error),
            Err(error) => {
                self.stage = Stage::Ending;
                self.fault = Some(Fault::Read(error));
            }
        }
        false
    }

    fn write(&mut self) {
        let written = match (self.to, &mut self.carrier) {
            (Some(to), Carrier::Copied(buffer)) => buffer.drain(to),
            (Some(to), Carrier::Piped(conduit)) => conduit.drain(to),
            (_, Carrier::Spliced { .. }) => return,
            (None, _) => Err(io::Error::new(io::ErrorKind::NotConnected, "it is closed")),
        };
        match written {
            Ok(()) => self.moves += 1,
            Err(error) if sys::is_transient(&error) => {}
            Err(error) if self.is_piped() && sys::cannot_be_spliced(&error) => self.copy_from_now_on(&error),
            Err(error) => self.fail(Fault::Write(error)),
        }
    }

    /// The source tells of its end.
    fn end(&mut self, stage: Stage) {
        self.stage = stage;
        self.fault = self.broken.take().map(Fault::Read);
    }

    fn is_piped(&self) -> bool {
        matches!(self.carrier, Carrier::Piped(_))
    }

    /// Goes on through memory: these two sides cannot be spliced after all.
    fn copy_from_now_on(&mut self, cause: &io::Error) {
        trace!("splice: {cause}; copying from now on");
        let held = match &mut self.carrier {
            Carrier::Piped(conduit) => conduit.unload(),
            Carrier::Copied(_) | Carrier::Spliced { .. } => Ok(Buffer::default()),
        };
        match held {
            Ok(buffer) => self.carrier = Carrier::Copied(buffer),
            Err(error) => self.fail(Fault::Write(error)),
        }
    }

    fn fail(&mut self, fault: Fault) {
        self.stage = Stage::Over;
        self.fault.get_or_insert(fault);
    }
}

impl Carrier<'_> {
    /// Whether the sink is to be waited for, rather than the source.
    fn is_loaded(&self) -> bool {
        match self {
            Self::Copied(buffer) => !buffer.pending().is_empty(),
            Self::Spliced { blocked, .. } => *blocked,
            Self::Piped(conduit) => !conduit.is_empty(),
        }
    }
}

/// These are told once and to both directions; that a reader has left is not among them.
fn is_loss(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, HostUnreachable, NetworkUnreachable, TimedOut};
    matches!(kind, ConnectionAborted | ConnectionReset | HostUnreachable | NetworkUnreachable | TimedOut)
}
