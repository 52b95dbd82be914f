//! Relaying through TLS: large transfers, slow readers, and half-closed connections.

use std::io::{Read, Write};
use std::time::Duration;

use super::*;
use crate::listening::Listening;

#[test]
fn large_amounts_are_relayed_in_both_directions_at_once() {
    const LENGTH: u64 = 32 * MIB;
    let pki = Pki::new();
    let proxy = http_ok().exchange(1, LENGTH).serve();
    let front = pki.front().in_front_of(&proxy);
    let mut run = pki.connect(&front, "").limit(TIMEOUT).start();
    run.feed(data(2, LENGTH));
    let out = run.wait();
    out.expect_success();
    assert_eq!(Digest::from_reader(&*out.stdout), Digest::from_reader(data(1, LENGTH)));
    assert_eq!(proxy.finish_one().digest, Some(Digest::from_reader(data(2, LENGTH))));
    assert_eq!(front.only_handshake().end, Some(TlsEnd::CloseNotify));
}

/// The program has bounded buffers, so it stops reading input until the proxy catches up.
#[test]
fn a_slow_proxy_causes_backpressure() {
    const LENGTH: u64 = 20 * MIB;
    let pki = Pki::new();
    let proxy = http_ok()
        .small_window()
        .pause(Duration::from_millis(500))
        .then("read slowly", |session| {
            for _ in 0..20 {
                session.receive(64 * 1024)?;
                std::thread::sleep(Duration::from_millis(10));
            }
            Ok(())
        })
        .sink()
        .send("received")
        .serve();
    let front = pki.front().in_front_of(&proxy);
    let mut run = pki.connect(&front, "").limit(TIMEOUT).start();
    run.feed(data(3, LENGTH));
    run.wait().expect_success().expect_stdout("received");
    let record = proxy.finish_one();
    let head = record.head.unwrap().len();
    let all = std::io::Cursor::new(record.received).chain(std::io::empty());
    let mut received = all.into_inner().0.into_inner();
    received.drain(..head);
    assert_eq!(received, bytes(3, 20 * 64 * 1024));
    let mut rest = data(3, LENGTH);
    std::io::copy(&mut (&mut rest).take(received.len() as u64), &mut std::io::sink()).unwrap();
    assert_eq!(record.digest, Some(Digest::from_reader(rest)));
}

/// Nothing reads standard output for a while, which must not block the other direction.
#[test]
fn a_blocked_direction_does_not_block_the_other() {
    const LENGTH: u64 = 8 * MIB;
    let pki = Pki::new();
    let proxy = http_ok().send_in_background(4, LENGTH).sink_bytes(LENGTH).serve();
    let front = pki.front().in_front_of(&proxy);
    let (mut reader, writer) = pipe();
    let mut run = pki.connect(&front, "").stdout(writer).limit(TIMEOUT).start();
    run.send(bytes(5, usize::try_from(LENGTH).unwrap()));
    while proxy.records().first().is_none_or(|record| record.digest.is_none()) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut all = Vec::new();
    reader.read_to_end(&mut all).unwrap();
    assert_eq!(all, bytes(4, usize::try_from(LENGTH).unwrap()));
    run.finish().expect_success();
    assert_eq!(proxy.finish_one().digest, Some(Digest::from_reader(data(5, LENGTH))));
}

/// The remote half-closes first. Input that is ready by then is still sent.
#[test]
fn pending_input_is_sent_after_the_remote_has_half_closed() {
    let pki = Pki::new();
    for length in [1, 60_000, 200_000] {
        let gate = Gate::new();
        let proxy = http_ok().send("bye").wait_for(&gate).half_close().sink().serve();
        let front = pki.front().in_front_of(&proxy);
        let mut run = pki.connect(&front, "").limit(TIMEOUT).start();
        run.wait_stdout_has("bye");
        run.send(bytes(6, length));
        gate.open();
        run.wait().expect_success();
        assert_eq!(front.only_handshake().end, Some(TlsEnd::CloseNotify));
        assert_eq!(proxy.finish_one().digest, Some(Digest::from_reader(data(6, length as u64))));
    }
}

#[test]
fn single_lines_are_echoed_without_delay() {
    let pki = Pki::new();
    let proxy = http_ok().echo().serve();
    let front = pki.front().in_front_of(&proxy);
    let mut run = pki.connect(&front, "").start();
    for line in 0..200 {
        run.send(format!("line {line}\n"));
        run.wait_stdout_has(format!("line {line}\n"));
    }
    run.finish().expect_success();
    proxy.finish();
}

/// With `-P` the TLS connection outlives its clients.
#[test]
fn clients_of_a_persistent_port_share_one_tls_connection() {
    let pki = Pki::new();
    let proxy = http_ok().early("welcome").expect("onetwo").expect_eof().serve();
    let front = pki.front().in_front_of(&proxy);
    let mut listening = Listening::start(pki.connect(&front, "-d -P 127.0.0.1:0"));
    for (count, word) in [(1, "one"), (2, "two")] {
        let mut client = listening.client();
        if count == 1 {
            let mut welcome = [0; 7];
            client.read_exact(&mut welcome).unwrap();
        }
        client.write_all(word.as_bytes()).unwrap();
        drop(client);
        listening.wait_for_lines("closing local port without disconnecting", count);
    }
    listening.run.close_stdin();
    listening.end().expect_success();
    proxy.finish_one();
    assert_eq!(front.only_handshake().end, Some(TlsEnd::CloseNotify));
}
