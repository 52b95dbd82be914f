//! `docs/architecture.md` against the source: the floors that it draws, which rooms, files and crates there are, and what
//! it says of them.

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

use crate::layering::{FLOORS, rooms, sources};

fn architecture() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    fs::read_to_string(page).unwrap().replace("\r\n", "\n")
}

/// What stands in the page between a mark and an end.
fn part<'a>(page: &'a str, mark: &str, end: &str) -> &'a str {
    let (_, after) = page.split_once(mark).unwrap_or_else(|| panic!("no '{mark}' in docs/architecture.md"));
    after.split_once(end).unwrap_or_else(|| panic!("no '{end}' after '{mark}'")).0
}

/// The first column of the tables in a part of the page.
fn named(part: &str) -> BTreeSet<&str> {
    let cells = part.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |"));
    cells.flat_map(|(cell, _)| cell.split([' ', ',', '`'])).filter(|word| !word.is_empty()).collect()
}

#[test]
fn the_architecture_draws_these_floors_and_these_rooms() {
    let page = architecture();
    let drawn = part(&page, "Imports go downward only:\n", "\nRooms of one floor");
    let floors = drawn
        .split('→')
        .map(|floor| floor.split([',', '{', '}']).map(str::trim).filter(|room| !room.is_empty()));
    assert_eq!(floors.map(Vec::from_iter).collect::<Vec<_>>(), FLOORS);
    let rooms = FLOORS.iter().skip(2).flat_map(|rooms| rooms.iter().copied()).collect();
    assert_eq!(named(part(&page, "|---|---|---|\n", "\nImports go downward only")), rooms);
}

/// It speaks of what there is: paths, and names like those of types.
#[test]
fn the_architecture_names_nothing_that_is_gone() {
    let page = architecture();
    let prose = page.split_once("## The files").unwrap().0.split("```").step_by(2).collect::<String>();
    let source: Vec<_> = rooms().iter().map(|(_, path, code)| format!("{} {code}", path.display())).collect();
    let source = source.join("\n");
    let words: BTreeSet<_> = source.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let names = prose.split('`').skip(1).step_by(2).filter_map(|quoted| quoted.split('(').next());
    let names: Vec<_> = names
        .filter(|name| name.chars().all(|c| c.is_alphanumeric() || "_:".contains(c)))
        .filter(|name| {
            name.contains("::") || name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase)
        })
        .collect();
    assert!(names.len() > 50, "{names:?}");
    for name in names {
        assert!(name.split("::").all(|word| words.contains(word)), "docs/architecture.md names {name}");
    }
}

/// One that is in the program for no reason that is written down is one too many.
#[test]
fn the_architecture_says_what_each_crate_is_for() {
    let page = architecture();
    let said = named(part(&page, "## Crates", "\n## "));
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let (mut section, mut crates) = ("", 0);
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section.ends_with("dependencies]") && !section.contains("dev-") {
            let Some((name, _)) = line.split_once(" = ") else { continue };
            assert!(said.contains(name), "docs/architecture.md does not say what {name} is for");
            crates += 1;
        }
    }
    assert!(crates > 20, "only {crates} crates found");
}

/// The first sentence of a file's own documentation.
fn purpose(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let paragraph = lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let end = paragraph.find(". ").map_or(paragraph.len(), |end| end + 1);
    assert!(end > 0, "{} does not say what it is for", path.display());
    // A link that leads somewhere in rustdoc only.
    paragraph[..end].replace("[`", "`").replace("`]", "`").replace('|', "\\|")
}

/// The table of the files in the rooms that have more than one.
fn map() -> String {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files: Vec<_> = sources(&src)
        .into_iter()
        .map(|path| {
            let inside = path.strip_prefix(&src).unwrap().with_extension("");
            let parts: Vec<_> = inside.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            (parts, path)
        })
        .filter(|(parts, _)| parts.len() > 1 && !parts.iter().any(|part| part == "tests"))
        .map(|(parts, path)| (parts.join("::").replace("::mod", ""), purpose(&path)))
        .collect();
    files.sort();
    let rows = files.iter().map(|(name, purpose)| format!("| `{name}` | {purpose} |\n"));
    format!("| file | what it holds |\n|---|---|\n{}", rows.collect::<String>())
}

/// `CONNECT_WRITE_MAP=1` writes it.
#[test]
fn the_architecture_has_the_map_of_the_files() {
    const BEGIN: &str = "<!-- made of the files' first sentences -->\n";
    const END: &str = "<!-- end -->\n";
    let (page, map) = (architecture(), map());
    let old = part(&page, BEGIN, END);
    if env::var_os("CONNECT_WRITE_MAP").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
        fs::write(path, page.replace(&format!("{BEGIN}{old}{END}"), &format!("{BEGIN}{map}{END}"))).unwrap();
    } else {
        assert!(old == map, "docs/architecture.md has an old map: CONNECT_WRITE_MAP=1 cargo test map");
    }
}

/// A suite that nobody knows of is run by nobody.
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
    for named in page.split(['`', '\n', ' ']).filter(|word| word.starts_with("tests/") && !word.contains('['))
    {
        assert!(root.join(named).exists(), "CONTRIBUTING.md names {named}");
    }
}
