//! Every error that a user can meet: what he did, what he is told, the exit code, and what to try. Each row is a run of the
//! program; all of them together are docs/messages.md, which is made here. `CONNECT_WRITE_MANUAL=1 cargo test manual`
//! writes it anew.

use std::fmt::{Display, Write};
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::kit::*;

mod complete;
mod reach;
mod refused;
mod session;
mod tls;
mod usage;
mod warnings;

/// One message.
struct Row {
    code: i32,
    /// Which variants of the program's errors it is.
    kind: &'static str,
    /// What happened, as its user would tell it.
    situation: String,
    /// What to try, besides what the message says.
    advice: &'static str,
    scene: Box<dyn Fn() -> Told + Send + Sync>,
}

/// What was told, with names in the place of what differs from run to run.
struct Told {
    code: Option<i32>,
    text: String,
}

impl Told {
    fn by(out: &Outcome) -> Self {
        Self { code: out.code, text: out.stderr_text() }
    }

    /// It is called so in the document.
    fn naming(self, found: impl Display, name: &str) -> Self {
        Self { text: self.text.replace(&found.to_string(), name), ..self }
    }
}

fn row(
    code: i32,
    kind: &'static str,
    situation: impl Into<String>,
    advice: &'static str,
    scene: impl Fn() -> Told + Send + Sync + 'static,
) -> Row {
    Row { code, kind, situation: situation.into(), advice, scene: Box::new(scene) }
}

/// Most of them wait for something.
const AT_ONCE: usize = 8;

const HEADINGS: [(i32, &str, &str); 9] = [
    (1, "This machine does not let us", "A port, a file or a number of descriptors cannot be had here."),
    (
        2,
        "Wrong usage or configuration",
        "Nothing was sent to anybody: the words or the settings make no sense.",
    ),
    (3, "A name was not resolved", "No address is known for the name of the proxy, or of the target."),
    (4, "Not reached", "Nobody took the connection."),
    (
        5,
        "The proxy refused",
        "The proxy was reached, and said no, spoke something else, or is not trusted. Codes stand in parentheses, for \
         those who search for them.",
    ),
    (6, "Authentication failed", "The proxy wants to know who you are."),
    (7, "A limit has passed", "Somebody did not answer in time."),
    (8, "The relay broke", "The session stood, and data may be missing."),
    (0, "Warnings", "These change nothing: the session goes on. `-q` silences them."),
];

fn rows() -> Vec<Row> {
    [
        session::system(),
        usage::rows(),
        reach::rows(),
        refused::rows(),
        tls::rows(),
        session::rows(),
        warnings::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Runs each row once, some at a time, and checks what holds for every message.
fn met() -> &'static [(Row, String)] {
    static MET: std::sync::OnceLock<Vec<(Row, String)>> = std::sync::OnceLock::new();
    MET.get_or_init(|| {
        let rows = rows();
        let next = AtomicUsize::new(0);
        let lines = Mutex::new(vec![None; rows.len()]);
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(row) = rows.get(index) else { break };
                // One that fails says so, and the others are run as well.
                let line = panic::catch_unwind(AssertUnwindSafe(|| line(row))).ok();
                lines.lock().unwrap()[index] = line;
            }
        };
        std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
        let lines: Option<Vec<_>> = lines.into_inner().unwrap().into_iter().collect();
        rows.into_iter().zip(lines.expect("each row is met, see above")).collect()
    })
}

/// The message of a row: one line.
fn line(row: &Row) -> String {
    let told = (row.scene)();
    assert_eq!(told.code, Some(row.code), "{}: {}", row.situation, told.text);
    let mut lines = told.text.lines();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        panic!("{}: not one line: {:?}", row.situation, told.text);
    };
    assert!(line.starts_with("connect: "), "{}: {line}", row.situation);
    for jargon in ["os error", "Some(", "Err(", "errno"] {
        assert!(!line.contains(jargon), "{}: '{jargon}' is no word for people: {line}", row.situation);
    }
    line.to_owned()
}

fn page() -> String {
    let mut page = String::from(
        "# Messages\n\nEvery failure is one line on standard error that begins with `connect: `, and an exit code. \
         `connect --check` with the same words shows which step fails, and `-d` what was said. This page is made of runs \
         of the program: search it for the words that you have before you.\n",
    );
    for (code, heading, text) in HEADINGS {
        write!(page, "\n## {code}: {heading}\n\n{text}\n").unwrap();
        for (row, line) in met().iter().filter(|(row, _)| row.code == code) {
            write!(page, "\n### {}\n\n```text\n{line}\n```\n", row.situation).unwrap();
            if !row.advice.is_empty() {
                write!(page, "\n{}\n", row.advice).unwrap();
            }
        }
    }
    page
}

/// Its name has `manual` in it, as those of all tests that write documents.
#[test]
fn the_manual_of_messages_is_what_is_told() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/messages.md");
    let page = page();
    if std::env::var_os("CONNECT_WRITE_MANUAL").is_some() {
        fs::write(path, page).unwrap();
        return;
    }
    let written = fs::read_to_string(path).unwrap();
    for (written, told) in written.lines().zip(page.lines()) {
        assert_eq!(
            written, told,
            "docs/messages.md is not up to date: CONNECT_WRITE_MANUAL=1 cargo test manual"
        );
    }
    assert_eq!(written.lines().count(), page.lines().count(), "docs/messages.md is not up to date");
}

#[test]
fn no_message_is_there_twice_and_none_is_too_long() {
    for (index, (row, line)) in met().iter().enumerate() {
        assert!(
            line.chars().count() <= 320,
            "{}: {} characters: {line}",
            row.situation,
            line.chars().count()
        );
        let again = met()[..index].iter().find(|(_, other)| other == line);
        assert!(again.is_none(), "{}: {line}", row.situation);
    }
}
