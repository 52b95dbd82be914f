//! Plays an asciinema cast on a minimal terminal emulator, which can only append text, change its
//! style, and clear the screen between scenes. Any other control sequence panics.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::Value;

/// Text printed at a single point in time, in a single style.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    /// Seconds since the start of the recording, with long pauses shortened.
    pub(super) at: f64,
    /// The SGR parameters as CSS classes, such as `s1 s32`.
    pub(super) style: String,
    pub(super) text: String,
}

/// A line of text, before or after wrapping.
pub(super) type Line = Vec<Span>;

#[derive(Debug)]
pub(super) struct Scene {
    pub(super) begin: f64,
    pub(super) lines: Vec<Line>,
}

#[derive(Debug, Default)]
pub(super) struct Recording {
    pub(super) columns: usize,
    pub(super) rows: usize,
    pub(super) scenes: Vec<Scene>,
    pub(super) end: f64,
    style: String,
}

impl Recording {
    /// Parses an asciicast v2 file: a header line, then one line per piece of output.
    pub(super) fn read(cast: &str) -> Self {
        let mut lines = cast.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let header = lines.next().expect("no header");
        assert_eq!(header["version"], 2);
        let size = |name: &str| usize::try_from(header[name].as_u64().expect(name)).unwrap();
        let mut recording = Self { columns: size("width"), rows: size("height"), ..Self::default() };
        let longest = header["idle_time_limit"].as_f64().unwrap_or(f64::INFINITY);
        let mut before = 0.0;
        for event in lines {
            let (at, kind, text) = (event[0].as_f64(), event[1].as_str(), event[2].as_str());
            assert_eq!(kind, Some("o"), "only output is recorded");
            let at = at.expect("no time");
            recording.end += (at - before).min(longest);
            before = at;
            recording.write(text.expect("no text"));
        }
        recording
    }

    fn write(&mut self, text: &str) {
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\x1b' => self.escape(&mut chars),
                // ssh ends its own messages with CRLF, and the terminal inserts another carriage
                // return.
                '\r' if matches!(chars.peek(), Some('\r' | '\n')) => {}
                '\n' => self.lines().push(Line::new()),
                c => {
                    assert!(!c.is_control(), "unsupported control character {c:?} in {text:?}");
                    self.put(c);
                }
            }
        }
    }

    fn put(&mut self, c: char) {
        let (at, style) = (self.end, self.style.clone());
        let line = self.lines().last_mut().expect("a scene has a line");
        match line.last_mut() {
            Some(span) if (span.at, &span.style) == (at, &style) => span.text.push(c),
            _ => line.push(Span { at, style, text: c.into() }),
        }
    }

    fn lines(&mut self) -> &mut Vec<Line> {
        &mut self.scenes.last_mut().expect("text before the first clear").lines
    }

    fn escape(&mut self, chars: &mut Peekable<Chars<'_>>) {
        assert_eq!(chars.next(), Some('['), "unsupported escape sequence");
        let mut parameters = String::new();
        let end = loop {
            match chars.next().expect("truncated escape sequence") {
                c @ ('0'..='9' | ';') => parameters.push(c),
                c => break c,
            }
        };
        match (end, &*parameters) {
            ('m', "" | "0") => self.style.clear(),
            ('m', numbers) => {
                let classes = numbers.split(';').map(|number| format!("s{number}"));
                self.style = self
                    .style
                    .split_whitespace()
                    .map(str::to_owned)
                    .chain(classes)
                    .collect::<Vec<_>>()
                    .join(" ");
            }
            // Cursor home. It only precedes a clear, so there is nothing to do.
            ('H', "") => {}
            ('J', "2") => self.scenes.push(Scene { begin: self.end, lines: vec![Line::new()] }),
            (end, _) => panic!("unsupported sequence CSI {parameters} {end}"),
        }
    }

    /// Returns the text of all scenes, separated by empty lines.
    pub(super) fn transcript(&self) -> String {
        let text = |line: &Line| line.iter().map(|span| &*span.text).collect::<String>() + "\n";
        let scenes = self.scenes.iter().map(|scene| scene.lines.iter().map(text).collect::<String>());
        scenes.map(|scene| format!("{}\n", scene.trim_end())).collect::<Vec<_>>().join("\n")
    }
}

/// Wraps lines after this many characters.
pub(super) fn wrapped(lines: &[Line], columns: usize) -> Vec<Line> {
    let mut screen = Vec::new();
    for line in lines {
        let mut column = 0;
        screen.push(Line::new());
        for span in line {
            let mut rest: &str = &span.text;
            while !rest.is_empty() {
                if column == columns {
                    column = 0;
                    screen.push(Line::new());
                }
                let room = rest.char_indices().nth(columns - column).map_or(rest.len(), |(index, _)| index);
                let (fits, more) = rest.split_at(room);
                column += fits.chars().count();
                screen.last_mut().expect("pushed above").push(Span { text: fits.into(), ..span.clone() });
                rest = more;
            }
        }
    }
    screen
}
