//! Runs the integration tests' fault matrix with both programs, and checks the table of results in
//! docs/compat.md.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use crate::case::case as a_case;
use crate::faults::case::{Act, Case, Kind, Verdict, cases};
use crate::faults::run::{Askpass, Observed, in_parallel, is_safe_for_terminal, run};
use crate::sandbox::Sandbox;

/// The number of cases that run at the same time. This may exceed the number of cores, because most
/// cases just wait.
const THREADS: usize = 24;
/// A program that runs this long past its time limit is considered hung.
const HANG_TIMEOUT: Duration = Duration::from_secs(2);

const COLUMNS: [(&str, &[&str]); 6] = [
    ("SOCKS4, 4a", &["socks4", "socks4a"]),
    ("SOCKS5", &["socks5"]),
    ("SOCKS5, password", &["socks5-password"]),
    ("HTTP", &["http"]),
    ("HTTP, 407", &["http-407", "http-407-redial"]),
    ("telnet", &["telnet"]),
];

fn row(kind: Kind) -> &'static str {
    match kind {
        Kind::Right => "behaves correctly",
        Kind::Close => "closes within a reply",
        Kind::Reset => "resets within a reply",
        Kind::Silence => "stops sending",
        Kind::Slow => "sends one byte per second",
        Kind::Garbage => "sends garbage",
        Kind::Refusal => "refuses with a hostile text",
        Kind::TooMuch => "never ends its reply",
        Kind::Split => "sends its reply in fragments",
        Kind::Early => "sends everything at once",
        Kind::Repeat => "repeats its reply",
        Kind::Lookalike => "sends a header that only looks valid or invalid",
    }
}

/// The results of the cases, by kind and protocol.
type Results = BTreeMap<(Kind, &'static str), BTreeSet<&'static str>>;

/// Runs the matrix with both programs. Our program must handle every case, and the document must
/// list the C program's results. Returns the problems found.
pub(crate) fn check(theirs: &Path, ours: &Path, document: &str, show: bool) -> Vec<String> {
    let mut problems = Vec::new();
    let hung = |results: &Results| results.values().any(|words| words.contains("hang"));
    let mut results = run_all(ours, show);
    // On a busy machine any case may time out, but not twice in a row.
    if hung(&results) {
        results = run_all(ours, show);
    }
    for ((kind, protocol), results) in results {
        if results != BTreeSet::from(["ok"]) {
            problems.push(format!("ours, {protocol}, where the proxy {}: {results:?}", row(kind)));
        }
    }
    let results = run_all(theirs, show);
    let cells =
        Kind::ALL.iter().flat_map(|kind| COLUMNS.iter().enumerate().map(move |column| (*kind, column)));
    let wrong = cells.filter(|(kind, (column, (_, protocols)))| {
        let documented = cell(document, row(*kind), *column);
        // Ignore undocumented hangs: on a busy machine any case may time out.
        let counts = |word: &&str| *word != "hang" || documented.contains(word);
        let seen: BTreeSet<_> = failures(&results, *kind, protocols).into_iter().filter(counts).collect();
        // Some results depend on timing. Each must be documented, but need not occur in every run.
        !documented.is_superset(&seen) || seen.is_empty() != documented.is_empty()
    });
    if wrong.count() > 0 {
        let table = table(&results);
        problems.push(format!("docs/compat.md lacks this table of the C program's results:\n\n{table}"));
    }
    problems
}

/// Returns the results in this cell of the document's table, without "ok".
fn cell<'a>(document: &'a str, row: &str, column: usize) -> BTreeSet<&'a str> {
    let is_row = |line: &&str| line.starts_with(&format!("| {row} |"));
    let cell = document.lines().find(is_row).and_then(|line| line.split('|').nth(column + 2));
    cell.unwrap_or_default().split(',').map(str::trim).filter(|word| !matches!(*word, "" | "ok")).collect()
}

