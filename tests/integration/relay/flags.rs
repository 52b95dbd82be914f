//! Descriptors are shared with others: their flags stay as they are, and are coped with.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::connect;
use crate::kit::*;

/// Looks at the flags of these descriptors, which are duplicates of the run's own, for as long as it runs
/// and once more after its end; says how often that was.
///
/// It closes them at the end: before that, whoever reads at the other end would not see that the run is over.
fn watch(run: &Running, files: Vec<OwnedFd>, nonblocking: bool) -> JoinHandle<usize> {
    let running = run.running_check();
    thread::spawn(move || {
        for looks in 0.. {
            let over = !running();
            for (number, file) in files.iter().enumerate() {
                assert_eq!(is_nonblocking(file), nonblocking, "O_NONBLOCK of descriptor {number}");
            }
            if over {
                return looks;
            }
            thread::sleep(Duration::from_micros(50));
        }
        unreachable!()
    })
}

#[track_caller]
fn expect_unchanged(watch: JoinHandle<usize>) {
    let looks = watch.join().expect("the flags were changed");
    assert!(looks > 20, "looked too seldom to say anything: {looks} times");
}

/// Relays `SIZE` bytes each way with these as the program's descriptors, and watches them.
/// `write` and `read` are the other ends.
fn relay_and_watch(
    [stdin, stdout, stderr]: [OwnedFd; 3],
    nonblocking: bool,
    mut write: impl Write + Send + 'static,
    mut read: impl Read,
) {
    const SIZE: u64 = 8 * MIB;
    let server = script().exchange(1, SIZE).serve();
    let kept: Vec<_> = [&stdin, &stdout, &stderr].map(|fd| fd.try_clone().unwrap()).into();
    for end in &kept {
        set_nonblocking(end, nonblocking);
    }
    let mut run = connect(server.args()).stdin(stdin).stdout(stdout).stderr(stderr).start();
    let watch = watch(&run, kept, nonblocking);

    // Nothing to read and then nobody who reads, for a while: the moments for EAGAIN.
    thread::sleep(Duration::from_millis(200));
    let writer = thread::spawn(move || copy(&mut data(2, SIZE), &mut write).map(|_| write));
    thread::sleep(Duration::from_millis(300));
    assert_eq!(Digest::from_reader((&mut read).take(SIZE)), Digest::from_reader(data(1, SIZE)));
    drop(writer.join().unwrap().unwrap());
    run.wait().expect_code(0);
    expect_unchanged(watch);
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, SIZE))));
}

fn over_pipes(nonblocking: bool) {
    let ((input, write), (read, output), (mut errors, error_end)) = (pipe(), pipe(), pipe());
    relay_and_watch([input.into(), output.into(), error_end.into()], nonblocking, write, read);
    let mut text = String::new();
    errors.read_to_string(&mut text).unwrap();
    assert_eq!(text, "", "stderr");
}

/// A stream of which the write side is shut down when it goes out of scope.
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
    relay_and_watch(ends, nonblocking, write, outer);
}

#[test]
fn pipes_are_never_made_non_blocking() {
    over_pipes(false);
}

#[test]
fn a_socket_for_all_three_is_never_made_non_blocking() {
    over_a_socket(false);
}

#[test]
fn non_blocking_pipes_work_and_stay_so() {
    over_pipes(true);
}

#[test]
fn a_non_blocking_socket_for_all_three_works_and_stays_so() {
    over_a_socket(true);
}

#[test]
fn a_terminal_is_never_made_non_blocking() {
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
fn a_non_blocking_terminal_works_and_stays_so() {
    let mut pty = Pty::raw();
    set_nonblocking(pty.slave(), true);
    let server = script().expect("ping").send_data(1, MIB).hold().serve();
    let mut run = connect(server.args()).stdin(pty.slave()).stdout(pty.slave()).start();
    let watch = watch(&run, vec![pty.slave()], true);
    thread::sleep(Duration::from_millis(100));
    pty.master.write_all(b"ping").unwrap();
    // A terminal takes 4 KiB or so: it is full at once.
    thread::sleep(Duration::from_millis(200));
    let got = Digest::from_reader((&pty).take(MIB));
    assert_eq!(got, Digest::from_reader(data(1, MIB)));
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
