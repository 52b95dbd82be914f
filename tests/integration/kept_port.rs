//! `-P`: a single session to the target, used by one client after another.

#[cfg(target_os = "linux")]
use std::io::Read;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

#[cfg(unix)]
use rustix::process::Signal;

use crate::kit::*;
use crate::listening::*;

/// Connects a client, which sends these bytes and disconnects. Waits until the program notices.
/// `earlier` is the number of clients that had disconnected before.
#[track_caller]
fn visit(run: &Listening, bytes: &str, earlier: usize) {
    let mut client = run.client();
    client.write_all(bytes.as_bytes()).unwrap();
    drop(client);
    run.wait_for_lines("closing local port without disconnecting", earlier + 1);
}

#[test]
fn all_clients_share_one_session() {
    let target = script().expect("onetwothree").expect_eof().serve();
    let mut run = listening(format!("-P 0 {}", target.args()));
    assert_eq!(run.address().ip().to_string(), "127.0.0.1");
    for (earlier, word) in ["one", "two", "three"].into_iter().enumerate() {
        visit(&run, word, earlier);
    }
    run.run.close_stdin();
    run.end().expect_success();
    target.finish_one();
}

#[test]
fn a_second_client_waits_until_the_first_is_gone() {
    let target = script().echo().serve();
    let mut run = listening(format!("-P 0 {}", target.args()));
    let first = run.client();
    expect_echo(&first, "first");
    let mut second = run.client();
    second.write_all(b"second").unwrap();
    expect_echo(&first, "first again");
    drop(first);
    assert_eq!(read(&second, 6), b"second");
    drop(second);
    run.run.close_stdin();
    run.end().expect_success();
    assert_eq!(target.finish_one().received, b"firstfirst againsecond");
}

#[test]
fn data_from_the_remote_between_two_clients_goes_to_the_next_one() {
    let go = Gate::new();
    let target = script().expect("one").wait_for(&go).send("for the next").expect("two").hold().serve();
    let mut run = listening(format!("-P 0 {}", target.args()));
    visit(&run, "one", 0);
    go.open();
    thread::sleep(Duration::from_millis(100));
    let mut client = run.client();
    assert_eq!(read(&client, 12), b"for the next");
    client.write_all(b"two").unwrap();
    drop(client);
    run.run.close_stdin();
    run.end().expect_success();
    target.finish();
}

#[cfg(unix)]
#[test]
fn a_client_that_disconnects_during_an_answer_does_not_end_the_session() {
    let gone = Gate::new();
    let target = script().send_in_background(1, 30 * MIB).expect("hello").open(&gone).hold().serve();
    let run = listening(format!("-P 0 {}", target.args()));
    for _ in 0..2 {
        let client = run.client();
        read(&client, 100_000);
        // The client's socket still has unread data, so closing it sends a reset.
        drop(client);
    }
    let mut last = run.client();
    last.write_all(b"hello").unwrap();
    gone.wait();
    let reader = thread::spawn(move || std::io::copy(&mut last, &mut std::io::sink()));
    target.finish();
    run.stop(Signal::TERM);
    drop(reader.join().unwrap());
}

/// Returns the queue lengths at the `here` end of a loopback connection: bytes that the other end
/// has not acknowledged, and bytes received but not read.
#[cfg(target_os = "linux")]
fn queues(here: u16, there: u16) -> (u64, u64) {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let ends = format!(": 0100007F:{here:04X} 0100007F:{there:04X} ");
    let line = table.lines().find(|line| line.contains(&ends)).expect("no such connection");
    let (sent, received) = line.split_whitespace().nth(4).unwrap().split_once(':').unwrap();
    (u64::from_str_radix(sent, 16).unwrap(), u64::from_str_radix(received, 16).unwrap())
}

/// Waits until nothing moves between the ends of a loopback connection, and returns the bytes in
/// its queues, seen from `here`: not acknowledged by the other end, and not read there.
#[cfg(target_os = "linux")]
fn settled(here: u16, there: u16) -> (u64, u64) {
    let now = || (queues(here, there).0, queues(there, here).1);
    let (mut last, mut same) = (now(), 0);
    while same < 20 {
        thread::sleep(Duration::from_millis(25));
        let next = now();
        same = if next == last && next.0 + next.1 > 0 { same + 1 } else { 0 };
        last = next;
    }
    last
}

