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
/// The most cases of a kind that are run for each protocol.
const ENOUGH: usize = 12;
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
        Kind::Right => "does all as it should",
        Kind::Close => "closes in mid-answer",
        Kind::Reset => "resets in mid-answer",
        Kind::Silence => "falls silent",
        Kind::Slow => "sends a byte a second",
        Kind::Garbage => "sends garbage",
        Kind::Refusal => "refuses, with hostile words",
        Kind::TooMuch => "does not end what it says",
        Kind::Split => "answers in pieces",
        Kind::Early => "says everything at once",
        Kind::Repeat => "repeats itself",
        Kind::Lookalike => "sends a head that only looks right, or only wrong",
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
    let table = table(&taken(theirs, show));
    if !document.contains(&table) {
        problems.push(format!("docs/compat.md does not have this table of what theirs does:\n\n{table}"));
    }
    problems
}

fn table(taken: &Taken) -> String {
    let line = |first: &str, cells: Vec<String>| format!("| {first} | {} |\n", cells.join(" | "));
    let head = line("the proxy …", COLUMNS.iter().map(|(head, _)| (*head).to_owned()).collect());
    let rows = Kind::ALL.iter().map(|&kind| {
        line(row(kind), COLUMNS.iter().map(|(_, protocols)| cell(taken, kind, protocols)).collect())
    });
    let rule = "|---".repeat(COLUMNS.len() + 1) + "|\n";
    [head, rule].into_iter().chain(rows).collect()
}

/// The words for these protocols; "ok" only if there is no other.
fn cell(taken: &Taken, kind: Kind, protocols: &[&'static str]) -> String {
    let words = protocols.iter().filter_map(|protocol| taken.get(&(kind, *protocol))).flatten();
    let mut words: BTreeSet<_> = words.copied().collect();
    if words.len() > 1 {
        words.remove("ok");
    }
    words.into_iter().collect::<Vec<_>>().join(", ")
}

fn taken(program: &Path, show: bool) -> Taken {
    let world = World::new(&a_case("faults", ""), &|text, _| text.to_owned());
    let askpass = Askpass::new();
    let all: Vec<Case> = Kind::ALL.into_iter().flat_map(sample).collect();
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

/// Some of the cases of a kind, spread evenly over those of each protocol.
fn sample(kind: Kind) -> Vec<Case> {
    let all = cases(kind);
    let of_protocol = |name: &&str| {
        let is_its = |case: &&Case| case.conversation.name == *name && is_fair(case);
        let cases: Vec<_> = all.iter().filter(is_its).cloned().collect();
        let step = cases.len().div_ceil(ENOUGH).max(1);
        cases.into_iter().step_by(step).map(patient).collect::<Vec<_>>()
    };
    COLUMNS.iter().flat_map(|(_, protocols)| *protocols).flat_map(of_protocol).collect()
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
