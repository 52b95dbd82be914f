//! A model of the network: pipes that break at any byte and fragment what they carry, slow readers,
//! and local sides that end or reset their streams at any time.

use std::collections::{BTreeMap, VecDeque};

use super::*;

/// A generator of reproducible numbers.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }

    fn percent(&mut self, percent: usize) -> bool {
        self.next(100) < percent
    }
}

const DEST: usize = 0;
const ORIGIN: usize = 1;

/// Returns the byte at a position of a stream's direction.
fn byte(stream: u32, from: usize, position: usize) -> u8 {
    let mixed = (position as u64 + 1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(u64::from(stream) << 8 | from as u64);
    mixed.to_le_bytes()[5]
}

/// The end of a direction of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    Eof,
    Reset,
}

/// The local side of a stream at one end.
#[derive(Debug)]
struct Local {
    id: StreamId,
    to_send: usize,
    sent: usize,
    ending: Ending,
    has_ended: bool,
    received: usize,
    peer_ending: Option<Ending>,
    /// Accepts nothing until all other streams are over.
    is_stuck: bool,
    /// The percentage of attempts to read that succeed.
    speed: usize,
}

/// A pipe. Bytes that are under way when it breaks may still arrive, up to any point.
#[derive(Default)]
struct Pipe {
    number: usize,
    under_way: [VecDeque<u8>; 2],
    is_broken: bool,
    /// The origin has received the dest's HELLO.
    is_greeted: bool,
    greeting: Decoder,
}

