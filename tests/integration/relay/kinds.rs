//! Stdin and stdout that are not pipes: sockets, files, terminals and devices. Also tests the
//! choice between splice(2) and copying, which depends on the type of descriptor.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use super::bulk::upload_past_a_stuck_reader;
use super::{SOON, connect};
use crate::kit::*;

const SIZE: u64 = 5 * MIB;

/// Time that the session is idle in the CPU time tests.
const IDLE: Duration = Duration::from_millis(500);
/// Maximum CPU time of a whole run, including startup.
const CPU_LIMIT: Duration = Duration::from_millis(50);

/// The modules `relay` and `relay_copying` rely on `CONNECT_RELAY` to choose the mode.
#[cfg(target_os = "linux")]
#[test]
fn pipes_are_spliced_unless_copying_is_requested() {
    for (mode, splices) in [("splice", true), ("copy", false)] {
        let server = script().expect("ping").expect_eof().send("pong").serve();
        let program = connect(format!("-d {}", server.args())).env("CONNECT_RELAY", mode);
        let out = program.input("ping").run();
        out.expect_code(0).expect_stdout("pong");
        assert_eq!(out.stderr_text().contains("relaying: up by splice, down by splice"), splices, "{out:?}");
        assert_eq!(out.stderr_text().contains("splice"), splices, "{out:?}");
        server.finish();
    }
}

/// A container's sandbox may forbid splice(2), and splice(2) fails on some descriptors.
#[cfg(target_os = "linux")]
#[test]
fn without_splice_bytes_are_copied() {
    let server = script().exchange(1, SIZE).serve();
    let (output, end) = pipe();
    let mut run = connect(format!("-d {}", server.args())).without_splice().stdout(end).start();
    run.feed(data(2, SIZE));
    assert_eq!(Digest::from_reader(output), Digest::from_reader(data(1, SIZE)));
    let out = run.wait();
    out.expect_code(0);
    assert_eq!(out.stderr_text().matches("copying from now on").count(), 2, "{out:?}");
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, SIZE))));
}

#[test]
fn one_socket_for_both_as_from_inetd() {
    let (inner, outer) = UnixStream::pair().unwrap();
    let server = script().exchange(1, SIZE).serve();
    let mut run = connect(server.args()).stdin(inner.try_clone().unwrap()).stdout(inner).start();
    let mut write = outer.try_clone().unwrap();
    let writer = thread::spawn(move || {
        copy(&mut data(2, SIZE), &mut write).unwrap();
        write.shutdown(Shutdown::Write).unwrap();
    });
    assert_eq!(Digest::from_reader(outer), Digest::from_reader(data(1, SIZE)));
    writer.join().unwrap();
    run.wait().expect_success();
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, SIZE))));
}

#[test]
fn one_tcp_socket_for_both_as_from_inetd() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut outer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let inner = OwnedFd::from(listener.accept().unwrap().0);
    let server = script().expect("ping").expect_eof().send_data(1, SIZE).serve();
    let mut run = connect(server.args()).stdin(inner.try_clone().unwrap()).stdout(inner).start();
    outer.write_all(b"ping").unwrap();
    outer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(Digest::from_reader(outer), Digest::from_reader(data(1, SIZE)));
    run.wait().expect_success();
    server.finish();
}

#[test]
fn two_sockets() {
    let ((input, mut write), (output, read)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
    let server = script().exchange(1, SIZE).serve();
    let mut run = connect(server.args()).stdin(input).stdout(output).start();
    let writer = thread::spawn(move || copy(&mut data(2, SIZE), &mut write).unwrap());
    assert_eq!(Digest::from_reader(read), Digest::from_reader(data(1, SIZE)));
    writer.join().unwrap();
    run.wait().expect_success();
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, SIZE))));
}

#[test]
fn a_stuck_reader_of_a_socket_does_not_block_the_upload() {
    let (end, output) = UnixStream::pair().unwrap();
    upload_past_a_stuck_reader(end, output);
}

#[test]
fn a_stuck_terminal_does_not_block_the_upload() {
    let pty = Pty::raw();
    upload_past_a_stuck_reader(pty.slave(), &pty);
}

#[test]
fn files_for_stdin_and_stdout() {
    let input = TempPath::file("input", bytes(2, 5 << 20));
    let output = TempPath::new("output");
    let server = script().exchange(1, SIZE).serve();
    let run = connect(server.args()).stdin(File::open(&*input).unwrap());
    run.stdout(File::create(&*output).unwrap()).run().expect_success();
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, SIZE))));
    assert_eq!(Digest::from_reader(File::open(&*output).unwrap()), Digest::from_reader(data(1, SIZE)));
}

/// Shell scripts rely on this, for example `{ read line; connect …; } < file >> log`.
#[test]
fn files_are_read_from_their_offset_and_appended_to() {
    let input = TempPath::file("input", "skip this. but not this");
    let output = TempPath::file("output", "before, ");
    let mut stdin = File::open(&*input).unwrap();
    stdin.seek(SeekFrom::Start(11)).unwrap();
    let mut kept = stdin.try_clone().unwrap();
    let stdout = OpenOptions::new().append(true).open(&*output).unwrap();
    let server = script().expect("but not this").expect_eof().send("after").serve();
    connect(server.args()).stdin(stdin).stdout(stdout).run().expect_success();
    server.finish();
    assert_eq!(std::fs::read_to_string(&*output).unwrap(), "before, after");
    assert_eq!(kept.stream_position().unwrap(), 23, "where the next program continues");
}

