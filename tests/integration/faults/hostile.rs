//! Invalid and hostile answers.

use super::conversation::{Conversation, PASSWORD, Question, all, credentials};
use crate::kit::bytes;

/// Terminal control sequences, and invisible characters that mislead a reader.
pub(crate) const CONTROLS: &str =
    "\x1b]0;owned\x07\x1b[2J\x1b[31m\x08\x0b\x0c\x0e\x7f\u{9b}5n\u{85}\u{202e}\u{200b}";

/// Returns answers that belong to a different protocol or to no protocol. None of them starts like
/// a valid answer to this request.
pub(crate) fn garbage(to: Question) -> Vec<(String, Vec<u8>)> {
    let lines = |line: &str| format!("{line}\r\n").repeat(40).into_bytes();
    let mut all_kinds = vec![
        ("controls".into(), CONTROLS.repeat(20).into_bytes()),
        ("control-lines".into(), lines(CONTROLS)),
        ("raw-c1".into(), b"\x9b2J\x90q\x9d0;owned\x9c\x85\r\n".repeat(20)),
        ("text".into(), lines("Welcome, traveller!")),
        ("html".into(), lines(&format!("<html><title>{CONTROLS}</title>"))),
        ("ssh".into(), lines("SSH-2.0-OpenSSH_9.9")),
        ("smtp".into(), lines("220 mail.example ESMTP")),
        ("tls-alert".into(), b"\x15\x03\x01\x00\x02\x02\x28".to_vec()),
        ("zeros".into(), vec![0; 400]),
        ("ones".into(), vec![0xff; 400]),
        ("one-byte".into(), vec![0xff]),
    ];
    all_kinds.extend((0..4).map(|seed| (format!("random-{seed}"), bytes(seed, 400))));
    all_kinds.extend(all().iter().map(answers_of));
    all_kinds.retain(|(_, bytes)| !begins_as_an_answer_to(to, bytes));
    all_kinds
}

fn answers_of(conversation: &Conversation) -> (String, Vec<u8>) {
    let answers: Vec<_> = conversation.turns.iter().map(|turn| turn.answer.as_slice()).collect();
    (format!("of-{}", conversation.name), answers.concat())
}

fn begins_as_an_answer_to(question: Question, bytes: &[u8]) -> bool {
    match question {
        // A reply that grants the request starts with version 0 or 4 and code 90.
        Question::Socks4 => matches!(bytes, [0 | 4, 90, ..]),
        Question::Greeting | Question::Socks5 => bytes[0] == 5,
        // Only the status byte counts.
        Question::UserPass => matches!(bytes, [_, 0, ..]),
        Question::Http => bytes.starts_with(b"HTTP/1."),
        // Any text may precede the answer, so only a line that reports success counts.
        Question::Telnet => bytes.windows(12).any(|window| window.eq_ignore_ascii_case(b"connected to")),
    }
}

/// Returns refusals with their exit codes. Where the protocol has room for text, the text is
/// hostile: control sequences, or (if `sent_password`) the password that the client sent, either in
/// full or at a position where truncation would leave part of it.
pub(crate) fn refusals(of: Question, sent_password: bool) -> Vec<(String, Vec<u8>, i32)> {
    let codes = |codes: &[u8], answer: fn(u8) -> Vec<u8>, exit| {
        codes.iter().map(move |&code| (code.to_string(), answer(code), exit)).collect()
    };
    match of {
        Question::Socks4 => codes(&[0, 1, 91, 92, 93, 94, 255], |code| vec![0, code, 0, 0, 0, 0, 0, 0], 5),
        Question::Greeting => codes(&[255], |code| vec![5, code], 6),
        Question::UserPass => codes(&[1, 2, 255], |code| vec![1, code], 6),
        Question::Socks5 => {
            let answer = |code| vec![5, code, 0, 1, 0, 0, 0, 0, 0, 0];
            codes(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 91, 255], answer, 5)
        }
        Question::Http => with_texts(&HTTP_REFUSALS, sent_password),
        Question::Telnet => with_texts(&TELNET_REFUSALS, sent_password),
    }
}

const HTTP_REFUSALS: [(&str, &str, i32); 13] = [
    ("reason", "HTTP/1.1 403 {}\r\n\r\n", 5),
    ("text", "HTTP/1.1 502 No\r\nContent-Type: text/plain\r\n\r\n{}\r\n", 5),
    ("title", "HTTP/1.0 500 No\r\nContent-Type: text/html\r\n\r\n<html><title>{}</title>", 5),
    ("chunks", "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{}", 5),
    ("bad-chunks", "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n{}\r\n{}", 5),
    ("location", "HTTP/1.1 302 Found\r\nLocation: http://{}/\r\n\r\n", 5),
    ("class", "HTTP/1.1 999 {}\r\n\r\n", 5),
    ("upgrade", "HTTP/1.1 101 {}\r\n\r\n", 5),
    ("scheme", "HTTP/1.1 407 {}\r\nProxy-Authenticate: {}\r\n\r\n", 6),
    ("schemes", "HTTP/1.1 401 {}\r\nWWW-Authenticate: Negotiate, NTLM {}, {} x\r\n\r\n", 6),
    ("field", "HTTP/1.1 200 OK\r\n{}\r\n\r\n", 5),
    ("status", "HTTP/1.1 200{} OK\r\n\r\n", 5),
    ("line", "{}\r\n\r\n", 5),
];

