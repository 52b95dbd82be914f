//! Tables on standard output.

use crate::competitors::Competitor;
use crate::experiment::{Experiment, Metric, Row};
use crate::machine::Machine;
use crate::report::goals::{Mark, Verdict};
use crate::statistics::Summary;

/// Prints the command, the date, the machine and the competitors.
pub(crate) fn print_head(machine: &Machine, competitors: &[Competitor]) {
    println!("{}\n{} on {}\n", machine.command, machine.date, machine.line());
    for competitor in competitors {
        println!("  {:<16} {}", competitor.name, competitor.version);
    }
    println!("\nmedians, quartiles in brackets; ratios are medians of the ratios within each round");
}

/// Prints the results of one experiment.
pub(crate) fn print_experiment(experiment: &Experiment) {
    println!("\n{}\n", experiment.title);
    let references: Vec<_> =
        experiment.references.iter().filter(|name| experiment.row(name).is_some()).collect();
    let mut lines = vec![vec![String::new()]];
    for (index, metric) in experiment.metrics.iter().enumerate() {
        lines[0].extend([metric.label.to_owned(), String::new()]);
        if index == 0 {
            lines[0].extend(references.iter().map(|name| format!("÷ {name}")));
        }
    }
    for row in &experiment.rows {
        let mut line = vec![row.name.clone()];
        for (index, metric) in experiment.metrics.iter().enumerate() {
            line.extend(figure(metric, row.summary(index)));
            if index == 0 {
                line.extend(references.iter().map(|name| {
                    experiment
                        .ratio(0, &row.name, name)
                        .map_or_else(String::new, |ratio| format!("{:.2}", ratio.median))
                }));
            }
        }
        lines.push(line);
    }
    print(&lines);
    experiment.rows.iter().filter_map(failure).for_each(|line| println!("  {line}"));
}

fn figure(metric: &Metric, summary: Option<Summary>) -> [String; 2] {
    let Some(Summary { median, lower, upper }) = summary else { return ["–".into(), String::new()] };
    let digits = metric.digits;
    [format!("{median:.digits$}"), format!("[{lower:.digits$} {upper:.digits$}]")]
}

fn failure(row: &Row) -> Option<String> {
    let runs = row.samples.iter().flatten().count();
    row.failure.as_ref().map(|why| format!("! {}: {why} ({runs} runs succeeded)", row.name))
}

/// Prints aligned columns: names and quartiles flush left, other numbers flush right.
fn print(lines: &[Vec<String>]) {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..lines[0].len()).map(width).collect();
    for line in lines {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column == 0 || cell.starts_with('[') {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
        println!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// Prints the goals, and whether they were met.
pub(crate) fn print_goals(verdicts: &[Verdict]) {
    if verdicts.is_empty() {
        return;
    }
    println!("\ngoals: ✓ met, ≈ met within the quartiles but not by the median, ✗ missed\n");
    for verdict in verdicts {
        let mark = match verdict.mark {
            Mark::Met => '✓',
            Mark::Near => '≈',
            Mark::Missed => '✗',
        };
        let Summary { median, lower, upper } = verdict.figure;
        println!("  {mark} {:<58} {:<10} {median:.2} [{lower:.2} {upper:.2}]", verdict.what, verdict.limit());
    }
}
