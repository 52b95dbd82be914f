//! Sessions of local ports that end suddenly, by a signal or by SIGKILL: both ends see a reset, and
//! the exit status tells. A clean end stays clean.

use std::io::Write;
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::kit::*;
use crate::listening::*;

const OPTIONS: [&str; 3] = ["-p 0", "-P 0", "--listen 127.0.0.1:0"];
const SIGNALS: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::HUP, Signal::KILL];

/// A signal regularly ends `--listen`, but not one of its sessions.
#[track_caller]
fn expect_end(end: &End, option: &str, signal: Signal) {
    if option.starts_with("--listen") && signal != Signal::KILL {
        end.expect_success();
    } else {
        end.expect_killed_by(signal);
    }
}

#[test]
fn a_session_cut_off_by_a_signal_looked_complete() {
    for option in OPTIONS {
        for signal in SIGNALS {
            let target = script().expect("hello").send("hello").expect_reset().serve();
            let run = listening(format!("{option} {}", target.args()));
            let client = run.client();
            expect_echo(&client, "hello");
            expect_end(&run.stop(signal), option, signal);
            expect_reset(client);
            target.finish();
        }
    }
}

#[test]
fn a_signal_during_dialling_looked_to_the_client_like_an_empty_answer() {
    let silent = SilentPort::new();
    for option in OPTIONS {
        let run = listening(format!("{option} 127.0.0.1 {}", silent.port()));
        let client = run.client();
        run.wait_for_line("connecting to");
        expect_end(&run.stop(Signal::TERM), option, Signal::TERM);
        expect_reset(client);
    }
}

/// The layer's socket pair cannot be reset, but the connection below it can.
#[cfg(feature = "tls")]
#[test]
fn a_killed_session_over_tls_sent_a_clean_eof() {
    let identity = Identity::self_signed(false);
    let certificate = identity.certificate_file();
    for signal in [Signal::TERM, Signal::KILL] {
        let proxy = http_ok().expect("hello").send("hello").expect_disconnect().serve();
        let front = TlsFront::new(&identity).in_front_of(&proxy);
        let args = format!("-H https://localhost:{} host.example 22", front.port());
        let run = Listening::start(connect("-d -p 0 --tls-ca").arg(&*certificate).args(args));
        let client = run.client();
        expect_echo(&client, "hello");
        run.stop(signal).expect_killed_by(signal);
        expect_reset(client);
        eventually("the end", || front.only_handshake().end.is_some());
        assert_eq!(front.only_handshake().end, Some(TlsEnd::Reset));
        proxy.finish();
    }
}

/// Closing a connection with a reset discards the data that the peer has not received.
#[cfg(target_os = "linux")]
#[test]
fn data_in_flight_at_a_clean_end_arrives_after_the_exit() {
    const SIZE: u64 = 500_000;
    for mode in ["splice", "copy"] {
        // The target does not read before the program has exited, and neither does the client.
        let exited = Gate::new();
        let target = script().small_window().send_data(1, SIZE).half_close().wait_for(&exited).sink();
        let target = target.serve();
        let program = connect(format!("-d -p 0 {}", target.args())).env("CONNECT_RELAY", mode);
        let run = Listening::start(program);
        let mut client = run.client();
        client.write_all(&bytes(2, usize::try_from(SIZE).unwrap())).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        run.end().expect_success();
        exited.open();
        assert_eq!(Digest::from_reader(&client), Digest::from_reader(data(1, SIZE)));
        assert_eq!(target.finish_one().digest, Some(Digest::from_reader(data(2, SIZE))));
    }
}

#[test]
fn the_end_of_a_kept_session_is_clean() {
    // The remote closes, with and without a client.
    let go = Gate::new();
    let target = script().expect("hello").wait_for(&go).half_close().expect_eof().serve();
    let run = listening(format!("-P 0 {}", target.args()));
    let mut client = run.client();
    client.write_all(b"hello").unwrap();
    go.open();
    assert_eq!(read_to_end(&client), "");
    run.end().expect_success();
    target.finish();
    // Standard input ends between two clients.
    let target = script().expect("hello").expect_eof().serve();
    let mut run = listening(format!("-P 0 {}", target.args()));
    run.client().write_all(b"hello").unwrap();
    run.wait_for_line("closing local port without disconnecting");
    run.run.close_stdin();
    run.end().expect_success();
    target.finish();
}

/// nohup(1) ignores SIGHUP, and a shell without job control ignores SIGINT in background jobs.
#[test]
fn signals_that_the_parent_process_ignored_ended_a_session() {
    const IGNORED: [Signal; 3] = [Signal::HUP, Signal::INT, Signal::TERM];
    for option in OPTIONS {
        let target = script().echo().serve();
        let program = connect(format!("-d {option} {}", target.args()));
        let run = Listening::start(IGNORED.into_iter().fold(program, Program::ignoring));
        let client = run.client();
        expect_echo(&client, "hello");
        for signal in IGNORED {
            run.run.signal(signal);
        }
        thread::sleep(Duration::from_millis(50));
        expect_echo(&client, "still there");
        assert!(run.run.is_running());
        run.stop(Signal::KILL).expect_killed_by(Signal::KILL);
        target.finish();
    }
}
