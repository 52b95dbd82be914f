//! Draws a recording as an animated SVG: text, and a style sheet that reveals each piece at the
//! right time. The SVG has no scripts and no external resources, so it also plays inside an `img`
//! element.

use std::fmt::Write;

use super::screen::{Line, Recording, Scene, wrapped};

/// Sizes in pixels. `COLUMN` is about 0.6 times `FONT`, the usual width of a monospace character.
/// With a narrower font, the right margin is wider.
const FONT: usize = 14;
const COLUMN: f64 = 8.45;
const ROW: usize = 20;
const MARGIN: usize = 20;
const BAR: usize = 34;

/// The index of the scene that is shown if the SVG is not animated.
const STILL: usize = 1;

/// Fraction of the total duration for which a piece of text stays visible. Every scene ends before
/// its text disappears.
const SHOWN: f64 = 0.5;

/// The style sheet. `SECONDS` is replaced with the total duration.
const STYLE: &str = "
  text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace;
    white-space: pre; fill: #e6edf3 }
  tspan { animation: piece SECONDSs step-end infinite backwards }
  g { animation: SECONDSs step-end infinite }
  .window { fill: #161b22; stroke: #3d444d } .bar { fill: #3d444d }
  .s1 { font-weight: 700 } .s31 { fill: #ff7b72 } .s32 { fill: #56d364 } .s33 { fill: #e3b341 } .s34 { fill: #79c0ff }
  @media (prefers-color-scheme: light) {
    text { fill: #1f2328 } .window { fill: #fbfcfd; stroke: #d1d9e0 } .bar { fill: #d1d9e0 }
    .s31 { fill: #cf222e } .s32 { fill: #137333 } .s33 { fill: #9a6700 } .s34 { fill: #0550ae }
  }
  @media (prefers-reduced-motion: reduce) { tspan, g { animation: none !important } }
  @keyframes piece { 0% { visibility: hidden } 0.001% { visibility: visible } 50%, 100% { visibility: hidden } }
";

pub(super) fn draw(recording: &Recording, title: &str) -> String {
    let screens: Vec<_> =
        recording.scenes.iter().map(|scene| wrapped(&scene.lines, recording.columns)).collect();
    let rows = screens.iter().map(|lines| written(lines).len()).max().unwrap_or_default();
    assert!(rows < recording.rows, "{rows} lines would scroll");
    let width = (f64::from(u32::try_from(recording.columns).unwrap()) * COLUMN).ceil() + f64_of(2 * MARGIN);
    let height = BAR + rows * ROW + MARGIN;

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\">\n<title>{}</title>\n<style>{}",
        escaped(title),
        STYLE.replace("SECONDS", &format!("{:.2}", recording.end))
    );
    let ends = recording.scenes.iter().skip(1).map(|scene| scene.begin).chain([recording.end]);
    for (index, (scene, end)) in recording.scenes.iter().zip(ends).enumerate() {
        svg += &turn(index, scene, end, recording.end);
    }
    svg += "</style>\n";
    let edge = f64_of(1) / 2.0;
    _ = writeln!(
        svg,
        "<rect class=\"window\" x=\"{edge}\" y=\"{edge}\" width=\"{}\" height=\"{}\" rx=\"9\"/>",
        width - 1.0,
        f64_of(height) - 1.0
    );
    for dot in 0..3 {
        _ = writeln!(svg, "<circle class=\"bar\" cx=\"{}\" cy=\"18\" r=\"5.5\"/>", MARGIN + 6 + dot * 18);
    }
    for (index, lines) in screens.iter().enumerate() {
        _ = writeln!(svg, "<g id=\"scene{index}\">");
        for (row, line) in written(lines).iter().enumerate() {
            text(&mut svg, BAR + row * ROW + FONT, line);
        }
        svg += "</g>\n";
    }
    svg + "</svg>\n"
}

/// Returns the CSS animation that shows a scene from its beginning until `end`.
fn turn(index: usize, scene: &Scene, end: f64, whole: f64) -> String {
    assert!(end - scene.begin < SHOWN * whole, "scene {index} takes more than half of the recording");
    let (from, to) = (100.0 * scene.begin / whole, 100.0 * end / whole);
    let still = u8::from(index == STILL);
    format!(
        "  #scene{index} {{ animation-name: turn{index}; opacity: {still} }}\n  \
         @keyframes turn{index} {{ 0% {{ opacity: 0 }} {from:.3}% {{ opacity: 1 }} {to:.3}%, 100% {{ opacity: 0 }} }}\n"
    )
}

fn text(svg: &mut String, baseline: usize, line: &Line) {
    if line.is_empty() {
        return;
    }
    _ = write!(svg, "<text x=\"{MARGIN}\" y=\"{baseline}\" xml:space=\"preserve\">");
    for span in line {
        let class = if span.style.is_empty() { String::new() } else { format!(" class=\"{}\"", span.style) };
        _ = write!(
            svg,
            "<tspan{class} style=\"animation-delay:{:.2}s\">{}</tspan>",
            span.at,
            escaped(&span.text)
        );
    }
    svg.push_str("</text>\n");
}

/// Returns the lines without trailing empty ones.
fn written(lines: &[Line]) -> &[Line] {
    let last = lines.iter().rposition(|line| !line.is_empty());
    &lines[..last.map_or(0, |last| last + 1)]
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn f64_of(pixels: usize) -> f64 {
    f64::from(u32::try_from(pixels).unwrap())
}