const TELNET_REFUSALS: [(&str, &str, i32); 5] = [
    ("failed", "{} failed\r\n", 5),
    ("refused", "connection to host.example refused {}\r\n", 5),
    ("rejected", "Welcome\r\n{} {} rejected{}\r\n", 5),
    ("closed", "{} closed", 5),
    ("long", "{}{}{}{}{}{}{}{} failed {}\r\n", 5),
];

fn with_texts(templates: &[(&str, &str, i32)], sent_password: bool) -> Vec<(String, Vec<u8>, i32)> {
    let padded = |secret: &str| format!("{}{secret}", "x".repeat(140));
    let texts = [
        ("controls", CONTROLS.to_owned()),
        ("credentials", credentials()),
        ("password", PASSWORD.to_owned()),
        ("cut-credentials", padded(&credentials())),
        ("cut-password", padded(PASSWORD)),
    ];
    let texts = &texts[..if sent_password { texts.len() } else { 1 }];
    let all = templates.iter().flat_map(|&(name, template, exit)| {
        let with = move |(what, text): &(&str, String)| {
            (format!("{name}-{what}"), template.replace("{}", text).into_bytes(), exit)
        };
        texts.iter().map(with).collect::<Vec<_>>()
    });
    all.collect()
}

/// Returns HTTP response heads that open a tunnel, although some look odd.
pub(crate) fn good_heads() -> Vec<String> {
    let mut heads: Vec<String> = ["HTTP/1.0", "HTTP/1.1", "HTTP/1.9"]
        .iter()
        .flat_map(|version| ["200", "204", "299"].map(|code| format!("{version} {code} Fine\r\n\r\n")))
        .collect();
    for rest in [
        "\r\n\r\n",
        " \r\n\r\n",
        " OK\n\n",
        " OK\nVia: x\n\r\n",
        " OK\r\nVia: x\n\n",
        "  two  blanks \r\n\r\n",
        " 404 Not Found\r\n\r\n",
        " OK\r\nX: folded\r\n\tand more\r\n\r\n",
        " OK\r\nX:\r\nY:no blank\r\n\r\n",
        " OK\r\nContent-Length: 5\r\n\r\n",
        " OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        heads.push(format!("HTTP/1.1 200{rest}"));
    }
    heads
}

/// Returns HTTP response heads that resemble a 2xx response but have an invalid status line, header
/// or line ending.
pub(crate) fn bad_heads() -> Vec<String> {
    let versions = [
        "HTTP/1.",
        "HTTP/9.9",
        "HTTP/2.0",
        "HTTP/2",
        "HTTP/0.9",
        "HTTP/1.10",
        "HTTP/1.01",
        "HTTP/01.1",
        "http/1.1",
        "Http/1.1",
        "HTTP/1.x",
        "HTTP/1,1",
        "HTTP/11",
        "HTTP 1.1",
        "HTTPS/1.1",
        "XHTTP/1.1",
        "HTTP/1.1\0",
        "\0HTTP/1.1",
        " HTTP/1.1",
        "\tHTTP/1.1",
        "\r\nHTTP/1.1",
        "\nHTTP/1.1",
        "\u{feff}HTTP/1.1",
        "ICY",
        "",
    ];
    let codes = [
        "200x",
        "x200",
        "2000",
        "0200",
        "20",
        "2",
        "",
        "+200",
        "-200",
        "200.0",
        "2 00",
        "2\x0000",
        "200\0",
        "2OO",
        "0xc8",
        "000",
        "099",
        "65736",
        "4294967496",
        "18446744073709551816",
        "99999999999999999999999999999",
        "\u{662}\u{660}\u{660}",
        "\u{ff12}\u{ff10}\u{ff10}",
        "200,200",
        "200\t",
        "200\x0b",
    ];
    let gaps = ["", "\t", "  ", "\x0b", "\0", "\r", "\n", "\r\n", "\u{a0}"];
    let ends = [
        "\r\r",
        "\n\r",
        "\r",
        " OK\r\r\r\r",
        " OK\r\nVia: x\r\r",
        " O\0K\r\n\r\n",
        " O\rK\r\n\r\n",
        " OK\r\nX: \0\r\n\r\n",
        " OK\r\nX: a\rY: b\r\n\r\n",
        " OK\r\nno colon\r\n\r\n",
        " OK\r\n folded at once\r\n\r\n",
        "\x0b\r\n\r\n",
    ];
    let mut heads: Vec<_> = versions.iter().map(|version| format!("{version} 200 OK\r\n\r\n")).collect();
    heads.extend(codes.iter().map(|code| format!("HTTP/1.1 {code} OK\r\n\r\n")));
    heads.extend(codes.iter().map(|code| format!("HTTP/1.0 {code}\r\n\r\n")));
    heads.extend(gaps.iter().map(|gap| format!("HTTP/1.1{gap}200 OK\r\n\r\n")));
    heads.extend(ends.iter().map(|end| format!("HTTP/1.1 200{end}")));
    heads
}
