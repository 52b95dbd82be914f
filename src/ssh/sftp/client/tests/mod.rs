//! The client against the server of this program, whose replies are reordered, cut or replaced.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "that is how a test fails")]

use std::collections::BTreeMap;

use super::*;
use crate::ssh::sftp::server::Service;
use crate::ssh::sftp::testing::{Memory, Node, is_zero};
use crate::ssh::sftp::wire::{Received, Reply, Request, Status, StatusCode};

mod download;
mod failures;
mod many;
mod protocol;
mod upload;

/// The order in which a server sends the replies to all requests that it has received.
#[derive(Clone, Copy, Debug)]
enum Order {
    Same,
    Reversed,
    /// An order that depends on this number.
    Shuffled(u64),
}

type Fault<'a> = Box<dyn FnMut(&Request) -> Option<StatusCode> + 'a>;

/// A client and a server.
struct Pair<'a> {
    client: Client,
    server: Service<Memory>,
    order: Order,
    /// The number of bytes that are passed to the client at a time.
    piece: usize,
    /// Returns a code for requests that the server refuses.
    fault: Fault<'a>,
    /// The local files that are uploaded, by their jobs: data, zeros after them, and position.
    sources: BTreeMap<JobId, (Vec<u8>, u64, u64)>,
    events: Vec<Event<'static>>,
    /// The downloaded data, without zeros.
    data: BTreeMap<JobId, Vec<u8>>,
    /// The number of downloaded bytes.
    counts: BTreeMap<JobId, u64>,
    round_trips: usize,
    requests: usize,
    max_in_flight: usize,
    max_output: usize,
}

impl<'a> Pair<'a> {
    fn new(memory: &Memory) -> Self {
        Self {
            client: Client::new(),
            server: Service::new(memory.clone()),
            order: Order::Same,
            piece: usize::MAX,
            fault: Box::new(|_| None),
            sources: BTreeMap::new(),
            events: Vec::new(),
            data: BTreeMap::new(),
            counts: BTreeMap::new(),
            round_trips: 0,
            requests: 0,
            max_in_flight: 0,
            max_output: 0,
        }
    }

    fn with_fault(mut self, fault: impl FnMut(&Request) -> Option<StatusCode> + 'a) -> Self {
        self.fault = Box::new(fault);
        self
    }

    /// Queues an upload with the usual settings.
    fn put(&mut self, path: &str, data: &[u8]) -> JobId {
        self.put_file(put(path, Some(data.len() as u64)), data, 0)
    }

    fn put_file(&mut self, file: Put, data: &[u8], zeros: u64) -> JobId {
        let id = self.client.put(file);
        self.sources.insert(id, (data.to_vec(), zeros, 0));
        id
    }

    /// Takes all events, and provides data.
    fn take_events(&mut self) -> Result<(), Error> {
        loop {
            while let Some(event) = self.client.next_event()? {
                match event {
                    Event::Data(id, data) => {
                        *self.counts.entry(id).or_default() += data.len() as u64;
                        if !is_zero(data) {
                            self.data.entry(id).or_default().extend_from_slice(data);
                        }
                    }
                    event => self.events.push(owned(event)),
                }
            }
            let Some((id, length)) = self.client.wants_data() else { return Ok(()) };
            let (data, zeros, position) = self.sources.get_mut(&id).unwrap();
            let start = usize::try_from(*position).unwrap().min(data.len());
            let piece = &data[start..data.len().min(start + length)];
            if !piece.is_empty() {
                *position += piece.len() as u64;
                self.client.provide(id, piece);
            } else if *position < data.len() as u64 + *zeros {
                let left = data.len() as u64 + *zeros - *position;
                let piece = vec![0; length.min(usize::try_from(left).unwrap_or(usize::MAX))];
                *position += piece.len() as u64;
                self.client.provide(id, &piece);
            } else {
                self.client.end(id);
            }
        }
    }

    /// Passes all requests to the server, and all replies back.
    fn round_trip(&mut self) -> Result<(), Error> {
        let requests = self.requests()?;
        let mut replies = self.replies(&requests);
        self.reorder(&mut replies);
        self.round_trips += 1;
        for piece in replies.concat().chunks(self.piece) {
            self.client.receive(piece);
            self.take_events()?;
        }
        Ok(())
    }

    /// Takes requests until the client waits for replies.
    fn requests(&mut self) -> Result<Vec<u8>, Error> {
        let mut requests = Vec::new();
        while !self.client.output().is_empty() {
            self.max_output = self.max_output.max(self.client.output().len());
            requests.extend_from_slice(self.client.output());
            self.client.sent(self.client.output().len());
            self.take_events()?;
        }
        self.max_in_flight = self.max_in_flight.max(self.client.requests_in_flight());
        Ok(requests)
    }

    fn replies(&mut self, requests: &[u8]) -> Vec<Vec<u8>> {
        let mut packets = Packets::default();
        packets.receive(requests);
        let mut replies = Vec::new();
        while let Some(packet) = packets.next_packet().unwrap() {
            self.requests += 1;
            let mut reply = Vec::new();
            let refused = match Received::parse(packet).unwrap() {
                Received::Request(id, request) => (self.fault)(&request).map(|code| (id, code)),
                _ => None,
            };
            match refused {
                Some((id, code)) => Reply::status(code).encode(id, &mut reply),
                None => self.server.handle(packet, &mut reply).unwrap(),
            }
            replies.push(reply);
        }
        assert!(!packets.is_incomplete());
        replies
    }

    fn reorder(&mut self, replies: &mut [Vec<u8>]) {
        match &mut self.order {
            Order::Same => {}
            Order::Reversed => replies.reverse(),
            Order::Shuffled(state) => {
                for i in (1..replies.len()).rev() {
                    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    replies.swap(i, usize::try_from(*state >> 33).unwrap() % (i + 1));
                }
            }
        }
    }

    /// Runs until no job is left, and returns the events.
    fn run(&mut self) -> Vec<Event<'static>> {
        self.take_events().unwrap();
        while !(self.client.is_idle() && self.client.output().is_empty()) {
            assert!(!self.client.output().is_empty(), "stuck: {:?}", self.client);
            self.round_trip().unwrap();
        }
        std::mem::take(&mut self.events)
    }
}

/// Returns an upload with the usual settings.
fn put(path: &str, size: Option<u64>) -> Put {
    Put { path: path.into(), size, mode: 0o644, times: None, is_in_place: false, sync: true, parent: None }
}

fn owned(event: Event) -> Event<'static> {
    match event {
        Event::Attributes(id, attributes) => Event::Attributes(id, attributes),
        Event::Path(id, path) => Event::Path(id, path),
        Event::Directory(id, attributes) => Event::Directory(id, attributes),
        Event::Opened(id, attributes) => Event::Opened(id, attributes),
        Event::Entry(id, name, attributes) => Event::Entry(id, name, attributes),
        Event::Done(id) => Event::Done(id),
        Event::Failed(id, failure) => Event::Failed(id, failure),
        Event::Data(..) => panic!("data are not kept"),
    }
}

/// Returns bytes that differ, and are not 0.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from(i * 7 % 251 + 1).unwrap()).collect()
}

/// Returns the failure with the text of this program's server.
fn failed(id: JobId, code: StatusCode) -> Event<'static> {
    Event::Failed(id, Failure::Status(Status { code, text: code.words().unwrap().into() }))
}
