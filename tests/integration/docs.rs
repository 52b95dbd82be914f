//! Consistency of the documentation: links resolve, the index reaches every page, and
//! troubleshooting.md has headings for the messages. `tests/cookbook/run` executes the code blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// The parts of a page that these tests use.
#[derive(Default)]
struct Page {
    /// Link targets, as written.
    links: Vec<String>,
    /// The anchors that a link can name after `#`.
    anchors: BTreeSet<String>,
    /// The code in level-3 headings, each with the level-2 heading above it.
    phrases: Vec<(String, String)>,
    /// The `text` blocks, each with the level-2 heading above it.
    texts: Vec<(String, String)>,
}

fn read(path: &Path) -> Page {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut page = Page::default();
    let mut seen = BTreeMap::<String, usize>::new();
    let mut heading: Option<(HeadingLevel, String)> = None;
    let mut section = String::new();
    let mut in_text = false;
    for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                page.links.push(dest_url.to_string());
            }
            Event::Start(Tag::Heading { level, .. }) => heading = Some((level, String::new())),
            Event::End(TagEnd::Heading(level)) => {
                let title = heading.take().map(|(_, title)| title).unwrap_or_default();
                page.anchors.insert(anchor(&title, &mut seen));
                if level == HeadingLevel::H2 {
                    section = title;
                }
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) if info.starts_with("text") => {
                in_text = true;
                page.texts.push((section.clone(), String::new()));
            }
            Event::End(TagEnd::CodeBlock) => in_text = false,
            Event::Text(words) if in_text => page.texts.last_mut().unwrap().1.push_str(&words),
            Event::Text(words) => heading.iter_mut().for_each(|(_, title)| title.push_str(&words)),
            Event::Code(words) => {
                if let Some((level, title)) = &mut heading {
                    title.push_str(&words);
                    if *level == HeadingLevel::H3 {
                        page.phrases.push((section.clone(), words.to_string()));
                    }
                }
            }
            // `<a id="...">`.
            Event::InlineHtml(html) => {
                let id = html.split("id=\"").nth(1).and_then(|rest| rest.split('"').next());
                page.anchors.extend(id.map(str::to_owned));
            }
            _ => {}
        }
    }
    page
}

/// Returns the anchor that GitHub generates for a heading. The anchor of a repeated heading ends in
/// a number.
fn anchor(title: &str, seen: &mut BTreeMap<String, usize>) -> String {
    let kept = title.trim().to_lowercase();
    let kept = kept.chars().filter(|sign| sign.is_alphanumeric() || " -_".contains(*sign));
    let name: String = kept.map(|sign| if sign == ' ' { '-' } else { sign }).collect();
    let times = seen.entry(name.clone()).or_default();
    *times += 1;
    if *times == 1 { name } else { format!("{name}-{}", *times - 1) }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns all Markdown pages in the repository, by path.
fn pages() -> BTreeMap<PathBuf, Page> {
    fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default();
            if path.is_dir() && name != "target" && name != ".git" {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    collect(&root(), &mut found);
    assert!(found.len() > 25, "only {} pages", found.len());
    found.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

/// Returns the file and anchor that a link refers to; `None` for an external link.
fn target<'a>(page: &Path, link: &'a str) -> Option<(PathBuf, &'a str)> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let mut path = page.to_owned();
    if !file.is_empty() {
        path.pop();
        for part in Path::new(file).components() {
            match part {
                Component::ParentDir => {
                    assert!(path.pop(), "{link} on {} leads out of the tree", page.display());
                }
                Component::Normal(name) => path.push(name),
                _ => {}
            }
        }
    }
    Some((path, anchor))
}

#[test]
fn every_link_inside_the_repository_resolves() {
    let pages = pages();
    let mut broken = Vec::new();
    let mut followed = 0;
    for (path, page) in &pages {
        for link in &page.links {
            let Some((file, anchor)) = target(path, link) else { continue };
            followed += 1;
            let exists = file.exists() && file.starts_with(root());
            let has_anchor =
                anchor.is_empty() || pages.get(&file).is_some_and(|page| page.anchors.contains(anchor));
            if !exists || !has_anchor {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
    assert!(followed > 100, "only {followed} links found");
}

#[test]
fn the_index_reaches_every_page_of_the_documentation() {
    let pages = pages();
    let docs = root().join("docs");
    let mut reached = BTreeSet::new();
    let mut to_read = vec![docs.join("README.md")];
    while let Some(path) = to_read.pop() {
        let links = pages.get(&path).map(|page| &page.links).into_iter().flatten();
        if reached.insert(path.clone()) {
            to_read.extend(
                links.filter_map(|link| Some(target(&path, link)?.0)).filter(|path| path.starts_with(&docs)),
            );
        }
    }
    let unreachable: Vec<_> =
        pages.keys().filter(|path| path.starts_with(&docs) && !reached.contains(*path)).collect();
    assert!(unreachable.is_empty(), "no link leads to {unreachable:?}");

    // Each of the two index pages must link to every page in its directory.
    for index in [docs.join("README.md"), docs.join("cookbook/README.md")] {
        let named: BTreeSet<_> =
            pages[&index].links.iter().filter_map(|link| Some(target(&index, link)?.0)).collect();
        let beside = pages.keys().filter(|path| path.parent() == index.parent() && **path != index);
        let missing: Vec<_> = beside.filter(|path| !named.contains(*path)).collect();
        assert!(missing.is_empty(), "{} does not name {missing:?}", index.display());
    }
    let readme = root().join("README.md");
    let named: BTreeSet<_> =
        pages[&readme].links.iter().filter_map(|link| Some(target(&readme, link)?.0)).collect();
    assert!(named.contains(&docs.join("README.md")), "README.md does not link to the documentation");
}

/// Returns `true` if a message contains the parts of a phrase in order. `…` separates the parts.
fn contains_parts(message: &str, phrase: &str) -> bool {
    let mut rest = message;
    phrase.split('…').map(str::trim).all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[test]
fn every_message_has_a_heading_in_troubleshooting() {
    let messages = read(&root().join("docs/messages.md")).texts;
    assert!(messages.len() > 100, "only {} messages", messages.len());
    let page = read(&root().join("docs/troubleshooting.md"));
    let phrases: Vec<_> =
        page.phrases.iter().filter(|(section, _)| section == "Messages from connect").collect();
    assert!(phrases.len() > 25, "only {} phrases", phrases.len());

    // Configuration errors need no heading: they name the setting and the values that it accepts.
    let needs_heading = |section: &str| !section.starts_with("2: ");
    let found = |message: &str| phrases.iter().any(|(_, phrase)| contains_parts(message, phrase));
    let missing: Vec<_> = messages
        .iter()
        .filter(|(section, message)| needs_heading(section) && !found(message))
        .map(|(_, message)| message.trim())
        .collect();
    assert!(missing.is_empty(), "troubleshooting.md has no heading for:\n{}", missing.join("\n"));

    let is_printed = |phrase: &str| messages.iter().any(|(_, message)| contains_parts(message, phrase));
    let unused: Vec<_> =
        phrases.iter().map(|(_, phrase)| phrase).filter(|phrase| !is_printed(phrase)).collect();
    assert!(unused.is_empty(), "no message contains {unused:?}");
}

#[test]
fn the_parts_of_a_phrase_match_in_order() {
    assert!(contains_parts("connect: a refused b: 403 Forbidden", "refused … 403"));
    assert!(!contains_parts("connect: 403, and a refused b", "refused … 403"));
    assert!(!contains_parts("connect: a refused b: 404", "refused … 403"));
}
