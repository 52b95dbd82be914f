//! One direction of a relay: its source, its sink, the bytes in between, and how it ended.

use std::io;

use super::transfer::{Buffer, BulkDetector, MAX_SPLICE_RETRIES, Pool, SplicePipe};
use crate::stream::Stream;
use crate::sys::{self, Channel, SpliceMode};
use crate::trace::{self, trace};

/// One direction of a session.
///
/// A flow reads only while it holds no data. A slow sink therefore stops reads from the source
/// (backpressure), and memory use stays bounded.
pub(super) struct Flow {
    transfer: Transfer,
    state: FlowState,
    fault: Option<Fault>,
    /// An error on the source connection that the kernel has already reported to a write in the
    /// other direction. The source will return EOF instead.
    source_error: Option<io::Error>,
    /// Marks this direction in a hex dump.
    arrow: &'static str,
    bytes_read: u64,
    /// Size of the most recent read, or 0 after [`end_bulk`](Self::end_bulk).
    last_read: usize,
    /// Number of reads and writes that moved data.
    progress_count: u64,
}

/// The two streams of a flow.
pub(super) struct Ends<'s> {
    /// `None` if the descriptor was closed at program start, which counts as EOF.
    pub(super) source: Option<&'s mut (dyn Stream + 'static)>,
    /// `None` if the descriptor was closed at program start, which is an error once there is data
    /// to write.
    pub(super) sink: Option<&'s mut (dyn Stream + 'static)>,
    pub(super) pool: &'s Pool,
}

/// The method of moving bytes from the source to the sink.
enum Transfer {
    /// By read and write, through memory.
    Copied(Buffer),
    /// With splice(2) directly from source to sink, which works because one of them is a pipe.
    Spliced {
        into_pipe: bool,
        /// Data is available and the sink has no room: poll the sink instead of the source.
        sink_blocked: bool,
        /// Consecutive calls that moved nothing.
        retries: u32,
        bulk: BulkDetector,
        pipe_grown: bool,
    },
    /// By splice(2) into a pipe that we own, then out of that pipe.
    Piped(SplicePipe),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FlowState {
    Open,
    /// The source has ended or failed; held data is still being written.
    Flushing,
    Finished,
}

/// The reason why a direction ended early.
#[derive(Debug)]
pub(super) enum Fault {
    Read(io::Error),
    Write(io::Error),
}

impl Fault {
    /// Returns `true` if the cause is on this machine, not at the other end of a connection.
    pub(super) fn is_ours(&self) -> bool {
        let (Self::Read(cause) | Self::Write(cause)) = self;
        sys::is_out_of_memory(cause)
    }
}

impl Flow {
    /// Creates a flow that copies through memory.
    pub(super) fn new(arrow: &'static str, has_source: bool) -> Self {
        Self {
            transfer: Transfer::Copied(Buffer::default()),
            state: if has_source { FlowState::Open } else { FlowState::Finished },
            fault: None,
            source_error: None,
            arrow,
            bytes_read: 0,
            last_read: 0,
            progress_count: 0,
        }
    }

    /// Switches to splice(2) if source and sink support it.
    pub(super) fn splice_if_possible(&mut self, source: Option<&dyn Stream>, sink: Option<&dyn Stream>) {
        let channels = source.and_then(Stream::as_channel).zip(sink.and_then(Stream::as_channel));
        self.transfer = match channels.map(|(source, sink)| sys::splice_mode(source, sink)) {
            Some(mode @ (SpliceMode::IntoPipe | SpliceMode::OutOfPipe)) => Transfer::Spliced {
                into_pipe: mode == SpliceMode::IntoPipe,
                sink_blocked: false,
                retries: 0,
                bulk: BulkDetector::default(),
                pipe_grown: false,
            },
            Some(SpliceMode::ThroughPipe) => Transfer::Piped(SplicePipe::default()),
            Some(SpliceMode::Copy) | None => return,
        };
    }

    /// Returns the transfer method as shown by `-d`.
    pub(super) fn description(&self) -> &'static str {
        match self.transfer {
            Transfer::Copied(_) => "by copying",
            Transfer::Spliced { .. } => "by splice",
            Transfer::Piped(_) => "by splice through a pipe",
        }
    }

    /// Queues bytes to be written before anything is read. The flow must be empty.
    pub(super) fn queue(&mut self, bytes: Vec<u8>) {
        self.transfer = Transfer::Copied(Buffer::from_bytes(bytes));
    }

    /// Returns the bytes that have been read but not written, even if the sink has failed. Always
    /// empty with splice(2), because the kernel then holds the data.
    pub(super) fn pending(&self) -> &[u8] {
        match &self.transfer {
            Transfer::Copied(buffer) => buffer.pending(),
            Transfer::Spliced { .. } | Transfer::Piped(_) => &[],
        }
    }

