//! The C program and this one in the same troubles, beside what docs/compat.md says of it.

use std::path::Path;
use std::process::Command;

use crate::session::{self, Manners, Near, Verdict};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compat.md");
const HEADING: &str = "## Relay faults";

pub(crate) struct Trouble {
    name: &'static str,
    /// How a shell starts the program.
    shell: &'static str,
    manners: Manners,
}

const fn trouble(name: &'static str, shell: &'static str) -> Trouble {
    Trouble { name, shell, manners: NONE }
}

const PLAIN: &str = r#"exec "$0" "$@""#;

pub(crate) const TROUBLES: [Trouble; 15] = [
    trouble("none", PLAIN),
    trouble("standard output is a full disk", r#"exec "$0" "$@" >/dev/full"#),
    trouble("standard input cannot be read", r#"exec "$0" "$@" </"#),
    Trouble { manners: NO_INPUT, ..trouble("standard input is closed", r#"exec "$0" "$@" <&-"#) },
    trouble("standard output is closed", r#"exec "$0" "$@" >&-"#),
    Trouble {
        manners: Manners { no_messages: true, ..NO_INPUT },
        ..trouble("all three are closed", r#"exec "$0" "$@" <&- >&- 2>&-"#)
    },
    Trouble {
        manners: Manners { slow: true, ..NONE },
        ..trouble("they are non-blocking (EAGAIN)", NONBLOCKING)
    },
    trouble("system calls are interrupted (EINTR)", INTERRUPTED),
    Trouble {
        manners: Manners { slow: true, ..NONE },
        ..trouble("the process is stopped and continued", STOPPED)
    },
    Trouble { manners: Manners { near_leaves: Some(100_000), ..NONE }, ..trouble("the reader exits", PLAIN) },
    Trouble { manners: Manners { far_resets: Some(100_000), ..NONE }, ..trouble("the target resets", PLAIN) },
    Trouble {
        manners: Manners { far_resets: Some(350_000), slow: true, ..NONE },
        ..trouble("the target resets, slow reader", PLAIN)
    },
    trouble("no file descriptors left (EMFILE)", NO_DESCRIPTOR),
    trouble("a read fails (ENOMEM)", FAILING_READ),
    trouble("poll fails (ENOMEM)", FAILING_POLL),
];

const NONE: Manners =
    Manners { near_leaves: None, far_resets: None, slow: false, no_input: false, no_messages: false };
const NO_INPUT: Manners = Manners { no_input: true, ..NONE };
const NONBLOCKING: &str = r#"exec perl -MFcntl -e '
    fcntl($_, F_SETFL, fcntl($_, F_GETFL, 0) | O_NONBLOCK) || die for *STDIN, *STDOUT; exec @ARGV' "$0" "$@""#;
const INTERRUPTED: &str = r#"exec strace -qq -o /dev/null \
    -e inject=select,pselect6,poll,ppoll,write,sendto,recvfrom,splice:error=EINTR:when=1+3 "$0" "$@""#;
const STOPPED: &str = r#"exec 3<&0; "$0" "$@" <&3 3<&- & pid=$!; exec 3<&- >&-
    for i in 1 2 3 4 5 6; do sleep .05; kill -STOP $pid; sleep .05; kill -CONT $pid; done 2>/dev/null; wait $pid"#;
const NO_DESCRIPTOR: &str = r#"exec strace -qq -o /dev/null -e inject=socket:error=EMFILE "$0" "$@""#;
const FAILING_READ: &str =
    r#"exec strace -qq -o /dev/null -e inject=recvfrom,splice:error=ENOMEM:when=3 "$0" "$@""#;
const FAILING_POLL: &str =
    r#"exec strace -qq -o /dev/null -e inject=select,pselect6,poll,ppoll:error=ENOMEM:when=4 "$0" "$@""#;

/// What differs from the document, or is no good of ours.
pub(crate) fn compare(theirs: &Path, ours: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(DOCUMENT).expect("docs/compat.md cannot be read");
    let section = text.split(HEADING).nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap_or_default();
    let mut problems = Vec::new();
    for trouble in &TROUBLES {
        let [there, here] = [theirs, ours].map(|program| trouble.run(program));
        // It has words of its own, and any will do.
        let there = if matches!(&there, Verdict::Mute(_)) { Verdict::Told } else { there };
        println!("{}: theirs {}, ours {}", trouble.name, there.word(), here.word());
        if !is_said(section, trouble.name, &there, &here) {
            problems.push(format!("docs/compat.md does not say that {}: {there:?}, {here:?}", trouble.name));
        }
        if !matches!(here, Verdict::Ok | Verdict::Told) {
            problems.push(format!("{}: {here:?}", trouble.name));
        }
    }
    let rows = section.lines().filter(|line| line.starts_with("| ")).count();
    if rows != TROUBLES.len() + 1 {
        problems.push(format!("docs/compat.md has {rows} rows and not {}", TROUBLES.len() + 1));
    }
    problems
}

/// Whether there is such a row. What is chance, or haste, has two words in it: "loss or crash".
fn is_said(section: &str, name: &str, there: &Verdict, here: &Verdict) -> bool {
    section.lines().any(|line| match line.split(" | ").collect::<Vec<_>>().as_slice() {
        [first, theirs, ours] => {
            first.strip_prefix("| ") == Some(name)
                && theirs.split(" or ").any(|word| word == there.word())
                && ours.strip_suffix(" |") == Some(here.word())
        }
        _ => false,
    })
}

impl Trouble {
    fn run(&self, program: &Path) -> Verdict {
        let seen = session::run(Near::Pipes, self.manners, |words| {
            let mut command = Command::new("sh");
            command.args(["-c", self.shell]).arg(program).args(words);
            command.env_clear().env("HOME", "/nonexistent").env("PATH", "/usr/bin:/bin");
            command
        });
        seen.unwrap_or_else(|error| Verdict::Mute(error.to_string()))
    }
}
