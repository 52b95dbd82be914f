//! The documentation: every link inside the repository leads somewhere, every page can be found from its index, and every
//! message from the page on troubleshooting. What the pages tell to type is typed by `tests/cookbook/run`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// What of a page is of interest here.
#[derive(Default)]
struct Page {
    /// Where links lead, as written.
    links: Vec<String>,
    /// What a link can name behind `#`.
    anchors: BTreeSet<String>,
    /// The code in headings, by the heading of level 2 above them.
    phrases: Vec<(String, String)>,
    /// The `text` blocks, with the heading of level 2 above each.
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

/// The anchor that GitHub gives a heading; the second one with the same words gets a number.
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

/// The pages of the repository, by their paths.
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

/// The file that a link on a page leads to, and the anchor there; nothing if it leads out of the repository.
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
fn every_link_inside_the_repository_leads_somewhere() {
    let pages = pages();
    let mut broken = Vec::new();
    let mut followed = 0;
    for (path, page) in &pages {
        for link in &page.links {
            let Some((file, anchor)) = target(path, link) else { continue };
            followed += 1;
            let there = file.exists() && file.starts_with(root());
            let named =
                anchor.is_empty() || pages.get(&file).is_some_and(|page| page.anchors.contains(anchor));
            if !there || !named {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "these lead nowhere:\n{}", broken.join("\n"));
    assert!(followed > 100, "only {followed} links");
}

#[test]
fn every_page_of_the_documentation_can_be_found_from_its_index() {
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
    let lost: Vec<_> =
        pages.keys().filter(|path| path.starts_with(&docs) && !reached.contains(*path)).collect();
    assert!(lost.is_empty(), "no way leads to {lost:?}");

    // The two indexes name their pages themselves.
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
    assert!(named.contains(&docs.join("README.md")), "README.md does not lead to the documentation");
}

/// Does a message hold the parts of a phrase, which `…` stands between, in their order?
fn holds(message: &str, phrase: &str) -> bool {
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
fn every_message_can_be_found_in_troubleshooting() {
    let messages = read(&root().join("docs/messages.md")).texts;
    assert!(messages.len() > 100, "only {} messages", messages.len());
    let page = read(&root().join("docs/troubleshooting.md"));
    let phrases: Vec<_> = page.phrases.iter().filter(|(section, _)| section == "Messages from connect").collect();
    assert!(phrases.len() > 25, "only {} phrases", phrases.len());

    // An error of the configuration names the setting and the values it accepts: there is nothing to look up.
    let needs_heading = |section: &str| !section.starts_with("2: ");
    let found = |message: &str| phrases.iter().any(|(_, phrase)| holds(message, phrase));
    let lost: Vec<_> = messages
        .iter()
        .filter(|(section, message)| needs_heading(section) && !found(message))
        .map(|(_, message)| message.trim())
        .collect();
    assert!(lost.is_empty(), "no heading of troubleshooting.md has a part of these:\n{}", lost.join("\n"));

    let said = |phrase: &str| messages.iter().any(|(_, message)| holds(message, phrase));
    let idle: Vec<_> = phrases.iter().map(|(_, phrase)| phrase).filter(|phrase| !said(phrase)).collect();
    assert!(idle.is_empty(), "nobody says {idle:?}");
}

#[test]
fn a_phrase_is_found_by_its_parts_in_their_order() {
    assert!(holds("connect: a refused b: 403 Forbidden", "refused … 403"));
    assert!(!holds("connect: 403, and a refused b", "refused … 403"));
    assert!(!holds("connect: a refused b: 404", "refused … 403"));
}
