//! Every error that a user can get: the situation, the message, the exit code, and advice.
//!
//! Each row runs the program and checks its message. All rows together make up docs/messages.md,
//! which is generated here: `CONNECT_WRITE_MANUAL=1 cargo test manual` writes it.

use std::fmt::{Display, Write};
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::kit::*;

mod complete;
mod hub;
mod links;
mod post;
mod proxy_server;
mod reach;
mod refused;
mod remote;
mod session;
mod ssh;
mod tls;
mod tokens;
mod usage;
mod warnings;
mod websocket;

/// A message and how to cause it.
struct Row {
    code: i32,
    /// The name of the error variant, or `Warning`.
    variant: &'static str,
    /// The heading in docs/messages.md.
    situation: String,
    /// Advice beyond the message. May be empty.
    advice: &'static str,
    run: Box<dyn Fn() -> Message + Send + Sync>,
}

/// The exit code and standard error of a run.
struct Message {
    code: Option<i32>,
    text: String,
}

impl Message {
    fn from_outcome(out: &Outcome) -> Self {
        Self { code: out.code, text: out.stderr_text() }
    }

    /// Replaces `found`, which varies from run to run, with the example `name`.
    fn naming(self, found: impl Display, name: &str) -> Self {
        Self { text: self.text.replace(&found.to_string(), name), ..self }
    }
}

fn row(
    code: i32,
    variant: &'static str,
    situation: impl Into<String>,
    advice: &'static str,
    run: impl Fn() -> Message + Send + Sync + 'static,
) -> Row {
    Row { code, variant, situation: situation.into(), advice, run: Box::new(run) }
}

/// Number of rows that run in parallel. Most rows spend most of their time waiting.
const THREADS: usize = 8;

const HEADINGS: [(i32, &str, &str); 11] = [
    (1, "System errors", "A local address or a resource of this machine is not available."),
    (
        2,
        "Invalid command line or configuration",
        "Nothing was sent: the command line is malformed, or a setting is invalid.",
    ),
    (3, "Name resolution failed", "The host name of the proxy or the target has no address."),
    (4, "Connection failed", "The proxy or the target did not accept the connection."),
    (
        5,
        "The proxy refused",
        "The proxy was reached, but it refused the request, speaks another protocol, or is not trusted. Protocol codes are \
         in parentheses, for searching.",
    ),
    (6, "Authentication failed", "The proxy requires a login, or rejected the one it got."),
    (7, "Timed out", "A peer did not answer in time."),
    (8, "Session lost", "The tunnel was established. Data may be missing."),
    (
        129,
        "Ended by a signal",
        "A signal ended `connect` before the tunnel was established. A shell shows 128 plus the number of the signal.",
    ),
    (
        255,
        "A command at an SSH server",
        "With `--ssh` and a command, a shell or a subsystem, every failure but an invalid command line has this exit code.",
    ),
    (0, "Warnings", "The session continues. `-q` suppresses warnings."),
];

fn rows() -> Vec<Row> {
    [
        session::system(),
        usage::rows(),
        reach::rows(),
        refused::rows(),
        tls::rows(),
        post::rows(),
        tokens::rows(),
        hub::rows(),
        links::rows(),
        websocket::rows(),
        ssh::rows(),
        remote::rows(),
        proxy_server::rows(),
        session::rows(),
        warnings::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Runs each row once, several in parallel, and returns the rows with their messages.
fn messages() -> &'static [(Row, String)] {
    static MESSAGES: std::sync::OnceLock<Vec<(Row, String)>> = std::sync::OnceLock::new();
    MESSAGES.get_or_init(|| {
        let rows = rows();
        let next = AtomicUsize::new(0);
        let lines = Mutex::new(vec![None; rows.len()]);
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(row) = rows.get(index) else { break };
                // A failing row prints its own panic. Run the remaining rows anyway.
                let line = panic::catch_unwind(AssertUnwindSafe(|| line(row))).ok();
                lines.lock().unwrap()[index] = line;
            }
        };
        std::thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(work))));
        let lines: Option<Vec<_>> = lines.into_inner().unwrap().into_iter().collect();
        rows.into_iter().zip(lines.expect("every row passes, see above")).collect()
    })
}

/// Runs a row and returns its message, which must be a single line.
fn line(row: &Row) -> String {
    let message = (row.run)();
    assert_eq!(message.code, Some(row.code), "{}: {}", row.situation, message.text);
    let mut lines = message.text.lines();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        panic!("{}: not a single line: {:?}", row.situation, message.text);
    };
    assert!(line.starts_with("connect: "), "{}: {line}", row.situation);
    for jargon in ["os error", "Some(", "Err(", "errno"] {
        assert!(!line.contains(jargon), "{}: '{jargon}' is for programmers: {line}", row.situation);
    }
    line.to_owned()
}

fn page() -> String {
    let mut page = String::from(
        "# Messages\n\nEvery error is one line on standard error that starts with `connect: `, and an exit code. Run \
         `connect --check` with the same arguments to see which step fails, or `-d` to log the conversation. This page is \
         generated from runs of the program: search it for the message that you got.\n",
    );
    for (code, heading, text) in HEADINGS {
        write!(page, "\n## {code}: {heading}\n\n{text}\n").unwrap();
        for (row, line) in messages().iter().filter(|(row, _)| row.code == code) {
            write!(page, "\n### {}\n\n```text\n{line}\n```\n", row.situation).unwrap();
            if !row.advice.is_empty() {
                write!(page, "\n{}\n", row.advice).unwrap();
            }
        }
    }
    page
}

/// The name contains `manual`, so that `cargo test manual` runs this test too.
#[test]
fn the_manual_of_messages_matches_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/messages.md");
    let page = page();
    if std::env::var_os("CONNECT_WRITE_MANUAL").is_some() {
        fs::write(path, page).unwrap();
        return;
    }
    let written = fs::read_to_string(path).unwrap();
    for (written, generated) in written.lines().zip(page.lines()) {
        assert_eq!(
            written, generated,
            "docs/messages.md is out of date: CONNECT_WRITE_MANUAL=1 cargo test manual"
        );
    }
    assert_eq!(written.lines().count(), page.lines().count(), "docs/messages.md is out of date");
}

#[test]
fn messages_are_unique_and_not_too_long() {
    for (index, (row, line)) in messages().iter().enumerate() {
        assert!(
            line.chars().count() <= 320,
            "{}: {} characters: {line}",
            row.situation,
            line.chars().count()
        );
        let duplicate = messages()[..index].iter().find(|(_, other)| other == line);
        assert!(duplicate.is_none(), "{}: {line}", row.situation);
    }
}
