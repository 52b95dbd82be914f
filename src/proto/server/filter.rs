//! Filters for the bytes of one direction of a session.

use std::fmt;

use zeroize::Zeroizing;

/// A transformation of the bytes of one direction. It does no I/O.
pub trait Filter: Send {
    /// Returns the instruction for the next bytes.
    fn mode(&self) -> Mode;

    /// Processes received bytes, and appends the resulting bytes to `output`. Called only in
    /// [`Mode::Process`].
    ///
    /// # Errors
    /// The bytes are malformed. Nothing more may be passed on.
    fn receive(&mut self, input: &[u8], output: &mut Zeroizing<Vec<u8>>) -> Result<(), Malformed>;

    /// Reports that this many bytes were passed on in [`Mode::Pass`].
    fn passed(&mut self, count: usize);

    /// Reports that the sender closed the connection, or that it broke. Appends the missing end of
    /// the message to `output`.
    ///
    /// # Errors
    /// The message is incomplete. Nothing more may be passed on.
    fn closed(&mut self, output: &mut Zeroizing<Vec<u8>>) -> Result<(), Malformed>;
}

/// Shows no fields: those of every implementation would make the program larger, and its start
/// slower.
impl fmt::Debug for dyn Filter + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filter")
    }
}

/// A filter that passes on all bytes as they are.
#[derive(Debug, Default)]
pub struct PassAll {
    has_ended: bool,
}

impl Filter for PassAll {
    fn mode(&self) -> Mode {
        if self.has_ended { Mode::End } else { Mode::Pass(u64::MAX) }
    }

    fn receive(&mut self, input: &[u8], output: &mut Zeroizing<Vec<u8>>) -> Result<(), Malformed> {
        output.extend_from_slice(input);
        Ok(())
    }

    fn passed(&mut self, _: usize) {}

    fn closed(&mut self, _: &mut Zeroizing<Vec<u8>>) -> Result<(), Malformed> {
        self.has_ended = true;
        Ok(())
    }
}

/// An instruction for the next bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Pass them to the filter.
    Process,
    /// Pass on at most this many as they are.
    Pass(u64),
    /// Discard them.
    Discard,
    /// Read no more. The direction has ended.
    End,
}

/// The error for a malformed message: the violation, and an answer for the sender if it is still
/// possible to send one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The violation.
    pub why: &'static str,
    /// The answer for the sender.
    pub answer: Vec<u8>,
}
