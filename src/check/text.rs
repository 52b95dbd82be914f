//! The human-readable report, printed while the check runs.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use super::facts;
use super::served::Served;
use super::step::{Step, Verdict};
use crate::config::SettingRecord;
use crate::error::ExitCode;
use crate::plan::{Hop, Local, OriginSettings, Plan};
use crate::text::escaped;
use crate::trace::in_charset;

/// The style of the text report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    colors: bool,
}

const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";
const BOLD: &str = "1";

impl Style {
    /// Returns the style for standard output. Uses colors on a terminal that is not `dumb`, unless
    /// `NO_COLOR` is set (no-color.org).
    pub(super) fn for_stdout() -> Self {
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { colors: io::stdout().is_terminal() && !set("NO_COLOR") && !dumb }
    }

    fn paint(self, color: &str, text: &str) -> String {
        if self.colors { format!("\x1b[{color}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Prints a line in the character set of the user's locale.
fn print(line: String) -> io::Result<()> {
    writeln!(io::stdout(), "{}", in_charset(line))
}

/// Prints the plan and the origin of each setting.
pub(super) fn plan(style: Style, plan: &Plan, records: &[SettingRecord]) -> io::Result<()> {
    let served = Served::in_plan(&plan.local);
    if let (Local::Hub(_), Some(served)) = (&plan.local, &served) {
        print(style.paint(BOLD, "Plan for a relay hub"))?;
        server(served)?;
        return settings(style, records);
    }
    let target = escaped(&facts::destination(plan));
    print(style.paint(BOLD, &format!("Plan for {target}")))?;
    served.iter().try_for_each(server)?;
    if let Local::Origin(settings) = &plan.local {
        origin(settings)?;
    }
    for (index, route) in plan.routes.iter().enumerate() {
        let number = if plan.routes.len() > 1 { format!("{}. ", index + 1) } else { String::new() };
        print(format!("  {number}{}", escaped(&facts::route(&route.hops, plan))))?;
        hops(&route.hops)?;
    }
    if let Some(tls) = &plan.target_tls {
        print(format!("  TLS with {target}: {}", escaped(&facts::trust(tls))))?;
    }
    print(format!("  time limit: {}", facts::limits(plan)))?;
    if let Some(connections) = facts::connections(&plan.sockets) {
        print(format!("  connections: {}", escaped(&connections)))?;
    }
    settings(style, records)
}

/// Prints the settings of each hop.
fn hops(hops: &[Hop]) -> io::Result<()> {
    for hop in hops {
        let facts: Vec<_> = facts::for_hop(hop).iter().map(|(name, fact)| format!("{name} {fact}")).collect();
        print(format!("       {}: {}", escaped(&hop.proxy.to_string()), escaped(&facts.join("; "))))?;
    }
    Ok(())
}

/// Prints the settings of a server for web clients.
fn server(served: &Served<'_>) -> io::Result<()> {
    for (_, url) in &served.listeners {
        print(format!("  listener {}", escaped(url)))?;
    }
    if let Some(identity) = served.identity {
        print(format!("  certificate: {}", escaped(&facts::identity(identity))))?;
    }
    print(format!("  tokens: {}", escaped(&facts::tokens(&served.access.check))))?;
    print(format!("  web pages: {}", escaped(&facts::web_pages(&served.access.origins))))
}

/// Prints the way to the hub of an origin.
fn origin(settings: &OriginSettings) -> io::Result<()> {
    let session = settings.session.as_deref().unwrap_or("with a random name");
    let way: Vec<_> = settings.hops.iter().map(|hop| hop.proxy.to_string()).collect();
    print(format!("  session {session} at the hub {}", escaped(&way.join(" → "))))?;
    hops(&settings.hops)
}

/// Prints the origin of each setting.
fn settings(style: Style, records: &[SettingRecord]) -> io::Result<()> {
    print(style.paint(BOLD, "Settings"))?;
    let width = records.iter().map(|record| record.name.len()).max().unwrap_or(0).max(20);
    for SettingRecord { name, value, origin } in records {
        print(format!("  {name:<width$} {:<14} {}", facts::origin(origin), escaped(value)))?;
    }
    let rest =
        if records.is_empty() { "all settings are defaults" } else { "all other settings are defaults" };
    print(format!("  {rest}"))
}

/// Prints a heading.
pub(super) fn title(style: Style, title: &str) -> io::Result<()> {
    print(style.paint(BOLD, title))
}

/// Prints the heading of a route.
pub(super) fn route(style: Style, text: &str, number: usize, count: usize) -> io::Result<()> {
    let by_route = if count == 1 { String::new() } else { format!(" by route {number} of {count}") };
    title(style, &format!("{text}{by_route}"))
}

/// Prints a completed step.
pub(super) fn step(style: Style, step: &Step) -> io::Result<()> {
    let mark = match step.verdict {
        Verdict::Good => style.paint(GREEN, "✓"),
        Verdict::Note => style.paint(YELLOW, "–"),
        Verdict::Bad => style.paint(RED, "✗"),
    };
    print(format!("  {mark} {:>9}  {:<6}  {}", time(step.elapsed), step.stage, escaped(&step.text)))?;
    match &step.hint {
        Some(hint) => {
            let hint = hint.strip_prefix("try ").unwrap_or(hint);
            print(format!("                       try: {}", escaped(hint)))
        }
        None => Ok(()),
    }
}

/// Prints the result.
pub(super) fn verdict(style: Style, code: ExitCode, elapsed: Duration) -> io::Result<()> {
    let text = match code {
        ExitCode::Ok => style.paint(GREEN, &format!("Success after {}.", time(elapsed).trim())),
        code => style.paint(RED, &format!("Failed with exit code {}.", code as u8)),
    };
    print(text)
}

fn time(elapsed: Duration) -> String {
    format!("{:.1} ms", elapsed.as_secs_f64() * 1000.0)
}
