//! The benchmark's command line.

use std::path::PathBuf;
use std::process;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

/// The protocol of a tunnel that needs a server of the same kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TunnelKind {
    WebSocket,
    Post,
    /// A hub with an origin.
    Hub,
    /// sshd as a hop.
    Ssh,
}

/// A measurement that can be selected by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Measurement {
    Down,
    Up,
    PingPong,
    Start,
    Memory,
    Sessions,
    Port,
    Idle,
    Tunnels(TunnelKind),
}

impl Measurement {
    pub(crate) const ALL: [(&str, Self); 12] = [
        ("down", Self::Down),
        ("up", Self::Up),
        ("pingpong", Self::PingPong),
        ("start", Self::Start),
        ("port", Self::Port),
        ("memory", Self::Memory),
        ("sessions", Self::Sessions),
        ("idle", Self::Idle),
        ("ws", Self::Tunnels(TunnelKind::WebSocket)),
        ("post", Self::Tunnels(TunnelKind::Post)),
        ("hub", Self::Tunnels(TunnelKind::Hub)),
        ("ssh", Self::Tunnels(TunnelKind::Ssh)),
    ];
}

/// Another build of our program, or our program in another environment.
pub(crate) struct Variant {
    pub(crate) name: String,
    /// The path of another build; `None` for the current one.
    pub(crate) program: Option<PathBuf>,
    /// An environment variable to set.
    pub(crate) variable: Option<(String, String)>,
}

pub(crate) struct Options {
    pub(crate) measurements: Vec<Measurement>,
    /// Number of rounds in the bulk measurements.
    pub(crate) rounds: usize,
    pub(crate) mib: u64,
    /// Number of rounds in the start-up measurement.
    pub(crate) starts: usize,
    pub(crate) round_trips: usize,
    pub(crate) sessions: usize,
    /// Number of idle sessions; `None` for as many as the descriptor limit allows.
    pub(crate) idle: Option<usize>,
    pub(crate) one_core: bool,
    /// The other programs to compare with; empty for all of them.
    pub(crate) only: Vec<String>,
    pub(crate) variants: Vec<Variant>,
    /// The directory for the output files.
    pub(crate) write: PathBuf,
}

const AFTER_HELP: &str = "\
Every competitor has one turn per round, and a different one starts each round.
Ratios are taken within a round, so that a slow phase of the machine affects
both sides. Our program and the baseline always take part.

On several cores the scheduler's placement changes what a relay costs. Use
--one-core to see smaller differences between two builds.

To compare two builds, or two modes:
  cargo bench -- down up --only none --program /tmp/before=before
  cargo bench -- down up --only none --variant copying:CONNECT_RELAY=copy";

fn command(peers: impl Iterator<Item = &'static str>) -> Command {
    let optional_number = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("N").value_parser(value_parser!(u64).range(1..)).help(help)
    };
    let number = |name: &'static str, default: &'static str, help: &'static str| {
        optional_number(name, help).default_value(default)
    };
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).action(ArgAction::Append).help(help)
    };
    Command::new("cargo bench --")
        .override_usage("cargo bench -- [OPTIONS] [MEASUREMENT]...")
        .about("Compares this program with others, and with the least that a relay can do")
        .after_help(AFTER_HELP)
        .arg(
            Arg::new("measurements")
                .value_name("MEASUREMENT")
                .num_args(0..)
                .value_parser(Measurement::ALL.map(|(name, _)| name))
                .hide_possible_values(true)
                .help("down, up, pingpong, start, port, memory, sessions, idle,\nws, post, hub or ssh (default: all)"),
        )
        .arg(number("rounds", "5", "Rounds of measurements that move much data"))
        .arg(number("mib", "1024", "MiB to move in a run"))
        .arg(number("starts", "200", "Rounds of the start measurement"))
        .arg(number("round-trips", "4000", "Round trips in a run"))
        .arg(number("sessions", "1000", "Concurrent sessions of a listener"))
        .arg(optional_number(
            "idle",
            "Idle sessions of a listener, or pairs of a hub\n(default: 10000, if the descriptor limit allows them)",
        ))
        .arg(flag("quick", "Use small numbers, to check that everything works"))
        .arg(
            text("only", "PEER,..", "Compare with these programs only, or with `none`")
                .value_delimiter(',')
                .value_parser(peers.chain(["none"]).collect::<Vec<_>>()),
        )
        .arg(flag("one-core", "Run on one core: results repeat within a few percent"))
        .arg(text("program", "PATH[=NAME]", "Add another build of our program"))
        .arg(text("variant", "NAME:VAR=VALUE", "Add our program with this variable set"))
        .arg(
            text("write", "DIR", "Write bench.json and bench.svg here (default: target/bench)")
                .action(ArgAction::Set),
        )
        .arg(Arg::new("bench").long("bench").action(ArgAction::SetTrue).hide(true))
}

