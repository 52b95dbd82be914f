//! The cost of starting the program, measured from exec to exit in a short session through a SOCKS5
//! proxy.
//!
//! The tests count instructions (callgrind) and system calls (strace). Neither count depends on the
//! machine's load. `tests/startup/run` runs the tests with the release build and shows the C
//! program's counts beside ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "../kit/mod.rs"]
mod kit;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use kit::*;

/// The maximum number of instructions for a start: the count on Debian 12 with Rust 1.95, plus 2%.
///
/// The dynamic loader executes most of them, because it resolves each C library function that we
/// use. The count varies between machines: glibc selects its memory functions by processor, and the
/// loader reads the environment. But valgrind hides most differences between processors, and the
/// environment here is nearly empty.
///
/// If a change exceeds the limit, find out why: build with `CARGO_PROFILE_RELEASE_STRIP=none` and
/// run `callgrind_annotate --inclusive=yes`. If the change is worth the cost, set this limit to the
/// printed count plus 2%. Lower it after an improvement.
const MAX_INSTRUCTIONS: u64 = 337_000;

const C_PROGRAM: &str = "/usr/bin/connect-proxy";

/// A directory with a copy of the program and an empty home directory.
struct Stage {
    directory: TempPath,
}

impl Stage {
    fn new() -> Self {
        let directory = TempPath::directory("startup");
        fs::create_dir(directory.join("home")).unwrap();
        // Run a copy, so that the program's path and name do not depend on `CONNECT_UNDER_TEST`.
        fs::copy(program_path(), directory.join("connect")).unwrap();
        Self { directory }
    }

    fn program(&self) -> PathBuf {
        self.directory.join("connect")
    }

    /// Runs one session under a tool, and returns the proxy's port. The local side, which stands in
    /// for ssh, ends the session once the greeting has arrived.
    fn session(&self, tool: &[&str], program: &Path) -> u16 {
        // The proxy sends its reply and the greeting as separate segments, like a proxy that relays
        // the greeting from a target.
        let proxy = socks5_none().send("greeting\n").expect_eof().serve();
        let mut run = Program::new(tool[0]).env("HOME", self.directory.join("home"));
        for arg in &tool[1..] {
            run = run.arg(arg);
        }
        let run = run.arg(program).args(format!("-S {proxy} 127.0.0.1 22")).start();
        run.wait_stdout_has("greeting\n");
        run.finish().expect_code(0).expect_stdout("greeting\n");
        let port = proxy.port();
        proxy.finish();
        port
    }

    fn instructions(&self, program: &Path) -> u64 {
        let profile = self.directory.join("profile");
        let output = format!("--callgrind-out-file={}", profile.display());
        self.session(&["valgrind", "--tool=callgrind", &output], program);
        let profile = fs::read_to_string(profile).unwrap();
        let summary = profile.lines().find_map(|line| line.strip_prefix("summary:"));
        summary.expect("callgrind writes a summary").trim().parse().unwrap()
    }

    fn trace(&self, program: &Path) -> Trace {
        let file = self.directory.join("trace");
        let port = self.session(&["strace", "-f", "-qq", "-o", file.to_str().unwrap()], program);
        let text = fs::read_to_string(file).unwrap();
        let calls = text.lines().filter_map(Call::parse).collect();
        Trace { calls, port, text }
    }
}

/// One system call in strace's output.
struct Call {
    name: String,
    args: String,
}

impl Call {
    /// Parses `PID name(args) = result`. Returns `None` for any other line.
    fn parse(line: &str) -> Option<Self> {
        let (_, call) = line.split_once(' ')?;
        let (name, args) = call.trim_start().split_once('(')?;
        args.contains(" = ").then(|| Self { name: name.to_owned(), args: args.to_owned() })
    }

    /// Returns the path in the call's arguments, whether or not the file exists. `None` for a call
    /// that takes no path.
    fn file(&self) -> Option<&str> {
        const NAMING: [&str; 13] = [
            "execve",
            "open",
            "openat",
            "openat2",
            "access",
            "faccessat",
            "faccessat2",
            "stat",
            "lstat",
            "newfstatat",
            "statx",
            "readlink",
            "readlinkat",
        ];
        let file = self.args.split('"').nth(1).filter(|file| !file.is_empty());
        file.filter(|_| NAMING.contains(&self.name.as_str()))
    }
}

/// The system calls of a session.
struct Trace {
    calls: Vec<Call>,
    /// The proxy's port.
    port: u16,
    /// strace's output, for failure messages.
    text: String,
}

