//! Channels of an SSH connection: two ends in every order of calls, and one end with any messages
//! of the other.
//!
//! The first byte selects which of the two. Each of the others is a step.
#![no_main]

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use connect::ssh::algorithms::{Compression, Offer};
use connect::ssh::connection::{ChannelId, Connection, Event, Source};
use connect::ssh::message;
use connect::ssh::transport::{Limits, Transport};
use connect_fuzz::MEMORY;
use connect_fuzz::ssh::{Decisions, connected, pass};
use libfuzzer_sys::fuzz_target;

/// The most memory of one end: the windows of all channels, and the buffers of the transport.
const MAX_MEMORY: usize = 48 * 1024 * 1024;

fuzz_target!(|input: &[u8]| {
    let mut decisions = Decisions(input);
    let Some(setup) = decisions.next() else { return };
    let compression = [Compression::Off, Compression::Preferred][usize::from(setup >> 1 & 1)];
    let limits = Limits { packets: 8 + u32::from(setup >> 2), ..Limits::default() };
    let mut sides = connected(&Offer { compression, ..Offer::default() }, limits);
    let [client, server] = &mut sides;
    server.send(&[&[message::USERAUTH_SUCCESS]]).expect("room for the message");
    assert_eq!(pass(server, client, usize::MAX), Ok(vec![vec![message::USERAUTH_SUCCESS]]));
    let [client, server] = sides;
    if setup & 1 == 0 {
        Model::new(client, server).run(&mut decisions);
    } else {
        hostile(client, server, &mut decisions);
    }
});

/// Sends any messages to a server.
fn hostile(mut client: Transport, server: Transport, decisions: &mut Decisions<'_>) {
    let mut server = Connection::new(server);
    let mut ids = Vec::new();
    let mut buffer = vec![0; 1024];
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    while let Some(length) = decisions.next() {
        let Some((payload, rest)) = decisions.0.split_at_checked(usize::from(length)) else { break };
        decisions.0 = rest;
        if payload.is_empty() {
            continue;
        }
        // Do not start a key exchange, which the model above tests.
        if !client.can_send() || matches!(payload[0], 20..=49) {
            continue;
        }
        client.send(&[payload]).expect("room for the message");
        let output = client.output().to_vec();
        client.sent(output.len());
        let result = server.receive(&output);
        assert_eq!(result.is_err(), server.fault().is_some());
        while let Some(event) = server.next_event() {
            match event {
                Event::Asked(id, kind, _) => {
                    ids.push(id);
                    let answer =
                        if kind.len() % 2 == 0 { server.accept(id) } else { server.refuse(id, 1, "no") };
                    answer.expect("room for the answer");
                }
                Event::Request(id, _, true, _) => server.answer(id, false).expect("room for the answer"),
                Event::GlobalRequest(_, true, _) => server.answer_global(None).expect("room for the answer"),
                Event::Opened(_) | Event::Refused(..) => panic!("nothing was asked for"),
                _ => {}
            }
        }
        for id in &ids {
            let _ = server.read(*id, Source::Data, &mut buffer);
            let _ = server.write(*id, b"data");
        }
        if result.is_err() {
            return;
        }
        let output = server.transport().output().to_vec();
        server.sent(output.len());
        client.receive(&output);
        // The client does not know what its messages mean, but the packets are valid.
        while client.next_event().expect("a valid packet").is_some() {}
    }
    assert!(MEMORY.peak_usage() - before <= MAX_MEMORY);
}

/// One direction of a channel.
#[derive(Default)]
struct Flow {
    /// The data that was written and not yet read.
    pending: VecDeque<u8>,
    /// The number of bytes written.
    written: usize,
    /// The sender has sent EOF, or has closed the channel.
    is_ended: bool,
    /// The reader has seen EOF.
    has_ended: bool,
}

/// A channel. Side 0 is the client's.
#[derive(Default)]
struct Pipe {
    ids: [Option<ChannelId>; 2],
    /// The side knows that the channel is open.
    is_open: [bool; 2],
    is_refused: bool,
    /// By the side that sends.
    flows: [Flow; 2],
}

struct Model {
    sides: [Connection; 2],
    pipes: Vec<Pipe>,
    /// The pipe of each channel, for each side.
    by_id: [BTreeMap<ChannelId, usize>; 2],
    /// The answers that each side waits for.
    unanswered: [usize; 2],
    hours: u32,
}

impl Model {
    fn new(client: Transport, server: Transport) -> Self {
        let sides = [client, server].map(Connection::new);
        Self { sides, pipes: Vec::new(), by_id: Default::default(), unanswered: [0; 2], hours: 0 }
    }

    fn run(&mut self, decisions: &mut Decisions<'_>) {
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        for _ in 0..200 {
            let Some(step) = decisions.next() else { break };
            self.step(step, decisions);
        }
        self.finish();
        assert!(MEMORY.peak_usage() - before <= 2 * MAX_MEMORY);
    }

    fn step(&mut self, step: u8, decisions: &mut Decisions<'_>) {
        let side = usize::from(step & 1);
        let pipe = usize::from(step >> 4) % self.pipes.len().max(1);
        let open = self.pipes.get(pipe).and_then(|pipe| pipe.ids[side].filter(|_| pipe.is_open[side]));
        match (step >> 1 & 7, open) {
            (0, _) => self.pass(side, decisions.number()),
            (1, _) => self.open(side),
            (2, Some(id)) => self.write(side, pipe, id, decisions.number()),
            (3, Some(id)) => {
                self.read(side, pipe, id, 1 + decisions.number());
            }
            (4, Some(id)) => {
                self.sides[side].send_eof(id).expect("EOF");
                self.pipes[pipe].flows[side].is_ended = true;
            }
            // Data that arrives after CLOSE was sent is discarded.
            (5, Some(id)) if self.sides[side].has_ended(id) => {
                self.sides[side].close_sending(id).expect("CLOSE");
                self.pipes[pipe].flows[side].is_ended = true;
            }
            (6, _) => {
                self.sides[side].global_request("keepalive", true, &[]).expect("a request");
                self.unanswered[side] += 1;
            }
            (7, _) => {
                self.hours += 1;
                self.sides[side].on_time(Duration::from_hours(1) * self.hours).expect("a key exchange");
            }
            _ => {}
        }
    }