    /// Returns `true` if the source should be polled for reading: not while data is held, nor after
    /// the source has ended.
    pub(super) fn wants_data(&self) -> bool {
        self.state == FlowState::Open && !self.transfer.waits_for_sink()
    }

    /// Returns `true` if there is data to write.
    pub(super) fn holds_data(&self) -> bool {
        self.transfer.waits_for_sink() && self.state != FlowState::Finished
    }

    /// Returns `true` once the source has reported EOF or failed.
    pub(super) fn source_ended(&self) -> bool {
        self.state != FlowState::Open
    }

    /// Returns `true` once nothing more will be read or written.
    pub(super) fn is_finished(&self) -> bool {
        self.state == FlowState::Finished
    }

    pub(super) fn read_failed(&self) -> bool {
        matches!(self.fault, Some(Fault::Read(_)))
    }

    pub(super) fn write_failed(&self) -> bool {
        matches!(self.fault, Some(Fault::Write(_)))
    }

    pub(super) fn has_fault(&self) -> bool {
        self.fault.is_some()
    }

    pub(super) fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    /// Reads if no data is held and the source is ready; writes if data is held and the sink is
    /// ready. Returns `true` if bytes were read.
    pub(super) fn advance(&mut self, mut ends: Ends<'_>, source_ready: bool, sink_ready: bool) -> bool {
        if let Transfer::Spliced { sink_blocked, .. } = self.transfer {
            let ready = if sink_blocked { sink_ready } else { source_ready };
            return ready && self.state == FlowState::Open && self.splice(&ends);
        }
        let has_read = source_ready && self.read(&mut ends);
        // Write new data without polling first: the sink is usually ready, and this saves a poll.
        let write_now = has_read && ends.sink.as_ref().is_none_or(|sink| sink.can_write_unpolled());
        if self.holds_data() && (sink_ready || write_now) {
            self.write(&mut ends);
        }
        if self.state == FlowState::Flushing && !self.holds_data() {
            self.state = FlowState::Finished;
        }
        has_read
    }

    /// Returns a copy of the error if a write failed because the connection broke, or `None`
    /// otherwise.
    pub(super) fn lost_connection(&self) -> Option<io::Error> {
        match &self.fault {
            Some(Fault::Write(error)) if is_connection_loss(error.kind()) => Some(sys::clone_io_error(error)),
            _ => None,
        }
    }

    /// Turns the EOF that the source reported into an error, because the connection was cut off.
    pub(super) fn eof_was_error(&mut self, cause: io::Error) {
        self.fault.get_or_insert(Fault::Read(cause));
    }

    /// Returns `true` if a write failed because the reader or the connection is gone.
    pub(super) fn sink_is_gone(&self) -> bool {
        let is_gone = |kind| kind == io::ErrorKind::BrokenPipe || is_connection_loss(kind);
        matches!(&self.fault, Some(Fault::Write(error)) if is_gone(error.kind()))
    }

    /// Returns `true` if a write failed although the reader is still there, for example because
    /// this machine is out of memory. The reader cannot answer data that it never received, so
    /// there is no point in waiting for an answer.
    pub(super) fn sink_failed(&self) -> bool {
        self.write_failed() && !self.sink_is_gone()
    }

    /// Records that the source connection broke. The kernel reports a socket error only once, and
    /// the write in the other direction received it. Reads in this direction return the buffered
    /// data and then EOF, without an error.
    pub(super) fn source_lost(&mut self, cause: io::Error) {
        if self.state == FlowState::Open {
            self.source_error = Some(cause);
        }
    }

    /// Returns the number of reads and writes that moved data, for the idle timeout.
    pub(super) fn progress_count(&self) -> u64 {
        self.progress_count
    }

    /// Returns `true` if the sink may have missed data, so its reader must not see a clean EOF.
    pub(super) fn is_incomplete(&self) -> bool {
        self.state != FlowState::Finished || self.fault.is_some()
    }

    /// Returns `true` during a bulk transfer: the last read was large, and more is likely.
    pub(super) fn is_bulk(&self) -> bool {
        self.state == FlowState::Open && self.last_read >= BulkDetector::LARGE
    }

    /// Ends bulk mode after a pause in the transfer.
    pub(super) fn end_bulk(&mut self) {
        self.last_read = 0;
    }

    /// Finishes the flow after a write error.
    pub(super) fn fail_write(&mut self, cause: io::Error) {
        self.state = FlowState::Finished;
        self.fault.get_or_insert(Fault::Write(cause));
    }

