//! The steps of a check, which both report formats print.

use std::time::Duration;

/// The outcome of one stage of a connection.
#[derive(Debug)]
pub(super) struct Step {
    /// The number of the route, from 1.
    pub(super) route: usize,
    /// The kind of stage, in one word.
    pub(super) stage: &'static str,
    pub(super) verdict: Verdict,
    pub(super) elapsed: Duration,
    pub(super) text: String,
    /// Advice after a failure, if any.
    pub(super) hint: Option<String>,
}

/// The result of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// Neither a success nor a failure.
    Note,
    Bad,
}
