//! The server side of HTTP: CONNECT and forwarded requests, and the responses to these.
#![no_main]

use connect::addr::{Host, parse_port, split_port};
use connect_fuzz::BASIC;
use connect_fuzz::serving::{Ending, Outcome, play};
use libfuzzer_sys::fuzz_target;

/// Fields that a proxy must not pass on.
const HOP_BY_HOP: [&str; 7] = [
    "keep-alive",
    "proxy-authorization",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
];

fuzz_target!(|input: &[u8]| {
    let Some((outcome, has_login)) = play("http", input) else { return };
    let request = &input[1..=outcome.consumed];
    let empty = request.iter().take_while(|byte| b"\r\n".contains(byte)).count();
    assert!(request.len() - empty <= 64 * 1024 + 1, "consumed {} bytes", request.len());
    let Outcome { target, sent, end, .. } = outcome;
    if let Some(target) = &target {
        let (host, port) = split_port(target);
        assert!(Host::parse(host).is_ok() && port.and_then(parse_port).is_some(), "{target}");
        let is_authorized = request.windows(BASIC.len()).any(|window| window == BASIC.as_bytes());
        assert!(!has_login || is_authorized, "no login, but {target}");
    }
    match end {
        Ending::Tunnel => {
            assert_eq!(sent, b"HTTP/1.1 200 Connection established\r\n\r\n");
            assert!(request[empty..].starts_with(b"CONNECT "));
        }
        Ending::Closed(_) if sent.is_empty() => {}
        Ending::Closed(_) => {
            let status = check_head(&sent, false).0;
            assert!(status.starts_with("HTTP/1.1 4") || status.starts_with("HTTP/1.1 5"), "{status}");
        }
        Ending::Forwarded { head, body, response } => {
            assert!(sent.is_empty() && target.is_some());
            let (line, rest) = check_head(&head, true);
            assert!(rest.is_empty(), "two heads");
            let words: Vec<_> = line.split(' ').collect();
            assert!(
                matches!(words[..], [_, target, "HTTP/1.1" | "HTTP/1.0"] if target.starts_with('/') || target == "*"),
                "{line}"
            );
            if let Some(body) = body {
                check_body(&head, &body);
            }
            check_response(&response);
        }
    }
});

/// Checks each line of a head. Returns its first line, and the bytes after the head.
fn check_head(bytes: &[u8], is_request: bool) -> (&str, &[u8]) {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head has an end");
    let mut lines =
        bytes[..end].split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first = std::str::from_utf8(lines.next().expect("a line")).expect("a start line is text");
    let (mut hosts, mut closes) = (0, 0);
    for line in lines {
        assert!(!line.iter().any(|&byte| b"\r\0".contains(&byte)), "{}", line.escape_ascii());
        let colon = line.iter().position(|&byte| byte == b':').expect("a colon");
        let name = std::str::from_utf8(&line[..colon]).expect("a name is text").to_ascii_lowercase();
        assert!(!name.is_empty() && !name.contains([' ', '\t']), "{name}");
        hosts += usize::from(name == "host");
        closes += usize::from(name == "connection" && line[colon..].trim_ascii() == b": close");
        assert!(name != "connection" || line[colon..].trim_ascii() == b": close", "{}", line.escape_ascii());
        let is_own = name == "proxy-authenticate" && first.starts_with("HTTP/1.1 407");
        assert!(!is_request || is_own || !HOP_BY_HOP.contains(&&*name), "{name}");
    }
    assert!(!is_request || hosts == 1, "{hosts} hosts");
    assert_eq!(closes, usize::from(!first.starts_with("HTTP/1.1 1")), "Connection: close");
    (first, &bytes[end + 4..])
}

/// Checks that a body has the length that its head announces, or is chunked in the simplest form.
fn check_body(head: &[u8], body: &[u8]) {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let field = |name: &str| head.split("\r\n").find_map(|line| line.strip_prefix(name)).map(str::trim);
    match (field("content-length:"), field("transfer-encoding:")) {
        (Some(length), None) => assert_eq!(length.parse(), Ok(body.len())),
        (None, Some("chunked")) => {
            let mut rest = body;
            loop {
                let end = rest.windows(2).position(|window| window == b"\r\n").expect("a chunk size");
                let size = std::str::from_utf8(&rest[..end]).expect("digits");
                assert!(size == "0" || !size.starts_with('0'), "{size}");
                let size = usize::from_str_radix(size, 16).expect("a chunk size");
                rest = rest[end + 2..]
                    .get(size..)
                    .expect("a whole chunk")
                    .strip_prefix(b"\r\n")
                    .expect("its end");
                if size == 0 {
                    break;
                }
            }
            assert!(rest.is_empty(), "bytes after the body");
        }
        (None, None) => assert!(body.is_empty(), "a body without a length"),
        both => panic!("{both:?}"),
    }
}

/// Checks that a response consists of heads of our own making and a body.
fn check_response(mut response: &[u8]) {
    loop {
        let (line, rest) = check_head(response, false);
        assert!(line.starts_with("HTTP/1.1 ") && !line.starts_with("HTTP/1.1 407"), "{line}");
        if !line.starts_with("HTTP/1.1 1") {
            return;
        }
        response = rest;
    }
}