    fn splice(&mut self, ends: &Ends<'_>) -> bool {
        let (Some(source), Some(sink)) = (channel(ends.source.as_deref()), channel(ends.sink.as_deref()))
        else {
            return false;
        };
        let Transfer::Spliced { into_pipe, sink_blocked, retries, bulk, pipe_grown } = &mut self.transfer
        else {
            return false;
        };
        match sys::splice(source, sink) {
            Ok(0) => self.reach_eof(FlowState::Finished),
            Ok(count) => {
                (*sink_blocked, *retries) = (false, 0);
                self.last_read = count;
                self.progress_count += 1;
                if bulk.record(count) && !std::mem::replace(pipe_grown, true) {
                    sys::grow_pipe(source, sink);
                }
                return true;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // EAGAIN does not say which side is not ready. Poll reported one of them ready, so poll
            // the other one next.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && *retries < MAX_SPLICE_RETRIES => {
                (*sink_blocked, *retries) = (!*sink_blocked, *retries + 1);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock || sys::cannot_be_spliced(&error) => {
                self.fall_back_to_copying(&error);
            }
            // EPIPE is the only error a pipe can cause; any other error comes from the socket.
            Err(error) if *into_pipe && error.kind() != io::ErrorKind::BrokenPipe => {
                self.state = FlowState::Finished;
                self.fault = Some(Fault::Read(error));
            }
            Err(error) => self.fail_write(error),
        }
        false
    }

    fn read(&mut self, ends: &mut Ends<'_>) -> bool {
        let Some(source) = ends.source.as_deref_mut().filter(|_| self.wants_data()) else { return false };
        let filled = match (&mut self.transfer, source.as_channel()) {
            (Transfer::Piped(pipe), Some(channel)) => pipe.fill(channel, ends.pool),
            (Transfer::Copied(buffer), _) => buffer.fill(source, ends.pool),
            (Transfer::Piped(_) | Transfer::Spliced { .. }, _) => return false,
        };
        match filled {
            Ok(0) => self.reach_eof(FlowState::Flushing),
            Ok(count) => {
                trace::relayed(self.arrow, self.bytes_read, self.pending());
                self.bytes_read += count as u64;
                self.last_read = count;
                self.progress_count += 1;
                return true;
            }
            Err(error) if sys::is_transient(&error) => {}
            Err(error) if self.is_piped() && sys::cannot_be_spliced(&error) => {
                self.fall_back_to_copying(&error);
            }
            Err(error) => {
                self.state = FlowState::Flushing;
                self.fault = Some(Fault::Read(error));
            }
        }
        false
    }

    fn write(&mut self, ends: &mut Ends<'_>) {
        let written = match (ends.sink.as_deref_mut(), &mut self.transfer) {
            (Some(sink), Transfer::Copied(buffer)) => buffer.drain(sink, ends.pool),
            (Some(sink), Transfer::Piped(pipe)) => match sink.as_channel() {
                Some(channel) => pipe.drain(channel, ends.pool),
                None => return,
            },
            (_, Transfer::Spliced { .. }) => return,
            (None, _) => Err(io::Error::new(io::ErrorKind::NotConnected, "the descriptor is closed")),
        };
        match written {
            Ok(()) => self.progress_count += 1,
            Err(error) if sys::is_transient(&error) => {}
            Err(error) if self.is_piped() && sys::cannot_be_spliced(&error) => {
                self.fall_back_to_copying(&error);
            }
            Err(error) => self.fail_write(error),
        }
    }

    /// Handles EOF from the source, which may hide an error that the kernel reported to the other
    /// direction.
    fn reach_eof(&mut self, state: FlowState) {
        self.state = state;
        self.fault = self.source_error.take().map(Fault::Read);
    }

    fn is_piped(&self) -> bool {
        matches!(self.transfer, Transfer::Piped(_))
    }

    /// Continues by copying, because splice(2) does not work between this source and sink.
    fn fall_back_to_copying(&mut self, cause: &io::Error) {
        trace!("splice: {cause}; copying from now on");
        let held = match &mut self.transfer {
            Transfer::Piped(pipe) => pipe.unload(),
            Transfer::Copied(_) | Transfer::Spliced { .. } => Ok(Buffer::default()),
        };
        match held {
            Ok(buffer) => self.transfer = Transfer::Copied(buffer),
            Err(error) => self.fail_write(error),
        }
    }
}

impl Transfer {
    /// Returns `true` if the sink must become ready next, rather than the source.
    fn waits_for_sink(&self) -> bool {
        match self {
            Self::Copied(buffer) => !buffer.pending().is_empty(),
            Self::Spliced { sink_blocked, .. } => *sink_blocked,
            Self::Piped(pipe) => !pipe.is_empty(),
        }
    }
}

fn channel<'s>(stream: Option<&'s (dyn Stream + 'static)>) -> Option<&'s Channel> {
    stream.and_then(Stream::as_channel)
}

/// Returns `true` for errors on the connection itself, which the kernel reports to only one of the
/// two directions. `EPIPE` is not among them.
fn is_connection_loss(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, HostUnreachable, NetworkUnreachable, TimedOut};
    matches!(kind, ConnectionAborted | ConnectionReset | HostUnreachable | NetworkUnreachable | TimedOut)
}
