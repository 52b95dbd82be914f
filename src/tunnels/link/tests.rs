//! Links over socket pairs that are cut.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::codecs::websocket::ClosingCode;
use crate::plan::{Multiplexer, Opened, Target};
use crate::proto::link::{Cause, Decoder, Frame, Hello, Link, LinkId, Settings, StreamId};
use crate::proto::post::{Reset, ResetCode};
use crate::secret::SharedKey;
use crate::stream::{Interest, PollSet, Stream, close, read_within};
use crate::sys::{self, Channel};

const ID: LinkId = LinkId([7; 16]);

/// A hub that joins each pipe of the dest with the origin, and can cut it.
#[derive(Default)]
struct Hub {
    origins: Mutex<BTreeMap<[u8; 16], Arc<Mailbox>>>,
    /// Both ends of the latest pipe.
    pipe: Mutex<Option<[Arc<Channel>; 2]>>,
    /// The targets' ends of the streams.
    targets: Mutex<Vec<Channel>>,
    pipe_count: Mutex<usize>,
    settings: Settings,
    /// The key of the origin.
    key: Option<SharedKey>,
    /// The target refuses connections.
    refuses: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The origin's part of a link, which connects to one end of a socket pair.
struct TestOrigin {
    hub: Arc<Hub>,
    mailbox: Arc<Mailbox>,
}

impl Role for TestOrigin {
    fn opened(&mut self, stream: StreamId, _: &str) {
        let result = if self.hub.refuses {
            Err(Reset { code: ResetCode::Unreachable, text: "connection refused".into() })
        } else {
            let (outer, inner) = tcp_pair();
            lock(&self.hub.targets).push(outer);
            Ok(Box::new(inner) as Box<dyn Stream>)
        };
        self.mailbox.post(Message::Connected(stream, result));
    }

    fn pipe_lost(&mut self, _: &PipeEnd) -> Option<Cause> {
        None
    }

    fn stream_ended(&mut self, _: StreamId, _: Option<&Reset>) {}

    fn ended(&mut self, _: Option<&Cause>) {}
}

/// Returns both ends of a TCP connection, which can be reset.
fn tcp_pair() -> (Channel, Channel) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (other, _) = listener.accept().unwrap();
    let channel = |stream: TcpStream| {
        stream.set_nonblocking(true).unwrap();
        Channel::socket(stream)
    };
    (channel(one), channel(other))
}

impl Hub {
    /// Opens a pipe to the origin, and returns the dest's end.
    fn join(self: &Arc<Self>) -> Pipe {
        let (dest, dest_hub) = sys::channel_pair().unwrap();
        let (origin, origin_hub) = sys::channel_pair().unwrap();
        let hub = Arc::clone(self);
        *lock(&self.pipe_count) += 1;
        let (dest_hub, origin_hub) = (Arc::new(dest_hub), Arc::new(origin_hub));
        *lock(&self.pipe) = Some([Arc::clone(&dest_hub), Arc::clone(&origin_hub)]);
        thread::spawn(move || hub.accept(pipe(origin)));
        thread::spawn(move || copy_both(&dest_hub, &origin_hub));
        pipe(dest)
    }

    /// Plays the origin: reads HELLO, and starts or resumes the link.
    fn accept(self: Arc<Self>, pipe: Pipe) {
        let Ok(mut pipe) = secure(pipe, self.key.as_ref(), "lab", Side::Origin) else { return };
        let mut buffer = vec![0; 65_536];
        let mut decoder = Decoder::default();
        loop {
            let Ok(Some(count)) = pipe.read_within(&mut buffer, Duration::from_secs(10)) else { return };
            let mut input = &buffer[..count];
            if let Some(frame) = decoder.next(&mut input).unwrap() {
                let Frame::Hello(hello) = frame else { panic!("{frame:?}") };
                return self.greeted(&hello, pipe, input);
            }
        }
    }

    fn greeted(self: Arc<Self>, hello: &Hello, pipe: Pipe, rest: &[u8]) {
        if hello.resumes {
            if let Some(mailbox) = lock(&self.origins).get(&hello.id.0) {
                mailbox.post(Message::Resumed(*hello, pipe, rest.to_vec()));
            }
            return;
        }
        let link = Link::origin(self.settings, hello, Duration::ZERO).unwrap();
        let (mailbox, wake) = Mailbox::new().unwrap();
        let mailbox = Arc::new(mailbox);
        lock(&self.origins).insert(hello.id.0, Arc::clone(&mailbox));
        let resume = self.settings.resume;
        let role = TestOrigin { hub: self, mailbox: Arc::clone(&mailbox) };
        Runner::new(link, Box::new(role), (mailbox, wake), resume).run_origin(pipe, rest);
    }

    fn cut(&self) {
        for end in lock(&self.pipe).take().iter().flatten() {
            sys::disconnect(end);
        }
    }

