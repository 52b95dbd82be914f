//! The frames of a link, for the decoder and for both ends.
//!
//! The first byte selects the end and the behavior of its local sides, the second the
//! fragmentation, and the third where the pipe breaks.
#![no_main]

use std::collections::BTreeSet;
use std::time::Duration;

use connect::proto::link::{
    Decoder, Event, Frame, HEADER, Hello, Link, LinkId, Settings, StreamId, Violation,
};
use connect_fuzz::{MEMORY, display};
use libfuzzer_sys::fuzz_target;

/// The HELLO that starts a link, and the one that answers it.
const HELLO: &[u8] = b"\x01\0\0\0\0\0\0\x28CNCT\x01\0\0\0\
    ZZZZZZZZZZZZZZZZ\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0";

const ID: LinkId = LinkId(*b"ZZZZZZZZZZZZZZZZ");

fuzz_target!(|input: &[u8]| {
    let [setup, fragmentation, cut, bytes @ ..] = input else { return };
    let size = 1 + usize::from(*fragmentation);
    let bytes = [HELLO, bytes].concat();
    check_decoder(&bytes, size, usize::from(*cut));

    let local = [Local::Reads, Local::Ends, Local::NeverReads, Local::Waits][usize::from(setup >> 1) % 4];
    let whole = converse(setup & 1 != 0, &bytes, usize::MAX, local);
    for size in [1, size] {
        assert_eq!(converse(setup & 1 != 0, &bytes, size, local), whole, "in fragments of {size} bytes");
    }
});

/// Everything that a decoder returns.
#[derive(Debug, Default, PartialEq)]
struct Decoded {
    frames: Vec<String>,
    data: Vec<(u32, Vec<u8>)>,
    received: u64,
    is_malformed: bool,
}

impl Decoded {
    fn add(&mut self, decoder: &mut Decoder, bytes: &[u8], size: usize) {
        for mut part in bytes.chunks(size) {
            while !self.is_malformed {
                match decoder.next(&mut part) {
                    Ok(None) => break,
                    Ok(Some(Frame::Data(stream, data))) => match self.data.last_mut() {
                        Some((last, held)) if *last == stream.number() => held.extend(data),
                        _ => self.data.push((stream.number(), data.to_vec())),
                    },
                    Ok(Some(frame)) => self.frames.push(format!("{frame:?}")),
                    Err(_) => self.is_malformed = true,
                }
            }
        }
        self.received = decoder.received();
    }
}

fn check_decoder(bytes: &[u8], size: usize, cut: usize) {
    let mut whole = Decoded::default();
    whole.add(&mut Decoder::default(), bytes, usize::MAX);
    for size in [1, size] {
        let mut parts = Decoded::default();
        parts.add(&mut Decoder::default(), bytes, size);
        assert_eq!(parts, whole, "in fragments of {size} bytes");
    }
    let (counted, is_malformed) = reference(bytes);
    let lengths = counted.iter().map(|frame| frame.len() as u64);
    assert_eq!((whole.received, whole.is_malformed), (lengths.sum(), is_malformed));

    // A pipe that breaks loses nothing: the next one repeats the frames that are not complete.
    if !is_malformed {
        let mut decoder = Decoder::default();
        let mut resumed = Decoded::default();
        resumed.add(&mut decoder, &bytes[..cut.min(bytes.len())], size);
        decoder.restart(true);
        let mut position = 0;
        for frame in counted {
            if position >= resumed.received {
                resumed.add(&mut decoder, frame, size);
            }
            position += frame.len() as u64;
        }
        let data = |decoded: &Decoded| -> Vec<u8> {
            decoded.data.iter().flat_map(|(_, data)| data.clone()).collect()
        };
        assert!(!resumed.is_malformed);
        assert_eq!(resumed.received, whole.received);
        // The last DATA frame may be incomplete.
        assert!(data(&whole).starts_with(&data(&resumed)) || data(&resumed).starts_with(&data(&whole)));
    }
}