impl Trace {
    /// Returns the name of each call whose name is in `names`, in the order of the calls.
    fn named(&self, names: &[&str]) -> Vec<&str> {
        self.calls.iter().map(|call| call.name.as_str()).filter(|name| names.contains(name)).collect()
    }

    fn connects_to_proxy(&self, call: &Call) -> bool {
        call.name == "connect" && call.args.contains(&format!("htons({})", self.port))
    }
}

static STAGE: LazyLock<Stage> = LazyLock::new(Stage::new);
static OURS: LazyLock<Trace> = LazyLock::new(|| STAGE.trace(&STAGE.program()));

#[test]
fn a_start_takes_no_more_instructions_than_the_limit() {
    let stage = Stage::new();
    let c_program = Path::new(C_PROGRAM);
    let (ours, theirs) = (stage.instructions(&stage.program()), stage.instructions(c_program));
    let calls = (OURS.calls.len() as u64, stage.trace(c_program).calls.len() as u64);
    println!("{:<28} {:>10} {:>14} {:>8}", "until the first byte", "connect", "connect-proxy", "ratio");
    for (what, (ours, theirs)) in [("instructions", (ours, theirs)), ("system calls", calls)] {
        #[allow(clippy::cast_precision_loss, reason = "two decimals are shown")]
        let ratio = ours as f64 / theirs as f64;
        println!("{what:<28} {ours:>10} {theirs:>14} {ratio:>8.2}");
    }
    if cfg!(target_arch = "x86_64") {
        assert!(ours <= MAX_INSTRUCTIONS, "{ours} instructions, and the limit is {MAX_INSTRUCTIONS}");
    } else {
        println!("the limit for instructions is not checked: it is that of x86_64");
    }
}

/// The C library is the only library that the program may map.
#[test]
fn a_start_opens_no_file_that_a_plain_session_does_not_need() {
    let home = STAGE.directory.join("home/.connectrc");
    let needed = [
        STAGE.program().to_str().unwrap(),
        home.to_str().unwrap(),
        "/etc/connectrc",
        "/etc/ld.so.preload",
        "/etc/ld.so.cache",
        // Opened to check whether a user could type a password.
        "/dev/tty",
    ]
    .map(str::to_owned);
    let is_needed = |file: &&str| needed.iter().any(|name| name == file) || file.ends_with("/libc.so.6");
    let others: Vec<_> = OURS.calls.iter().filter_map(Call::file).filter(|file| !is_needed(file)).collect();
    assert_eq!(others, [""; 0], "\n{}", OURS.text);
}

/// `sys` defines stubs for functions in libm and `libgcc_s`. Libraries that glibc loads to resolve
/// names must get the real functions.
#[test]
fn the_program_exports_no_symbols() {
    let output =
        Command::new("readelf").args(["--dyn-syms", "--wide"]).arg(STAGE.program()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let symbols = text.lines().skip(3).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let exported: Vec<_> =
        symbols.filter(|columns| columns.get(6).is_some_and(|&section| section != "UND")).collect();
    assert!(text.lines().count() > 3 && exported.is_empty(), "{exported:?}");
}

/// The program contacts neither a name server nor a name service cache.
#[test]
fn the_only_socket_is_connected_to_the_proxy() {
    assert_eq!(OURS.named(&["socket", "socketpair"]), ["socket"], "\n{}", OURS.text);
    assert!(OURS.calls.iter().any(|call| OURS.connects_to_proxy(call)), "{}", OURS.text);
}

#[test]
fn no_process_thread_or_runtime_is_started() {
    let names = [
        "clone",
        "clone3",
        "fork",
        "vfork",
        "execve",
        "epoll_create",
        "epoll_create1",
        "eventfd",
        "eventfd2",
        "pipe",
        "pipe2",
    ];
    assert_eq!(OURS.named(&names), ["execve"], "\n{}", OURS.text);
}

/// While a password may be in memory, the user's other processes cannot read that memory.
/// Afterwards, they can.
#[test]
fn memory_is_not_dumpable_during_the_negotiation_and_only_then() {
    let steps: Vec<_> = OURS
        .calls
        .iter()
        .filter_map(|call| {
            let dumpable = call.args.strip_prefix("PR_SET_DUMPABLE, ").filter(|_| call.name == "prctl");
            let dumpable = dumpable.and_then(|rest| rest.split(')').next());
            dumpable.or_else(|| OURS.connects_to_proxy(call).then_some("connect"))
        })
        .collect();
    assert_eq!(steps, ["SUID_DUMP_DISABLE", "connect", "SUID_DUMP_USER"], "\n{}", OURS.text);
}
