//! Transfers 50 MiB in each direction, through wine's pipes and through Windows pipes.

use std::io::{Cursor, Read};
use std::thread;
use std::time::Duration;

use crate::kit::*;
use crate::launched;
use crate::sessions::TEXT_MODE_BYTES;

/// Not a multiple of any buffer size.
const LEN: u64 = 50 * MIB + 1;

/// The stream that `seed` selects; it starts with the bytes that text mode would change.
fn stream(seed: u64) -> impl Read + Send + 'static {
    Cursor::new(TEXT_MODE_BYTES).chain(data(seed, LEN))
}

#[track_caller]
fn expect_stream(received: impl Read, seed: u64) {
    assert_eq!(Digest::from_reader(received), Digest::from_reader(stream(seed)));
}

/// A target that sends the stream and then closes.
fn source() -> Server {
    script().send(TEXT_MODE_BYTES).send_data(1, LEN).serve()
}

/// A target that sends a stream while it receives one.
fn exchanger() -> Server {
    script().send(TEXT_MODE_BYTES).exchange(1, LEN).serve()
}

/// Runs the program with one stream as its stdin and expects the other one on stdout.
#[track_caller]
fn expect_exchange(connect: impl FnOnce(&Server) -> Program) {
    let target = exchanger();
    let mut run = connect(&target).start();
    run.feed(stream(2));
    let out = run.finish();
    out.expect_code(0).expect_stderr("");
    expect_stream(&*out.stdout, 1);
    assert_eq!(target.finish_one().digest, Some(Digest::from_reader(stream(2))));
}

#[test]
fn a_bulk_download_arrives_whole() {
    let target = source();
    let out = connect(target.args()).start().wait();
    out.expect_code(0).expect_stderr("");
    expect_stream(&*out.stdout, 1);
    target.finish();
}

/// The target answers only after it has received everything.
#[test]
fn a_bulk_upload_arrives_whole() {
    let target = script().sink().send("all of it").serve();
    let mut run = connect(target.args()).start();
    run.feed(stream(2));
    run.finish().expect_success().expect_stdout("all of it");
    assert_eq!(target.finish_one().digest, Some(Digest::from_reader(stream(2))));
}

#[test]
fn bulk_data_in_both_directions_arrives_whole() {
    expect_exchange(|target| connect(target.args()));
}

#[test]
fn bulk_data_in_both_directions_through_windows_pipes_arrives_whole() {
    expect_exchange(|target| launched("pipes", target.args()));
}

/// The target closes long before the reader starts: all buffered data must arrive before the
/// program exits with code 0.
#[test]
fn a_slow_reader_gets_everything() {
    let target = source();
    let (reader, writer) = pipe();
    let mut run = connect(target.args()).stdout(writer).start();
    thread::sleep(Duration::from_secs(2));
    expect_stream(reader, 1);
    run.wait().expect_success();
    target.finish();
}

#[test]
fn a_slow_reader_of_a_windows_pipe_gets_everything() {
    let target = source();
    let out = launched("slow", target.args()).start().wait();
    out.expect_code(0).expect_stderr("");
    expect_stream(&*out.stdout, 1);
    target.finish();
}
