//! Copies that end early, and the progress line.

use std::fs;

use connect::ssh::sftp::wire::Request;
use rustix::process::Signal;

use super::peers::{Fault, NO_REPLY};
use super::{Server, tree};
use crate::kit::*;
use crate::listening::eventually;
use crate::ssh::host::HANG_UP;
use crate::waiting::{AtTerminal, Screen};

/// Leaves all reads but the first one without a reply.
const STALL: Fault = |request| matches!(request, Request::Read { offset: 1.., .. }).then_some(NO_REPLY);

/// Starts `--get` of a file that stalls after its first 32 KiB. `end` ends it once they have
/// arrived. Returns the outcome and the name of the server.
fn stalled(end: impl FnOnce(&Server, &Running)) -> (Outcome, String) {
    let server = Server::with_fault(STALL);
    fs::write(server.root.join("file"), bytes(8, 100_000)).unwrap();
    let local = TempPath::directory("local");
    let run = server.run(&["--get", "file", local.to_str().unwrap()]).start();
    let partial = local.join(".file.part");
    eventually("the partial file", || fs::metadata(&partial).is_ok_and(|data| data.len() == 32 * 1024));
    end(&server, &run);
    let out = run.finish();
    assert!(tree(&local).is_empty(), "the partial file is removed");
    let name = server.name();
    server.ssh.finish();
    (out, name)
}

#[test]
fn a_signal_removes_the_partial_file_of_get() {
    let (out, _) = stalled(|_, run| run.signal(Signal::TERM));
    out.expect_code(1).expect_stderr("connect: stopped by SIGTERM; the copy is incomplete\n");
}

#[test]
fn a_lost_connection_removes_the_partial_file_of_get() {
    let (out, name) = stalled(|server, _| server.log.push(HANG_UP.into()));
    out.expect_code(8);
    let text = out.stderr_text();
    assert!(text.starts_with("connect: ") && text.contains(&name) && text.lines().count() == 1, "{text}");
}

#[test]
fn the_progress_line_stays_on_a_terminal() {
    let source = TempPath::directory("source");
    for (name, size) in [("first", 100_000), ("second", 0)] {
        fs::write(source.join(name), bytes(9, size)).unwrap();
    }
    let path = |name: &str| source.join(name).to_str().unwrap().to_owned();
    for quiet in [false, true] {
        let (server, pty) = (Server::new(), Pty::with_columns(160));
        let (first, second) = (path("first"), path("second"));
        let args = ["--put", &first, &second, "."];
        let run = server.run(if quiet { &["-q"] } else { &[] });
        let run = args.into_iter().fold(run, Program::arg);
        run.at(&pty).start().finish().expect_success();
        let (lines, output) = Screen::new(&pty).finish();
        server.ssh.finish();
        if quiet {
            assert!(lines.is_empty(), "{output:?}");
            continue;
        }
        assert_eq!(lines.len(), 2, "{output:?}");
        for (line, size) in lines.iter().zip(["97.6 KiB", "0 B"]) {
            assert!(line.contains("  100%") && line.contains(size) && line.contains("/s  00:"), "{line:?}");
        }
    }
}
