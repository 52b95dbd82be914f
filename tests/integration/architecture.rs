//! Compares the layers, modules, files, limits and crates in `docs/architecture.md` with the
//! source.

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

use crate::layering::LAYERS;
use crate::layering::source::{files, modules};

/// The markers around the generated table of files.
const MAP_BEGIN: &str = "<!-- generated from the first sentence of each file -->\n";
const MAP_END: &str = "<!-- end -->\n";

fn architecture() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    fs::read_to_string(page).unwrap().replace("\r\n", "\n")
}

/// Returns the text between `mark` and the next `end`.
fn section<'a>(page: &'a str, mark: &str, end: &str) -> &'a str {
    let (_, after) = page.split_once(mark).unwrap_or_else(|| panic!("no '{mark}' in docs/architecture.md"));
    after.split_once(end).unwrap_or_else(|| panic!("no '{end}' after '{mark}'")).0
}

/// Returns the words in the first column of every table in `part`.
fn first_column(part: &str) -> BTreeSet<&str> {
    let cells = part.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |"));
    cells.flat_map(|(cell, _)| cell.split([' ', ',', '`'])).filter(|word| !word.is_empty()).collect()
}

#[test]
fn the_architecture_lists_these_layers_and_modules() {
    let page = architecture();
    let diagram = section(&page, "Imports go down the layers only:\n", "\nModules of one layer");
    let layers = diagram
        .split('→')
        .map(|layer| layer.split([',', '{', '}']).map(str::trim).filter(|module| !module.is_empty()));
    assert_eq!(layers.map(Vec::from_iter).collect::<Vec<_>>(), LAYERS);
    let modules = LAYERS.iter().skip(2).flat_map(|layer| layer.iter().copied()).collect();
    assert_eq!(first_column(section(&page, "|---|---|---|\n", "\nImports go down")), modules);
}

/// Every name in backticks that looks like a path or a type must occur in the source.
#[test]
fn the_architecture_names_nothing_that_is_gone() {
    let page = architecture();
    let prose = page.split_once("## Files").unwrap().0.split("```").step_by(2).collect::<String>();
    let modules = modules();
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for module in &modules {
        known.extend(module.identifiers.iter().map(String::as_str));
        known.extend(module.path.iter().map(String::as_str));
        known.insert(module.top());
        known.extend(module.foreign.iter().flat_map(|path| path.split("::")));
    }
    let names = prose.split('`').skip(1).step_by(2).filter_map(|quoted| quoted.split('(').next());
    let names: Vec<_> = names
        .filter(|name| name.chars().all(|c| c.is_alphanumeric() || "_:".contains(c)))
        .filter(|name| {
            name.contains("::") || name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase)
        })
        .collect();
    assert!(names.len() > 50, "{names:?}");
    for name in names {
        assert!(name.split("::").all(|word| known.contains(word)), "docs/architecture.md names {name}");
    }
}

/// Durations that do not limit a peer, such as polling intervals and the timing of the status line.
const NOT_LIMITS: [&str; 9] = [
    "BULK_PAUSE",
    "DRAIN_POLL_INTERVAL",
    "MIN_POLL",
    "PEEK_INTERVAL",
    "RECHECK_INTERVAL",
    "REPORT_DELAY",
    "STATUS_DELAY",
    "STATUS_INTERVAL",
    "STDIN_SETTLE_TIME",
];

#[test]
fn the_table_of_limits_has_every_timeout_and_no_other() {
    let page = architecture();
    let limits = section(&page, "## Limits\n", "\n## ");
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let source: String = files(&src).iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    // Keep only constants in a module or a type. Deeper indentation means a function or a test.
    let outer = source.lines().filter(|line| !line.starts_with("        "));
    let constants: Vec<_> = outer
        .filter_map(|line| line.split_once("const ")?.1.split_once(": "))
        .map(|(name, kind)| (name, kind.starts_with("Duration")))
        .collect();
    let timeouts = constants.iter().filter(|(_, is_duration)| *is_duration).map(|(name, _)| *name);
    let timeouts: BTreeSet<_> = timeouts.filter(|name| !NOT_LIMITS.contains(name)).collect();
    assert!(timeouts.len() > 10, "{timeouts:?}");
    for name in timeouts {
        assert!(limits.contains(&format!("`{name}`")), "docs/architecture.md has no limit {name}");
    }
    let constants: BTreeSet<_> = constants.iter().map(|(name, _)| *name).collect();
    for row in limits.lines().filter(|line| line.starts_with("| ")) {
        let cell = row.split('|').nth(3).unwrap_or_default();
        for name in cell.split('`').skip(1).step_by(2).filter(|name| !name.contains("::")) {
            assert!(constants.contains(name), "docs/architecture.md names the limit {name}");
        }
    }
}

