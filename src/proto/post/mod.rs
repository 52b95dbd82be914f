//! The POST tunnel: a TCP connection in HTTP POST requests, for networks that let only web traffic
//! through. Like the other protocols, it is implemented without sockets and clocks.
//!
//! The client sends `POST PATH/SID` requests; [`message`](self) defines their bodies. Any request
//! may be repeated by anybody, in any state, without loss or duplication, because each carries the
//! position of its data, and the number of positions received in the other direction.
//!
//! - The client's machine is [`Client`]. Its driver sends the requests of both [`Direction`]s over
//!   two connections, with [`Resource`] and [`ResponseReader`].
//! - The server's machine is [`Table`], with all tunnels. Its driver reads requests with
//!   [`HttpRequests`] or [`ScgiRequest`], and owns the connections to the targets.

mod answer;
mod classify;
mod client;
mod client_streams;
mod exchange;
mod failure;
mod http_request;
mod lane;
mod message;
#[cfg(test)]
mod model;
mod opening;
mod received;
mod scgi;
mod session;
mod streams;
mod table;

pub use answer::Form;
pub use client::{Client, Direction, MAX_POLL_INTERVAL, MAX_UNACKNOWLEDGED, Next, OPEN_RETRY_TIME, Settings};
pub use exchange::{Resource, Response, ResponseReader};
pub use failure::{Broken, Failure};
pub use http_request::{HttpRequests, MAX_FIELDS, MAX_HEAD};
pub use lane::{MAX_RETRY_DELAY, MIN_RETRY_DELAY};
pub use message::{ANSWER_HEAD, Answer, Key, MAX_BODY, MAX_TOKEN, Opening, Request, Reset, ResetCode, Sid};
pub use opening::{OpenTunnel, OpenedTunnel};
pub use received::{Named, ReadRequest, Received, Refusal};
pub use scgi::ScgiRequest;
pub use session::{ClientId, FINISHED_TTL, MAX_OPENERS, Reply, SESSION_TIMEOUT};
pub use streams::MAX_HELD;
pub use table::{Event, MAX_SESSIONS, Table};
