//! The plot in the README: bars with whiskers for the quartiles.

use std::fmt::Write;

use crate::competitors::{BASELINE, COPIES, OURS};
use crate::experiment::Experiment;
use crate::machine::Machine;
use crate::statistics::Summary;

/// Experiment, metric, heading and unit of each group of bars.
const GROUPS: &[(&str, usize, &str, &str)] = &[
    ("down", 0, "CPU time per GiB, target to standard output", "seconds"),
    ("up", 0, "CPU time per GiB, standard input to target", "seconds"),
    ("start_socks5", 0, "From exec to the first byte through SOCKS5", "milliseconds"),
    ("start_socks5", 1, "CPU time from start to exit, through SOCKS5", "milliseconds"),
];

const WIDTH: f64 = 760.0;
/// Left edge of the bars.
const BARS_X: f64 = 150.0;
/// Maximum length of a bar.
const BARS_WIDTH: f64 = 500.0;
const ROW_HEIGHT: f64 = 24.0;
const BAR_HEIGHT: f64 = 14.0;

/// The default colors are readable on both white and black. If the viewer declares a light or dark
/// color scheme, colors chosen for that scheme apply.
const STYLE: &str = "
  text { font: 13px system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', Helvetica, Arial, sans-serif; fill: #7a828b }
  .heading { font-weight: 600; font-size: 14px }
  .ours { font-weight: 600; fill: #2f7fe0 }
  .small { font-size: 11px }
  .unit { font-weight: 400; font-size: 12px }
  rect, path { fill: #9aa3ad }
  rect.baseline { fill: none; stroke: #9aa3ad; stroke-dasharray: 3 2 }
  rect.ours, path.ours { fill: #2f7fe0 }
  path.whisker { stroke: #5c646d; fill: none }
  @media (prefers-color-scheme: light) { text { fill: #4d555e } .ours { fill: #0f62c9 } rect.ours, path.ours { fill: #2673d6 } }
  @media (prefers-color-scheme: dark) { text { fill: #a3acb6 } .ours { fill: #5ba2f5 } rect, path { fill: #656d76 }
    rect.baseline { fill: none; stroke: #656d76 } rect.ours, path.ours { fill: #3f8cf0 } path.whisker { stroke: #b6bfc9; fill: none } }
";

pub(super) fn text(machine: &Machine, experiments: &[Experiment]) -> String {
    let mut body = String::new();
    let mut y = 8.0;
    for (key, metric, heading, unit) in GROUPS {
        let Some(experiment) = experiments.iter().find(|experiment| experiment.key == *key) else { continue };
        let mut bars: Vec<_> = experiment
            .rows
            .iter()
            .filter_map(|row| Some((row.name.as_str(), row.summary(*metric)?)))
            .collect();
        bars.sort_by(|(_, one), (_, other)| one.median.total_cmp(&other.median));
        y += 22.0;
        line(
            &mut body,
            &format!(
                r#"<text class="heading" x="16" y="{y}">{heading} <tspan class="unit">({unit}; lower is better)</tspan></text>"#
            ),
        );
        y += 10.0;
        group(&mut body, &mut y, &bars, experiment.metrics[*metric].digits);
        y += 12.0;
    }
    for text in [
        format!(
            "Medians and quartiles; the programs take turns, round by round. {}, {}",
            machine.line(),
            machine.date
        ),
        format!(
            "“{BASELINE}” is the least a relay can do, “{COPIES}” works like connect 1.106: benches/baseline.c"
        ),
        machine.command.clone(),
    ] {
        y += 17.0;
        line(&mut body, &format!(r#"<text class="small" x="16" y="{y}">{}</text>"#, escaped(&text)));
    }
    let height = y + 14.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>connect compared with other relays</title>\n<style>{STYLE}</style>\n{body}</svg>\n"
    )
}

/// Draws one bar per participant, whose length is the median. Bars that would be far longer than
/// ours are truncated and drawn with a gap.
fn group(body: &mut String, y: &mut f64, bars: &[(&str, Summary)], digits: usize) {
    let longest = bars.iter().map(|(_, summary)| summary.upper);
    let ours = bars
        .iter()
        .find(|(name, _)| *name == OURS)
        .map_or(f64::INFINITY, |(_, summary)| summary.median * 12.0);
    let scale = BARS_WIDTH / longest.filter(|upper| *upper <= ours).fold(f64::MIN_POSITIVE, f64::max);
    for (name, Summary { median, lower, upper }) in bars {
        let class = match *name {
            OURS => "ours",
            BASELINE => "baseline",
            _ => "peer",
        };
        let (top, middle, base) = (*y, *y + BAR_HEIGHT / 2.0, *y + BAR_HEIGHT - 2.0);
        let label = |x: f64, anchor: &str, text: &str| {
            format!(r#"<text class="{class}" x="{x:.1}" y="{base:.1}" text-anchor="{anchor}">{text}</text>"#)
        };
        line(body, &label(BARS_X - 10.0, "end", &escaped(name)));
        let (low, high) = (BARS_X + lower * scale, BARS_X + upper * scale);
        let end = if high > BARS_X + BARS_WIDTH + 1.0 {
            // A bar in two pieces, with a slanted gap between them.
            let (near, far) = (BARS_WIDTH - 24.0, BARS_WIDTH - 19.0);
            line(
                body,
                &format!(
                    r#"<path class="{class}" d="M{BARS_X} {top}h{near}l-6 {BAR_HEIGHT}H{BARS_X}zM{} {top}H{}v{BAR_HEIGHT}H{}z"/>"#,
                    BARS_X + far,
                    BARS_X + BARS_WIDTH,
                    BARS_X + far - 6.0
                ),
            );
            BARS_X + BARS_WIDTH
        } else {
            let length = median * scale;
            line(
                body,
                &format!(
                    r#"<rect class="{class}" x="{BARS_X}" y="{top}" width="{length:.1}" height="{BAR_HEIGHT}" rx="2"/>"#
                ),
            );
            let foot = middle - 3.0;
            line(
                body,
                &format!(
                    r#"<path class="whisker" d="M{low:.1} {middle}H{high:.1}M{low:.1} {foot}v6M{high:.1} {foot}v6"/>"#
                ),
            );
            high
        };
        line(body, &label(end + 8.0, "start", &format!("{median:.digits$}")));
        *y += ROW_HEIGHT;
    }
}

fn line(body: &mut String, text: &str) {
    writeln!(body, "{text}").expect("writing to a String cannot fail");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
