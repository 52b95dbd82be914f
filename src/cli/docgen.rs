//! What is made of the flags and the texts around them: pages of the documentation, manual pages, completions. The files
//! are part of the repository, and a test compares; `CONNECT_WRITE_MANUAL=1 cargo test manual` writes them anew.

#![allow(clippy::unwrap_used, clippy::panic, reason = "that is how a test fails")]

use std::fmt::Write;
use std::fs;

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, ValueHint};
use clap_complete::Shell;

use super::flags::{self, Definition, Offer};
use super::{Request, help, parse};

mod roff;

/// Of the manual pages: when what they say changed last.
const DATE: &str = "2026-11-22";
const COMMAND: &str = "CONNECT_WRITE_MANUAL=1 cargo test manual";

fn path(file: &str) -> String {
    format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    let text = fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    text.replace("\r\n", "\n")
}

/// A file is what it would be made as now, or is made so.
#[track_caller]
fn up_to_date(file: &str, text: &str) {
    if std::env::var_os("CONNECT_WRITE_MANUAL").is_some() {
        return fs::write(path(file), text).unwrap();
    }
    assert!(read(file) == text, "{file} is not up to date: {COMMAND}");
}

/// What the program prints.
#[track_caller]
fn printed(words: &str) -> String {
    match parse(words.split(' ').map(Into::into)) {
        Ok(Request::Print(text)) => text.replace("\r\n", "\n"),
        other => panic!("{words}: {other:?}"),
    }
}

/// docs/options.md
fn options() -> String {
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

/// A piece of the page: what stands under a heading of the second level.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap()
}

fn title(name: &str, number: u8) -> String {
    format!(".TH {} {number} {DATE} \"connect {}\"\n", name.to_uppercase(), env!("CARGO_PKG_VERSION"))
}

/// connect(1)
fn manual() -> String {
    let page = options();
    let groups = page.split_once("\n## ").unwrap().1.split("\n## Exit codes").next().unwrap();
    let examples = help::after();
    let examples = examples.split_once("Examples:\n").unwrap().1.split("\n\n").next().unwrap();
    let text = [
        "# Name\n\nconnect - gets ssh past a firewall, through SOCKS and HTTP proxies\n",
        "\n# Synopsis\n\n`connect` [_options_] _host_ [_port_]\n",
        &format!("\n# Description\n\n{}\n\n{}\n", help::ABOUT.replace('\n', "\n\n"), help::OPERANDS),
        &format!("\n# Options\n\n## {groups}"),
        &read("docs/proxies.md"),
        &format!("\n# Exit status\n{}", section(&page, "Exit codes")),
        "\n# Files\n\n### `~/.connectrc`, `/etc/connectrc`\n\nParameters: see connectrc(5).\n",
        "\n### `~/.netrc`\n\nUsers and passwords: see `--netrc`.\n",
        &format!("\n# Examples\n\n```\n{examples}\n```\n"),
        "\n# See also\n\nconnectrc(5), ssh(1), ssh_config(5)\n",
    ];
    title("connect", 1) + &roff::from_markdown(&text.concat())
}

/// connectrc(5)
fn parameter_manual() -> String {
    let page = read("docs/parameters.md");
    let text = [
        "# Name\n\nconnectrc - parameters of connect, and the variables of the same names\n",
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
    // To zsh a colon in a value's name is the end of the name, unless it is escaped.
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

/// The README, with the short help between its marks.
fn readme() -> String {
    const MARKS: [&str; 2] = ["<!-- connect --help -->\n", "<!-- end -->\n"];
    let page = read("README.md");
    let (before, rest) = page.split_once(MARKS[0]).unwrap();
    let (_, after) = rest.split_once(MARKS[1]).unwrap();
    let help = printed("connect --help");
    let options = help.split_once("\n\n").unwrap().1.split("\nHOST is").next().unwrap();
    format!("{before}{}```text\n{options}```\n{}{after}", MARKS[0], MARKS[1])
}

#[test]
fn the_manual_and_its_kin_are_made_of_the_flags() {
    up_to_date("docs/options.md", &options());
    up_to_date("docs/connect.1", &manual());
    up_to_date("docs/connectrc.5", &parameter_manual());
    up_to_date("docs/completions/connect.bash", &completions(Shell::Bash));
    up_to_date("docs/completions/_connect", &completions(Shell::Zsh));
    up_to_date("docs/completions/connect.fish", &completions(Shell::Fish));
    up_to_date("docs/completions/_connect.ps1", &completions(Shell::PowerShell));
    up_to_date("README.md", &readme());
}

/// Troff has no other characters for a terminal that knows ASCII only, and says so.
#[test]
fn manual_pages_can_be_read_everywhere() {
    for file in ["docs/connect.1", "docs/connectrc.5"] {
        let page = read(file);
        assert!(page.is_ascii(), "{file}: {:?}", page.chars().find(|c| !c.is_ascii()));
    }
}

/// What is printed is what was made.
#[test]
fn each_of_them_can_be_had_from_the_program() {
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

/// Each letter and each name, wherever somebody may look for them.
#[test]
fn no_flag_is_missing_anywhere() {
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
                assert!(is_word_of(text, &name), "{name} is not in {place}");
            }
        }
        if let Some(letter) = definition.letter {
            assert!(fish.contains(&format!(" -s {letter} ")), "-{letter} is not in fish's");
        }
        if let Some(long) = definition.long {
            assert!(fish.contains(&format!(" -l {long} ")), "--{long} is not in fish's");
        }
    }
}

/// A manual page without fonts and escapes.
fn unformatted(file: &str) -> String {
    ["\\fB", "\\fI", "\\fR", "\\"].iter().fold(read(file), |text, request| text.replace(request, ""))
}

/// Whether a text holds a name that is not part of a longer one.
fn is_word_of(text: &str, name: &str) -> bool {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    text.match_indices(name).any(|(index, _)| {
        let bytes = text.as_bytes();
        !is_part(index.checked_sub(1).map(|before| &bytes[before])) && !is_part(bytes.get(index + name.len()))
    })
}

/// A parameter that nobody can read of is of no use.
#[test]
fn no_parameter_is_missing_in_the_manual() {
    let (page, manual) = (read("docs/parameters.md"), unformatted("docs/connectrc.5"));
    let source = read("src/config/rcfile.rs");
    let (_, names) = source.split_once("const NAMES").unwrap_or_else(|| panic!("no list of names"));
    let names: Vec<_> = names.split("];").next().unwrap().split('"').skip(1).step_by(2).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(is_word_of(&page, name) && is_word_of(&manual, name), "{name}");
    }
}

#[test]
fn words_are_found_as_a_whole_only() {
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
