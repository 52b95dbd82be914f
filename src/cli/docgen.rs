//! Generates documentation pages, manual pages and shell completions from the tables of flags and
//! parameters.
//!
//! The files are checked in, and a test checks that they are up to date. `CONNECT_WRITE_MANUAL=1
//! cargo test manual` regenerates them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test panics")]

use std::fmt::Write;
use std::fs;

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, ValueHint};
use clap_complete::Shell;

use super::flags::{self, Definition, Offer};
use super::{Request, help, parse};
use crate::parameters::{self, Parameter};

mod roff;

/// The date of the manual pages.
const DATE: &str = "2026-11-22";
const COMMAND: &str = "CONNECT_WRITE_MANUAL=1 cargo test manual";

fn path(file: &str) -> String {
    format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    let text = fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    text.replace("\r\n", "\n")
}

/// Compares a file with its generated text, or writes the file if `CONNECT_WRITE_MANUAL` is set.
#[track_caller]
fn expect_up_to_date(file: &str, text: &str) {
    if std::env::var_os("CONNECT_WRITE_MANUAL").is_some() {
        return fs::write(path(file), text).unwrap();
    }
    assert!(read(file) == text, "{file} is out of date: run {COMMAND}");
}

/// Returns the text that the program prints for this command line.
#[track_caller]
fn printed(line: &str) -> String {
    match parse(line.split(' ').map(Into::into)) {
        Ok(Request::Print(text)) => text.replace("\r\n", "\n"),
        other => panic!("{line}: {other:?}"),
    }
}

/// Returns docs/options.md.
fn options_page() -> String {
    let mut page = format!("# Options\n\n`{}`\n\n{}\n", help::USAGE, help::OPERANDS);
    for (heading, group) in flags::GROUPS {
        write!(page, "\n## {heading}\n").unwrap();
        for definition in group {
            write!(page, "\n### `{}`\n\n{}\n", definition.synopsis(), definition.text).unwrap();
        }
    }
    page.push_str("\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (code, meaning) in help::EXIT_CODES {
        writeln!(page, "| {code} | {meaning} |").unwrap();
    }
    write!(page, "\n{}", help::ENDINGS).unwrap();
    page
}

/// Returns the text below a second-level heading.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap()
}

fn title(name: &str, number: u8) -> String {
    format!(".TH {} {number} {DATE} \"connect {}\"\n", name.to_uppercase(), env!("CARGO_PKG_VERSION"))
}

/// Returns the manual page connect(1).
fn manual() -> String {
    let page = options_page();
    let groups = page.split_once("\n## ").unwrap().1.split("\n## Exit codes").next().unwrap();
    let examples = help::after();
    let examples = examples.split_once("Examples:\n").unwrap().1.split("\n\n").next().unwrap();
    let text = [
        "# Name\n\nconnect - ProxyCommand for ssh: connects through SOCKS and HTTP proxies\n",
        "\n# Synopsis\n\n`connect` [_options_] _host_ [_port_]\n",
        &format!("\n# Description\n\n{}\n\n{}\n", help::ABOUT.replace('\n', "\n\n"), help::OPERANDS),
        &format!("\n# Options\n\n## {groups}"),
        &read("docs/proxies.md"),
        &format!("\n# Exit status\n{}", section(&page, "Exit codes")),
        "\n# Files\n\n### `~/.connectrc`, `/etc/connectrc`\n\nParameter files. See connectrc(5).\n",
        "\n### `~/.netrc`\n\nUser names and passwords. See `--netrc`.\n",
        &format!("\n# Examples\n\n```\n{examples}\n```\n"),
        "\n# See also\n\nconnectrc(5), ssh(1), ssh_config(5)\n",
    ];
    title("connect", 1) + &roff::from_markdown(&text.concat())
}

/// Returns the manual page connectrc(5).
fn parameter_manual() -> String {
    let page = parameters_page();
    let text = [
        "# Name\n\nconnectrc - parameter files and environment variables of connect\n",
        "\n# Synopsis\n\n`~/.connectrc`\n\n`/etc/connectrc`\n\n# Description\n",
        page.strip_prefix("# Parameters\n").unwrap(),
        "\n# See also\n\nconnect(1), ssh_config(5)\n",
    ];
    title("connectrc", 5) + &roff::from_markdown(&text.concat())
}

fn completions(shell: Shell) -> String {
    let offering = |command: Command, definition: &Definition| {
        let id = definition.brief;
        match definition.offer {
            Offer::Nothing => command,
            Offer::Files => command.mut_arg(id, |value| value.value_hint(ValueHint::FilePath)),
            Offer::Hosts => command.mut_arg(id, |value| value.value_hint(ValueHint::Hostname)),
            Offer::Commands => command.mut_arg(id, |value| value.value_hint(ValueHint::CommandString)),
            Offer::Words(words) => {
                command.mut_arg(id, |value| value.value_parser(PossibleValuesParser::new(words)))
            }
        }
    };
    let mut command = flags::all()
        .fold(flags::command(), offering)
        .arg(Arg::new("HOST").value_hint(ValueHint::Hostname).help("Name or address, or unix:PATH"))
        .arg(Arg::new("PORT").help("Number or service name"));
    // In zsh, an unescaped colon ends a value's name.
    if shell == Shell::Zsh {
        command = command.mut_args(|flag| match flag.get_value_names() {
            Some([name]) => {
                let name: &'static str = name.replace(':', "\\:").leak();
                flag.value_name(name)
            }
            _ => flag,
        });
    }
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "connect", &mut script);
    String::from_utf8(script).unwrap()
}

