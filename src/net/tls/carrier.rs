//! The thread of a TLS layer: plain bytes at its upper end, records at its lower one.
//!
//! - Each direction is read only when it holds nothing: a slow side makes the other one wait, and no memory grows.
//! - What the library has decrypted is taken from it before anything is waited for.
//! - The upper end's half-close becomes a `close_notify`, and what the peer still says is delivered. The peer's
//!   `close_notify` becomes a half-close, and it still gets what the upper end says.
//! - An end without `close_notify` is a fault, and so are a reset and an alert.

use std::io::{self, Read, Write};
use std::time::Duration;

use rustls::ClientConnection;
use zeroize::Zeroize;

use super::messages;
use crate::sys::{self, LayerThread, Ready};
use crate::trace::trace;

/// The most bytes that each direction holds, but for what the library adds to it.
const CAPACITY: usize = 64 * 1024;
/// What fits into one record.
const RECORD: usize = 16 * 1024;
/// So many records may be encrypted with the keys of a TLS 1.2 connection, which cannot be renewed. Beyond it the library
/// would take what it is given and send none of it.
const MOST_RECORDS: u64 = (1 << 23) - 8;
/// When the upper end is gone, the peer may so long refuse to take what is left.
const STALLED: Duration = Duration::from_secs(5);

/// Carries bytes until there is nothing more to carry.
pub(super) fn carry(mut tls: ClientConnection, layer: &LayerThread) {
    // It is read in turn with being sent: what it holds has its bounds.
    tls.set_buffer_limit(None);
    let buffer = || vec![0; CAPACITY].into_boxed_slice();
    let (plain, records) = (buffer(), buffer());
    Carrier {
        layer,
        tls,
        up: Stage::Open,
        out: Held::default(),
        down: Stage::Open,
        plain: Held { bytes: Vec::with_capacity(CAPACITY), start: 0 },
        scratch: [plain, records],
        records: 0,
        has_left: false,
    }
    .run();
    trace!("TLS layer ended");
}

/// Where a direction stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// Nothing more comes; what is held is yet to be passed on.
    Ending,
    Over,
}

/// Bytes that are yet to be written.
#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    start: usize,
}

impl Held {
    fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// Writes what there is room for; whether all of it was.
    fn drain(&mut self, to: &sys::Channel) -> io::Result<bool> {
        while !self.is_empty() {
            match to.write(&self.bytes[self.start..]) {
                Ok(count) => self.start += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.bytes.clear();
        self.start = 0;
        Ok(true)
    }
}

struct Carrier<'a> {
    layer: &'a LayerThread,
    tls: ClientConnection,
    up: Stage,
    /// Records for the peer.
    out: Held,
    down: Stage,
    /// What the peer says, for the upper end.
    plain: Held,
    /// Where plain bytes and records are read into.
    scratch: [Box<[u8]>; 2],
    /// How many records the peer was sent.
    records: u64,
    /// The upper end is gone. What it has said is passed on.
    has_left: bool,
}

impl Carrier<'_> {
    fn run(&mut self) {
        // What came behind the handshake.
        self.take_decrypted();
        let (mut up, mut down) = (true, true);
        loop {
            if up {
                self.carry_up();
            }
            if down {
                self.carry_down();
            }
            // Answers of the library's own, to a request for new keys for instance.
            self.send();
            if self.layer.is_aborted() {
                return self.layer.lower().reset_on_close();
            }
            if self.up == Stage::Over && (self.down == Stage::Over || self.has_left) {
                return;
            }
            match self.wait() {
                Some(ready) => (up, down) = ready,
                None => return,
            }
        }
    }

    /// Waits until something can be done: whether that is upward of the peer, or downward. `None` if it was in vain.
    fn wait(&mut self) -> Option<(bool, bool)> {
        let wants_input = self.up == Stage::Open && self.out.is_empty();
        let wants_records = self.down == Stage::Open && self.plain.is_empty();
        let mut watches = Vec::with_capacity(2);
        // What nothing is wanted of is left out: poll would report its hang-up for ever.
        let lower = (wants_records || !self.out.is_empty()).then(|| {
            watches.push(sys::watch(self.layer.lower(), wants_records, !self.out.is_empty()));
            watches.len() - 1
        });
        let upper = (!self.has_left || wants_input).then(|| {
            watches.push(sys::watch(&self.layer.upper, wants_input, !self.plain.is_empty()));
            watches.len() - 1
        });
        let patience = if self.has_left { Some(STALLED) } else { self.layer.recheck_interval() };
        match sys::poll(&mut watches, patience) {
            Ok(false) if self.has_left => return None,
            Ok(_) => {}
            Err(cause) => {
                self.layer.fail(cause);
                return None;
            }
        }
        let ready = |index: Option<usize>| {
            index.map_or_else(Ready::default, |index| Ready::from_watch(&watches[index]))
        };
        let (lower, upper) = (ready(lower), ready(upper));
        if self.layer.handle_is_gone(upper) {
            self.has_left = true;
        }
        Some((upper.read || lower.write, lower.read || upper.write || upper.gone))
    }

