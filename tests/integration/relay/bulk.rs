//! Large transfers: no data is lost, a stuck side does not block the other direction, and memory
//! use is bounded.

use std::io::Read;
use std::thread;
use std::time::Duration;

use super::connect;
use crate::kit::*;

/// More than a pipe, two socket buffers and the program's own buffers can hold.
const LARGE: u64 = 20 * MIB;

#[test]
fn large_transfers_in_both_directions_at_once_arrive_unchanged() {
    const SIZE: u64 = 40 * MIB;
    let server = script().exchange(1, SIZE).serve();
    let (output, end) = pipe();
    let mut run = connect(server.args()).stdout(end).start();
    run.feed(data(2, SIZE));
    assert_eq!(Digest::from_reader(output), Digest::from_reader(data(1, SIZE)));
    run.wait().expect_success();
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, SIZE))));
}

/// Uploads data while nothing reads from `read`, the other end of `stdout`. Then checks the data in
/// both directions.
pub(super) fn upload_past_a_stuck_reader(stdout: impl Into<Io>, read: impl Read) {
    const SIZE: u64 = 8 * MIB;
    let uploaded = Gate::new();
    let server = script().then("start to send, an odd piece first", |session| {
        session.spawn(|stream| {
            // The odd size leaves less room in a nearly full terminal than a typical write needs.
            let mut all = data(1, SIZE);
            copy(&mut (&mut all).take(3000), &mut &*stream)?;
            thread::sleep(Duration::from_millis(100));
            copy(&mut all, &mut &*stream).map(drop)
        });
        Ok(())
    });
    let server = server.sink_bytes(SIZE).open(&uploaded).hold().serve();
    let mut run = connect(server.args()).stdout(stdout).start();
    // Let stdout fill up first, so that a blocking write to it would stall the upload.
    thread::sleep(Duration::from_millis(400));
    run.feed(data(2, SIZE));
    uploaded.wait();
    assert_eq!(Digest::from_reader(read.take(SIZE)), Digest::from_reader(data(1, SIZE)));
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, SIZE))));
}

#[test]
fn a_stuck_reader_does_not_block_the_upload() {
    let (output, end) = pipe();
    upload_past_a_stuck_reader(end, output);
}

#[test]
fn a_stuck_remote_does_not_block_the_download() {
    let downloaded = Gate::new();
    let server = script().send_data(1, LARGE).wait_for(&downloaded).sink().serve();
    let (output, end) = pipe();
    let mut run = connect(server.args()).stdout(end).start();
    run.feed(data(2, LARGE));
    // The whole download arrives even though the remote has not read a byte.
    assert_eq!(Digest::from_reader((&output).take(LARGE)), Digest::from_reader(data(1, LARGE)));
    thread::sleep(Duration::from_millis(200));
    downloaded.open();
    run.wait().expect_success();
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, LARGE))));
}

/// Maximum memory use of the program, regardless of how much data is pending.
#[cfg(target_os = "linux")]
const MEMORY: u64 = 24 * MIB;
/// A transfer size larger than `MEMORY` plus all buffers on the path.
#[cfg(target_os = "linux")]
const MORE_THAN_MEMORY: u64 = 64 * MIB;

#[cfg(target_os = "linux")]
#[test]
fn memory_is_bounded_while_the_remote_is_stuck() {
    let (release, arrived) = (Gate::new(), Gate::new());
    let server = script().wait_for(&release).sink_bytes(MORE_THAN_MEMORY).open(&arrived).hold().serve();
    let mut run = connect(server.args()).start();
    run.feed(data(2, MORE_THAN_MEMORY));
    thread::sleep(Duration::from_millis(300));
    release.open();
    arrived.wait();
    let peak = run.peak_memory();
    assert!(peak < MEMORY, "{peak} bytes");
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, MORE_THAN_MEMORY))));
    run.wait().expect_success();
}

#[cfg(target_os = "linux")]
#[test]
fn memory_is_bounded_while_the_reader_is_stuck() {
    let server = script().send_data(1, MORE_THAN_MEMORY).hold().serve();
    let (output, end) = pipe();
    let run = connect(server.args()).stdout(end).start();
    thread::sleep(Duration::from_millis(300));
    let received = Digest::from_reader((&output).take(MORE_THAN_MEMORY));
    assert_eq!(received, Digest::from_reader(data(1, MORE_THAN_MEMORY)));
    let peak = run.peak_memory();
    assert!(peak < MEMORY, "{peak} bytes");
    server.finish();
    run.finish().expect_success();
}

/// The program must retry system calls that a signal interrupts.
#[test]
fn signals_during_a_transfer_lose_nothing() {
    use rustix::process::Signal;
    const SIZE: u64 = 30 * MIB;
    let server = script().exchange(1, SIZE).serve();
    let (output, end) = pipe();
    let mut run = connect(server.args()).stdout(end).start();
    run.feed(data(2, SIZE));
    let signalled = Gate::new();
    let last_part = signalled.clone();
    let reader = thread::spawn(move || {
        let mut digest = Digest::new();
        // Read slowly, so that the signals arrive during the transfer.
        for _ in 0..100 {
            copy(&mut (&output).take(SIZE / 200), &mut digest).unwrap();
            thread::sleep(Duration::from_millis(5));
        }
        last_part.wait();
        copy(&mut &output, &mut digest).unwrap();
        digest
    });
    for _ in 0..100 {
        for signal in [Signal::STOP, Signal::CONT, Signal::WINCH, Signal::CHILD, Signal::URG] {
            run.signal(signal);
            thread::sleep(Duration::from_millis(1));
        }
    }
    assert!(run.is_running());
    signalled.open();
    run.wait().expect_success();
    assert_eq!(reader.join().unwrap(), Digest::from_reader(data(1, SIZE)));
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, SIZE))));
}
