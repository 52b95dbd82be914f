//! For people: a text that grows.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use super::{Step, Verdict, facts};
use crate::config::Record;
use crate::error::ExitCode;
use crate::plan::Plan;
use crate::text::escaped;

/// Whether there are colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    colours: bool,
}

const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";
const BOLD: &str = "1";

impl Style {
    /// Only a terminal gets colours, and only one that has them and whose user has not forbidden them (no-color.org).
    pub(super) fn of_standard_output() -> Self {
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { colours: io::stdout().is_terminal() && !set("NO_COLOR") && !dumb }
    }

    fn paint(self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The plan, and where it comes from.
pub(super) fn plan(style: Style, plan: &Plan, records: &[Record]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let target = escaped(&plan.target.to_string());
    writeln!(out, "{}", style.paint(BOLD, &format!("The way to {target}")))?;
    for (index, route) in plan.routes.iter().enumerate() {
        let number = if plan.routes.len() > 1 { format!("{}. ", index + 1) } else { String::new() };
        writeln!(out, "  {number}{}", escaped(&facts::way(&route.hops, plan)))?;
        for hop in &route.hops {
            let facts: Vec<_> = facts::of(hop).iter().map(|(name, fact)| format!("{name} {fact}")).collect();
            writeln!(out, "       {}: {}", hop.proxy, escaped(&facts.join("; ")))?;
        }
    }
    writeln!(out, "  limit: {}", facts::limits(plan))?;
    writeln!(out, "{}", style.paint(BOLD, "Where this comes from"))?;
    for Record { name, value, origin } in records {
        writeln!(out, "  {name:<20} {:<14} {}", facts::place(origin), escaped(value))?;
    }
    writeln!(
        out,
        "  {}",
        if records.is_empty() { "all of it is the default" } else { "the rest is the default" }
    )
}

/// A route is begun.
pub(super) fn route(style: Style, number: usize, of: usize) -> io::Result<()> {
    let title = if of == 1 { "Trying it".to_owned() } else { format!("Trying route {number} of {of}") };
    writeln!(io::stdout(), "{}", style.paint(BOLD, &title))
}

/// A stage is done.
pub(super) fn step(style: Style, step: &Step) -> io::Result<()> {
    let mark = match step.verdict {
        Verdict::Good => style.paint(GREEN, "✓"),
        Verdict::Note => style.paint(YELLOW, "–"),
        Verdict::Bad => style.paint(RED, "✗"),
    };
    let mut out = io::stdout();
    writeln!(out, "  {mark} {:>9}  {:<6}  {}", time(step.took), step.stage, escaped(&step.text))?;
    match &step.hint {
        Some(hint) => writeln!(out, "                       try: {}", escaped(hint)),
        None => Ok(()),
    }
}

/// How it ended.
pub(super) fn verdict(style: Style, code: ExitCode, took: Duration) -> io::Result<()> {
    let text = match code {
        ExitCode::Ok => style.paint(GREEN, &format!("It works, in {}.", time(took).trim())),
        code => style.paint(RED, &format!("It does not work: exit code {}.", code as u8)),
    };
    writeln!(io::stdout(), "{text}")
}

fn time(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1000.0)
}