#[test]
fn dev_null_as_stdin_is_at_eof() {
    let server = script().expect_eof().send("still delivered").serve();
    let out = connect(server.args()).stdin(Io::Null).run();
    out.expect_success().expect_stdout("still delivered");
    server.finish();
}

#[test]
fn dev_null_as_stdout_accepts_everything() {
    let server = script().send_data(1, SIZE).expect("end").expect_eof().serve();
    let mut run = connect(server.args()).stdout(Io::Null).start();
    run.send("end");
    run.finish().expect_success();
    server.finish();
}

#[test]
fn dev_null_for_both() {
    let server = script().expect_eof().send_data(1, MIB).serve();
    connect(server.args()).stdin(Io::Null).stdout(Io::Null).run().expect_success();
    server.finish();
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let server = script().send("does not fit").serve();
    let mut run = connect(server.args()).stdout(full).start();
    run.wait().expect_failure(8, &["no space left"]).expect_within(SOON);
    server.finish();
}

#[test]
fn a_raw_terminal_passes_every_byte() {
    let mut pty = Pty::raw();
    let all: Vec<u8> = (0..=255).collect();
    let server = script().expect(&all).send(&all).hold().serve();
    let mut run = connect(server.args()).stdin(pty.slave()).stdout(pty.slave()).start();
    pty.master.write_all(&all).unwrap();
    let mut answer = vec![0; 256];
    (&pty).read_exact(&mut answer).unwrap();
    assert_eq!(answer, all);
    server.finish();
    run.wait().expect_success();
}

#[test]
fn control_d_on_a_terminal_is_local_eof() {
    let mut pty = Pty::new();
    let server = script().expect("hello\n").expect_eof().send("bye").serve();
    let mut run = connect(server.args()).stdin(pty.slave()).start();
    pty.master.write_all(b"hello\n\x04").unwrap();
    run.wait().expect_success().expect_stdout("bye").expect_within(SOON);
    server.finish();
}

/// After a hangup, the terminal reports EOF, like a pipe whose writer is gone.
#[test]
fn a_terminal_that_hangs_up_ends_the_session() {
    let mut pty = Pty::raw();
    let server = script().expect("hello").expect_eof().send("bye").serve();
    let mut run = connect(server.args()).stdin(pty.slave()).start();
    pty.master.write_all(b"hello").unwrap();
    thread::sleep(Duration::from_millis(200));
    drop(pty);
    run.wait().expect_success().expect_stdout("bye").expect_within(SOON);
    server.finish();
}

#[test]
fn a_terminal_for_both_that_hangs_up_ends_the_session() {
    let pty = Pty::raw();
    let server = script().send("hello").drain().serve();
    let mut run = connect(server.args()).stdin(pty.slave()).stdout(pty.slave()).start();
    (&pty).read_exact(&mut [0; 5]).unwrap();
    drop(pty);
    let out = run.wait();
    assert!(matches!(out.code, Some(0 | 8)), "{out:?}");
    out.expect_stderr("").expect_within(SOON);
    server.finish();
}

/// Out-of-band data is not part of the stream. splice(2) stops before it and returns 0, as at EOF.
#[test]
fn urgent_data_does_not_hide_the_data_after_it() {
    let server = script().send("before").then("send a byte out of band", |session| {
        thread::sleep(Duration::from_millis(100));
        let sent = rustix::net::send(session.stream(), b"!", rustix::net::SendFlags::OOB);
        sent.map(drop).map_err(|error| error.to_string())
    });
    let server = server.pause(Duration::from_millis(100)).send("after").serve();
    let mut run = connect(server.args()).start();
    run.wait().expect_success().expect_stdout("beforeafter").expect_within(SOON);
    server.finish();
}

#[test]
fn an_idle_session_with_non_blocking_pipes_uses_no_processor_time() {
    let ((input, writer), (output, end)) = (pipe(), pipe());
    set_nonblocking(&input, true);
    set_nonblocking(&end, true);
    let server = script().pause(IDLE).serve();
    let mut run = connect(server.args()).stdin(input).stdout(end).start();
    run.wait().expect_success().expect_cpu_below(CPU_LIMIT);
    server.finish();
    drop((writer, output));
}

#[test]
fn an_idle_session_uses_no_processor_time_after_eof_from_a_socket() {
    let (input, writer) = UnixStream::pair().unwrap();
    let server = script().expect("ping").expect_eof().pause(IDLE).serve();
    let mut run = connect(server.args()).stdin(input).start();
    (&writer).write_all(b"ping").unwrap();
    drop(writer);
    run.wait().expect_success().expect_cpu_below(CPU_LIMIT);
    server.finish();
}

#[test]
fn an_idle_session_uses_no_processor_time_after_a_terminal_hangup() {
    let pty = Pty::raw();
    let server = script().send("hello").expect_eof().pause(IDLE).serve();
    let mut run = connect(server.args()).stdin(pty.slave()).start();
    run.wait_stdout_has("hello");
    drop(pty);
    run.wait().expect_success().expect_cpu_below(CPU_LIMIT);
    server.finish();
}

#[test]
fn an_idle_session_on_a_terminal_uses_no_processor_time() {
    let pty = Pty::raw();
    let server = script().pause(IDLE).serve();
    let mut run = connect(server.args()).stdin(pty.slave()).stdout(pty.slave()).start();
    run.wait().expect_success().expect_cpu_below(CPU_LIMIT);
    server.finish();
}