    fn target(&self) -> Channel {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(target) = lock(&self.targets).pop() {
                return target;
            }
            assert!(Instant::now() < end, "no target was connected");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn pipe(channel: Channel) -> Pipe {
    Pipe::new(Box::new(channel), ClosingCode::default())
}

/// Opens pipes by a function.
struct Source<F>(F);

impl<F: Fn() -> Result<Pipe, DialFailure> + Send + Sync> PipeSource for Source<F> {
    fn open(&self, _: LinkId) -> Result<Pipe, DialFailure> {
        (self.0)()
    }
}

/// Copies bytes in both directions until one end is cut.
fn copy_both(one: &Channel, other: &Channel) {
    let mut buffer = vec![0; 65_536];
    loop {
        let mut polls = PollSet::default();
        polls.push(one, Interest::READ);
        polls.push(other, Interest::READ);
        let Ok(Some(mut events)) = polls.wait(None) else { return };
        let ready = [events.take(), events.take()];
        if ready[0].read && !copy(one, other, &mut buffer) {
            break;
        }
        if ready[1].read && !copy(other, one, &mut buffer) {
            break;
        }
    }
    sys::disconnect(one);
    sys::disconnect(other);
}

fn copy(from: &Channel, to: &Channel, buffer: &mut [u8]) -> bool {
    match from.read(buffer) {
        Ok(0) => false,
        Ok(count) => write_all(to, &buffer[..count]).is_ok(),
        Err(error) => sys::is_transient(&error),
    }
}

fn write_all(stream: &Channel, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if sys::is_transient(&error) => {
                let mut polls = PollSet::default();
                polls.push(stream, Interest::WRITE);
                polls.wait(Some(Duration::from_secs(10)))?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn read_to_end(stream: &mut dyn Stream) -> io::Result<Vec<u8>> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 65_536]);
    loop {
        match read_within(stream, &mut buffer, Duration::from_secs(20))? {
            Some(0) => return Ok(all),
            Some(count) => all.extend_from_slice(&buffer[..count]),
            None => panic!("nothing arrived after {} bytes", all.len()),
        }
    }
}

fn settings(hub: &Hub) -> DestSettings {
    let linger = Duration::from_millis(200);
    DestSettings { link: hub.settings, session: "lab".into(), key: hub.key.clone(), linger }
}

fn source(hub: &Arc<Hub>) -> Arc<dyn PipeSource> {
    let (hub, key) = (Arc::clone(hub), hub.key.clone());
    Arc::new(Source(move || Ok(secure(hub.join(), key.as_ref(), "lab", Side::Dest).unwrap())))
}

fn start(hub: &Arc<Hub>) -> LinkStream {
    DestLink::start_single(settings(hub), ID, hub.join(), source(hub)).unwrap()
}

fn failing(hub: &Arc<Hub>, failure: DialFailure) -> LinkStream {
    let source = Arc::new(Source(move || Err(failure.clone())));
    DestLink::start_single(settings(hub), ID, hub.join(), source).unwrap()
}

fn numbers(count: u32, seed: u32) -> Vec<u8> {
    (0..count).flat_map(|number| (number.wrapping_mul(2_654_435_761) ^ seed).to_le_bytes()).collect()
}

#[test]
fn data_and_eof_pass_in_both_directions() {
    let hub = Arc::new(Hub::default());
    let mut dest = start(&hub);
    let mut target = hub.target();
    dest.write(b"request").unwrap();
    dest.shut_down_writing().unwrap();
    assert_eq!(read_to_end(&mut target).unwrap(), b"request");
    write_all(&target, b"reply").unwrap();
    target.shut_down_writing().unwrap();
    assert_eq!(read_to_end(&mut dest).unwrap(), b"reply");
    close(Box::new(dest));
    assert_eq!(*lock(&hub.pipe_count), 1);
}

/// Both directions move 20 MB. The pipe is cut several times while data is on its way.
#[test]
fn a_link_survives_cut_pipes() {
    let hub = Arc::new(Hub::default());
    let dest = start(&hub);
    let target = hub.target();
    let (up, down) = (numbers(5_000_000, 1), numbers(5_000_000, 2));
    thread::scope(|scope| {
        scope.spawn(|| {
            write_all(&target, &down).unwrap();
            target.shut_down_writing().unwrap();
        });
        scope.spawn(|| {
            // Each part is longer than the window, so that it needs a pipe.
            for part in up.chunks(up.len() / 5) {
                write_all(&dest.outer, part).unwrap();
                hub.cut();
            }
            dest.outer.shut_down_writing().unwrap();
        });
        let at_target = scope.spawn(|| read_channel(&target));
        assert!(read_channel(&dest.outer) == down, "different bytes from the target");
        assert!(at_target.join().unwrap() == up, "different bytes at the target");
    });
    close(Box::new(dest));
    assert!(*lock(&hub.pipe_count) >= 5, "no pipe was cut in time");
}

/// Reads to EOF while another thread writes to the same channel.
fn read_channel(channel: &Channel) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 65_536]);
    loop {
        match channel.read(&mut buffer) {
            Ok(0) => return all,
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(error) => assert!(sys::is_transient(&error), "{error}"),
        }
        let mut polls = PollSet::default();
        polls.push(channel, Interest::READ);
        let arrived = polls.wait(Some(Duration::from_secs(20))).unwrap();
        assert!(arrived.is_some(), "nothing arrived after {} bytes", all.len());
    }
}

