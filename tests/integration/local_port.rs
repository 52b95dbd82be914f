//! `-p`: a local port whose first client is joined to the target. In the tests twice, as `relay` is.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

#[cfg(unix)]
use rustix::process::Signal;

use crate::kit::*;
use crate::listening::*;

define_connect_for_relay_mode!();

fn listening(words: impl AsRef<str>) -> Listening {
    Listening::start(connect(format!("-d {}", words.as_ref())))
}

#[cfg(unix)]
const SIGNALS: [Signal; 2] = [Signal::TERM, Signal::INT];

#[test]
fn it_listens_on_loopback_and_on_nothing_else() {
    let target = script().echo().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let place = run.place();
    assert_eq!(place.ip().to_string(), "127.0.0.1");
    if cfg!(target_os = "linux") {
        let elsewhere = TcpStream::connect(("127.0.0.2", place.port()));
        assert_eq!(elsewhere.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    }
    let client = run.client();
    echoed(&client, "hello");
    drop(client);
    run.end().expect_success();
}

#[test]
fn it_listens_at_the_address_that_it_is_told() {
    let target = script().echo().serve();
    let run = listening(format!("-p [::1]:0 {}", target.args()));
    assert_eq!(run.place().ip().to_string(), "::1");
    let client = run.client();
    echoed(&client, "hello");
    drop(client);
    run.end().expect_success();
}

/// No machine has this address: the port is not really taken.
#[test]
fn a_service_name_is_a_port() {
    let out = connect("-p 203.0.113.1:ssh 127.0.0.1 1").run();
    out.expect_failure(1, &["cannot listen on 203.0.113.1:22: "]);
    let out = connect("-p no-such-service 127.0.0.1 1").run();
    out.expect_failure(2, &["-p", "no-such-service"]);
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let holder = script().hold().serve();
    let out = connect(format!("-p {} 127.0.0.1 1", holder.port())).run();
    let message = format!("cannot listen on 127.0.0.1:{}: ", holder.port());
    out.expect_failure(1, &[&message, "choose another port, or stop the process that uses it"]);
    drop(TcpStream::connect(holder.to_string()).unwrap());
}

#[test]
fn the_target_is_reached_only_when_a_client_has_come() {
    let run = listening(format!("-p 0 127.0.0.1 {}", RefusingPort::new().port()));
    run.place();
    thread::sleep(Duration::from_millis(100));
    assert!(run.run.is_running());
    assert_eq!(run.messages(), [""; 0]);
}

#[test]
fn a_target_that_refuses_ends_it_and_the_client() {
    let refusing = RefusingPort::new();
    let run = listening(format!("-p 0 127.0.0.1 {}", refusing.port()));
    let client = run.client();
    expect_disconnect(client);
    run.end().expect_failure(4, &["cannot connect to 127.0.0.1:", "refused"]);
}

#[test]
fn nobody_else_can_come_after_the_first_client() {
    let target = script().echo().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let place = run.place();
    let client = run.client();
    echoed(&client, "hello");
    let second = TcpStream::connect(place);
    assert_eq!(second.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    drop(client);
    run.end().expect_success();
}

#[test]
fn standard_input_is_not_looked_at() {
    let target = script().echo().serve();
    let run = Listening::start(connect(format!("-d -p 0 {}", target.args())).input("not this"));
    let quiet = script().echo().serve();
    let without = Listening::start(connect(format!("-d -p 0 {}", quiet.args())).stdin(Io::Null));
    run.place();
    without.place();
    thread::sleep(Duration::from_millis(100));
    for run in [run, without] {
        let client = run.client();
        echoed(&client, "this");
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(&client), "");
        run.end().expect_success();
    }
    assert_eq!(target.finish_one().received, b"this");
}

#[cfg(unix)]
#[test]
fn closed_standard_descriptors_do_not_matter() {
    let target = script().echo().serve();
    let words = format!("-d -p 0 {}", target.args());
    let run = Listening::start(connect(words).stdin(Io::Closed).stdout(Io::Closed));
    let client = run.client();
    echoed(&client, "hello");
    drop(client);
    run.end().expect_success();
}

#[test]
fn an_answer_to_a_client_that_has_said_all_arrives() {
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
fn what_a_client_says_when_the_remote_has_said_all_arrives() {
    let target = script().send("bye").half_close().expect("one more thing").expect_eof().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let mut client = run.client();
    assert_eq!(read_to_end(&client), "bye");
    // Longer than any limit that standard input has.
    thread::sleep(Duration::from_millis(300));
    client.write_all(b"one more thing").unwrap();
    drop(client);
    run.end().expect_success();
    target.finish();
}

#[test]
fn a_client_that_resets_ends_it() {
    let target = script().expect("hello").drain().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let mut client = run.client();
    client.write_all(b"hello").unwrap();
    run.told("start relaying.");
    eventually("what it sent", || target.records().iter().any(|record| record.received == b"hello"));
    reset(client);
    let end = run.end();
    assert_eq!(end.code, Some(8), "{end:?}");
    target.finish();
}

/// The program's input is the client, not standard input.
#[test]
fn a_client_that_resets_when_the_remote_has_ended_is_named() {
    let target = script().half_close().drain().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let client = run.client();
    let from = client.local_addr().unwrap();
    assert_eq!(read_to_end(&client), "");
    reset(client);
    run.end().expect_failure(8, &["client", &from.to_string(), "reset"]);
    target.finish();
}

#[test]
fn a_remote_that_resets_ends_it_with_a_message() {
    let go = Gate::new();
    let target = script().send("part").wait_for(&go).reset().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let client = run.client();
    assert_eq!(read(&client, 4), b"part");
    go.open();
    expect_disconnect(client);
    run.end().expect_failure(8, &[&format!("lost the connection to {target}"), "data may be missing"]);
}

/// A clean end would tell the client that it has all of it.
#[test]
fn a_reset_by_the_remote_reached_the_client_as_a_clean_end() {
    let all_read = Gate::new();
    let target = script().send_data(1, MUCH).wait_for(&all_read).reset().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let client = run.client();
    // What came before it arrives, though the client is slow.
    assert_eq!(
        Digest::from_reader(std::io::Read::take(&client, MUCH - 10)),
        Digest::from_reader(data(1, MUCH - 10))
    );
    all_read.open();
    run.told("lost the connection");
    read(&client, 10);
    expect_reset(client);
    run.end().expect_failure(8, &["lost the connection to", "data may be missing"]);
    target.finish();
}

#[test]
fn a_reset_by_the_client_reached_the_remote_as_a_clean_end() {
    let target = script().expect("hello").expect_reset().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let mut client = run.client();
    client.write_all(b"hello").unwrap();
    eventually("what it sent", || target.records().iter().any(|record| record.received == b"hello"));
    reset(client);
    assert_eq!(run.end().code, Some(8));
    target.finish();
}

/// The system tells of a reset once, and here to who wrote: see `relay::ending`.
#[test]
fn a_reset_by_the_remote_that_the_client_wrote_into_was_taken_for_the_end() {
    let sent = Gate::new();
    let target = script().fill().reset().open(&sent).serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let mut client = run.client();
    sent.wait();
    client.write_all(b"into the reset").unwrap();
    thread::sleep(Duration::from_millis(200));
    let end = copy(&mut client, &mut std::io::sink()).map_err(|error| error.kind());
    assert_eq!(end, Err(std::io::ErrorKind::ConnectionReset));
    run.end().expect_failure(8, &["lost the connection", "data may be missing"]);
    target.finish();
}

#[test]
fn a_reset_by_the_client_that_the_remote_wrote_into_was_taken_for_the_end() {
    let (full, go) = (Gate::new(), Gate::new());
    let target = script().small_window().wait_for(&full).send("into the reset").wait_for(&go);
    let target = target.then("read to the reset", |session| {
        let read = std::io::copy(&mut session.stream(), &mut std::io::sink()).map_err(|error| error.kind());
        match read {
            Err(std::io::ErrorKind::ConnectionReset) => Ok(()),
            other => Err(format!("instead there was {other:?}")),
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

/// What the client said before its reset is not thrown away with the connection, though the remote be slow.
#[test]
fn what_a_client_said_before_its_reset_arrives() {
    const SIZE: u64 = 200_000;
    let target =
        script().small_window().pause(Duration::from_millis(500)).sink_bytes(SIZE).expect_reset().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let mut client = run.client();
    copy(&mut data(2, SIZE), &mut client).unwrap();
    thread::sleep(Duration::from_millis(200));
    reset(client);
    assert_eq!(run.end().code, Some(8));
    assert_eq!(target.finish_one().digest, Some(Digest::from_reader(data(2, SIZE))));
}

#[test]
fn a_target_that_is_not_reached_looked_to_the_client_like_one_that_has_nothing_to_say() {
    let run = listening(format!("-p 0 127.0.0.1 {}", RefusingPort::new().port()));
    expect_reset(run.client());
    run.end().expect_failure(4, &["refused"]);
}

#[test]
fn a_session_in_which_nothing_moves_is_ended_and_both_are_told_by_a_reset() {
    let target = script().expect("hello").send("hello").expect_reset().serve();
    let run = listening(format!("-p 0 --idle-timeout 2 {}", target.args()));
    let client = run.client();
    echoed(&client, "hello");
    expect_reset(client);
    run.end().expect_failure(7, &[&format!("session with {target} idle for 2 seconds")]);
    drop(target);
}

/// What the program holds for the client cannot be delivered.
#[test]
fn a_client_that_takes_nothing_is_idle() {
    let target = script().send_until_refused(4 * TIMEOUT).serve();
    let run = listening(format!("-p 0 --idle-timeout 2 {}", target.args()));
    let client = run.client();
    run.end().expect_failure(7, &[" idle for "]);
    drop(client);
    target.finish();
}

#[test]
fn the_port_is_free_again_at_once() {
    let targets = Server::repeat(|| script().send("bye"));
    let first = listening(format!("-p 0 {}", targets.args()));
    let port = first.place().port();
    let client = first.client();
    // The program's side ends first, and so it is the one that has to wait (TIME_WAIT).
    assert_eq!(read_to_end(&client), "bye");
    drop(client);
    first.end().expect_success();
    for _ in 0..2 {
        let again = listening(format!("-p {port} {}", targets.args()));
        assert_eq!(again.place().port(), port);
        let client = again.client();
        assert_eq!(read_to_end(&client), "bye");
        drop(client);
        again.end().expect_success();
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_waiting_for_a_client() {
    for signal in SIGNALS {
        let run = listening("-p 0 127.0.0.1 1");
        let place = run.place();
        run.stop(signal).expect_success();
        assert!(TcpStream::connect(place).is_err());
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_session() {
    for signal in SIGNALS {
        let target = script().expect("hello").send("hello").expect_disconnect().serve();
        let run = listening(format!("-p 0 {}", target.args()));
        let client = run.client();
        echoed(&client, "hello");
        run.stop(signal).expect_success();
        expect_disconnect(client);
        target.finish();
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_dialling() {
    let silent = SilentPort::new();
    for signal in SIGNALS {
        let run = listening(format!("-p 0 127.0.0.1 {}", silent.port()));
        let client = run.client();
        run.told("connecting to");
        run.stop(signal).expect_success();
        expect_disconnect(client);
    }
}

#[test]
fn a_password_of_the_environment_gets_it_through_a_proxy() {
    let target = script().echo().serve();
    let proxy = socks5_userpass("me", "secret").relay().serve();
    let words = format!("-d -p 0 -S me@{proxy} {}", target.args());
    let run = Listening::start(connect(words).env("SOCKS5_PASSWORD", "secret"));
    let client = run.client();
    echoed(&client, "hello");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&client), "");
    run.end().expect_success();
    assert_eq!(proxy.finish_one().password.as_deref(), Some("secret"));
}

#[test]
fn bytes_that_come_with_the_reply_of_the_proxy_reach_the_client() {
    let proxy = socks5_none().early("banner").serve();
    let run = listening(format!("-p 0 -S {proxy} example.org 22"));
    let client = run.client();
    assert_eq!(read_to_end(&client), "banner");
    drop(client);
    run.end().expect_success();
}

#[cfg(target_os = "linux")]
#[test]
fn where_splice_is_refused_bytes_are_copied() {
    const SIZE: u64 = 5 * MIB;
    let target = script().exchange(1, SIZE).serve();
    let run = Listening::start(connect(format!("-d -p 0 {}", target.args())).without_splice());
    let client = run.client();
    let mut write = client.try_clone().unwrap();
    let writer = thread::spawn(move || {
        copy(&mut data(2, SIZE), &mut write).unwrap();
        write.shutdown(Shutdown::Write).unwrap();
    });
    assert_eq!(Digest::from_reader(&client), Digest::from_reader(data(1, SIZE)));
    writer.join().unwrap();
    drop(client);
    run.end().expect_success();
    assert_eq!(target.finish_one().digest, Some(Digest::from_reader(data(2, SIZE))));
}

/// As for standard output, see `relay`.
#[test]
fn urgent_data_does_not_stop_what_follows_it() {
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

#[test]
fn a_hundred_mebibytes_both_ways_at_once_arrive_unchanged() {
    const SIZE: u64 = 100 * MIB;
    let target = script().exchange(1, SIZE).serve();
    let run = Listening::start(connect(format!("-p 0 -d {}", target.args())).limit(3 * LIMIT));
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

/// More than all the buffers on the way hold.
const MUCH: u64 = 20 * MIB;

#[test]
fn a_client_that_does_not_read_does_not_stop_what_it_sends() {
    let target = script().send_in_background(1, MUCH).sink_bytes(MUCH).hold().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let mut client = run.client();
    thread::sleep(Duration::from_millis(200));
    copy(&mut data(2, MUCH), &mut client).unwrap();
    eventually("all of it", || {
        target.records().iter().any(|record| record.digest == Some(Digest::from_reader(data(2, MUCH))))
    });
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(Digest::from_reader(std::io::Read::take(&client, MUCH)), Digest::from_reader(data(1, MUCH)));
    target.finish();
    run.end().expect_success();
}

#[test]
fn a_remote_that_does_not_read_does_not_stop_what_it_sends() {
    let received = Gate::new();
    let target = script().send_data(1, MUCH).wait_for(&received).sink().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let client = run.client();
    let mut sender = client.try_clone().unwrap();
    let sending = thread::spawn(move || {
        copy(&mut data(2, MUCH), &mut sender).unwrap();
        sender.shutdown(Shutdown::Write).unwrap();
    });
    assert_eq!(Digest::from_reader(std::io::Read::take(&client, MUCH)), Digest::from_reader(data(1, MUCH)));
    received.open();
    sending.join().unwrap();
    assert_eq!(target.finish_one().digest, Some(Digest::from_reader(data(2, MUCH))));
    run.end().expect_success();
}
