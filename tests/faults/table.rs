//! Runs the C program and ours under the same faults, and compares the verdicts with the table in
//! docs/compat.md.

use std::path::Path;
use std::process::Command;

use crate::session::{self, Behavior, Descriptors, Near, Verdict};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compat.md");
const HEADING: &str = "## Relay faults";

pub(crate) struct Fault {
    /// The fault's name in the first column of the table.
    name: &'static str,
    /// A shell command that starts the program `$0` with the arguments `$@`.
    shell: &'static str,
    behavior: Behavior,
}

const fn fault(name: &'static str, shell: &'static str, behavior: Behavior) -> Fault {
    Fault { name, shell, behavior }
}

pub(crate) const FAULTS: [Fault; 15] = [
    fault("none", PLAIN, NONE),
    fault("standard output is a full disk", r#"exec "$0" "$@" >/dev/full"#, NONE),
    fault("standard input cannot be read", r#"exec "$0" "$@" </"#, NONE),
    fault("standard input is closed", r#"exec "$0" "$@" <&-"#, NO_STDIN),
    fault("standard output is closed", r#"exec "$0" "$@" >&-"#, NONE),
    fault(
        "all three are closed",
        r#"exec "$0" "$@" <&- >&- 2>&-"#,
        Behavior { descriptors: Descriptors::NoStdinNoStderr, ..NONE },
    ),
    fault(
        "they are non-blocking (EAGAIN)",
        PLAIN,
        Behavior { descriptors: Descriptors::NonBlocking, ..SLOW },
    ),
    fault("system calls are interrupted (EINTR)", INTERRUPTED, NONE),
    fault("the process is stopped and continued", STOPPED, SLOW),
    fault("the reader exits", PLAIN, Behavior { near_closes: Some(100_000), ..NONE }),
    fault("the target resets", PLAIN, Behavior { target_resets: Some(100_000), ..NONE }),
    fault("the target resets, slow reader", PLAIN, Behavior { target_resets: Some(350_000), ..SLOW }),
    fault("no file descriptors left (EMFILE)", NO_DESCRIPTOR, NONE),
    fault("reads fail (ENOMEM)", FAILING_READ, NONE),
    fault("poll fails (ENOMEM)", FAILING_POLL, NONE),
];

const NONE: Behavior = Behavior {
    near_closes: None,
    target_resets: None,
    near_is_slow: false,
    descriptors: Descriptors::Blocking,
};
const NO_STDIN: Behavior = Behavior { descriptors: Descriptors::NoStdin, ..NONE };
const SLOW: Behavior = Behavior { near_is_slow: true, ..NONE };

const PLAIN: &str = r#"exec "$0" "$@""#;
const INTERRUPTED: &str = r#"exec strace -qq -o /dev/null \
    -e inject=select,pselect6,poll,ppoll,write,sendto,recvfrom,splice:error=EINTR:when=1+3 "$0" "$@""#;
const STOPPED: &str = r#"exec 3<&0; "$0" "$@" <&3 3<&- & pid=$!; exec 3<&- >&-
    for i in 1 2 3 4 5 6; do sleep .05; kill -STOP $pid; sleep .05; kill -CONT $pid; done 2>/dev/null; wait $pid"#;
const NO_DESCRIPTOR: &str = r#"exec strace -qq -o /dev/null -e inject=socket:error=EMFILE "$0" "$@""#;
const FAILING_READ: &str =
    r#"exec strace -qq -o /dev/null -e inject=recvfrom,splice:error=ENOMEM:when=3+ "$0" "$@""#;
const FAILING_POLL: &str =
    r#"exec strace -qq -o /dev/null -e inject=select,pselect6,poll,ppoll:error=ENOMEM:when=4 "$0" "$@""#;

/// Returns a list of problems: results that differ from the document, and faults that our program
/// does not handle.
pub(crate) fn compare(c_program: &Path, program: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(DOCUMENT).expect("docs/compat.md cannot be read");
    let section = text.split(HEADING).nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap_or_default();
    let mut problems = Vec::new();
    for fault in &FAULTS {
        let [theirs, ours] = [c_program, program].map(|program| fault.run(program));
        // Accept any error messages from the C program, which words them differently and may print
        // several.
        let theirs = if matches!(&theirs, Verdict::Mute(_)) { Verdict::Error } else { theirs };
        println!("{}: C program {}, ours {}", fault.name, theirs.word(), ours.word());
        if !has_row(section, fault.name, &theirs, &ours) {
            problems.push(format!("docs/compat.md has no such row: {}: {theirs:?}, {ours:?}", fault.name));
        }
        if !matches!(ours, Verdict::Ok | Verdict::Error) {
            problems.push(format!("{}: {ours:?}", fault.name));
        }
    }
    let rows = section.lines().filter(|line| line.starts_with("| ")).count();
    if rows != FAULTS.len() + 1 {
        problems.push(format!("docs/compat.md has {rows} rows, expected {}", FAULTS.len() + 1));
    }
    problems
}

/// Returns `true` if the section has a row with this fault and these verdicts. If the C program's
/// verdict varies, the row lists the alternatives, as in "loss or crash".
fn has_row(section: &str, name: &str, theirs: &Verdict, ours: &Verdict) -> bool {
    section.lines().any(|line| match line.split(" | ").collect::<Vec<_>>().as_slice() {
        [first, second, third] => {
            first.strip_prefix("| ") == Some(name)
                && second.split(" or ").any(|word| word == theirs.word())
                && third.strip_suffix(" |") == Some(ours.word())
        }
        _ => false,
    })
}

impl Fault {
    fn run(&self, program: &Path) -> Verdict {
        let verdict = session::run(Near::Pipes, self.behavior, |args| {
            let mut command = Command::new("sh");
            command.args(["-c", self.shell]).arg(program).args(args);
            command.env_clear().env("HOME", "/nonexistent").env("PATH", "/usr/bin:/bin");
            command
        });
        verdict.unwrap_or_else(|error| Verdict::Mute(error.to_string()))
    }
}