/// When a client disconnects, data in the kernel's buffers is lost, but data that the program holds
/// is not.
#[cfg(target_os = "linux")]
#[test]
fn data_that_a_client_did_not_take_is_for_the_next_one() {
    const SIZE: u64 = 20 * MIB;
    let target = script().send_data(1, SIZE).half_close().expect_eof().serve();
    let run = listening(format!("-P 0 {}", target.args()));
    let first = run.client();
    run.wait_for_line("start relaying.");
    // Wait until all buffers on the path are full.
    let (not_acknowledged, not_read) = settled(run.address().port(), first.local_addr().unwrap().port());
    let lost = not_acknowledged + not_read;
    drop(first);
    run.wait_for_line("closing local port without disconnecting");
    let mut rest = data(1, SIZE);
    copy(&mut (&mut rest).take(lost), &mut std::io::sink()).unwrap();
    assert_eq!(Digest::from_reader(run.client()), Digest::from_reader(rest));
    run.end().expect_success();
    target.finish();
}

#[cfg(target_os = "linux")]
#[test]
fn data_of_a_vanished_client_that_did_not_read_is_delivered() {
    let left = Gate::new();
    let target = script().small_window().then("send more than the client takes", |session| {
        session.spawn(|stream| copy(&mut data(1, 20 * MIB), &mut &*stream).map(drop).or(Ok(())));
        Ok(())
    });
    let target = target.wait_for(&left).drain().serve();
    let mut run = listening(format!("-P 0 {}", target.args()));
    let mut client = run.client();
    client.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let (here, there) = (client.local_addr().unwrap().port(), run.address().port());
    // More than all buffers on the path hold.
    let source = bytes(2, 24 << 20);
    let (mut sent, mut full) = (0, None);
    loop {
        match client.write(&source[sent..][..512]) {
            Ok(count) => sent += count,
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                let now = Some((sent, settled(here, there)));
                if now == full {
                    break;
                }
                full = now;
            }
        }
    }
    let arrived = sent - usize::try_from(queues(here, there).0).unwrap();
    reset(client);
    thread::sleep(Duration::from_millis(100));
    left.open();
    let received = || target.records().into_iter().next().map(|record| record.received);
    eventually("all of it", || received().is_some_and(|received| received.len() >= arrived));
    // More may have arrived before the reset.
    let received = received().unwrap();
    assert!(source.starts_with(&received), "{} bytes, {arrived} of which had arrived", received.len());
    run.run.close_stdin();
    run.end();
    drop(target);
}

