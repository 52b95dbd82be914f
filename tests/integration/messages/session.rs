//! This machine, and what can befall a session.

use std::fs::File;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use socket2::SockRef;

use super::{Row, Told, row};
use crate::kit::*;

pub(super) fn system() -> Vec<Row> {
    vec![
        row(1, "Listen", "Somebody else has the local port", "", || {
            let taken = TcpListener::bind("127.0.0.1:0").unwrap();
            let at = taken.local_addr().unwrap();
            Told::by(&connect(format!("-p {} host.example 22", at.port())).run()).naming(at, "127.0.0.1:2222")
        }),
        row(1, "Listen", "Something stands in the place of the local socket", "", || {
            let taken = TempPath::file("taken", "");
            Told::by(&connect(format!("--listen unix:{} host.example 22", taken.display())).run())
                .naming(taken.display(), "/run/user/1000/tunnel")
        }),
        row(1, "Listen", "There is no directory for the local socket", "", || {
            Told::by(&connect("--listen unix:/nonexistent/tunnel host.example 22").run())
        }),
        row(1, "System", "Out of descriptors", "`ulimit -n` says how many there may be.", || {
            // The loader needs one more for a moment than the program gets.
            let line = format!("ulimit -n 4; exec {} -p 0 host.example 22", program_path());
            Told::by(&Program::new("/bin/sh").arg("-c").arg(line).run())
        }),
    ]
}

pub(super) fn rows() -> Vec<Row> {
    vec![
        row(8, "Remote", "The target breaks the connection", "It may have ended badly itself.", || {
            let gate = Gate::new();
            let target = script().send("hello").wait_for(&gate).reset().serve();
            let mut run = connect(target.args()).start();
            run.wait_stdout_has("hello");
            gate.open();
            Told::by(&run.wait()).naming(&target, "host.example:22")
        }),
        row(8, "Client", "A local client breaks its connection", "", || {
            let target = script().half_close().expect_disconnect().serve();
            let mut run = connect(format!("-d -p 0 {}", target.args())).start();
            run.wait_stderr_has("waiting new connection at port ");
            let said = run.stderr_so_far();
            let port = said.split("at port ").nth(1).unwrap().split(' ').next().unwrap();
            let mut client = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
            let from = client.local_addr().unwrap();
            // What is told of a client that has left while it was being sent something is nothing.
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
            SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
            drop(client);
            let mut told = Told::by(&run.wait());
            told.text = told.text.lines().filter(|line| !line.starts_with("DEBUG")).collect();
            told.naming(from, "127.0.0.1:50000")
        }),
        row(8, "Input", "Standard input cannot be read", "", || {
            let target = script().expect_disconnect().serve();
            Told::by(&connect(target.args()).stdin(File::open("/").unwrap()).start().wait())
        }),
        row(8, "Output", "The disk is full", "", || {
            let target = script().send("does not fit").expect_disconnect().serve();
            let full = File::options().write(true).open("/dev/full").unwrap();
            Told::by(&connect(target.args()).stdout(full).start().wait())
        }),
    ]
}
