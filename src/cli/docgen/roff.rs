//! Converts our Markdown pages to manual pages (man(7)). Supports only the subset of Markdown that
//! they use.

use std::fmt::Write;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// Converts a page. First- and second-level headings become sections and subsections. A third-level
/// heading becomes the tag of the paragraph below it, and the first cell of a table row becomes the
/// tag of the other cells.
pub(super) fn from_markdown(text: &str) -> String {
    let mut page = Page::default();
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        page.take(event);
    }
    page.text
}

#[derive(Default)]
struct Page {
    text: String,
    /// The text of the current heading, paragraph or cell.
    inline: String,
    /// `true` if the next paragraph follows a tag or a heading, and therefore needs no `.PP`.
    follows: bool,
    in_code_block: bool,
    /// The column headings of the current table.
    heads: Vec<String>,
    cells: Vec<String>,
}

impl Page {
    fn take(&mut self, event: Event) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => {
                let paragraph = if self.follows { "" } else { ".PP\n" };
                self.line(&format!("{paragraph}.RS 4\n.nf"));
                self.in_code_block = true;
            }
            Event::End(TagEnd::CodeBlock) => {
                self.flush();
                self.line(".fi\n.RE");
                (self.in_code_block, self.follows) = (false, false);
            }
            Event::Start(Tag::Paragraph) if !self.follows => self.line(".PP"),
            Event::Start(Tag::Emphasis) => self.inline.push_str("\\fI"),
            Event::Start(Tag::Strong) => self.inline.push_str("\\fB"),
            Event::End(TagEnd::Emphasis | TagEnd::Strong) => self.inline.push_str("\\fR"),
            Event::Start(Tag::Item) => {
                self.line(".IP \\(bu 2");
                self.follows = true;
            }
            Event::End(TagEnd::Paragraph | TagEnd::Item) => {
                self.flush();
                self.follows = false;
            }
            Event::End(TagEnd::Heading(level)) => self.heading(level),
            Event::End(TagEnd::TableCell) => self.cells.push(std::mem::take(&mut self.inline)),
            Event::End(TagEnd::TableHead) => self.heads = std::mem::take(&mut self.cells),
            Event::End(TagEnd::TableRow) => self.row(),
            Event::Code(code) => write!(self.inline, "\\fB{}\\fR", escaped(&code)).unwrap(),
            Event::Text(text) => self.inline.push_str(&escaped(&text)),
            Event::SoftBreak | Event::HardBreak => self.inline.push('\n'),
            _ => {}
        }
    }

    fn heading(&mut self, level: HeadingLevel) {
        let text = std::mem::take(&mut self.inline);
        match level {
            HeadingLevel::H1 => self.line(&format!(".SH {}", text.to_uppercase())),
            HeadingLevel::H2 => self.line(&format!(".SS {text}")),
            _ => self.line(&format!(".TP\n{text}")),
        }
        self.follows = true;
    }

    fn row(&mut self) {
        let cells = std::mem::take(&mut self.cells);
        let (tag, rest) = cells.split_first().unwrap();
        self.line(&format!(".TP\n{tag}"));
        let heads = self.heads.iter().skip(1);
        let rest =
            heads.zip(rest).filter(|(_, cell)| !cell.is_empty()).map(|(head, cell)| match cells.len() {
                3.. => format!("{head}: {cell}"),
                _ => cell.clone(),
            });
        self.inline = rest.collect::<Vec<_>>().join("\n.br\n");
        self.flush();
        self.follows = false;
    }

    fn flush(&mut self) {
        let text = std::mem::take(&mut self.inline);
        for line in text.lines() {
            // Escape a leading dot or apostrophe, because troff would take the line for a request.
            // Only the `.br` from `row` is a real request.
            let is_text = line.starts_with(['.', '\'']) && line != ".br";
            let guard = if is_text { "\\&" } else { "" };
            self.line(&format!(
                "{guard}{}",
                if self.in_code_block || is_text { line } else { line.trim_start() }
            ));
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// Escapes the characters that are special to troff.
fn escaped(text: &str) -> String {
    // A terminal that supports only ASCII cannot display an ellipsis.
    let text = text.replace('…', "...");
    text.replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('~', "\\(ti")
        .replace('^', "\\(ha")
        .replace('`', "\\(ga")
}

#[test]
fn markdown_becomes_requests() {
    for (markdown, expected) in [
        ("# One\n\ntext", ".SH ONE\ntext\n"),
        ("## Two\n\none\n\ntwo", ".SS Two\none\n.PP\ntwo\n"),
        ("### `-x`\n\nits *text*", ".TP\n\\fB\\-x\\fR\nits \\fItext\\fR\n"),
        (".request\n'quoted", ".PP\n\\&.request\n\\&'quoted\n"),
        ("    a\n      \\b", ".PP\n.RS 4\n.nf\na\n  \\eb\n.fi\n.RE\n"),
        ("| a | b |\n|---|---|\n| `c` | d |", ".TP\n\\fBc\\fR\nd\n"),
        ("| | b | c |\n|---|---|---|\n| 1 | 2 | 3 |", ".TP\n1\nb: 2\n.br\nc: 3\n"),
        ("`--tls-…`", ".PP\n\\fB\\-\\-tls\\-...\\fR\n"),
        ("- a\n- b", ".IP \\(bu 2\na\n.IP \\(bu 2\nb\n"),
    ] {
        assert_eq!(from_markdown(markdown), expected, "{markdown}");
    }
}
