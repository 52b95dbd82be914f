//! Proxy faults during a negotiation: every kind of fault in every turn of every protocol.
//!
//! The cases are generated. Each run must end with the expected verdict, in time, within its memory
//! limit and without spinning. Its error message must be safe for a terminal and must not contain
//! the password.
//!
//! `conversation` defines the valid conversations, `case` derives the faults and their verdicts,
//! `peer` plays the proxy, and `run` checks the runs. `dns` tests faults in a name server in the
//! same way. A failure prints the name of its case; `FAULT=part-of-the-name` runs only the cases
//! that match.

pub(crate) mod case;
mod checks;
pub(crate) mod conversation;
#[cfg(feature = "dns")]
mod dns;
mod hostile;
mod peer;
pub(crate) mod run;