/// Parses frames independently of the decoder. Returns the counted ones, and whether a frame is
/// malformed.
fn reference(mut bytes: &[u8]) -> (Vec<&[u8]>, bool) {
    let (mut counted, mut has_hello) = (Vec::new(), false);
    while let Some((header, rest)) = bytes.split_at_checked(HEADER) {
        let stream = u32::from_be_bytes([0, header[1], header[2], header[3]]);
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let (kind, is_link) = (header[0], stream == 0);
        let is_valid = match kind {
            1 => length == 40 && is_link && !has_hello,
            2 => (6..=518).contains(&length) && !is_link,
            3 => length <= 65_536 && !is_link,
            4 => length == 8 && !is_link,
            5 => length == 0 && !is_link,
            6 => (2..=258).contains(&length),
            7..=9 => length == 8 && is_link,
            10 => (2..=258).contains(&length) && is_link,
            kind => kind >= 128 && length <= 65_536,
        };
        has_hello |= kind == 1;
        if !is_valid || !has_hello {
            return (counted, true);
        }
        let Some((payload, next)) = rest.split_at_checked(length) else { break };
        let is_malformed = match (kind, payload) {
            (1, hello) => !hello.starts_with(b"CNCT\x01\0\0\0") && !hello.starts_with(b"CNCT\x01\x01\0\0"),
            (2, [_, _, _, _, high, low, target @ ..]) => {
                usize::from(*high) * 256 + usize::from(*low) != target.len()
                    || str::from_utf8(target).is_err()
            }
            _ => false,
        };
        if is_malformed {
            return (counted, true);
        }
        if matches!(kind, 2..=6 | 10) {
            counted.push(&bytes[..HEADER + length]);
        }
        bytes = next;
    }
    (counted, false)
}

/// The behavior of the local sides.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Local {
    /// They accept all data.
    Reads,
    /// They accept all data, and send EOF at once.
    Ends,
    /// They accept no data.
    NeverReads,
    /// They accept all data, although the target is not connected.
    Waits,
}

/// Everything that one end does with the bytes of the other.
#[derive(Debug, Default, PartialEq)]
struct Conversation {
    events: Vec<String>,
    data: Vec<(u32, Vec<u8>)>,
    violation: Option<Violation>,
    /// The streams that may have unread data.
    streams: BTreeSet<StreamId>,
    sent: Vec<u8>,
}

/// Passes bytes to one end.
fn converse(is_dest: bool, bytes: &[u8], size: usize, local: Local) -> Conversation {
    let before = MEMORY.current_usage();
    let now = Duration::ZERO;
    let settings = Settings { max_streams: 5, ..Settings::default() };
    let hello = Hello { resumes: false, id: ID, epoch: 0, received: 0, window: 0x0010_0000 };
    let mut seen = Conversation::default();
    let (mut link, bytes) = if is_dest {
        let mut link = Link::dest(settings, ID);
        let streams = [(); 3].map(|()| link.open("target:1", now).expect("a stream"));
        assert!(link.connect(now));
        take_sent(&mut link, &mut seen.sent, now);
        link.finish(streams[1]);
        take_sent(&mut link, &mut seen.sent, now);
        (link, bytes)
    } else {
        (Link::origin(settings, &hello, now).expect("a valid HELLO"), &bytes[HELLO.len()..])
    };
    MEMORY.reset_peak_usage();
    for mut part in bytes.chunks(size) {
        loop {
            match link.receive(&mut part, now) {
                Ok(Some(event)) => seen.handle(&mut link, event, local, now),
                Ok(None) => break,
                Err(violation) => {
                    display::check(&violation.to_string());
                    assert!(seen.violation.replace(violation).is_none(), "the link has ended");
                }
            }
        }
    }
    // The local sides hold what they have not accepted; each event is kept here.
    assert!(MEMORY.peak_usage() - before <= 64 * bytes.len() + 64 * 1024);
    take_sent(&mut link, &mut seen.sent, now);
    assert!(!reference(&seen.sent).1, "malformed frames");
    for stream in std::mem::take(&mut seen.streams) {
        seen.data.push((stream.number(), link.unread(stream).to_vec()));
    }
    assert_eq!(
        link.has_ended(),
        seen.violation.is_some() || seen.events.iter().any(|it| it.starts_with("Ended"))
    );
    seen
}

impl Conversation {
    #[allow(clippy::needless_pass_by_value, reason = "events are consumed")]
    fn handle(&mut self, link: &mut Link, event: Event<'_>, local: Local, now: Duration) {
        match event {
            Event::Data(stream, data) if local == Local::NeverReads => {
                self.streams.insert(stream);
                return link.accepted(stream, data, 0, now);
            }
            Event::Data(stream, data) => {
                match self.data.last_mut() {
                    Some((last, held)) if *last == stream.number() => held.extend(data),
                    _ => self.data.push((stream.number(), data.to_vec())),
                }
                return link.accepted(stream, data, data.len(), now);
            }
            Event::Opened(stream, _) => {
                if local != Local::Waits {
                    link.connected(stream);
                }
                if local == Local::Ends {
                    link.finish(stream);
                }
            }
            _ => {}
        }
        self.events.push(format!("{event:?}"));
    }
}

/// Takes the bytes for the peer.
fn take_sent(link: &mut Link, sent: &mut Vec<u8>, now: Duration) {
    loop {
        let pending = link.pending(now);
        let count = pending.len();
        if count == 0 {
            return;
        }
        sent.extend(pending);
        link.written(count);
    }
}