fn table(results: &Results) -> String {
    let line = |first: &str, cells: Vec<String>| format!("| {first} | {} |\n", cells.join(" | "));
    let head = line("the proxy …", COLUMNS.iter().map(|(head, _)| (*head).to_owned()).collect());
    let rows = Kind::ALL.iter().map(|&kind| {
        let text = |protocols| failures(results, kind, protocols).into_iter().collect::<Vec<_>>().join(", ");
        let cells = COLUMNS.iter().map(|(_, protocols)| text(protocols)).map(|text| match text.as_str() {
            "" => "ok".to_owned(),
            _ => text,
        });
        line(row(kind), cells.collect())
    });
    let rule = "|---".repeat(COLUMNS.len() + 1) + "|\n";
    [head, rule].into_iter().chain(rows).collect()
}

/// Returns the results for these protocols, without "ok".
fn failures(results: &Results, kind: Kind, protocols: &[&'static str]) -> BTreeSet<&'static str> {
    let all = protocols.iter().filter_map(|protocol| results.get(&(kind, *protocol))).flatten().copied();
    all.filter(|word| *word != "ok").collect()
}

fn run_all(program: &Path, show: bool) -> Results {
    let sandbox = Sandbox::new(&a_case("faults", ""), &|text, _| text.to_owned());
    let askpass = Askpass::new();
    let all: Vec<Case> = Kind::ALL.into_iter().flat_map(fair_cases).collect();
    let each = in_parallel(&all, THREADS, |case| {
        let waits = if is_held(case) { Duration::from_secs(case.limit) } else { Duration::ZERO };
        let observed = run(case, sandbox.program(program, None, ""), &askpass, waits + HANG_TIMEOUT);
        let result = result(case, &observed);
        if show && result != "ok" {
            println!("{}: {result}\n{:?}\n", case.name(), observed.outcome);
        }
        ((case.kind, case.conversation.name), result)
    });
    each.into_iter().fold(Results::new(), |mut results, (cell, result)| {
        results.entry(cell).or_default().insert(result);
        results
    })
}

/// Returns the cases of a kind in which the two programs can be compared.
fn fair_cases(kind: Kind) -> Vec<Case> {
    let of_a_column =
        |case: &Case| COLUMNS.iter().any(|(_, protocols)| protocols.contains(&case.conversation.name));
    cases(kind).into_iter().filter(|case| of_a_column(case) && is_fair(case)).map(limited).collect()
}

/// Returns `true` unless the C program deviates without being wrong: it always answers a challenge
/// on a new connection, and it ignores the header fields.
fn is_fair(case: &Case) -> bool {
    let name = case.name();
    !["http-407/0/early", "http-407/0/repeat", "/refusal/field"].iter().any(|part| name.contains(part))
}

/// Sets the timeout to two seconds (`-w 2`) if the peer stays connected: a program may wait for the
/// peer, but no longer than that.
fn limited(mut case: Case) -> Case {
    if is_held(&case) {
        case.limit = 2;
    }
    case
}

fn is_held(case: &Case) -> bool {
    matches!(case.acts.last(), Some(Act::Hold | Act::Flood(..) | Act::Drip(..)))
}

/// Returns the word that the table uses for the result of a case.
fn result(case: &Case, observed: &Observed) -> &'static str {
    let outcome = &observed.outcome;
    let ended_well = outcome.code == Some(0);
    match &case.verdict {
        _ if observed.hung => "hang",
        _ if outcome.signal.is_some() => "crash",
        _ if !is_safe_for_terminal(&outcome.stderr) => "garbage",
        Verdict::Session(bytes) if ended_well && outcome.stdout == *bytes => "ok",
        Verdict::Session(_) if !ended_well => "refuses",
        Verdict::Fails(_) if !ended_well && outcome.stdout.is_empty() => "ok",
        Verdict::Fails(_) if !outcome.stdout.is_empty() => "fooled",
        _ => "loss",
    }
}
