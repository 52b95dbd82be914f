//! Formats the output in 80 columns, with color only on a terminal, and counts the checks.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

const WIDTH: usize = 80;

// SGR parameters: the text attributes in an escape sequence.
pub(crate) const PLAIN: &str = "0";
pub(crate) const BOLD: &str = "1";
pub(crate) const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const CYAN: &str = "36";

pub(crate) struct Screen {
    color: bool,
    steps: usize,
    passed: usize,
    failed: usize,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let color = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { color, steps: 0, passed: 0, failed: 0 }
    }

    pub(crate) fn rule(&self) {
        self.say("", DIM, &"─".repeat(WIDTH));
    }

    pub(crate) fn step(&mut self, title: &str) {
        self.steps += 1;
        self.say("", PLAIN, "");
        self.say("", BOLD, &format!("{}  {title}", self.steps));
    }

    pub(crate) fn command(&self, call: &impl Display) {
        for (number, line) in call.to_string().lines().enumerate() {
            self.say(if number == 0 { "   $ " } else { "     " }, CYAN, line);
        }
    }

    pub(crate) fn check(&mut self, passed: bool, what: &str) {
        if passed {
            self.passed += 1;
            self.say("   ✓ ", GREEN, what);
        } else {
            self.failed += 1;
            self.say("   ✗ ", RED, what);
        }
    }

    /// Prints the closing lines. Returns `true` if every check passed.
    pub(crate) fn all_passed(&self) -> bool {
        self.say("", PLAIN, "");
        self.rule();
        let count = self.passed + self.failed;
        if self.failed > 0 {
            self.say("", RED, &format!("{} of {count} checks failed.", self.failed));
            return false;
        }
        self.say("", GREEN, &format!("All {count} checks passed."));
        self.say("", PLAIN, "Next: `cargo install --locked --path .`, and in ~/.ssh/config:");
        self.say("", PLAIN, "");
        self.say("    ", CYAN, "Host server.example");
        self.say("    ", CYAN, "    ProxyCommand connect -S proxy.example:1080 %h %p");
        true
    }

    /// Prints `text` after `indent`, and breaks long lines between words.
    pub(crate) fn say(&self, indent: &str, style: &str, text: &str) {
        let depth = indent.chars().count();
        let (mut indent, mut row) = (indent.to_owned(), String::new());
        for word in text.split_inclusive(' ') {
            if depth + row.chars().count() + word.trim_end().chars().count() > WIDTH {
                self.print(&indent, style, &row);
                (indent, row) = (" ".repeat(depth), String::new());
            }
            row += word;
        }
        self.print(&indent, style, &row);
    }

    /// Prints one row. Ignores errors, because the reader may be gone, as in `| head`.
    fn print(&self, indent: &str, style: &str, row: &str) {
        let row = row.trim_end();
        let _ = if self.color {
            writeln!(io::stdout(), "{indent}\x1b[{style}m{row}\x1b[0m")
        } else {
            writeln!(io::stdout(), "{indent}{row}")
        };
    }
}