#[test]
fn a_target_that_is_refused_or_cut_off_is_an_error() {
    let hub = Arc::new(Hub { refuses: true, ..Hub::default() });
    let error = read_to_end(&mut start(&hub)).unwrap_err();
    assert_eq!(error.to_string(), "the origin of 'lab' cannot reach connection refused");

    let hub = Arc::new(Hub::default());
    let mut dest = start(&hub);
    let target = hub.target();
    dest.write(b"x").unwrap();
    thread::sleep(Duration::from_millis(50));
    // Unread bytes make closing a reset.
    drop(target);
    let error = read_to_end(&mut dest).unwrap_err().to_string();
    assert!(error.starts_with("the target of 'lab' cut the connection off"), "{error}");
}

#[test]
fn a_link_that_cannot_be_resumed_is_an_error() {
    let settings = Settings { resume: Duration::from_secs(1), ..Settings::default() };
    let hub = Arc::new(Hub { settings, ..Hub::default() });
    let mut dest = failing(&hub, DialFailure::Temporary("no route".into()));
    let mut target = hub.target();
    hub.cut();
    let started = Instant::now();
    let error = read_to_end(&mut dest).unwrap_err();
    assert_eq!(error.to_string(), "session 'lab' could not be resumed in 1 second: no route");
    assert!(started.elapsed() >= Duration::from_millis(900));
    assert!(read_to_end(&mut target).is_err(), "the target must be reset");
}

#[test]
fn a_link_that_the_origin_does_not_know_is_not_dialled_again() {
    let hub = Arc::new(Hub::default());
    let mut dest = failing(&hub, DialFailure::Final(Cause::Lost));
    let _target = hub.target();
    hub.cut();
    let error = read_to_end(&mut dest).unwrap_err().to_string();
    assert_eq!(error, "the session is lost: the origin of 'lab' does not know it anymore");
}

/// Each client of a link gets the bytes of its own target.
#[test]
fn many_streams_share_a_link_that_ends_when_it_is_idle() {
    let hub = Arc::new(Hub::default());
    let target = Target::AtServer(None);
    let link = DestLink::start(settings(&hub), ID, hub.join(), source(&hub)).unwrap();
    let mut pairs = Vec::new();
    for _ in 0..40 {
        let Ok(Opened::Stream(stream)) = link.open(&target) else { panic!("no stream") };
        pairs.push((stream, hub.target()));
    }
    for (number, (stream, target)) in pairs.iter_mut().enumerate() {
        write_all(target, &numbers(10_000, u32::try_from(number).unwrap())).unwrap();
        target.shut_down_writing().unwrap();
        stream.shut_down_writing().unwrap();
    }
    for (number, (stream, _)) in pairs.iter_mut().enumerate() {
        assert_eq!(read_to_end(&mut **stream).unwrap(), numbers(10_000, u32::try_from(number).unwrap()));
    }
    assert_eq!(*lock(&hub.pipe_count), 1);
    drop(pairs);
    let end = Instant::now() + Duration::from_secs(20);
    // Each attempt would prolong the life of the link.
    thread::sleep(Duration::from_millis(500));
    while matches!(link.open(&target), Ok(Opened::Stream(_))) {
        assert!(Instant::now() < end, "the idle link has not ended");
        thread::sleep(Duration::from_millis(500));
    }
}

#[test]
#[cfg(feature = "noise")]
fn encrypted_links_survive_cut_pipes_and_need_the_same_key() {
    let key = || Some(SharedKey::new([7; 32]));
    let hub = Arc::new(Hub { key: key(), ..Hub::default() });
    let mut dest = start(&hub);
    let target = hub.target();
    for round in 0..3 {
        write_all(&target, &numbers(1000, round)).unwrap();
        let mut received = vec![0; 4000];
        let mut filled = 0;
        while filled < received.len() {
            let count = read_within(&mut dest, &mut received[filled..], Duration::from_secs(20)).unwrap();
            filled += count.unwrap_or_else(|| panic!("no data arrived"));
        }
        assert_eq!(received, numbers(1000, round));
        hub.cut();
    }
    let other = DestSettings { key: Some(SharedKey::new([8; 32])), ..settings(&hub) };
    let mut dest = DestLink::start_single(other, ID, hub.join(), source(&hub)).unwrap();
    assert!(read_to_end(&mut dest).is_err());
}
