//! What both did, compared, and held against what the case says.

use std::fmt::Write;

use crate::case::{Aspect, Case, Whose};
use crate::run::Seen;

/// What came of a comparison.
pub(crate) struct Verdict {
    /// What is not as the case says.
    pub(crate) problems: Vec<String>,
    /// Differences that could be seen.
    pub(crate) shown: Vec<&'static str>,
}

/// Holds two runs against each other.
pub(crate) fn compare(case: &Case, theirs: &Seen, ours: &Seen) -> Verdict {
    let mut verdict = Verdict { problems: check(case, theirs, ours), shown: Vec::new() };
    for aspect in Aspect::ALL {
        let mut theirs = part(theirs, aspect).to_owned();
        let ours = part(ours, aspect);
        for (_, id, translation) in case.translations.iter().filter(|(of, ..)| *of == aspect) {
            let translated = translation(&theirs);
            if translated != theirs {
                verdict.shown.push(id);
            }
            theirs = translated;
        }
        let ids: Vec<_> =
            case.differences.iter().filter(|(of, _)| *of == aspect).map(|(_, id)| *id).collect();
        if ids.is_empty() {
            if theirs != ours {
                verdict.problems.push(format!("  they differ in {aspect:?}, and the case lists no reason"));
            }
        } else if theirs == ours {
            verdict
                .problems
                .push(format!("  they agree in {aspect:?}, and should differ: {}", ids.join(", ")));
        } else {
            verdict.shown.extend(ids);
        }
    }
    verdict
}

/// The texts that must be there.
fn check(case: &Case, theirs: &Seen, ours: &Seen) -> Vec<String> {
    let mut problems = Vec::new();
    let says = |whose| case.checks.iter().any(|(of, _)| *of == whose || *of == Whose::Both);
    if !says(Whose::Theirs) || !says(Whose::Ours) {
        problems.push("  the case does not say what both are to do".to_owned());
    }
    for (whose, wanted) in &case.checks {
        for (of, name, seen) in [(Whose::Theirs, "theirs", theirs), (Whose::Ours, "ours", ours)] {
            if (*whose == of || *whose == Whose::Both) && !all(seen).contains(wanted) {
                problems.push(format!("  {name} should show: {wanted}"));
            }
        }
    }
    problems
}

fn part(seen: &Seen, aspect: Aspect) -> &str {
    match aspect {
        Aspect::Exit => seen.exit,
        Aspect::Output => &seen.output,
        Aspect::Wire => &seen.wire,
        Aspect::Prompt => &seen.prompt,
        Aspect::Debug => &seen.debug,
    }
}

fn all(seen: &Seen) -> String {
    Aspect::ALL.map(|aspect| part(seen, aspect)).concat()
}

/// A run as it stands in a failure report.
pub(crate) fn indented(seen: &Seen) -> String {
    let mut text = String::new();
    let stderr = seen.stderr.lines().filter(|line| !line.starts_with("DEBUG: "));
    for line in all(seen).lines().map(str::to_owned).chain(stderr.map(|line| format!("stderr: {line}"))) {
        let _ = writeln!(text, "    {line}");
    }
    text.trim_end().to_owned()
}
