//! Transfers between a client and the target, and how they end.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use super::listening;
use crate::kit::*;
use crate::listening::{eventually, expect_disconnect, expect_reset, read, read_to_end, reset};

/// More bytes than all buffers on the path can hold.
const LARGE: u64 = 20 * MIB;

#[test]
fn an_answer_after_the_clients_eof_is_delivered() {
    let target = script().expect("question").expect_eof().pause(Duration::from_millis(100)).send("answer");
    let target = target.serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let mut client = run.client();
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&client), "answer");
    run.end().expect_success();
    target.finish();
}

#[test]
fn data_sent_after_the_remotes_eof_is_delivered() {
    let target = script().send("bye").half_close().expect("one more thing").expect_eof().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let mut client = run.client();
    assert_eq!(read_to_end(&client), "bye");
    // Pause for longer than the program would wait for more input on stdin.
    thread::sleep(Duration::from_millis(150));
    client.write_all(b"one more thing").unwrap();
    drop(client);
    run.end().expect_success();
    target.finish();
}

#[test]
fn a_reset_by_the_client_ends_the_run() {
    let target = script().expect("hello").drain().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let mut client = run.client();
    client.write_all(b"hello").unwrap();
    run.wait_for_line("start relaying.");
    eventually("what it sent", || target.records().iter().any(|record| record.received == b"hello"));
    reset(client);
    let end = run.end();
    assert_eq!(end.code, Some(8), "{end:?}");
    target.finish();
}

/// The session's input is the client's connection, not standard input.
#[test]
fn a_reset_by_the_client_after_the_remotes_eof_names_the_client() {
    let target = script().half_close().drain().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let client = run.client();
    let address = client.local_addr().unwrap();
    assert_eq!(read_to_end(&client), "");
    reset(client);
    run.end().expect_failure(8, &["client", &address.to_string(), "reset"]);
    target.finish();
}

#[test]
fn a_reset_by_the_remote_ends_the_run_with_a_message() {
    let go = Gate::new();
    let target = script().send("part").wait_for(&go).reset().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let client = run.client();
    assert_eq!(read(&client, 4), b"part");
    go.open();
    expect_disconnect(client);
    run.end().expect_failure(8, &[&format!("lost the connection to {target}"), "data may be missing"]);
}

/// A clean EOF would make the client believe that it has received all the data.
#[test]
fn a_reset_by_the_remote_reached_the_client_as_a_clean_eof() {
    let all_read = Gate::new();
    let target = script().send_data(1, LARGE).wait_for(&all_read).reset().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let client = run.client();
    // Leave the last 10 bytes unread until after the reset. They must still arrive.
    let received = Digest::from_reader((&client).take(LARGE - 10));
    assert_eq!(received, Digest::from_reader(data(1, LARGE - 10)));
    all_read.open();
    run.wait_for_line("lost the connection");
    read(&client, 10);
    expect_reset(client);
    run.end().expect_failure(8, &["lost the connection to", "data may be missing"]);
    target.finish();
}

#[test]
fn a_reset_by_the_client_reached_the_remote_as_a_clean_eof() {
    let target = script().expect("hello").expect_reset().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let mut client = run.client();
    client.write_all(b"hello").unwrap();
    eventually("what it sent", || target.records().iter().any(|record| record.received == b"hello"));
    reset(client);
    assert_eq!(run.end().code, Some(8));
    target.finish();
}

/// The kernel reports a reset only once: in this test, to the upload. See `relay::ending`.
#[test]
fn a_reset_by_the_remote_reported_to_the_upload_was_taken_for_eof() {
    let sent = Gate::new();
    let target = script().fill().reset().open(&sent).serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let mut client = run.client();
    sent.wait();
    client.write_all(b"into the reset").unwrap();
    thread::sleep(Duration::from_millis(200));
    let end = copy(&mut client, &mut std::io::sink()).map_err(|error| error.kind());
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
    run.end().expect_failure(8, &["lost the connection", "data may be missing"]);
    target.finish();
}

