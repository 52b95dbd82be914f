//! OpenSSH's own regression tests (Debian package openssh-tests, unmodified), run with this
//! program. In `dynamic-forward`, the program replaces the SOCKS client; in the others, it is the
//! `ProxyCommand` and connects through microsocks, or through another sshd as an SSH hop. See the
//! script `openssh-regress-group.sh`.
//!
//! The tests use fixed ports and sleep a lot, so each group runs in its own network namespace, with
//! its own copy of the tests, in parallel with the other cases. We skip tests that open no
//! connection (keys, configuration parsing) and those that set their own `ProxyCommand`
//! (proxy-connect, cfgmatch, integrity). Through microsocks, we also skip rekey and try-ciphers:
//! their hundreds of short sessions would only test OpenSSH's ciphers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::context::{Case, Context, Topic};
use crate::daemon::Daemon;
use crate::peers::{Peers, is_root, run};
use crate::runner::last_lines;

/// Tests that run one after the other.
struct Group {
    way: Way,
    /// Runs only with `--full`.
    takes_long: bool,
    /// The tests in the order they run, with the minimum number of times that each must run the
    /// program. A test that passes with fewer runs has not really exercised the program.
    tests: &'static [(&'static str, u32)],
}

/// The server through which the program reaches the tests' sshd.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Socks,
    Ssh,
}

/// All groups, first those that always run.
const GROUPS: [Group; 8] = [
    group(Way::Socks, false, &[("dynamic-forward", 16)]),
    group(Way::Socks, false, &[("forwarding", 15), ("connect-uri", 2), ("connect", 1)]),
    group(Way::Socks, false, &[("multiplex", 6)]),
    group(
        Way::Socks,
        false,
        &[("exit-status", 10), ("transfer", 8), ("stderr-after-eof", 1), ("yes-head", 1)],
    ),
    group(
        Way::Ssh,
        false,
        &[("connect", 1), ("exit-status", 10), ("transfer", 8), ("stderr-after-eof", 1), ("yes-head", 1)],
    ),
    group(Way::Ssh, true, &[("forwarding", 15), ("multiplex", 6), ("connect-uri", 2), ("stderr-data", 2)]),
    group(Way::Ssh, true, &[("exit-status-signal", 1), ("envpass", 5), ("banner", 5), ("kextype", 10)]),
    group(Way::Ssh, true, &[("rekey", 50), ("try-ciphers", 50)]),
];

const fn group(way: Way, takes_long: bool, tests: &'static [(&'static str, u32)]) -> Group {
    Group { way, takes_long, tests }
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Socks => "socks",
            Self::Ssh => "ssh",
        }
    }
}

/// Options for unshare(1). Interrupted tests leave daemons behind; the PID namespace makes the
/// kernel kill them when the group ends.
const UNSHARE: [&str; 5] = ["--net", "--pid", "--mount-proc", "--fork", "--kill-child"];

/// Time limit for the result of a case's test. The longest group takes less than two minutes on a
/// busy machine.
const TIMEOUT: Duration = Duration::from_secs(400);

/// Time limit for tests that take long.
const LONG_TIMEOUT: Duration = Duration::from_secs(3000);

/// Returns the cases. With `full`, also those that take long.
pub(crate) fn cases(full: bool) -> Vec<Case> {
    let mut topic = Topic::new("openssh");
    for (number, group) in GROUPS.iter().enumerate().filter(|(_, group)| full || !group.takes_long) {
        for (test, _) in group.tests {
            let run = move |context: &Context| expect_passed(context, number, test);
            match group.way {
                Way::Socks => topic.both(format!("the regression test {test} passes"), run),
                Way::Ssh => topic.ours(format!("the regression test {test} passes through a bastion"), run),
            }
        }
    }
    topic.into_cases()
}

/// Starts all groups if one of these cases needs them. With `full`, also those that take long.
pub(crate) fn begin(full: bool, cases: &[Case], peers: &Peers) {
    if cases.iter().any(|case| case.name.starts_with("openssh: ")) {
        peers.background.get_or_init(|| start(full, peers));
    }
}

fn start(full: bool, peers: &Peers) -> Result<Vec<Daemon>, String> {
    if !is_root() {
        return Err("OpenSSH's own tests start sshd with PAM, and need root".into());
    }
    run(Command::new("unshare").args(UNSHARE).arg("true"))
        .map_err(|error| format!("OpenSSH's own tests need namespaces: {error}"))?;
    fs::create_dir_all("/run/sshd").map_err(|error| format!("/run/sshd: {error}"))?;
    let start_one = |(number, group): (usize, &Group)| {
        let scripts = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real"));
        let tests: Vec<String> =
            group.tests.iter().map(|(test, minimum)| format!("{test}:{minimum}")).collect();
        let mut command = peers.command("unshare", &UNSHARE);
        command.arg("bash").arg(scripts.join("openssh-regress-group.sh")).arg(folder(peers, number));
        command.arg(scripts.join("netcat-shim.sh")).arg(&peers.connect).arg(tests.join(" "));
        command.arg(group.way.name());
        Daemon::spawn(&format!("group {number}"), command, &log(peers, number), Vec::new())
    };
    GROUPS.iter().enumerate().filter(|(_, group)| full || !group.takes_long).map(start_one).collect()
}

fn folder(peers: &Peers, group: usize) -> PathBuf {
    peers.work.join(format!("regress-{group}"))
}

fn log(peers: &Peers, group: usize) -> PathBuf {
    peers.work.join("log").join(format!("regress-{group}"))
}

/// Waits for a test's result and panics unless the test passed.
fn expect_passed(context: &Context, group: usize, test: &str) {
    let peers = context.peers;
    let groups = peers.background.get().expect("the groups were started");
    let daemon = match groups {
        Ok(daemons) => &daemons[group],
        Err(error) => panic!("{error}"),
    };
    let folder = folder(peers, group);
    let read = |name: String| fs::read_to_string(folder.join(name)).unwrap_or_default();
    let timeout = if GROUPS[group].takes_long { LONG_TIMEOUT } else { TIMEOUT };
    let start = Instant::now();
    loop {
        let ended = daemon.has_exited();
        // When the test is over, the script renames the complete file to this name.
        let result = read(format!("{test}.result"));
        match result.trim() {
            "ok" => return,
            "" if !ended && start.elapsed() < timeout => sleep(Duration::from_millis(50)),
            "" => {
                let log = fs::read_to_string(log(peers, group)).unwrap_or_default();
                panic!("the test did not run or did not end; the log of its group:\n{}", last_lines(&log, 8));
            }
            problem => panic!("{problem}\n{}", last_lines(&read(format!("{test}.out")), 25)),
        }
    }
}