/// Returns `page` with the text between `mark` and the end mark replaced.
fn with_generated(page: &str, mark: &str, text: &str) -> String {
    const END: &str = "<!-- end -->\n";
    let (before, rest) = page.split_once(mark).unwrap_or_else(|| panic!("no {mark}"));
    let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("no {END} after {mark}"));
    format!("{before}{mark}{text}{END}{after}")
}

/// Returns README.md with the current help.
fn readme() -> String {
    let help = printed("connect --help");
    let options = help.split_once("\n\n").unwrap().1.split("\nHOST is").next().unwrap();
    with_generated(&read("README.md"), "<!-- connect --help -->\n", &format!("```text\n{options}```\n"))
}

/// Returns docs/parameters.md with the current tables.
fn parameters_page() -> String {
    let rows = |in_files: bool| {
        let rows = parameters::ALL.iter().filter(|parameter| parameter.in_files == in_files);
        let rows: Vec<_> =
            rows.map(|Parameter { name, doc, .. }| format!("| `{name}` | {doc} |\n")).collect();
        rows.concat()
    };
    let table = |rows: String| format!("\n| parameter | meaning |\n|---|---|\n{rows}\n");
    let page = with_generated(&read("docs/parameters.md"), "<!-- parameters -->\n", &table(rows(true)));
    with_generated(&page, "<!-- environment only -->\n", &table(rows(false)))
}

#[test]
fn the_manual_and_other_generated_files_are_up_to_date() {
    expect_up_to_date("docs/options.md", &options_page());
    expect_up_to_date("docs/parameters.md", &parameters_page());
    expect_up_to_date("docs/connect.1", &manual());
    expect_up_to_date("docs/connectrc.5", &parameter_manual());
    expect_up_to_date("docs/completions/connect.bash", &completions(Shell::Bash));
    expect_up_to_date("docs/completions/_connect", &completions(Shell::Zsh));
    expect_up_to_date("docs/completions/connect.fish", &completions(Shell::Fish));
    expect_up_to_date("docs/completions/_connect.ps1", &completions(Shell::PowerShell));
    expect_up_to_date("README.md", &readme());
}

/// On a terminal that supports only ASCII, troff warns about any other character.
#[test]
fn manual_pages_are_ascii() {
    for file in ["docs/connect.1", "docs/connectrc.5"] {
        let page = read(file);
        assert!(page.is_ascii(), "{file}: {:?}", page.chars().find(|c| !c.is_ascii()));
    }
}

#[test]
fn the_program_prints_each_generated_file() {
    for (word, file) in [
        ("man", "docs/connect.1"),
        ("connectrc", "docs/connectrc.5"),
        ("bash", "docs/completions/connect.bash"),
        ("zsh", "docs/completions/_connect"),
        ("fish", "docs/completions/connect.fish"),
        ("powershell", "docs/completions/_connect.ps1"),
    ] {
        assert!(printed(&format!("connect --generate {word}")) == read(file), "{word}");
    }
}

/// Checks both the letter and the long name of each flag.
#[test]
fn every_text_lists_every_flag() {
    let texts = [
        ("help", printed("connect --help")),
        ("long help", printed("connect --help=all")),
        ("README.md", read("README.md")),
        ("docs/options.md", read("docs/options.md")),
        ("connect(1)", unformatted("docs/connect.1")),
        ("bash", read("docs/completions/connect.bash")),
        ("zsh", read("docs/completions/_connect")),
        ("powershell", read("docs/completions/_connect.ps1")),
    ];
    let fish = read("docs/completions/connect.fish");
    for definition in flags::all() {
        let letter = definition.letter.map(|letter| format!("-{letter}"));
        for name in letter.iter().cloned().chain(definition.long.map(|long| format!("--{long}"))) {
            for (place, text) in &texts {
                assert!(is_word_of(text, &name), "{name} is missing in {place}");
            }
        }
        if let Some(letter) = definition.letter {
            assert!(
                fish.contains(&format!(" -s {letter} ")),
                "-{letter} is missing in the completions for fish"
            );
        }
        if let Some(long) = definition.long {
            assert!(
                fish.contains(&format!(" -l {long} ")),
                "--{long} is missing in the completions for fish"
            );
        }
    }
}

/// Returns a manual page without font changes or escapes.
fn unformatted(file: &str) -> String {
    ["\\fB", "\\fI", "\\fR", "\\"].iter().fold(read(file), |text, request| text.replace(request, ""))
}

/// Returns `true` if `text` contains `name` as a whole word.
fn is_word_of(text: &str, name: &str) -> bool {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    text.match_indices(name).any(|(index, _)| {
        let bytes = text.as_bytes();
        !is_part(index.checked_sub(1).map(|before| &bytes[before])) && !is_part(bytes.get(index + name.len()))
    })
}

#[test]
fn the_manual_lists_every_parameter() {
    let (page, manual) = (read("docs/parameters.md"), unformatted("docs/connectrc.5"));
    for Parameter { name, .. } in parameters::ALL {
        assert!(is_word_of(&page, name) && is_word_of(&manual, name), "{name}");
    }
}

#[test]
fn only_whole_words_are_found() {
    for (text, name, found) in [
        ("-d, --debug", "-d", true),
        ("--debug", "-d", false),
        ("-dd", "-d", false),
        ("--netrc-file", "--netrc", false),
        ("'--netrc[text]'", "--netrc", true),
        ("-d", "-d", true),
    ] {
        assert_eq!(is_word_of(text, name), found, "{name} in {text}");
    }
}
