//! The terminal recording at the top of the README. Its SVG and its transcript are generated from
//! an asciinema cast. `tests/cookbook` replays the session in its own network and compares the
//! output.

use std::{env, fs};

mod screen;
mod svg;

use screen::{Line, Recording, wrapped};

const TITLE: &str =
    "ssh through a SOCKS proxy; a proxy that refuses, explained by connect --check; a chain of two proxies";

fn path(file: &str) -> String {
    format!("{}/docs/recording/{file}", env!("CARGO_MANIFEST_DIR"))
}

/// Reads a file and normalizes line endings, because a checkout on Windows may have CRLF.
fn read(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap().replace("\r\n", "\n")
}

fn recording() -> Recording {
    Recording::read(&read("session.cast"))
}

/// Set `CONNECT_WRITE_RECORDING=1` to regenerate the files.
#[test]
fn the_picture_and_the_transcript_are_generated_from_the_cast() {
    let recording = recording();
    for (file, made) in
        [("session.svg", svg::draw(&recording, TITLE)), ("session.txt", recording.transcript())]
    {
        if env::var_os("CONNECT_WRITE_RECORDING").is_some() {
            fs::write(path(file), &made).unwrap();
        }
        assert!(
            read(file) == made,
            "docs/recording/{file} is out of date: CONNECT_WRITE_RECORDING=1 cargo test recording"
        );
    }
}

/// Browsers neither load external resources nor run scripts for an SVG in an `img` element.
#[test]
fn the_picture_is_self_contained() {
    let picture = read("session.svg");
    assert!(picture.len() < 150_000, "{} bytes", picture.len());
    let picture = picture.replace("http://www.w3.org/2000/svg", "");
    for word in ["<script", "href", "url(", "@import", "@font-face", "<image", "<foreignObject"] {
        assert!(!picture.contains(word), "{word}");
    }
    assert!(read("../../README.md").contains("(docs/recording/session.svg)"), "the README does not show it");
}

#[test]
fn it_shows_three_scenes_in_about_thirty_seconds() {
    let recording = recording();
    assert!((20.0..45.0).contains(&recording.end), "{} seconds", recording.end);
    let transcript = recording.transcript();
    let scenes: Vec<_> = transcript.split("\n\n").collect();
    for (scene, words) in scenes.iter().zip([
        &["connect -S socks.", "\nalice"][..],
        &["UNKNOWN port 65535", "connect --check", "✗", "try: ", "Failed with exit code 5."],
        &["connect -x http://", ",socks5://", "\nalice\n", "hop 2 of 2"],
    ]) {
        for word in words {
            assert!(scene.contains(word), "no {word} in {scene}");
        }
    }
    assert_eq!(scenes.len(), 3);
}

#[test]
fn it_reveals_nothing_about_the_machine_it_was_made_on() {
    let cast = read("session.cast");
    let header = cast.lines().next().unwrap();
    assert!(!header.contains("SHELL") && !header.contains("title"), "{header}");
    for word in ["/tmp", "/home", "/root", "127.0.", "localhost"] {
        assert!(!cast.contains(word), "{word}");
    }
}

fn cast(events: &str) -> String {
    format!("{{\"version\": 2, \"width\": 4, \"height\": 9, \"idle_time_limit\": 2}}\n{events}")
}

#[test]
fn a_cast_is_played_as_a_terminal_would() {
    let recording = Recording::read(&cast(concat!(
        r#"[1.0, "o", "\u001b[H\u001b[2J\u001b[1ma\u001b[32mb\u001b[0mc\r\n"]"#,
        "\n",
        r#"[9.0, "o", "\u001b[0md<\r\r\n"]"#,
        "\n",
        r#"[9.5, "o", "\u001b[2Jé"]"#
    )));
    assert_eq!(recording.transcript(), "abc\nd<\n\né\n");
    let spans = |line: &Line| {
        line.iter().map(|span| (span.at, span.style.clone(), span.text.clone())).collect::<Vec<_>>()
    };
    let expected = [(1.0, "s1", "a"), (1.0, "s1 s32", "b"), (1.0, "", "c")];
    let expected = expected.map(|(at, style, text)| (at, style.to_owned(), text.to_owned()));
    assert_eq!(spans(&recording.scenes[0].lines[0]), expected);
    // The pause is shortened to `idle_time_limit`.
    assert_eq!(spans(&recording.scenes[0].lines[1]), [(3.0, String::new(), "d<".to_owned())]);
    assert_eq!((recording.scenes[1].begin, recording.end), (3.5, 3.5));
    assert_eq!(recording.scenes.len(), 2);
}

#[test]
fn a_long_line_wraps_to_the_next_row() {
    let recording = Recording::read(&cast(r#"[0, "o", "\u001b[2J12\u001b[1m345\r\nabcd\r\n✓✓✓✓✓"]"#));
    let rows = wrapped(&recording.scenes[0].lines, recording.columns);
    let rows: Vec<Vec<_>> = rows.iter().map(|row| row.iter().map(|span| &*span.text).collect()).collect();
    assert_eq!(rows, [vec!["12", "34"], vec!["5"], vec!["abcd"], vec!["✓✓✓✓"], vec!["✓"]]);
}

#[test]
#[should_panic(expected = "unsupported")]
fn overwriting_a_line_is_unsupported_and_panics() {
    Recording::read(&cast(r#"[0, "o", "\u001b[2J12\r3"]"#));
}