struct Model {
    numbers: Numbers,
    now: Duration,
    links: [Option<Link>; 2],
    settings: [Settings; 2],
    locals: [BTreeMap<u32, Local>; 2],
    /// The pipes that bytes may still arrive from. The dest uses the last one, if it has any.
    pipes: Vec<Pipe>,
    pipe_of_origin: Option<usize>,
    has_pipe: bool,
    pipe_count: usize,
    cuts_left: usize,
    /// The streams that were reset by either side.
    reset: Vec<u32>,
    is_stuck_released: bool,
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut numbers = Numbers(seed.wrapping_mul(7919));
        let mut settings = || Settings {
            window: [65_536, 131_072, 1024 * 1024][numbers.next(3)],
            resume: Duration::from_secs(3600),
            max_streams: 100,
        };
        let settings = [settings(), settings()];
        let cuts_left = numbers.next(12);
        Self {
            numbers,
            now: ms(0),
            links: [Some(Link::dest(settings[DEST], ID)), None],
            settings,
            locals: [BTreeMap::new(), BTreeMap::new()],
            pipes: Vec::new(),
            pipe_of_origin: None,
            has_pipe: false,
            pipe_count: 0,
            cuts_left,
            reset: Vec::new(),
            is_stuck_released: false,
        }
    }

    fn local(&mut self, id: StreamId, is_stuck: bool) -> Local {
        let sizes = [0, 1, 500, 5_000, 40_000, 200_000];
        let variety = if self.numbers.percent(90) { 4 } else { 6 };
        let max = sizes[self.numbers.next(variety)];
        Local {
            id,
            to_send: self.numbers.next(max + 1),
            sent: 0,
            ending: if self.numbers.percent(20) { Ending::Reset } else { Ending::Eof },
            has_ended: false,
            received: 0,
            peer_ending: None,
            is_stuck,
            speed: [5, 50, 100][self.numbers.next(3)],
        }
    }

    /// Lets any part of the model do something.
    fn step(&mut self) {
        match self.numbers.next(20) {
            0 => self.now += ms(self.numbers.next(60) as u64),
            1 => self.cut(),
            2 => self.connect(),
            3..8 => self.produce(DEST),
            8..11 => self.produce(ORIGIN),
            11 => self.read(),
            12..16 => self.carry(DEST),
            _ => self.carry(ORIGIN),
        }
        self.check_memory();
    }

    fn cut(&mut self) {
        if self.cuts_left == 0 || !self.numbers.percent(20) {
            return;
        }
        if let Some(pipe) = self.pipes.last_mut().filter(|pipe| !pipe.is_broken) {
            pipe.is_broken = true;
            self.cuts_left -= 1;
        }
    }

    /// Each end notices in its own time that its pipe is broken.
    fn connect(&mut self) {
        let is_broken = self.pipes.last().is_none_or(|pipe| pipe.is_broken);
        let origin_pipe = self.pipes.iter().find(|pipe| Some(pipe.number) == self.pipe_of_origin);
        if origin_pipe.is_none_or(|pipe| pipe.is_broken) && self.numbers.percent(30) {
            self.pipe_of_origin = None;
            if let Some(origin) = &mut self.links[ORIGIN] {
                origin.broken(self.now);
            }
        }
        if !is_broken {
            return;
        }
        let dest = self.links[DEST].as_mut().unwrap();
        if self.has_pipe {
            dest.broken(self.now);
            self.has_pipe = false;
        } else if !self.is_lost_early() {
            let dest = self.links[DEST].as_mut().unwrap();
            assert!(dest.connect(self.now));
            self.pipe_count += 1;
            self.pipes.push(Pipe { number: self.pipe_count, ..Pipe::default() });
            self.has_pipe = true;
        }
    }

    /// The first pipe must create the origin's end, because later ones can only resume it.
    fn is_lost_early(&mut self) -> bool {
        if self.links[ORIGIN].is_none() && self.pipe_count > 0 {
            self.links[DEST] = Some(Link::dest(self.settings[DEST], ID));
            self.locals = [BTreeMap::new(), BTreeMap::new()];
            self.reset.clear();
            self.pipes.clear();
            self.pipe_count = 0;
        }
        false
    }

    /// Opens streams, and sends data and ends.
    fn produce(&mut self, end: usize) {
        let now = self.now;
        let Some(link) = &mut self.links[end] else { return };
        if end == DEST && link.last_opened < 13 && self.numbers.percent(5) {
            let id = link.open("target:1", now).unwrap();
            let is_stuck = id.number() == 1;
            let local = self.local(id, is_stuck);
            self.locals[end].insert(id.number(), local);
            return;
        }
        for local in self.locals[end].values().filter(|local| local.sent < local.to_send) {
            if self.numbers.percent(30) {
                link.set_ready(local.id);
            }
        }
        for _ in 0..self.numbers.next(4) {
            let Some(turn) = link.next_turn() else { break };
            let Some(local) = self.locals[end].get_mut(&turn.stream.number()) else { continue };
            let count = turn.room.min(local.to_send - local.sent).min(1 + self.numbers.next(20_000));
            let data: Vec<u8> = (0..count).map(|i| byte(local.id.number(), end, local.sent + i)).collect();
            assert_eq!(link.send(local.id, &data), count);
            local.sent += count;
        }
        for local in self.locals[end].values_mut() {
            if local.sent == local.to_send && !local.has_ended && self.numbers.percent(10) {
                local.has_ended = true;
                match local.ending {
                    Ending::Eof => link.finish(local.id),
                    Ending::Reset => {
                        link.reset(local.id, Reset::new(ResetCode::CutOff));
                        self.reset.push(local.id.number());
                    }
                }
            }
        }
    }

    /// The local sides read what they have not accepted before.
    fn read(&mut self) {
        for end in [DEST, ORIGIN] {
            let Some(link) = &mut self.links[end] else { continue };
            for local in self.locals[end].values_mut() {
                let is_stuck = local.is_stuck && !self.is_stuck_released;
                if is_stuck || !self.numbers.percent(local.speed) {
                    continue;
                }
                let unread = link.unread(local.id);
                let count = unread.len().min(1 + self.numbers.next(30_000));
                local.take(&unread[..count], end);
                link.read(local.id, count, self.now);
            }
        }
    }

    /// Moves bytes from one end into its pipe, and from any pipe to the other end.
    fn carry(&mut self, from: usize) {
        self.write(from);
        let to = 1 - from;
        for index in 0..self.pipes.len() {
            let pipe = &mut self.pipes[index];
            let count = pipe.under_way[to].len().min(self.numbers.next(30_000));
            let mut bytes: Vec<u8> = pipe.under_way[to].drain(..count).collect();
            // Broken pipes deliver only a part of what is under way.
            if pipe.is_broken && self.numbers.percent(20) {
                pipe.under_way[to].clear();
            }
            while !bytes.is_empty() {
                let size = [1, 5, 100, 70_000][self.numbers.next(4)].min(bytes.len());
                let rest = bytes.split_off(size);
                self.deliver(index, to, &bytes);
                bytes = rest;
            }
        }
    }

    fn write(&mut self, from: usize) {
        let pipe = match from {
            DEST => self.pipes.last_mut().filter(|_| self.has_pipe),
            _ => self.pipes.iter_mut().find(|pipe| Some(pipe.number) == self.pipe_of_origin),
        };
        let (Some(pipe), Some(link)) = (pipe, &mut self.links[from]) else { return };
        for _ in 0..self.numbers.next(4) {
            let pending = link.pending(self.now);
            let space = 100_000_usize.saturating_sub(pipe.under_way[1 - from].len());
            let count = pending.len().min(1 + self.numbers.next(40_000)).min(space);
            if !pipe.is_broken {
                pipe.under_way[1 - from].extend(&pending[..count]);
            }
            link.written(count);
        }
    }

    fn deliver(&mut self, index: usize, to: usize, mut bytes: &[u8]) {
        let is_last = index + 1 == self.pipes.len();
        let pipe = &mut self.pipes[index];
        if to == DEST {
            if is_last && self.has_pipe {
                self.receive(DEST, bytes);
            }
            return;
        }
        if !pipe.is_greeted {
            let Some(frame) = pipe.greeting.next(&mut bytes).unwrap() else { return };
            let Frame::Hello(hello) = frame else { panic!("{frame:?}") };
            pipe.is_greeted = true;
            let number = pipe.number;
            match &mut self.links[ORIGIN] {
                None => {
                    let link = Link::origin(self.settings[ORIGIN], &hello, self.now).unwrap();
                    self.links[ORIGIN] = Some(link);
                    self.pipe_of_origin = Some(number);
                }
                // A pipe that was overtaken by a later one is refused.
                Some(link) => match link.resume(&hello, self.now) {
                    Ok(()) => self.pipe_of_origin = Some(number),
                    Err(violation) => {
                        assert_eq!(violation, Violation::Epoch);
                        self.pipes[index].is_broken = true;
                    }
                },
            }
        }
        if self.pipe_of_origin == Some(self.pipes[index].number) {
            self.receive(ORIGIN, bytes);
        }
    }

    fn receive(&mut self, end: usize, mut bytes: &[u8]) {
        let Some(mut link) = self.links[end].take() else { return };
        while let Some(event) = link.receive(&mut bytes, self.now).unwrap() {
            match event {
                Event::Opened(id, target) => {
                    assert_eq!((end, target.as_str()), (ORIGIN, "target:1"));
                    let local = self.local(id, false);
                    assert!(self.locals[ORIGIN].insert(id.number(), local).is_none());
                    link.connected(id);
                }
                Event::Data(id, data) => {
                    let local = self.locals[end].get_mut(&id.number()).unwrap();
                    let accepts = !local.is_stuck && self.numbers.percent(local.speed);
                    let count = if accepts { data.len().min(1 + self.numbers.next(30_000)) } else { 0 };
                    local.take(&data[..count], end);
                    link.accepted(id, data, count, self.now);
                }
                Event::Eof(id) => self.ended(end, id, Ending::Eof),
                Event::Reset(id, reset, unread) => {
                    assert_eq!(reset.code, ResetCode::CutOff);
                    let local = self.locals[end].get_mut(&id.number()).unwrap();
                    local.take(&unread, end);
                    local.has_ended = true;
                    self.ended(end, id, Ending::Reset);
                }
                Event::Established | Event::Connected(_) => assert_eq!(end, DEST),
                Event::GoAway(_) => assert_eq!(end, ORIGIN),
                Event::Ended(reset) => panic!("{reset:?}"),
            }
        }
        self.links[end] = Some(link);
    }

    fn ended(&mut self, end: usize, id: StreamId, ending: Ending) {
        let local = self.locals[end].get_mut(&id.number()).unwrap();
        assert!(local.peer_ending.is_none_or(|earlier| earlier == Ending::Eof && ending == Ending::Reset));
        local.peer_ending = Some(ending);
    }

    fn check_memory(&self) {
        for (link, settings) in self.links.iter().zip(&self.settings) {
            let Some(link) = link else { continue };
            assert!(link.outbox.unacknowledged() <= settings.window as usize);
            for stream in link.streams.values() {
                assert!(stream.unread.len() <= settings.window as usize);
            }
        }
    }

    /// Returns `true` once everything about all streams but the stuck ones has arrived.
    fn is_done(&self, includes_stuck: bool) -> bool {
        let [dest, origin] = &self.locals;
        let is_over = |number: &u32, local: &Local| {
            let Some([from, to]) = self.both() else { return false };
            let Some(other) = origin.get(number) else {
                // The dest may reset a stream before the origin knows it.
                return self.reset.contains(number) && !from.has_stream(local.id);
            };
            local.has_ended
                && other.has_ended
                && !from.has_stream(local.id)
                && !to.has_stream(local.id)
                && (local.peer_ending.is_some() || self.reset.contains(number))
                && (other.peer_ending.is_some() || self.reset.contains(number))
        };
        dest.len() == 7
            && dest
                .iter()
                .all(|(number, local)| (local.is_stuck && !includes_stuck) || is_over(number, local))
    }

    fn both(&self) -> Option<[&Link; 2]> {
        Some([self.links[DEST].as_ref()?, self.links[ORIGIN].as_ref()?])
    }

    fn run(&mut self, mut is_done: impl FnMut(&Self) -> bool, context: &str) {
        for step in 0..400_000 {
            self.step();
            if step % 16 == 0 && is_done(self) {
                return;
            }
        }
        let state = (&self.locals, self.now, self.pipe_count, self.has_pipe, self.pipe_of_origin);
        panic!("{context}: {state:?}\n{:?}", self.links);
    }

    /// Compares both sides of each stream.
    fn check_streams(&self) {
        for (number, local) in &self.locals[DEST] {
            let Some(other) = self.locals[ORIGIN].get(number) else { continue };
            for (sender, receiver) in [(local, other), (other, local)] {
                match receiver.peer_ending {
                    Some(Ending::Eof) => {
                        assert_eq!(sender.ending, Ending::Eof);
                        let is_whole = receiver.received == sender.to_send;
                        assert!(is_whole || self.reset.contains(number), "{sender:?} {receiver:?}");
                    }
                    _ => assert!(self.reset.contains(number)),
                }
                assert!(receiver.received <= sender.sent);
            }
        }
    }
}

