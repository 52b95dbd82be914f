//! The parts of the style guide that a test can check: the width of comments, and phrases that do
//! not belong in technical English.

use std::fs;
use std::path::{Path, PathBuf};

/// Maximum width of a comment line, in characters.
const MAX_COMMENT_WIDTH: usize = 100;

/// Phrases that name no actor or have a plainer equivalent, each with advice on what to write
/// instead.
const PHRASES: [(&str, &str); 15] = [
    ("whoever", "name the person or program"),
    ("is told", "say who sends what"),
    ("are told", "say who sends what"),
    ("for ever", "write forever"),
    ("in the place of", "write instead of"),
    ("makes way", "write makes progress"),
    ("yet to be", "write not yet"),
    ("stands for nothing", "say what is invalid"),
    ("makes no sense", "say what is invalid"),
    ("is looked at", "say who checks what"),
    ("so long as", "write while or as long as"),
    ("good-bye", "name the message"),
    ("our patience", "name the timeout"),
    ("in vain", "say what did not happen"),
    ("is no more", "write is gone or has ended"),
];

/// Returns the source and documentation files of the repository.
fn files() -> Vec<PathBuf> {
    const DIRECTORIES: [&str; 8] = [".ci", ".github", "benches", "docs", "examples", "fuzz", "src", "tests"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("README.md"), root.join("Cargo.toml")];
    for directory in DIRECTORIES {
        collect(&root.join(directory), &mut files);
    }
    assert!(files.len() > 300, "only {} files found", files.len());
    files
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            // Skip fuzzing inputs and build output, which are not written for people to read.
            if !["corpus", "regressions", "artifacts", "target"].iter().any(|skipped| name == *skipped) {
                collect(&path, files);
            }
        } else if path
            .extension()
            .is_none_or(|kind| ["md", "rs", "sh", "yml"].iter().any(|known| kind == *known))
        {
            files.push(path);
        }
    }
}

fn is_this_file(path: &Path) -> bool {
    path.ends_with("tests/integration/style.rs")
}

/// Returns `true` if a line contains the phrase and the phrase ends at the end of a word, so that
/// "for ever" does not match "for every".
fn contains_words(line: &str, phrase: &str) -> bool {
    let mut ends = line.match_indices(phrase).map(|(start, _)| start + phrase.len());
    ends.any(|end| !line[end..].starts_with(char::is_alphabetic))
}

#[test]
fn comments_are_at_most_100_columns_wide() {
    let mut long = Vec::new();
    for path in files().iter().filter(|path| path.extension().is_some_and(|kind| kind == "rs")) {
        let text = fs::read_to_string(path).unwrap();
        for (index, line) in text.lines().enumerate() {
            // A link cannot be wrapped.
            if line.trim_start().starts_with("//")
                && line.chars().count() > MAX_COMMENT_WIDTH
                && !line.contains("://")
            {
                long.push(format!("{}:{}", path.display(), index + 1));
            }
        }
    }
    assert!(long.is_empty(), "{} comment lines are wider:\n{}", long.len(), long.join("\n"));
}

#[test]
fn the_text_has_none_of_the_phrases_that_the_style_guide_rules_out() {
    let mut found = Vec::new();
    for path in files().iter().filter(|path| !is_this_file(path)) {
        let Ok(text) = fs::read_to_string(path) else { continue };
        for (index, line) in text.to_lowercase().lines().enumerate() {
            for (phrase, advice) in PHRASES {
                if contains_words(line, phrase) {
                    found.push(format!("{}:{}: \"{phrase}\": {advice}", path.display(), index + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "{} phrases:\n{}", found.len(), found.join("\n"));
}