/// Parses the command line. Exits with a message if it is invalid.
pub(crate) fn parse(peers: impl Iterator<Item = &'static str>) -> Options {
    let matches = command(peers).get_matches();
    let quick = matches.get_flag("quick");
    let optional = |name: &str, small: u64| {
        let given = matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine);
        if quick && !given { Some(small) } else { matches.get_one::<u64>(name).copied() }
    };
    let number = |name, small| optional(name, small).expect("it has a default");
    let fit = |number| usize::try_from(number).expect("the number fits");
    let count = |name, small| fit(number(name, small));
    Options {
        measurements: measurements(&matches),
        rounds: count("rounds", 2),
        mib: number("mib", 64),
        starts: count("starts", 5),
        round_trips: count("round-trips", 200),
        sessions: count("sessions", 50),
        idle: optional("idle", 200).map(fit),
        one_core: matches.get_flag("one-core"),
        only: strings(&matches, "only"),
        variants: variants(&matches),
        write: matches.get_one::<String>("write").map_or_else(default_directory, PathBuf::from),
    }
}

fn strings(matches: &ArgMatches, name: &str) -> Vec<String> {
    matches.get_many::<String>(name).unwrap_or_default().cloned().collect()
}

fn measurements(matches: &ArgMatches) -> Vec<Measurement> {
    let given = strings(matches, "measurements");
    let selected = |name: &str| given.is_empty() || given.iter().any(|word| word == name);
    Measurement::ALL.into_iter().filter(|(name, _)| selected(name)).map(|(_, one)| one).collect()
}

fn variants(matches: &ArgMatches) -> Vec<Variant> {
    let builds = strings(matches, "program").into_iter().map(|value| {
        let (path, name) = value.split_once('=').unwrap_or((&value, &value));
        let path = PathBuf::from(path);
        if !path.is_file() {
            usage_error(&format!("--program: no such file: '{}'", path.display()));
        }
        Variant { name: name.to_owned(), program: Some(path), variable: None }
    });
    let environments = strings(matches, "variant").into_iter().map(|value| {
        let parts = value.split_once(':').and_then(|(name, rest)| Some((name, rest.split_once('=')?)));
        let Some((name, (variable, setting))) = parts else {
            usage_error(&format!("--variant: expected NAME:VAR=VALUE, got '{value}'"))
        };
        Variant {
            name: name.to_owned(),
            program: None,
            variable: Some((variable.to_owned(), setting.to_owned())),
        }
    });
    builds.chain(environments).collect()
}

fn usage_error(message: &str) -> ! {
    eprintln!("cargo bench: {message}");
    process::exit(2)
}

/// Returns the `bench` subdirectory of Cargo's target directory.
fn default_directory() -> PathBuf {
    scratch_directory().with_file_name("bench")
}

/// Returns the directory that Cargo provides for temporary files of tests and benchmarks.
pub(crate) fn scratch_directory() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}