impl Local {
    /// Checks that data continues what was received before.
    fn take(&mut self, data: &[u8], end: usize) {
        for (i, received) in data.iter().enumerate() {
            let expected = byte(self.id.number(), 1 - end, self.received + i);
            assert_eq!(*received, expected, "stream {} at {}", self.id.number(), self.received + i);
        }
        self.received += data.len();
        assert!(data.is_empty() || self.peer_ending != Some(Ending::Reset));
    }
}

fn play(seed: u64) {
    let mut model = Model::new(seed);
    model.run(|model| model.is_done(false), &format!("seed {seed}: not all streams end"));
    model.is_stuck_released = true;
    model.locals[DEST].get_mut(&1).unwrap().is_stuck = false;
    model.run(|model| model.is_done(true), &format!("seed {seed}: the slow stream does not end"));
    model.check_streams();
    model.links[DEST].as_mut().unwrap().go_away();
    let is_finished = |model: &Model| model.links[DEST].as_ref().unwrap().is_finished();
    model.run(is_finished, &format!("seed {seed}: the link does not end"));
    let origin = model.links[ORIGIN].as_mut().unwrap();
    assert_eq!(origin.closed(model.now), Some(End::Closed));
    assert_eq!(model.pipes.iter().filter(|pipe| pipe.is_greeted).count().min(1), 1);
}

#[test]
fn every_byte_arrives_once_over_broken_pipes() {
    for seed in 0..1000 {
        play(seed);
    }
}
