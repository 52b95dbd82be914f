//! `-p` and `--listen`.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};

use rustix::process::Signal;

use crate::kit::*;
use crate::listening::{Listening, connect_to, eventually, listening, read_to_end};

/// Returns a target for any number of sessions. After EOF, it sends back everything it has
/// received.
fn repeater() -> Server {
    Server::repeat(|| {
        script().drain().then("repeat it", |session| {
            let received = session.record().received.clone();
            session.send(&received)
        })
    })
}

/// Sends `text` and EOF, and returns the reply up to EOF.
fn answer(mut client: TcpStream, text: &str) -> String {
    client.write_all(text.as_bytes()).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    read_to_end(client)
}

fn is_free(place: SocketAddr) -> bool {
    TcpStream::connect(place).is_err()
}

/// EOF on the program's own stdin, `/dev/null`, does not end the session, and half-closes are
/// relayed in both directions.
#[test]
fn one_session_is_served_and_then_the_port_is_closed() {
    let target = repeater();
    let run = Listening::start(connect(format!("-d -p 0 {}", target.args())).stdin(Io::Null));
    let place = run.address();
    assert_eq!(answer(run.client(), "to the end"), "to the end");
    run.end().expect_success();
    assert!(is_free(place), "it still listens");
    target.finish();
}

#[test]
fn a_port_can_be_used_again_at_once() {
    let target = repeater();
    let first = listening(format!("-p 0 {}", target.args()));
    let place = first.address();
    assert_eq!(answer(connect_to(place), "first"), "first");
    first.end().expect_success();
    let second = listening(format!("-p {} {}", place.port(), target.args()));
    assert_eq!(second.address(), place);
    assert_eq!(answer(second.client(), "second"), "second");
    second.end().expect_success();
    target.finish();
}

#[test]
fn a_port_that_is_taken_is_reported() {
    let holder = Server::repeat(script);
    let out = connect(format!("-p {} 127.0.0.1 1", holder.port())).run();
    out.expect_failure(1, &[&holder.port().to_string()]);
}

#[test]
fn clients_are_served_at_the_same_time_until_the_listener_is_stopped() {
    let target = repeater();
    let run = listening(format!("--listen 127.0.0.1:0 {}", target.args()));
    let place = run.address();
    // Connect all clients before the first one sends.
    let clients: Vec<_> = (0..8).map(|number| (run.client(), number.to_string())).collect();
    for (client, number) in clients {
        assert_eq!(answer(client, &number), number);
    }
    assert!(run.run.is_running());
    run.run.signal(Signal::TERM);
    let end = run.end();
    assert_eq!((end.messages.as_slice(), end.stdout.as_str()), (&[][..], ""));
    eventually("the port to be free", || is_free(place));
    target.finish();
}
