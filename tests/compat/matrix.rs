//! The fault matrix of the integration tests with both programs, and the table of it in docs/compat.md.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use crate::case::case as a_case;
use crate::faults::case::{Act, Case, Kind, Verdict, cases};
use crate::faults::run::{Askpass, Observed, is_fit_for_a_terminal, many, run};
use crate::world::World;

/// How many run at the same time. Most of them wait.
const THREADS: usize = 24;
/// What goes on for so long after its end was due hangs.
const PATIENCE: Duration = Duration::from_secs(2);

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

/// What came of the cases of a kind, by protocol.
type Taken = BTreeMap<(Kind, &'static str), BTreeSet<&'static str>>;

/// Runs the matrix with both programs. Ours has to do everything right, and the document to say what theirs does.
pub(crate) fn check(theirs: &Path, ours: &Path, document: &str, show: bool) -> Vec<String> {
    let mut problems = Vec::new();
    for ((kind, protocol), words) in taken(ours, show) {
        if words != BTreeSet::from(["ok"]) {
            problems.push(format!("ours, {protocol}, where the proxy {}: {words:?}", row(kind)));
        }
    }
    let taken = taken(theirs, show);
    let told =
        Kind::ALL.iter().flat_map(|kind| COLUMNS.iter().enumerate().map(move |column| (*kind, column)));
    let wrong = told.filter(|(kind, (column, (_, protocols)))| {
        let told = cell(document, row(*kind), *column);
        // On a busy machine everything may take long.
        let counts = |word: &&str| *word != "hang" || told.contains(word);
        let seen: BTreeSet<_> = words(&taken, *kind, protocols).into_iter().filter(counts).collect();
        // Some of it is a matter of chance: but what is seen is told, and what is told is not all chance.
        !told.is_superset(&seen) || seen.is_empty() != told.is_empty()
    });
    if wrong.count() > 0 {
        let table = table(&taken);
        problems.push(format!("docs/compat.md does not have this table of what theirs does:\n\n{table}"));
    }
    problems
}

/// What the document says in this column of a row. "ok" is nothing to be told.
fn cell<'a>(document: &'a str, row: &str, column: usize) -> BTreeSet<&'a str> {
    let is_row = |line: &&str| line.starts_with(&format!("| {row} |"));
    let cell = document.lines().find(is_row).and_then(|line| line.split('|').nth(column + 2));
    cell.unwrap_or_default().split(',').map(str::trim).filter(|word| !matches!(*word, "" | "ok")).collect()
}

fn table(taken: &Taken) -> String {
    let line = |first: &str, cells: Vec<String>| format!("| {first} | {} |\n", cells.join(" | "));
    let head = line("the proxy …", COLUMNS.iter().map(|(head, _)| (*head).to_owned()).collect());
    let rows = Kind::ALL.iter().map(|&kind| {
        let words = |protocols| words(taken, kind, protocols).into_iter().collect::<Vec<_>>().join(", ");
        let cells = COLUMNS.iter().map(|(_, protocols)| words(protocols)).map(|words| match words.as_str() {
            "" => "ok".to_owned(),
            _ => words,
        });
        line(row(kind), cells.collect())
    });
    let rule = "|---".repeat(COLUMNS.len() + 1) + "|\n";
    [head, rule].into_iter().chain(rows).collect()
}

/// The words for these protocols, but "ok".
fn words(taken: &Taken, kind: Kind, protocols: &[&'static str]) -> BTreeSet<&'static str> {
    let words = protocols.iter().filter_map(|protocol| taken.get(&(kind, *protocol))).flatten().copied();
    words.filter(|word| *word != "ok").collect()
}

fn taken(program: &Path, show: bool) -> Taken {
    let world = World::new(&a_case("faults", ""), &|text, _| text.to_owned());
    let askpass = Askpass::new();
    let all: Vec<Case> = Kind::ALL.into_iter().flat_map(fair).collect();
    let each = many(&all, THREADS, |case| {
        let waits = if is_held(case) { Duration::from_secs(case.limit) } else { Duration::ZERO };
        let observed = run(case, world.program(program, None, ""), &askpass, waits + PATIENCE);
        let taken = word(case, &observed);
        if show && taken != "ok" {
            println!("{}: {taken}\n{:?}\n", case.name(), observed.outcome);
        }
        ((case.kind, case.conversation.name), taken)
    });
    each.into_iter().fold(Taken::new(), |mut taken, (place, word)| {
        taken.entry(place).or_default().insert(word);
        taken
    })
}

/// The cases of a kind.
fn fair(kind: Kind) -> Vec<Case> {
    let of_a_column =
        |case: &Case| COLUMNS.iter().any(|(_, protocols)| protocols.contains(&case.conversation.name));
    cases(kind).into_iter().filter(|case| of_a_column(case) && is_fair(case)).map(patient).collect()
}

/// Not where the C program goes another way that is no fault: it answers a challenge on a new connection always, and does
/// not look at the fields of a head.
fn is_fair(case: &Case) -> bool {
    let name = case.name();
    !["http-407/0/early", "http-407/0/repeat", "/refusal/field"].iter().any(|part| name.contains(part))
}

/// While the peer is there, a program may wait for what it says, but not for longer than `-w` allows.
fn patient(mut case: Case) -> Case {
    if is_held(&case) {
        case.limit = 2;
    }
    case
}

fn is_held(case: &Case) -> bool {
    matches!(case.acts.last(), Some(Act::Hold | Act::Flood(..) | Act::Drip(..)))
}

/// What a program makes of a case, in a word of the table.
fn word(case: &Case, observed: &Observed) -> &'static str {
    let outcome = &observed.outcome;
    let ended_well = outcome.code == Some(0);
    match &case.verdict {
        _ if observed.hung => "hang",
        _ if outcome.signal.is_some() => "crash",
        _ if !is_fit_for_a_terminal(&outcome.stderr) => "garbage",
        Verdict::Session(bytes) if ended_well && outcome.stdout == *bytes => "ok",
        Verdict::Session(_) if !ended_well => "refuses",
        Verdict::Fails(_) if !ended_well && outcome.stdout.is_empty() => "ok",
        Verdict::Fails(_) if !outcome.stdout.is_empty() => "fooled",
        _ => "loss",
    }
}
