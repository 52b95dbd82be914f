//! Ends of a TLS connection, good and bad: a bad one must not be taken for a good one, by nobody.

use std::time::Duration;

use super::*;

/// A session that is cut off in the middle.
#[track_caller]
fn expect_broken(ending: impl FnOnce(TlsFront) -> TlsFront, parts: &[&str]) {
    let pki = Pki::new();
    let proxy = http_ok().send("half of it").serve();
    let front = ending(pki.front()).in_front_of(&proxy);
    let run = pki.connect(&front, "").start();
    run.wait_stdout_has("half of it");
    let mut run = run;
    run.wait().expect_failure(8, parts).expect_stdout("half of it");
    proxy.finish();
}

#[test]
fn an_end_without_close_notify_is_an_error() {
    expect_broken(TlsFront::without_close_notify, &["close_notify", "data may be missing"]);
}

// Elsewhere a socket that a thread of the front reads cannot be reset.
#[cfg(unix)]
#[test]
fn a_reset_is_an_error() {
    expect_broken(TlsFront::resetting, &["reset", "data may be missing"]);
}

#[test]
fn what_cannot_be_decrypted_is_an_error() {
    expect_broken(TlsFront::ending_in_garbage, &["TLS", "data may be missing"]);
}

#[test]
fn the_end_of_the_input_is_told_and_what_follows_is_delivered() {
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
fn the_end_in_the_midst_of_a_negotiation_has_its_reason() {
    let pki = Pki::new();
    let proxy = http_request().serve();
    let front = pki.front().without_close_notify().in_front_of(&proxy);
    pki.connect(&front, "").run().expect_failure(5, &["answer to CONNECT", "close_notify"]);
    proxy.finish();
    let proxy = http_request().serve();
    let front = pki.front().in_front_of(&proxy);
    pki.connect(&front, "").run().expect_failure(5, &["closed the connection"]);
    proxy.finish();
}

/// The proxy must not take what it got for all there was.
#[test]
fn whoever_breaks_off_does_not_say_good_bye() {
    let pki = Pki::new();
    let proxy = http_ok().send("welcome").hold().serve();
    let front = pki.front().in_front_of(&proxy);
    let out = pki.connect(&front, "--idle-timeout 0.3").input("some").run();
    out.expect_failure(7, &["--idle-timeout"]).expect_stdout("welcome");
    // The input had come to its end before.
    assert_eq!(front.only_handshake().end, Some(TlsEnd::CloseNotify));
    proxy.finish();

    let proxy = http_ok().send("welcome").hold().serve();
    let front = pki.front().in_front_of(&proxy);
    let mut run = pki.connect(&front, "--idle-timeout 0.3").start();
    run.wait().expect_failure(7, &["--idle-timeout"]);
    assert_eq!(front.only_handshake().end, Some(TlsEnd::Reset));
    proxy.finish();
}

/// Nobody takes what is left: the program ends all the same.
#[test]
fn a_proxy_that_takes_nothing_does_not_keep_the_program() {
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
fn whoever_reads_the_output_may_leave() {
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
