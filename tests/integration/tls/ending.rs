//! The ends of a TLS connection. Neither side may mistake a broken connection for a clean close.

use std::time::Duration;

use super::*;

/// Runs a session whose proxy connection ends in the way that `ending` configures, and checks that
/// the error contains `parts`.
#[track_caller]
fn expect_broken(ending: impl FnOnce(TlsFront) -> TlsFront, parts: &[&str]) {
    let pki = Pki::new();
    let proxy = http_ok().send("half of it").serve();
    let front = ending(pki.front()).in_front_of(&proxy);
    let mut run = pki.connect(&front, "").start();
    run.wait_stdout_has("half of it");
    run.wait().expect_failure(8, parts).expect_stdout("half of it");
    proxy.finish();
}

#[test]
fn eof_without_close_notify_is_an_error() {
    expect_broken(TlsFront::without_close_notify, &["close_notify", "data may be missing"]);
}

// On Windows, a socket that another thread is reading from cannot be reset.
#[cfg(unix)]
#[test]
fn a_reset_is_an_error() {
    expect_broken(TlsFront::resetting, &["reset", "data may be missing"]);
}

#[test]
fn data_that_cannot_be_decrypted_is_an_error() {
    expect_broken(TlsFront::ending_in_garbage, &["TLS", "data may be missing"]);
}

#[test]
fn eof_of_the_input_becomes_close_notify_and_the_answer_is_delivered() {
    let pki = Pki::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let proxy = http_ok()
            .expect("question")
            .expect_eof()
            .pause(Duration::from_millis(100))
            .send("answer")
            .serve();
        let front = TlsFront::with_versions(&pki.authority.localhost(), &[version], None).in_front_of(&proxy);
        let out = pki.connect(&front, "").input("question").run();
        out.expect_success().expect_stdout("answer");
        assert_eq!(front.only_handshake().end, Some(TlsEnd::CloseNotify));
        proxy.finish();
    }
}

#[test]
fn an_end_during_the_negotiation_is_an_error_with_its_cause() {
    let pki = Pki::new();
    let proxy = http_request().serve();
    let front = pki.front().without_close_notify().in_front_of(&proxy);
    pki.connect(&front, "").run().expect_failure(5, &["response to CONNECT", "close_notify"]);
    proxy.finish();
    let proxy = http_request().serve();
    let front = pki.front().in_front_of(&proxy);
    pki.connect(&front, "").run().expect_failure(5, &["closed the connection"]);
    proxy.finish();
}

/// The proxy must not believe that it has received everything.
#[test]
fn an_aborted_session_sends_no_close_notify() {
    let pki = Pki::new();
    let proxy = http_ok().send("welcome").hold().serve();
    let front = pki.front().in_front_of(&proxy);
    let out = pki.connect(&front, "--idle-timeout 0.3").input("some").run();
    out.expect_failure(7, &["--idle-timeout"]).expect_stdout("welcome");
    // The input ended before the abort, so close_notify had already been sent.
    assert_eq!(front.only_handshake().end, Some(TlsEnd::CloseNotify));
    proxy.finish();

    let proxy = http_ok().send("welcome").hold().serve();
    let front = pki.front().in_front_of(&proxy);
    let mut run = pki.connect(&front, "--idle-timeout 0.3").start();
    run.wait().expect_failure(7, &["--idle-timeout"]);
    assert_eq!(front.only_handshake().end, Some(TlsEnd::Reset));
    proxy.finish();
}

/// Input that cannot be sent must not delay the exit indefinitely.
#[test]
fn a_proxy_that_reads_nothing_does_not_keep_the_program_running() {
    let pki = Pki::new();
    let gate = Gate::new();
    let proxy = http_ok().small_window().send("bye").wait_for(&gate).half_close().hold().serve();
    let front = pki.front().in_front_of(&proxy);
    let mut run = pki.connect(&front, "").limit(TIMEOUT).start();
    run.wait_stdout_has("bye");
    run.feed(data(7, 64 * MIB));
    std::thread::sleep(Duration::from_millis(500));
    gate.open();
    run.wait().expect_within(Duration::from_secs(25));
    proxy.finish();
}

#[cfg(unix)]
#[test]
fn a_reader_of_the_output_may_close_it() {
    let pki = Pki::new();
    let proxy = http_ok().send("welcome").send_until_refused(TIMEOUT).serve();
    let front = pki.front().in_front_of(&proxy);
    let (mut reader, writer) = pipe();
    let mut run = pki.connect(&front, "").stdout(writer).start();
    std::io::Read::read_exact(&mut reader, &mut [0; 7]).unwrap();
    drop(reader);
    run.wait().expect_code(8).expect_stderr("");
    proxy.finish();
}
