//! The far side: a target, and a SOCKS5 proxy that is the target itself once it has agreed.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use crate::exchange::{Ending, Ends, HalfClose, Job, exchange};
use crate::plan::{Fate, Session};
use crate::stream::Dice;

/// How long a client may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(60);
const STACK: usize = 512 * 1024;
/// How many complaints are printed.
const SHOWN: u64 = 20;

/// What is known about what arrived.
#[derive(Default)]
pub(crate) struct Book {
    /// The sessions of which all has arrived.
    whole: Mutex<HashSet<u64>>,
    bell: Condvar,
    /// How often something happened that must not.
    pub(crate) wrong: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

impl Book {
    /// Prints it at once: the end may be an hour away.
    pub(crate) fn wrong(&self, what: &str) {
        if self.wrong.fetch_add(1, Ordering::SeqCst) < SHOWN {
            println!("WRONG: {what}");
        }
    }

    /// Whether all of a session's bytes have arrived at the target, or do soon.
    pub(crate) fn is_whole(&self, id: u64) -> bool {
        let whole = self.whole.lock().unwrap();
        let (mut whole, _) =
            self.bell.wait_timeout_while(whole, PATIENCE, |whole| !whole.contains(&id)).unwrap();
        whole.remove(&id)
    }
}

/// Where the far side is.
#[derive(Clone, Copy)]
pub(crate) struct Far {
    pub(crate) target: SocketAddr,
    pub(crate) proxy: SocketAddr,
}

impl Far {
    pub(crate) fn open(book: &Arc<Book>, seed: u64) -> io::Result<Self> {
        let serve = |work: fn(TcpStream, u64, &Book) -> io::Result<()>| {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let address = listener.local_addr()?;
            let book = Arc::clone(book);
            thread::spawn(move || accept(&listener, seed, &book, work));
            Ok::<_, io::Error>(address)
        };
        Ok(Self { target: serve(|stream, _, book| target(stream, book))?, proxy: serve(proxy)? })
    }
}

fn accept(
    listener: &TcpListener,
    seed: u64,
    book: &Arc<Book>,
    work: fn(TcpStream, u64, &Book) -> io::Result<()>,
) {
    for number in 0.. {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => {
                book.wrong(&format!("the far side cannot accept: {error}"));
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let (own, book) = (seed ^ number, Arc::clone(book));
        // Whoever leaves before it has said what it is has nothing that could be lost.
        let started = thread::Builder::new().stack_size(STACK).spawn(move || work(stream, own, &book));
        started.expect("a thread for a connection");
    }
}

/// SOCKS5 without a password. Now and then it refuses, or breaks off in one way or another.
fn proxy(mut stream: TcpStream, seed: u64, book: &Book) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.read_exact(&mut [0; 3])?;
    let mut dice = Dice::new(seed);
    let refuses = dice.percent(3);
    if refuses {
        book.refused.fetch_add(1, Ordering::SeqCst);
        match dice.below(4) {
            0 => return Ok(()),
            1 => return reset(stream),
            _ => {}
        }
    }
    stream.write_all(&[5, 0])?;
    // The request for an IPv4 address.
    stream.read_exact(&mut [0; 10])?;
    if refuses {
        return stream.write_all(&[5, 2, 0, 1, 0, 0, 0, 0, 0, 0]);
    }
    stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 1])?;
    target(stream, book)
}

fn target(mut stream: TcpStream, book: &Book) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut header = [0; Session::HEADER];
    stream.read_exact(&mut header)?;
    let Some(session) = Session::of_header(header) else {
        book.wrong(&format!("what arrived is no header: {header:02x?}"));
        return Ok(());
    };
    stream.set_nonblocking(true)?;
    let mut ends = Ends::Socket(stream);
    let break_after = match session.fate {
        Fate::TargetResets(after) => Some(after),
        _ => None,
    };
    let (give, take) = (session.down, session.up);
    let half_close = if session.target_waits_for_end { HalfClose::AfterEof } else { HalfClose::AtOnce };
    let outcome = exchange(
        &mut ends,
        &Job { give, take, pace: session.target, break_after, half_close, patience: PATIENCE },
    );
    book.bytes.fetch_add(outcome.taken, Ordering::Relaxed);
    match outcome.ending {
        Ending::Clean if outcome.taken == take.len => {
            book.whole.lock().unwrap().insert(session.id);
            book.bell.notify_all();
        }
        Ending::Clean if !session.may_end_short => book.wrong(&format!(
            "session {}: the target got {} of {} bytes and a clean end",
            session.id, outcome.taken, take.len
        )),
        Ending::Wrong | Ending::Hangs => {
            book.wrong(&format!("session {}: the target: {outcome:?} of {session:?}", session.id));
        }
        Ending::Clean | Ending::Broken(_) | Ending::ToBreak => {}
    }
    if let (Ending::ToBreak, Ends::Socket(stream)) = (outcome.ending, ends) {
        reset(stream)?;
    }
    Ok(())
}

/// Leaves with a reset.
pub(crate) fn reset(stream: TcpStream) -> io::Result<()> {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    drop(stream);
    Ok(())
}
