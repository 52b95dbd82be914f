//! Tests of the test kit itself: if the kit cannot fail, no other test can.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
#[cfg(unix)]
use std::time::Duration;

use crate::kit::*;

fn failure(test: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(test)).expect_err("this should have failed");
    panic.downcast_ref::<String>().cloned().expect("a panic message")
}

#[test]
fn data_does_not_depend_on_how_it_is_read() {
    let whole = bytes(7, 1003);
    let mut pieces = Vec::new();
    let mut source = data(7, 1003);
    for size in (1..20).cycle() {
        let mut piece = vec![0; size];
        let length = source.read(&mut piece).unwrap();
        pieces.extend_from_slice(&piece[..length]);
        if length == 0 {
            break;
        }
    }
    assert_eq!(pieces, whole);
    assert_ne!(bytes(8, 1003), whole);
}

#[test]
fn a_digest_depends_on_the_bytes_and_not_on_how_they_are_split() {
    let whole = bytes(7, 1003);
    let mut pieces = Digest::new();
    for piece in whole.chunks(13) {
        pieces.write_all(piece).unwrap();
    }
    assert_eq!(pieces, Digest::from_reader(&*whole));
    for place in [0, 500, 1002] {
        let mut other = whole.clone();
        other[place] ^= 1;
        assert_ne!(Digest::from_reader(&*other), pieces, "byte {place} changed");
    }
    assert_ne!(Digest::from_reader(&whole[..1002]), pieces);
    assert_ne!(Digest::from_reader(&[&*whole, &[0]].concat()[..]), pieces);
}

#[test]
fn a_script_that_receives_other_bytes_fails_the_test() {
    let server = script().expect("hello").serve();
    TcpStream::connect(server.to_string()).unwrap().write_all(b"help!").unwrap();
    let message = failure(|| drop(server));
    assert!(message.contains("step 1: expect") && message.contains("help!"), "{message}");
}

#[test]
fn one_connection_too_many_fails_the_test() {
    let server = script().serve();
    let first = TcpStream::connect(server.to_string()).unwrap();
    let mut second = TcpStream::connect(server.to_string()).unwrap();
    // Returns when the server closes the connection.
    let _ = second.read(&mut [0]);
    drop(first);
    let message = failure(|| drop(server.finish()));
    assert!(message.contains("connection 2, one connection more"), "{message}");
}

#[test]
fn a_missing_connection_fails_the_test() {
    let server = script().serve();
    let message = failure(|| drop(server.finish()));
    assert!(message.contains("1 of 1 connections did not arrive"), "{message}");
}

#[cfg(unix)]
#[test]
fn a_program_that_exceeds_its_limit_is_killed_and_fails_the_test() {
    let program = Program::new("/bin/sh").arg("-c").arg("echo so far; exec sleep 100");
    let mut run = program.limit(Duration::from_millis(300)).start();
    let message = failure(|| drop(run.wait()));
    assert!(message.contains("killed after 300ms") && message.contains("so far"), "{message}");
    assert!(!run.is_running() || run.pid() > 0);
}

#[cfg(unix)]
#[test]
fn dropping_a_run_kills_the_program_and_its_children() {
    let program = Program::new("/bin/sh").arg("-c").arg("sleep 100 & echo $!; wait");
    let run = program.start();
    run.wait_stdout_has("\n");
    let child = String::from_utf8(run.stdout_so_far()).unwrap().trim().parse().unwrap();
    let child = rustix::process::Pid::from_raw(child).unwrap();
    drop(run);
    // The orphan is reaped by init, which may take a moment.
    for _ in 0..100 {
        if rustix::process::test_kill_process(child).is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{child:?} is still there");
}

#[cfg(unix)]
#[test]
fn closed_descriptors_are_closed_and_cpu_time_is_measured() {
    let spin = "if (true >&2); then echo open; fi; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
    let out = Program::new("/bin/sh").arg("-c").arg(spin).stderr(Io::Closed).run();
    out.expect_stdout("");
    assert!(out.cpu > Duration::from_millis(5), "{out:?}");
}