    fn open(&mut self, side: usize) {
        // The data is the index of the pipe, for the other side.
        let number = u32::try_from(self.pipes.len()).expect("few pipes");
        if let Some(id) = self.sides[side].open("pipe", &number.to_be_bytes()).expect("a request") {
            self.by_id[side].insert(id, self.pipes.len());
            let mut pipe = Pipe::default();
            pipe.ids[side] = Some(id);
            self.pipes.push(pipe);
        }
    }

    fn write(&mut self, side: usize, pipe: usize, id: ChannelId, count: usize) {
        let flow = &mut self.pipes[pipe].flows[side];
        let start = flow.written;
        let data: Vec<_> = (start..start + count).map(|index| (index % 251).to_le_bytes()[0]).collect();
        let taken = self.sides[side].write(id, &data).expect("a packet");
        assert!(taken == 0 || !flow.is_ended, "data after EOF");
        flow.pending.extend(&data[..taken]);
        flow.written += taken;
    }

    /// Reads, and returns `true` if there was something.
    fn read(&mut self, side: usize, pipe: usize, id: ChannelId, count: usize) -> bool {
        let flow = &mut self.pipes[pipe].flows[1 - side];
        let mut buffer = vec![0; count];
        assert_eq!(self.sides[side].read(id, Source::Stderr, &mut [0]).map(|it| it.unwrap_or(0)), Ok(0));
        match self.sides[side].read(id, Source::Data, &mut buffer).expect("an adjustment") {
            None => false,
            Some(0) => {
                assert!(flow.pending.is_empty() && flow.is_ended, "EOF before {} bytes", flow.pending.len());
                !std::mem::replace(&mut flow.has_ended, true)
            }
            Some(count) => {
                assert!(!flow.has_ended && count <= flow.pending.len());
                assert!(flow.pending.drain(..count).eq(buffer[..count].iter().copied()), "other data");
                true
            }
        }
    }

    /// Passes bytes from this side to the other, which answers requests.
    fn pass(&mut self, from: usize, count: usize) {
        let to = 1 - from;
        let output = self.sides[from].transport().output();
        let bytes = output[..output.len().min(count)].to_vec();
        self.sides[from].sent(bytes.len());
        self.sides[to].receive(&bytes).expect("valid messages");
        while let Some(event) = self.sides[to].next_event() {
            match event {
                Event::Asked(id, kind, data) => {
                    let number = data.try_into().map(u32::from_be_bytes).expect("a number");
                    let index = usize::try_from(number).expect("an index");
                    assert_eq!(kind, "pipe");
                    if index % 5 == 4 {
                        self.sides[to].refuse(id, 2, "no").expect("a refusal");
                    } else {
                        self.sides[to].accept(id).expect("a confirmation");
                        self.by_id[to].insert(id, index);
                        self.pipes[index].ids[to] = Some(id);
                        self.pipes[index].is_open[to] = true;
                    }
                }
                Event::Opened(id) => self.pipes[self.by_id[to][&id]].is_open[to] = true,
                Event::Refused(id, 2, _) => {
                    let index = self.by_id[to][&id];
                    assert_eq!(index % 5, 4);
                    self.pipes[index].is_refused = true;
                }
                Event::GlobalRequest(_, true, _) => self.sides[to].answer_global(None).expect("an answer"),
                Event::GlobalAnswer(None) => self.unanswered[to] -= 1,
                other => panic!("{other:?}"),
            }
        }
    }

    /// Passes everything, reads everything, and closes all channels.
    fn finish(&mut self) {
        for end in [Connection::send_eof, Connection::close_sending] {
            self.settle();
            for pipe in &mut self.pipes {
                for side in 0..2 {
                    if let Some(id) = pipe.ids[side].filter(|_| pipe.is_open[side]) {
                        end(&mut self.sides[side], id).expect("a message");
                        pipe.flows[side].is_ended = true;
                    }
                }
            }
        }
        self.settle();
        assert_eq!(self.unanswered, [0; 2]);
        for (index, pipe) in self.pipes.iter().enumerate() {
            assert_eq!(pipe.is_open, [!pipe.is_refused; 2], "pipe {index}");
            for side in 0..2 {
                assert!(pipe.ids[side].is_none_or(|id| self.sides[side].is_gone(id)), "pipe {index}");
                assert!(pipe.is_refused || pipe.flows[side].has_ended, "pipe {index}");
                assert!(pipe.flows[side].pending.is_empty(), "pipe {index}");
            }
        }
    }

    fn settle(&mut self) {
        loop {
            let mut is_quiet = true;
            for side in 0..2 {
                is_quiet &= self.sides[side].transport().output().is_empty();
                self.pass(side, usize::MAX);
                for index in 0..self.pipes.len() {
                    let pipe = &self.pipes[index];
                    if let Some(id) = pipe.ids[side].filter(|_| pipe.is_open[side]) {
                        is_quiet &= !self.read(side, index, id, 64 * 1024);
                    }
                }
            }
            if is_quiet {
                return;
            }
        }
    }
}
