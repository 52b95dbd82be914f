//! POST tunnels while requests and answers get lost, and while the listener stops or restarts.

use std::fs::File;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, sleep};
use std::time::Duration;

use rustix::process::Signal;

use crate::context::{Case, Context, Topic, fed};
use crate::daemon::free_port;
use crate::fault_proxy::FaultProxy;
use crate::kit::{Digest, MIB, data};
use crate::servers::BIG;
use crate::sessions::{Listener, target};

/// Time limit for a transfer with faults, of which each costs a delay of 0.1 s or more.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(300);

/// The seeds of the data in each direction.
pub(crate) const UP: u64 = 1;
pub(crate) const DOWN: u64 = 2;

pub(crate) fn cases(full: bool) -> Vec<Case> {
    let mut topic = Topic::new("faults");
    topic.ours("64 MiB arrive intact both ways through a faulty proxy", |context| {
        expect_intact(context, BIG, Duration::ZERO, 1);
    });
    topic.ours("a slow target receives each byte once through a faulty proxy", |context| {
        expect_intact(context, 8 * MIB, Duration::from_millis(2), 2);
    });
    topic.ours("a stopped listener delays the session", |context| {
        expect_resumed(context, Duration::from_secs(3));
    });
    topic.ours("a restarted listener ends the session", restarted_listener);
    topic.ours(
        "the rest of the input arrives through a faulty proxy after the target's EOF",
        target_ends_first,
    );
    if full {
        for seed in 3..11 {
            topic.ours(
                format!("64 MiB arrive intact both ways through a faulty proxy: seed {seed}"),
                move |context| {
                    expect_intact(context, BIG, Duration::ZERO, seed);
                },
            );
        }
        topic.ours("a listener stopped for 20 s delays the session", |context| {
            expect_resumed(context, Duration::from_secs(20));
        });
    }
    topic.into_cases()
}

/// Plays a target that sends and receives at the same time, and closes when it has done both.
/// Returns its port, and a channel with the digest of the received data. The target pauses after
/// each chunk that it receives.
pub(crate) fn exchanging_target(length: u64, pause: Duration) -> (u16, Receiver<Digest>) {
    let (sender, receiver) = channel();
    let (port, _) = target(move |client, _| {
        let (mut reader, sender) = (client.try_clone().unwrap(), sender.clone());
        let writing = thread::spawn(move || {
            let mut client = client;
            let _ = crate::kit::copy(&mut data(DOWN, length), &mut client);
            client
        });
        thread::spawn(move || {
            let (mut digest, mut chunk) = (Digest::new(), vec![0; 16 * 1024]);
            while let Ok(length @ 1..) = reader.read(&mut chunk) {
                digest.write_all(&chunk[..length]).unwrap();
                sleep(pause);
            }
            drop(writing.join());
            let _ = sender.send(digest);
        });
    });
    (port, receiver)
}

fn expect_intact(context: &Context, length: u64, pause: Duration, seed: u64) {
    let (target, received) = exchanging_target(length, pause);
    let port = free_port();
    let _listener = Listener::start(context, "post+http", port, target);
    let proxy = FaultProxy::start(port, seed);
    let client = context.connect(format!("-x post+http://127.0.0.1:{}/tunnel", proxy.port));
    let mut client = client.limit(TRANSFER_TIMEOUT).start();
    client.feed(data(UP, length));
    let out = client.wait();
    let (requests, faults, absent) = proxy.summary();
    let summary = format!("seed {seed}: {faults} faults in {requests} requests");
    assert_eq!(out.code, Some(0), "{summary}: {out:?}");
    let down = Digest::from_reader(&*out.stdout);
    assert_eq!(down, Digest::from_reader(data(DOWN, length)), "{summary}: {out:?}");
    let up = received.recv_timeout(crate::kit::TIMEOUT).expect(&summary);
    assert_eq!(up, Digest::from_reader(data(UP, length)), "{summary}: {out:?}");
    assert!(faults > 0, "{summary}");
    // 64 MiB are about 400 requests.
    assert!(length < BIG || absent.len() < 3, "{summary}; kinds that did not occur: {absent:?}");
}

/// The target sends EOF while most of the input is still to come. The relay must not take the
/// delays of repeated requests for a target that accepts nothing anymore.
fn target_ends_first(context: &Context) {
    let (sender, received) = channel();
    let (target, _) = target(move |mut client, _| {
        let sender = sender.clone();
        thread::spawn(move || {
            client.write_all(b"bye").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            sender.send(Digest::from_reader(client))
        });
    });
    let port = free_port();
    let _listener = Listener::start(context, "post+http", port, target);
    let proxy = FaultProxy::start(port, 2);
    let input = context.file("input", crate::kit::bytes(UP, 8_000_000));
    let client = context.connect(format!("-x post+http://127.0.0.1:{}/tunnel", proxy.port));
    let out = fed(client.limit(TRANSFER_TIMEOUT), &input).run();
    let (requests, faults, _) = proxy.summary();
    let summary = format!("{faults} faults in {requests} requests");
    out.expect_success().expect_stdout("bye");
    let up = received.recv_timeout(crate::kit::TIMEOUT).expect(&summary);
    assert_eq!(up, Digest::from_reader(File::open(&input).unwrap()), "{summary}");
    assert!(faults > 0, "{summary}");
}

/// The listener is stopped in the middle of a transfer.
fn expect_resumed(context: &Context, pause: Duration) {
    let (target, received) = exchanging_target(BIG, Duration::from_micros(200));
    let listener = Listener::start(context, "post+http", free_port(), target);
    let mut client = context.connect(format!("-x {}", listener.url)).limit(TRANSFER_TIMEOUT).start();
    client.feed(data(UP, BIG));
    client.wait_stdout(1_000_000);
    listener.run.signal(Signal::STOP);
    sleep(pause);
    let length = client.stdout_so_far().len() as u64;
    assert!(length < BIG, "the transfer ended before the listener stopped");
    listener.run.signal(Signal::CONT);
    let out = client.wait();
    out.expect_success();
    assert_eq!(Digest::from_reader(&*out.stdout), Digest::from_reader(data(DOWN, BIG)));
    let up = received.recv_timeout(crate::kit::TIMEOUT).unwrap();
    assert_eq!(up, Digest::from_reader(data(UP, BIG)));
}

/// The new listener does not know the session, and must not connect it to the target.
fn restarted_listener(context: &Context) {
    let connections = Arc::new(AtomicUsize::new(0));
    let kept = Arc::new(Mutex::new(Vec::new()));
    let (target, _) = target({
        let connections = Arc::clone(&connections);
        move |mut client, _| {
            connections.fetch_add(1, Ordering::Relaxed);
            client.write_all(b"hello").unwrap();
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(client);
        }
    });
    let port = free_port();
    let listener = Listener::start(context, "post+http", port, target);
    let mut client = context.connect(format!("-x {}", listener.url)).start();
    client.wait_stdout_has("hello");
    let mut listener = listener;
    listener.run.signal(Signal::KILL);
    listener.run.wait();
    let _listener = Listener::start(context, "post+http", port, target);
    let out = client.wait();
    out.expect_failure(8, &["the session is lost"]);
    assert_eq!(connections.load(Ordering::Relaxed), 1, "the session was opened again");
}
