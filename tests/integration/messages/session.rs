//! System errors on this machine, and errors in an established session.

use std::fs::File;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use rustix::process::Signal;
use socket2::SockRef;

use super::{Message, Row, row};
use crate::kit::*;
use crate::listening::eventually;
use crate::signals::catches;

pub(super) fn system() -> Vec<Row> {
    vec![
        row(1, "Listen", "Another process uses the local port", "", || {
            let taken = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = taken.local_addr().unwrap();
            let out = connect(format!("-p {} host.example 22", address.port())).run();
            Message::from_outcome(&out).naming(address, "127.0.0.1:2222")
        }),
        row(1, "Listen", "The path of the local socket is taken", "", || {
            let taken = TempPath::file("taken", "");
            let out = connect(format!("--listen unix:{} host.example 22", taken.display())).run();
            Message::from_outcome(&out).naming(taken.display(), "/run/user/1000/tunnel")
        }),
        row(
            1,
            "Listen",
            "The directory of the local socket is locked",
            "`connect` locks the directory for a moment while it creates a socket in it. `lslocks` shows the process that \
             does not release the lock.",
            || {
                let directory = TempPath::directory("locked");
                let lock = File::open(&*directory).unwrap();
                rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
                let out =
                    connect(format!("--listen unix:{}/tunnel host.example 22", directory.display())).run();
                Message::from_outcome(&out).naming(directory.display(), "/run/user/1000")
            },
        ),
        row(1, "Listen", "The directory of the local socket does not exist", "", || {
            Message::from_outcome(&connect("--listen unix:/nonexistent/tunnel host.example 22").run())
        }),
        row(1, "System", "No file descriptors left", "`ulimit -n` shows the limit.", || {
            // The dynamic loader briefly needs a fourth descriptor, so the limit cannot be 3.
            let line = format!("ulimit -n 4; exec {} -p 0 host.example 22", program_path());
            Message::from_outcome(&Program::new("/bin/sh").arg("-c").arg(line).run())
        }),
        row(1, "System", "The kernel is out of memory", "Data may be missing.", || {
            let server = Server::repeat(|| script().send("hello").expect_disconnect());
            let program = connect(server.args()).env("CONNECT_RELAY", "copy");
            Message::from_outcome(&program.fault(CallFault::ReceiveLacksMemory).run())
        }),
    ]
}

/// Waits until a run with `-d` listens, and returns the port.
pub(super) fn port_in(run: &mut Running) -> u16 {
    run.wait_stderr_has("waiting new connection at port ");
    let log = run.stderr_so_far();
    let rest = log.split("waiting new connection at port ").nth(1).unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// Runs until a signal of the caller ends the wait for a proxy.
fn given_up() -> Message {
    let proxy = http_request().expect_disconnect().serve();
    let mut run = connect(format!("-H {proxy} host.example 22")).start();
    eventually("the signal handler", || catches(&run, Signal::HUP));
    run.signal(Signal::HUP);
    let out = run.wait();
    let text = out.stderr_text();
    // The first second is not counted.
    let (ended, what) = text.split_once(" while ").unwrap();
    let ended = ended.split(" after ").next().unwrap_or_default();
    let text = format!("{ended} after 15 seconds while {what}");
    let message = Message { code: out.signal.map(|signal| 128 + signal), text };
    message.naming(&proxy, "proxy.example:8080")
}

pub(super) fn rows() -> Vec<Row> {
    vec![
        row(129, "Signal", "ssh gives up before the proxy answers", "", given_up),
        row(8, "Remote", "The target resets the connection", "The target may have crashed.", || {
            let gate = Gate::new();
            let target = script().send("hello").wait_for(&gate).reset().serve();
            let mut run = connect(target.args()).start();
            run.wait_stdout_has("hello");
            gate.open();
            Message::from_outcome(&run.wait()).naming(&target, "host.example:22")
        }),
        row(8, "ClientGone", "The client of `-p` disconnects before the target is reached", "", || {
            let proxy = script().read_connect_request().expect_disconnect().serve();
            let mut run = connect(format!("-d -p 0 -H {proxy} host.example 22")).start();
            let client = TcpStream::connect(("127.0.0.1", port_in(&mut run))).unwrap();
            run.wait_stderr_has(">>> \"CONNECT");
            SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
            drop(client);
            let mut message = Message::from_outcome(&run.wait());
            message.text = message.text.lines().filter(|line| !line.starts_with("DEBUG: ")).collect();
            message
        }),
        row(8, "Client", "A local client resets its connection", "", || {
            let target = script().half_close().expect_disconnect().serve();
            let mut run = connect(format!("-d -p 0 {}", target.args())).start();
            let mut client = TcpStream::connect(("127.0.0.1", port_in(&mut run))).unwrap();
            let from = client.local_addr().unwrap();
            // Wait for EOF first, because the program prints no error if the client resets while
            // data is still in flight to the client.
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
            SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
            drop(client);
            let mut message = Message::from_outcome(&run.wait());
            message.text = message.text.lines().filter(|line| !line.starts_with("DEBUG")).collect();
            message.naming(from, "127.0.0.1:50000")
        }),
        row(8, "Input", "Standard input cannot be read", "", || {
            let target = script().expect_disconnect().serve();
            let mut run = connect(target.args()).stdin(File::open("/").unwrap()).start();
            Message::from_outcome(&run.wait())
        }),
        row(8, "Output", "Standard output is a file on a full disk", "", || {
            let target = script().send("does not fit").expect_disconnect().serve();
            let full = File::options().write(true).open("/dev/full").unwrap();
            Message::from_outcome(&connect(target.args()).stdout(full).start().wait())
        }),
    ]
}