#[test]
fn eof_on_standard_input_ends_the_wait_for_a_client() {
    let mut run = listening("-P 0 127.0.0.1 1");
    let address = run.address();
    run.run.send("discarded");
    thread::sleep(Duration::from_millis(50));
    assert!(run.run.is_running());
    run.run.close_stdin();
    run.end().expect_success();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn without_standard_input_the_run_ends_at_once() {
    for io in [
        Io::Null,
        #[cfg(unix)]
        Io::Closed,
    ] {
        Listening::start(connect("-d -P 0 127.0.0.1 1").stdin(io)).end().expect_success();
    }
}

#[test]
fn eof_on_standard_input_does_not_interrupt_a_client() {
    let target = script().echo().serve();
    let mut run = listening(format!("-P 0 {}", target.args()));
    let client = run.client();
    expect_echo(&client, "hello");
    run.run.close_stdin();
    thread::sleep(Duration::from_millis(50));
    expect_echo(&client, "still here");
    drop(client);
    run.end().expect_success();
    target.finish();
}

#[test]
fn eof_from_the_remote_with_a_client_ends_the_run() {
    let target = script().expect("hello").send("bye").serve();
    let run = listening(format!("-P 0 {}", target.args()));
    let mut client = run.client();
    client.write_all(b"hello").unwrap();
    assert_eq!(read_to_end(&client), "bye");
    run.end().expect_success();
}

#[test]
fn eof_from_the_remote_without_a_client_ends_the_run() {
    let go = Gate::new();
    let target = script().expect("hello").wait_for(&go).serve();
    let run = listening(format!("-P 0 {}", target.args()));
    visit(&run, "hello", 0);
    go.open();
    run.end().expect_success();
    target.finish();
}

#[test]
fn data_before_the_remotes_eof_waits_for_a_client() {
    let target = script().expect("hello").pause(Duration::from_millis(100)).send("bye").serve();
    let run = listening(format!("-P 0 {}", target.args()));
    visit(&run, "hello", 0);
    thread::sleep(Duration::from_millis(300));
    assert_eq!(read_to_end(run.client()), "bye");
    let end = run.end();
    end.expect_success();
    let is_idle = end.cpu < Duration::from_millis(150) || !cfg!(unix);
    assert!(is_idle, "the wait used processor time: {end:?}");
    target.finish();
}

#[test]
fn a_reset_by_the_remote_ends_the_run_with_a_message() {
    for with_client in [true, false] {
        let go = Gate::new();
        let target = script().expect("hello").wait_for(&go).reset().serve();
        let run = listening(format!("-P 0 {}", target.args()));
        let mut client = run.client();
        client.write_all(b"hello").unwrap();
        if !with_client {
            client.shutdown(Shutdown::Both).unwrap();
            run.wait_for_line("closing local port without disconnecting");
        }
        go.open();
        run.end().expect_failure(8, &[&format!("lost the connection to {target}")]);
        if with_client {
            expect_disconnect(&client);
        }
    }
}

#[test]
fn a_target_that_refuses_ends_the_run_and_disconnects_the_client() {
    let refusing = RefusingPort::new();
    let run = listening(format!("-P 0 127.0.0.1 {}", refusing.port()));
    expect_disconnect(run.client());
    run.end().expect_failure(4, &["cannot connect to 127.0.0.1:", "refused"]);
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_wait_for_the_next_client_and_resets_the_session() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let target = script().expect("hello").send("hello").expect_reset().serve();
        let run = listening(format!("-P 0 {}", target.args()));
        let mut client = run.client();
        expect_echo(&mut client, "hello");
        client.shutdown(Shutdown::Both).unwrap();
        run.wait_for_line("closing local port without disconnecting");
        // The program logs this just before it waits again.
        thread::sleep(Duration::from_millis(50));
        run.stop(signal).expect_success();
        target.finish();
    }
}

/// The timeout also applies between two clients. Before the first client, there is no session to
/// time out.
#[test]
fn a_session_without_progress_is_ended_with_and_without_a_client() {
    let case = |stays: bool| {
        let target = script().expect("hello").send("hello").expect_reset().serve();
        let run = listening(format!("-P 0 --idle-timeout 1 {}", target.args()));
        run.address();
        thread::sleep(Duration::from_millis(1200));
        let client = run.client();
        expect_echo(&client, "hello");
        if stays {
            expect_reset(client);
        } else {
            drop(client);
        }
        run.end().expect_failure(7, &[&idle_message(&target.to_string(), "1 second")]);
        target.finish();
    };
    thread::scope(|scope| {
        for stays in [true, false] {
            scope.spawn(move || case(stays));
        }
    });
}

#[test]
fn a_reset_by_the_remote_reached_the_client_as_a_clean_eof() {
    let go = Gate::new();
    let target = script().send("hello").wait_for(&go).reset().serve();
    let run = listening(format!("-P 0 {}", target.args()));
    let client = run.client();
    assert_eq!(read(&client, 5), b"hello");
    go.open();
    expect_reset(client);
    run.end().expect_failure(8, &["lost the connection"]);
    target.finish();
}

#[test]
fn a_client_that_disconnects_during_dialling_leaves_the_session_to_the_next_one() {
    let go = Gate::new();
    let first = script().read_connect_request().expect_disconnect();
    let proxy = Server::each([first, http_ok().wait_for(&go).echo()]);
    let run = listening(format!("-P 0 -H {proxy} host.example 22"));
    let client = run.client();
    run.wait_for_line(">>> \"CONNECT");
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    run.wait_for_line("client disconnected before the target was reached");
    go.open();
    expect_echo(run.client(), "hello");
    drop(run);
    proxy.finish();
}