/// Every dependency needs a documented reason.
#[test]
fn the_architecture_says_what_each_crate_is_for() {
    let page = architecture();
    let documented = first_column(section(&page, "## Crates", "\n## "));
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let (mut heading, mut crates) = ("", 0);
    for line in manifest.lines() {
        if line.starts_with('[') {
            heading = line;
        } else if heading.ends_with("dependencies]") && !heading.contains("dev-") {
            let Some((name, _)) = line.split_once(" = ") else { continue };
            assert!(documented.contains(name), "docs/architecture.md does not say what {name} is for");
            crates += 1;
        }
    }
    assert!(crates > 20, "only {crates} crates found");
}

/// Returns the first sentence of a file's `//!` documentation.
fn purpose(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let paragraph = lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let end = paragraph.find(". ").map_or(paragraph.len(), |end| end + 1);
    assert!(end > 0, "{} has no documentation of its own", path.display());
    // Markdown does not resolve rustdoc's links, so remove their brackets.
    paragraph[..end].replace("[`", "`").replace("`]", "`").replace('|', "\\|")
}

/// Returns the table of files, for all modules that have more than one file.
fn map() -> String {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut rows: Vec<_> = files(&src)
        .into_iter()
        .map(|path| {
            let inside = path.strip_prefix(&src).unwrap().with_extension("");
            let parts: Vec<_> = inside.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            (parts, path)
        })
        .filter(|(parts, _)| parts.len() > 1 && !parts.iter().any(|part| part == "tests"))
        .map(|(parts, path)| (parts.join("::").replace("::mod", ""), purpose(&path)))
        .collect();
    rows.sort();
    let rows = rows.iter().map(|(name, purpose)| format!("| `{name}` | {purpose} |\n"));
    format!("| file | purpose |\n|---|---|\n{}", rows.collect::<String>())
}

/// `CONNECT_WRITE_MAP=1` rewrites the table.
#[test]
fn the_architecture_has_the_map_of_the_files() {
    let (page, map) = (architecture(), map());
    let old = section(&page, MAP_BEGIN, MAP_END);
    if env::var_os("CONNECT_WRITE_MAP").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
        let (old, new) = (format!("{MAP_BEGIN}{old}{MAP_END}"), format!("{MAP_BEGIN}{map}{MAP_END}"));
        fs::write(path, page.replace(&old, &new)).unwrap();
    } else {
        assert!(old == map, "docs/architecture.md is out of date: CONNECT_WRITE_MAP=1 cargo test map");
    }
}

#[test]
fn every_suite_is_named_to_contributors() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join(".github/CONTRIBUTING.md")).unwrap().replace("\r\n", "\n");
    let entries = fs::read_dir(root.join("tests")).unwrap().map(|entry| entry.unwrap().path());
    let suites: Vec<_> = entries.filter(|path| path.join("run").exists()).collect();
    assert!(suites.len() > 8, "{suites:?}");
    for suite in suites {
        let run = format!("\ntests/{}/run ", suite.file_name().unwrap().to_str().unwrap());
        assert!(page.contains(&run), "CONTRIBUTING.md does not name {}", run.trim());
    }
    let paths = page.split(['`', '\n', ' ']).filter(|word| word.starts_with("tests/") && !word.contains('['));
    for path in paths {
        assert!(root.join(path).exists(), "CONTRIBUTING.md names {path}, which does not exist");
    }
}
