//! What was asked for.

use std::path::PathBuf;
use std::process;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::competitors;

/// A measure that can be asked for by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Measure {
    Down,
    Up,
    PingPong,
    Start,
    Memory,
    Sessions,
    Port,
}

impl Measure {
    pub(crate) const ALL: [(&str, Self); 7] = [
        ("down", Self::Down),
        ("up", Self::Up),
        ("pingpong", Self::PingPong),
        ("start", Self::Start),
        ("port", Self::Port),
        ("memory", Self::Memory),
        ("sessions", Self::Sessions),
    ];
}

/// A further competitor that is called like ours.
pub(crate) struct Variant {
    pub(crate) name: String,
    /// Another build.
    pub(crate) program: Option<PathBuf>,
    /// Another environment.
    pub(crate) variable: Option<(String, String)>,
}

pub(crate) struct Options {
    pub(crate) measures: Vec<Measure>,
    /// How often each competitor has its turn, in measures that move much data.
    pub(crate) rounds: usize,
    pub(crate) mib: u64,
    /// How often each competitor is started.
    pub(crate) starts: usize,
    pub(crate) round_trips: usize,
    pub(crate) sessions: usize,
    pub(crate) one_core: bool,
    /// Peers that take part; nobody named: all.
    pub(crate) only: Vec<String>,
    pub(crate) variants: Vec<Variant>,
    /// Where the files go.
    pub(crate) write: PathBuf,
}

const AFTER: &str = "\
Each competitor has its turn in each round, and the first of a round is another one each time. Ratios are taken within
a round, so that what slows the machine for a while slows both. Ours and the floor always take part.

On more than one core a relay costs more or less by where the scheduler puts it and its neighbours; to compare two
builds, --one-core tells smaller differences.

Two builds, or two ways, beside each other:
  cargo bench -- down up --only none --program /tmp/before=before --variant copying:CONNECT_RELAY=copy";

fn command() -> Command {
    let number = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("N")
            .default_value(default)
            .value_parser(value_parser!(u64).range(1..))
            .help(help)
    };
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).action(ArgAction::Append).help(help)
    };
    Command::new("cargo bench --")
        .override_usage("cargo bench -- [OPTIONS] [MEASURE]...")
        .about("Measures this program beside others and beside the least a relay can do")
        .after_help(AFTER)
        .arg(
            Arg::new("measures")
                .value_name("MEASURE")
                .num_args(0..)
                .value_parser(Measure::ALL.map(|(name, _)| name))
                .hide_possible_values(true)
                .help("down, up, pingpong, start, port, memory, sessions; all by default"),
        )
        .arg(number("rounds", "5", "Rounds of the measures that move much data"))
        .arg(number("mib", "1024", "MiB that are moved in a run"))
        .arg(number("starts", "200", "Rounds of starting"))
        .arg(number("round-trips", "4000", "Round trips in a run"))
        .arg(number("sessions", "1000", "Sessions at once of a listener"))
        .arg(flag("quick", "Small figures, to see that it works"))
        .arg(
            text("only", "PEER,..", "These peers only; `none` for none")
                .value_delimiter(',')
                .value_parser(competitors::peers().chain(["none"]).collect::<Vec<_>>()),
        )
        .arg(flag("one-core", "Everything shares one core: the figures repeat within a few per cent"))
        .arg(text("program", "PATH[=NAME]", "Another build of ours takes part as well"))
        .arg(text("variant", "NAME:VAR=VALUE", "Ours takes part once more, with this variable"))
        .arg(
            text("write", "DIR", "Where bench.json and bench.svg go; target/bench by default")
                .action(ArgAction::Set),
        )
        .arg(Arg::new("bench").long("bench").action(ArgAction::SetTrue).hide(true))
}

/// Reads the command line; ends the program if there is no sense in it.
pub(crate) fn parse() -> Options {
    let matches = command().get_matches();
    let quick = matches.get_flag("quick");
    let number = |name: &str, small: u64| {
        let given = matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine);
        if quick && !given { small } else { *matches.get_one::<u64>(name).expect("it has a default") }
    };
    let count = |name, small| usize::try_from(number(name, small)).expect("numbers of this size fit");
    Options {
        measures: measures(&matches),
        rounds: count("rounds", 2),
        mib: number("mib", 64),
        starts: count("starts", 5),
        round_trips: count("round-trips", 200),
        sessions: count("sessions", 50),
        one_core: matches.get_flag("one-core"),
        only: words(&matches, "only"),
        variants: variants(&matches),
        write: matches.get_one::<String>("write").map_or_else(default_directory, PathBuf::from),
    }
}

fn words(matches: &ArgMatches, name: &str) -> Vec<String> {
    matches.get_many::<String>(name).unwrap_or_default().cloned().collect()
}

fn measures(matches: &ArgMatches) -> Vec<Measure> {
    let asked = words(matches, "measures");
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|word| word == name);
    Measure::ALL.into_iter().filter(|(name, _)| wanted(name)).map(|(_, measure)| measure).collect()
}

fn variants(matches: &ArgMatches) -> Vec<Variant> {
    let builds = words(matches, "program").into_iter().map(|word| {
        let (path, name) = word.split_once('=').unwrap_or((&word, &word));
        let path = PathBuf::from(path);
        if !path.is_file() {
            give_up(&format!("--program: there is no {}", path.display()));
        }
        Variant { name: name.to_owned(), program: Some(path), variable: None }
    });
    let environments = words(matches, "variant").into_iter().map(|word| {
        let parts = word.split_once(':').and_then(|(name, rest)| Some((name, rest.split_once('=')?)));
        let Some((name, (variable, value))) = parts else { give_up("--variant wants NAME:VAR=VALUE") };
        Variant {
            name: name.to_owned(),
            program: None,
            variable: Some((variable.to_owned(), value.to_owned())),
        }
    });
    builds.chain(environments).collect()
}

fn give_up(why: &str) -> ! {
    eprintln!("cargo bench: {why}");
    process::exit(2)
}

/// `bench` in the target directory, wherever that is.
fn default_directory() -> PathBuf {
    scratch_directory().with_file_name("bench")
}

/// Cargo's directory for what tests and benchmarks make.
pub(crate) fn scratch_directory() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}