#[test]
fn a_reset_by_the_client_reported_to_the_download_was_taken_for_eof() {
    let (full, go) = (Gate::new(), Gate::new());
    let target = script().small_window().wait_for(&full).send("into the reset").wait_for(&go);
    let target = target.then("read to the reset", |session| {
        let read = std::io::copy(&mut session.stream(), &mut std::io::sink()).map_err(|error| error.kind());
        match read {
            Err(ErrorKind::ConnectionReset) => Ok(()),
            other => Err(format!("expected a reset, got {other:?}")),
        }
    });
    let target = target.serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let client = run.client();
    fill_up(&mut &client);
    reset(client);
    full.open();
    thread::sleep(Duration::from_millis(200));
    go.open();
    assert_eq!(run.end().code, Some(8));
    target.finish();
}

/// The program resets the remote connection only after a slow remote has received the data.
#[test]
fn data_that_the_client_sent_before_its_reset_is_delivered() {
    const SIZE: u64 = 200_000;
    let target =
        script().small_window().pause(Duration::from_millis(400)).sink_bytes(SIZE).expect_reset().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let mut client = run.client();
    copy(&mut data(2, SIZE), &mut client).unwrap();
    thread::sleep(Duration::from_millis(200));
    reset(client);
    assert_eq!(run.end().code, Some(8));
    assert_eq!(target.finish_one().digest, Some(Digest::from_reader(data(2, SIZE))));
}

/// `relay::kinds` has the same test with standard output instead of a client.
#[test]
fn urgent_data_does_not_hide_the_data_after_it() {
    let target = script().send("before").then("send a byte out of band", |session| {
        thread::sleep(Duration::from_millis(100));
        let sent = socket2::SockRef::from(session.stream()).send_out_of_band(b"!");
        sent.map(drop).map_err(|error| error.to_string())
    });
    let target = target.pause(Duration::from_millis(100)).send("after").serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let client = run.client();
    assert_eq!(read_to_end(&client), "beforeafter");
    drop(client);
    run.end().expect_success();
    target.finish();
}

/// Unless EOF follows, splice(2) before urgent data fails with `EAGAIN`, again and again.
#[test]
fn urgent_data_at_the_start_stopped_the_transfer() {
    let target = script().expect("after").send("answer").serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let mut client = run.client();
    socket2::SockRef::from(&client).send_out_of_band(b"!").unwrap();
    thread::sleep(Duration::from_millis(100));
    client.write_all(b"after").unwrap();
    assert_eq!(read_to_end(&client), "answer");
    drop(client);
    run.end().expect_success();
    target.finish();
}

#[test]
fn large_transfers_in_both_directions_at_once_arrive_unchanged() {
    const SIZE: u64 = 40 * MIB;
    let target = script().exchange(1, SIZE).serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let client = run.client();
    let mut sender = client.try_clone().unwrap();
    let sending = thread::spawn(move || {
        copy(&mut data(2, SIZE), &mut sender).unwrap();
        sender.shutdown(Shutdown::Write).unwrap();
    });
    assert_eq!(Digest::from_reader(&client), Digest::from_reader(data(1, SIZE)));
    sending.join().unwrap();
    run.end().expect_success();
    assert_eq!(target.finish_one().digest, Some(Digest::from_reader(data(2, SIZE))));
}

#[test]
fn a_stuck_client_does_not_block_the_upload() {
    let target = script().send_in_background(1, LARGE).sink_bytes(LARGE).hold().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let mut client = run.client();
    thread::sleep(Duration::from_millis(200));
    copy(&mut data(2, LARGE), &mut client).unwrap();
    let expected = Some(Digest::from_reader(data(2, LARGE)));
    eventually("all of it", || target.records().iter().any(|record| record.digest == expected));
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(Digest::from_reader((&client).take(LARGE)), Digest::from_reader(data(1, LARGE)));
    target.finish();
    run.end().expect_success();
}

#[test]
fn a_stuck_remote_does_not_block_the_download() {
    let received = Gate::new();
    let target = script().send_data(1, LARGE).wait_for(&received).sink().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let client = run.client();
    let mut sender = client.try_clone().unwrap();
    let sending = thread::spawn(move || {
        copy(&mut data(2, LARGE), &mut sender).unwrap();
        sender.shutdown(Shutdown::Write).unwrap();
    });
    assert_eq!(Digest::from_reader((&client).take(LARGE)), Digest::from_reader(data(1, LARGE)));
    received.open();
    sending.join().unwrap();
    assert_eq!(target.finish_one().digest, Some(Digest::from_reader(data(2, LARGE))));
    run.end().expect_success();
}
