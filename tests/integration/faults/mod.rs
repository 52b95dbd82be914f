//! What a proxy can do wrong in a negotiation: every turn of every protocol, and every kind of fault in it, generated
//! and not listed. Each run has to end with the right verdict, in time, within its memory, without spinning, and with
//! a line on standard error that no terminal obeys and that tells no password.
//!
//! `conversation` has the right conversations, `case` makes the faults out of them, with the verdict of each, `peer`
//! carries them out, and `run` judges the runs. A case that fails is named; `FAULT=part-of-its-name` runs it alone.

pub(crate) mod case;
mod checks;
pub(crate) mod conversation;
#[cfg(feature = "dns")]
mod dns;
mod hostile;
mod peer;
pub(crate) mod run;
