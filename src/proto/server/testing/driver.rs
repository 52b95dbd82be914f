//! Drives a server as the program does, and holds it to the contract of [`Server`].
//!
//! The fuzz targets also include this file, so it uses only the crate's public interface.

#![allow(clippy::panic)]
// The fuzz targets do not depend on the crate that defines the output's type.
#![allow(clippy::default_trait_access)]

use std::net::SocketAddr;

use crate::proto::Limit;
use crate::proto::server::{Filter, Filters, Malformed, Mode, Refusal, Rejection, Server, Step};

/// Maximum number of bytes that the program passes to a server at once.
const PEEK_SIZE: usize = 4096;

/// Maximum number of steps that consume no bytes.
const MAX_OTHER_STEPS: usize = 16;

/// The result of connecting to the target.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Decision {
    /// With our address on the connection.
    Connected(Option<SocketAddr>),
    Refused(Refusal),
}

/// The last step of a handshake.
#[derive(Debug)]
pub(crate) enum End {
    Relay,
    Forward(Filters),
    Close(Option<Rejection>),
}

/// The result of a handshake.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The requested target.
    pub(crate) target: Option<String>,
    /// The bytes sent to the client.
    pub(crate) sent: Vec<u8>,
    pub(crate) end: End,
    /// Received bytes that were not consumed.
    pub(crate) unread: Vec<u8>,
    /// The number of bytes consumed.
    pub(crate) consumed: usize,
}

/// Runs a handshake to completion. `receive` returns the next bytes from the client, or `None` at
/// EOF.
///
/// # Panics
/// If the server breaks its contract.
pub(crate) fn drive(
    mut server: Box<dyn Server>,
    receive: &mut dyn FnMut() -> Option<Vec<u8>>,
    decision: Decision,
) -> Outcome {
    let (mut target, mut sent, mut unread, mut consumed) = (None, Vec::new(), Vec::<u8>::new(), 0);
    let mut other_steps = 0;
    let end = loop {
        other_steps += 1;
        assert!(other_steps < MAX_OTHER_STEPS, "does not end: {server:?}");
        match server.step() {
            Step::Send(message) => {
                assert!(!message.bytes().is_empty(), "sends nothing");
                sent.extend_from_slice(message.bytes());
            }
            Step::Receive(limit) => {
                if unread.is_empty() {
                    match receive() {
                        Some(bytes) => unread = bytes,
                        None => server.closed(),
                    }
                }
                let max = match limit {
                    Limit::Bytes(max) => max.min(PEEK_SIZE),
                    Limit::Unknown => PEEK_SIZE,
                };
                assert!(max > 0, "asks for no bytes");
                let offered = max.min(unread.len());
                if offered > 0 {
                    let count = server.receive(&unread[..offered]);
                    match limit {
                        Limit::Bytes(_) => assert_eq!(count, offered, "leaves bytes that it asked for"),
                        Limit::Unknown => {
                            assert!((1..=offered).contains(&count), "consumed {count} of {offered}");
                        }
                    }
                    unread.drain(..count);
                    consumed += count;
                    other_steps = 0;
                }
            }
            Step::Connect(requested) => {
                assert!(target.is_none(), "requests two targets");
                target = Some(requested.to_string());
                match decision {
                    Decision::Connected(bound) => server.connected(bound, false),
                    Decision::Refused(why) => server.refused(why),
                }
            }
            Step::Open => match decision {
                Decision::Connected(bound) => server.connected(bound, false),
                Decision::Refused(why) => server.refused(why),
            },
            Step::Relay => break End::Relay,
            Step::Forward(filters) => break End::Forward(filters),
            Step::Close(why) => break End::Close(why),
        }
    };
    Outcome { target, sent, end, unread, consumed }
}

/// Passes bytes through a filter as a stream does. Returns the output, up to an error if there is
/// one.
pub(crate) fn filtered(filter: &mut dyn Filter, parts: &[&[u8]]) -> (Vec<u8>, Option<Malformed>) {
    let mut output = Default::default();
    for part in parts {
        let mut rest = *part;
        while !rest.is_empty() {
            let count = match filter.mode() {
                Mode::Process => match filter.receive(rest, &mut output) {
                    Ok(()) => rest.len(),
                    Err(malformed) => return (output.to_vec(), Some(malformed)),
                },
                Mode::Pass(max) => {
                    let count = usize::try_from(max).unwrap_or(usize::MAX).min(rest.len());
                    output.extend_from_slice(&rest[..count]);
                    filter.passed(count);
                    count
                }
                Mode::Discard => rest.len(),
                Mode::End => return (output.to_vec(), None),
            };
            rest = &rest[count..];
        }
    }
    let failed = filter.closed(&mut output).err();
    if failed.is_none() {
        assert_eq!(filter.mode(), Mode::End);
    }
    (output.to_vec(), failed)
}
