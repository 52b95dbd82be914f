//! Failures of single files.

use std::fmt;

use super::wire::Status;
use crate::text::printable;

/// The reason that a file was not copied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The server has refused a request.
    #[error("{0}")]
    Status(Status),
    /// The file is a device, a socket or a FIFO.
    #[error("not a regular file")]
    NotRegular,
    /// An entry of a directory has a name that could leave the directory.
    #[error("invalid name \"{}\" in the directory", printable(.0))]
    InvalidName(Vec<u8>),
    /// The caller has aborted the copy, because the local system failed.
    #[error("aborted")]
    Aborted,
    /// The directory of the file could not be created. That failure is reported for the directory.
    #[error("its directory could not be created")]
    NoDirectory,
}

/// The direction of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the server.
    Get,
    /// To the server.
    Put,
}

/// Returns the error about a file: `cannot get "NAME" from SERVER: CAUSE`.
#[must_use]
pub fn failure_line(direction: Direction, name: &[u8], server: &str, cause: &dyn fmt::Display) -> String {
    let (verb, preposition) = match direction {
        Direction::Get => ("get", "from"),
        Direction::Put => ("put", "to"),
    };
    format!("cannot {verb} \"{}\" {preposition} {server}: {cause}", printable(name))
}
