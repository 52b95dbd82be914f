//! Compares both runs of a case with each other and with what the case expects.

use std::fmt::Write;

use crate::case::{Aspect, Case, Side};
use crate::run::Report;

/// The result of a comparison.
pub(crate) struct Verdict {
    /// Deviations from the case's expectations.
    pub(crate) problems: Vec<String>,
    /// The ids of the differences that occurred.
    pub(crate) shown: Vec<&'static str>,
}

pub(crate) fn compare(case: &Case, theirs: &Report, ours: &Report) -> Verdict {
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
                verdict
                    .problems
                    .push(format!("  the programs differ in {aspect:?}; the case allows no difference"));
            }
        } else if theirs == ours {
            verdict.problems.push(format!(
                "  the programs agree in {aspect:?}; the case expects a difference: {}",
                ids.join(", ")
            ));
        } else {
            verdict.shown.extend(ids);
        }
    }
    verdict
}

/// Checks that the expected texts are in the reports.
fn check(case: &Case, theirs: &Report, ours: &Report) -> Vec<String> {
    let mut problems = Vec::new();
    let has_check = |side| case.checks.iter().any(|(of, _)| *of == side || *of == Side::Both);
    if !has_check(Side::Theirs) || !has_check(Side::Ours) {
        problems.push("  the case has no check for one of the programs".to_owned());
    }
    for (side, expected) in &case.checks {
        for (of, name, report) in [(Side::Theirs, "theirs", theirs), (Side::Ours, "ours", ours)] {
            if (*side == of || *side == Side::Both) && !all(report).contains(expected) {
                problems.push(format!("  expected in the report of {name}: {expected}"));
            }
        }
    }
    problems
}

fn part(report: &Report, aspect: Aspect) -> &str {
    match aspect {
        Aspect::Exit => report.exit,
        Aspect::Output => &report.output,
        Aspect::Wire => &report.wire,
        Aspect::Prompt => &report.prompt,
        Aspect::Debug => &report.debug,
    }
}

fn all(report: &Report) -> String {
    Aspect::ALL.map(|aspect| part(report, aspect)).concat()
}

/// Formats a run for a failure report.
pub(crate) fn indented(report: &Report) -> String {
    let mut text = String::new();
    let stderr = report.stderr.lines().filter(|line| !line.starts_with("DEBUG: "));
    for line in all(report).lines().map(str::to_owned).chain(stderr.map(|line| format!("stderr: {line}"))) {
        let _ = writeln!(text, "    {line}");
    }
    text.trim_end().to_owned()
}
