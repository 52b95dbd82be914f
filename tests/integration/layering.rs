//! Who may import whom, checked against the source.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from the top floor to the bottom. A room imports only from floors below its own.
pub(crate) const FLOORS: [&[&str]; 8] = [
    &["main"],
    &["lib"],
    &["check", "listen"],
    &["connector"],
    &["cli", "config", "net", "prompt", "relay"],
    &["error", "plan", "trace"],
    &["proto", "sys"],
    &["addr", "bypass", "secret", "text"],
];

/// The imports on one floor that are meant.
const MEANT: [(&str, &str); 5] = [
    ("bypass", "addr"), // speaks of hosts
    ("config", "cli"),  // reads what was typed
    ("error", "plan"),  // names a hop in a message
    ("trace", "plan"),  // shows it
    ("addr", "text"),   // shows a bad word
];

fn floor(room: &str) -> usize {
    FLOORS
        .iter()
        .position(|rooms| rooms.contains(&room))
        .unwrap_or_else(|| panic!("no floor for room {room}"))
}

pub(crate) fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The room of a file, and its text without comments.
pub(crate) fn rooms() -> Vec<(String, PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let read = |path: PathBuf| {
        let inside = path.strip_prefix(&src).unwrap();
        let room = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let code: Vec<_> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
        (room, path.clone(), code.join("\n"))
    };
    sources(&src).into_iter().map(read).collect()
}

#[test]
fn imports_go_downward_only() {
    let mut seen = BTreeSet::new();
    for (room, path, code) in rooms() {
        for after in code.split("crate::").skip(1) {
            let names = after.trim_start_matches('{');
            let imported: String = names.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if imported == room {
                continue;
            }
            let meant = MEANT.contains(&(room.as_str(), imported.as_str()));
            assert!(
                meant || floor(&room) < floor(&imported),
                "{} imports {imported}, which is not on a lower floor",
                path.display()
            );
            seen.insert((room.clone(), imported));
        }
    }
    assert!(seen.len() > 20, "the search has gone blind: it found {} imports", seen.len());
    for (room, imported) in MEANT {
        assert!(
            seen.contains(&(room.into(), imported.into())),
            "{room} no longer imports {imported}: strike it"
        );
    }
}

#[test]
fn unsafe_code_and_systems_stay_on_the_system_floor() {
    for (room, path, code) in rooms() {
        if room == "sys" {
            continue;
        }
        for word in ["unsafe", "cfg(unix)", "cfg(windows)", "target_os", "std::os::"] {
            assert!(!code.contains(word), "{} has '{word}', which belongs into sys", path.display());
        }
    }
}

#[test]
fn the_machines_do_no_input_or_output() {
    for (_, path, code) in rooms().iter().filter(|(room, ..)| room == "proto") {
        for word in ["std::net::Tcp", "std::io", "std::time", "std::env", "std::fs", "std::thread"] {
            assert!(!code.contains(word), "{} uses {word}", path.display());
        }
    }
}

/// A promise whose test was renamed would be shown by nothing.
#[test]
fn the_threat_model_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/threat-model.md")).unwrap();
    let mut tests = String::new();
    for path in
        ["src", "tests/integration", "fuzz/targets"].map(|directory| sources(&root.join(directory))).concat()
    {
        tests += &path.file_stem().unwrap().to_string_lossy();
        tests += &fs::read_to_string(path).unwrap();
    }
    let quoted = document.split('`').skip(1).step_by(2);
    let names: Vec<_> = quoted.flat_map(|name| name.split("::")).filter(|name| name.contains('_')).collect();
    let names =
        names.into_iter().filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || "_…".contains(c)));
    let names: Vec<_> = names.collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(tests.contains(name.trim_end_matches('…')), "the threat model names {name}");
    }
    for suite in document.split('`').filter_map(|name| name.strip_prefix("tests/")) {
        assert!(root.join("tests").join(suite).exists(), "the threat model names tests/{suite}");
    }
}
