//! Much data: nothing is lost, one slow side does not stop the other, memory stays bounded.

use std::io::Read;
use std::thread;
use std::time::Duration;

use super::connect;
use crate::kit::*;

/// Much more than a pipe, two socket buffers and the program's own buffers hold.
const MUCH: u64 = 30 * MIB;

#[test]
fn a_hundred_mebibytes_both_ways_at_once_arrive_unchanged() {
    const SIZE: u64 = 100 * MIB;
    let server = script().exchange(1, SIZE).serve();
    let (output, end) = pipe();
    let mut run = connect(server.args()).stdout(end).start();
    run.feed(data(2, SIZE));
    assert_eq!(Digest::from_reader(output), Digest::from_reader(data(1, SIZE)));
    run.wait().expect_success();
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, SIZE))));
}

/// As by the sandbox of a container, or with descriptors that the kernel does not splice.
#[cfg(target_os = "linux")]
#[test]
fn where_splice_is_refused_bytes_are_copied() {
    let server = script().exchange(1, MUCH).serve();
    let (output, end) = pipe();
    let mut run = connect(format!("-d {}", server.args())).without_splice().stdout(end).start();
    run.feed(data(2, MUCH));
    assert_eq!(Digest::from_reader(output), Digest::from_reader(data(1, MUCH)));
    let out = run.wait();
    out.expect_code(0);
    let told = out.stderr_text().matches("copying from now on").count();
    assert_eq!(told, if module_path!().contains("copying") { 0 } else { 2 }, "{out:?}");
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, MUCH))));
}

#[test]
fn much_both_ways_through_a_proxy_arrives_unchanged() {
    let target = script().exchange(1, MUCH).serve();
    let proxy = socks5_none().relay().serve();
    let (output, end) = pipe();
    let mut run = connect(format!("-S {proxy} {}", target.args())).stdout(end).start();
    run.feed(data(2, MUCH));
    assert_eq!(Digest::from_reader(output), Digest::from_reader(data(1, MUCH)));
    run.wait().expect_success();
    proxy.finish();
    assert_eq!(target.finish_one().digest, Some(Digest::from_reader(data(2, MUCH))));
}

/// Uploads while nobody reads a byte of what comes down to `stdout`; `read` is its other end.
fn upload_past_a_stuck_reader(stdout: impl Into<Io>, read: impl Read) {
    const SIZE: u64 = 8 * MIB;
    let uploaded = Gate::new();
    let server = script().then("start to send, an odd piece first", |session| {
        session.spawn(|stream| {
            // After it, a terminal has some room left when it is almost full, and less than for a usual write.
            let mut all = data(1, SIZE);
            copy(&mut (&mut all).take(3000), &mut &*stream)?;
            thread::sleep(Duration::from_millis(100));
            copy(&mut all, &mut &*stream).map(drop)
        });
        Ok(())
    });
    let server = server.sink_bytes(SIZE).open(&uploaded).hold().serve();
    let mut run = connect(server.args()).stdout(stdout).start();
    // Stuck first: a write that waits would keep all that follows waiting.
    thread::sleep(Duration::from_millis(500));
    run.feed(data(2, SIZE));
    uploaded.wait();
    assert_eq!(Digest::from_reader(read.take(SIZE)), Digest::from_reader(data(1, SIZE)));
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, SIZE))));
}

#[test]
fn a_reader_that_is_stuck_does_not_stop_what_is_sent() {
    let (output, end) = pipe();
    upload_past_a_stuck_reader(end, output);
}

#[test]
fn a_reader_that_is_stuck_at_a_socket_does_not_stop_what_is_sent() {
    let (end, output) = std::os::unix::net::UnixStream::pair().unwrap();
    upload_past_a_stuck_reader(end, output);
}

#[test]
fn a_terminal_that_is_stuck_does_not_stop_what_is_sent() {
    let pty = Pty::raw();
    upload_past_a_stuck_reader(pty.slave(), &pty);
}

#[test]
fn a_remote_that_is_stuck_does_not_stop_what_it_sends() {
    let downloaded = Gate::new();
    let server = script().send_data(1, MUCH).wait_for(&downloaded).sink().serve();
    let (output, end) = pipe();
    let mut run = connect(server.args()).stdout(end).start();
    run.feed(data(2, MUCH));
    // All of it comes although the remote has not read a byte.
    assert_eq!(Digest::from_reader((&output).take(MUCH)), Digest::from_reader(data(1, MUCH)));
    thread::sleep(Duration::from_secs(1));
    downloaded.open();
    run.wait().expect_success();
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, MUCH))));
}

/// More than this the program may not hold, however much is waiting.
#[cfg(target_os = "linux")]
const MEMORY: u64 = 24 * MIB;

#[cfg(target_os = "linux")]
#[test]
fn memory_is_bounded_while_the_remote_is_stuck() {
    const SIZE: u64 = 200 * MIB;
    let (release, arrived) = (Gate::new(), Gate::new());
    let server = script().wait_for(&release).sink_bytes(SIZE).open(&arrived).hold().serve();
    let mut run = connect(server.args()).start();
    run.feed(data(2, SIZE));
    thread::sleep(Duration::from_secs(1));
    release.open();
    arrived.wait();
    let peak = run.peak_memory();
    assert!(peak < MEMORY, "{peak} bytes");
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, SIZE))));
    run.wait().expect_success();
}

#[cfg(target_os = "linux")]
#[test]
fn memory_is_bounded_while_the_reader_is_stuck() {
    const SIZE: u64 = 200 * MIB;
    let server = script().send_data(1, SIZE).hold().serve();
    let (output, end) = pipe();
    let run = connect(server.args()).stdout(end).start();
    thread::sleep(Duration::from_secs(1));
    assert_eq!(Digest::from_reader((&output).take(SIZE)), Digest::from_reader(data(1, SIZE)));
    let peak = run.peak_memory();
    assert!(peak < MEMORY, "{peak} bytes");
    server.finish();
    run.finish().expect_success();
}

/// System calls that a signal interrupts are no errors.
#[test]
fn signals_during_a_transfer_lose_nothing() {
    use rustix::process::Signal;
    const SIZE: u64 = 30 * MIB;
    let server = script().exchange(1, SIZE).serve();
    let (output, end) = pipe();
    let mut run = connect(server.args()).stdout(end).start();
    run.feed(data(2, SIZE));
    let reader = thread::spawn(move || {
        // Slow enough that the signals fall into the transfer.
        let mut digest = Digest::new();
        while copy(&mut (&output).take(SIZE / 200), &mut digest).unwrap() > 0 {
            thread::sleep(Duration::from_millis(5));
        }
        digest
    });
    for _ in 0..100 {
        for signal in [Signal::STOP, Signal::CONT, Signal::WINCH, Signal::CHILD, Signal::URG] {
            run.signal(signal);
            thread::sleep(Duration::from_millis(1));
        }
        assert!(run.is_running(), "the transfer was too quick for this test");
    }
    run.wait().expect_success();
    assert_eq!(reader.join().unwrap(), Digest::from_reader(data(1, SIZE)));
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, SIZE))));
}