    /// From the upper end to the peer.
    fn carry_up(&mut self) {
        if self.up != Stage::Open || !self.out.is_empty() {
            return;
        }
        let chunk = &mut self.scratch[0];
        // Before it is taken: nobody may think that nothing is on its way.
        self.layer.set_in_flight(1);
        match self.layer.upper.read(chunk) {
            Ok(count @ 1..) => {
                self.layer.set_in_flight(count);
                let written = self.tls.writer().write_all(&chunk[..count]);
                // It may have been a password.
                chunk[..count].zeroize();
                self.records += count.div_ceil(RECORD) as u64;
                if let Err(error) = written {
                    self.fail(error);
                } else if self.records >= MOST_RECORDS && messages::has_old_version(&self.tls) {
                    self.fail(messages::used_up());
                }
            }
            Err(error) if is_passing(&error) => self.layer.set_in_flight(0),
            // Its end, and if it is gone that is none of the peer's business, unless it was broken off.
            Ok(_) | Err(_) => {
                self.up = Stage::Ending;
                if !self.layer.is_aborted() {
                    self.tls.send_close_notify();
                }
            }
        }
    }

    /// Sends what the library has for the peer.
    fn send(&mut self) {
        while self.tls.wants_write() {
            // Memory takes all of it.
            let _ = self.tls.write_tls(&mut self.out.bytes);
        }
        match self.out.drain(self.layer.lower()) {
            Ok(true) => {
                self.layer.set_in_flight(0);
                if self.up == Stage::Ending {
                    self.up = Stage::Over;
                }
            }
            Ok(false) => {}
            // Nobody takes it. What the peer has said may tell why.
            Err(_) => {
                self.out = Held::default();
                self.up = Stage::Over;
                self.layer.stop_reading();
            }
        }
    }

    /// From the peer to the upper end.
    fn carry_down(&mut self) {
        if self.down == Stage::Over {
            return;
        }
        if self.down == Stage::Open && self.plain.is_empty() {
            match self.layer.lower().read(&mut self.scratch[1]) {
                Ok(0) => self.fail(messages::cut_off()),
                Ok(count) => self.decrypt(count),
                Err(error) if is_passing(&error) => {}
                Err(error) => self.fail(error),
            }
        }
        match self.plain.drain(&self.layer.upper) {
            Ok(true) if self.down == Stage::Ending => {
                self.down = Stage::Over;
                // It fails if nobody is there.
                let _ = self.layer.upper.shut_down_writing();
            }
            Ok(_) => {}
            // Nobody wants it.
            Err(_) => self.down = Stage::Over,
        }
    }

    /// Takes so many bytes that have come through the library.
    fn decrypt(&mut self, count: usize) {
        let records = std::mem::take(&mut self.scratch[1]);
        let mut rest = &records[..count];
        while !rest.is_empty() && self.down == Stage::Open {
            // Memory does not fail, and what was decrypted is always taken.
            if let Err(error) = self.tls.read_tls(&mut rest) {
                self.fail(error);
            }
            let processed = self.tls.process_new_packets();
            // What came before an error counts.
            self.take_decrypted();
            if let Err(error) = processed {
                self.fail(messages::fault(&error));
            }
        }
        self.scratch[1] = records;
    }

    /// Takes what the library has decrypted.
    fn take_decrypted(&mut self) {
        match self.tls.reader().read_to_end(&mut self.plain.bytes) {
            // It has said good-bye.
            Ok(_) => self.down = Stage::Ending,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => self.fail(error),
        }
    }

    /// Both directions end, once what has come is delivered.
    fn fail(&mut self, cause: io::Error) {
        trace!("TLS: {cause}");
        self.layer.fail(cause);
        self.down = Stage::Ending;
        self.up = Stage::Over;
        self.layer.stop_reading();
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
