//! Inherited descriptors are shared with other processes, so the program never changes their flags,
//! whether they are blocking or non-blocking.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::connect;
use crate::kit::*;

/// Starts a thread that keeps checking `O_NONBLOCK` on these descriptors, which are duplicates of
/// the run's own, until the run has ended. The thread returns how many times it checked.
///
/// The thread closes the descriptors when it ends, because a reader at the other end sees no EOF
/// while they are open.
fn watch(run: &Running, files: Vec<OwnedFd>, nonblocking: bool) -> JoinHandle<usize> {
    let running = run.running_check();
    thread::spawn(move || {
        for checks in 0.. {
            let over = !running();
            for (number, file) in files.iter().enumerate() {
                assert_eq!(is_nonblocking(file), nonblocking, "O_NONBLOCK of descriptor {number}");
            }
            if over {
                return checks;
            }
            thread::sleep(Duration::from_micros(50));
        }
        unreachable!()
    })
}

#[track_caller]
fn expect_unchanged(watch: JoinHandle<usize>) {
    let checks = watch.join().expect("the flags were changed");
    assert!(checks > 20, "only {checks} checks");
}

/// Relays `SIZE` bytes in each direction through these descriptors, and watches their flags.
/// `write` and `read` are the other ends of stdin and stdout.
fn relay_and_watch(
    mode: &str,
    [stdin, stdout, stderr]: [OwnedFd; 3],
    nonblocking: bool,
    mut write: impl Write + Send + 'static,
    mut read: impl Read,
) {
    const SIZE: u64 = 4 * MIB;
    let server = script().exchange(1, SIZE).serve();
    let kept: Vec<_> = [&stdin, &stdout, &stderr].map(|fd| fd.try_clone().unwrap()).into();
    for end in &kept {
        set_nonblocking(end, nonblocking);
    }
    let program = connect(server.args()).env("CONNECT_RELAY", mode);
    let mut run = program.stdin(stdin).stdout(stdout).stderr(stderr).start();
    let watch = watch(&run, kept, nonblocking);

    // Provide no input for a while, and then no reader, so that both reads and writes have to wait.
    thread::sleep(Duration::from_millis(100));
    let writer = thread::spawn(move || copy(&mut data(2, SIZE), &mut write).map(|_| write));
    thread::sleep(Duration::from_millis(200));
    assert_eq!(Digest::from_reader((&mut read).take(SIZE)), Digest::from_reader(data(1, SIZE)));
    drop(writer.join().unwrap().unwrap());
    run.wait().expect_code(0);
    expect_unchanged(watch);
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, SIZE))));
}

/// Relays over pipes, both with splice(2) and by copying, because the two write to a pipe
/// differently.
fn over_pipes(nonblocking: bool) {
    for mode in ["splice", "copy"] {
        let ((input, write), (read, output), (mut errors, error_end)) = (pipe(), pipe(), pipe());
        let ends = [input.into(), output.into(), error_end.into()];
        relay_and_watch(mode, ends, nonblocking, write, read);
        let mut text = String::new();
        errors.read_to_string(&mut text).unwrap();
        assert_eq!(text, "", "stderr");
    }
}

/// A stream whose write side is shut down when it is dropped.
struct HalfClosing(UnixStream);

impl Write for HalfClosing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for HalfClosing {
    fn drop(&mut self) {
        let _ = self.0.shutdown(std::net::Shutdown::Write);
    }
}

fn over_a_socket(nonblocking: bool) {
    let (inner, outer) = UnixStream::pair().unwrap();
    let ends = [inner.try_clone().unwrap().into(), inner.try_clone().unwrap().into(), inner.into()];
    let write = HalfClosing(outer.try_clone().unwrap());
    relay_and_watch("splice", ends, nonblocking, write, outer);
}

#[test]
fn blocking_pipes_stay_blocking() {
    over_pipes(false);
}

#[test]
fn non_blocking_pipes_stay_non_blocking() {
    over_pipes(true);
}

#[test]
fn a_blocking_socket_for_all_three_stays_blocking() {
    over_a_socket(false);
}

#[test]
fn a_non_blocking_socket_for_all_three_stays_non_blocking() {
    over_a_socket(true);
}

#[test]
fn a_blocking_terminal_stays_blocking() {
    let mut pty = Pty::raw();
    let server = script().expect("ping").send("pong").hold().serve();
    let mut run = connect(server.args()).stdin(pty.slave()).stdout(pty.slave()).start();
    let watch = watch(&run, vec![pty.slave()], false);
    pty.master.write_all(b"ping").unwrap();
    let mut answer = [0; 4];
    (&pty).read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"pong");
    thread::sleep(Duration::from_millis(100));
    server.finish();
    run.wait().expect_success();
    expect_unchanged(watch);
}

#[test]
fn a_non_blocking_terminal_stays_non_blocking() {
    let mut pty = Pty::raw();
    set_nonblocking(pty.slave(), true);
    let server = script().expect("ping").send_data(1, MIB).hold().serve();
    let mut run = connect(server.args()).stdin(pty.slave()).stdout(pty.slave()).start();
    let watch = watch(&run, vec![pty.slave()], true);
    thread::sleep(Duration::from_millis(100));
    pty.master.write_all(b"ping").unwrap();
    // A terminal buffers about 4 KiB, so it fills up at once.
    thread::sleep(Duration::from_millis(200));
    let received = Digest::from_reader((&pty).take(MIB));
    assert_eq!(received, Digest::from_reader(data(1, MIB)));
    server.finish();
    run.wait().expect_success();
    expect_unchanged(watch);
}

#[test]
fn non_blocking_files_work() {
    let input = TempPath::file("input", bytes(2, 1 << 20));
    let output = TempPath::new("output");
    let (stdin, stdout) = (File::open(&*input).unwrap(), File::create(&*output).unwrap());
    set_nonblocking(&stdin, true);
    set_nonblocking(&stdout, true);
    let server = script().exchange(1, MIB).serve();
    connect(server.args()).stdin(stdin).stdout(stdout).run().expect_success();
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, MIB))));
    assert_eq!(std::fs::read(&*output).unwrap(), bytes(1, 1 << 20));
}
