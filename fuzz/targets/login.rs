//! HTTP CONNECT through a proxy that challenges first. The input selects the framing of the 407
//! body. The tunnel then opens on the same connection if it can be reused, otherwise on a new one.
//! No byte of the tunnel may be lost.
#![no_main]

use connect::proto::{HttpConnect, HttpSettings};
use connect_fuzz::conversation::{Bounds, Input, Outcome, endpoint, play};
use libfuzzer_sys::fuzz_target;

const GRANTED: &[u8] = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n";
/// The longest body that is drained to reuse the connection.
const DRAINED: usize = 64 * 1024;

fuzz_target!(|input: &[u8]| {
    let Some(input) = Input::new(input) else { return };
    let mut parts = input.bytes.splitn(4, |&byte| byte == b'\n').map(<[u8]>::to_vec);
    let mut part = || parts.next().unwrap_or_default();
    let (sizes, text, body, early) = (part(), part(), part(), part());
    // In variant 7, the body can be too long to drain.
    let body = if input.variant == 7 { body.repeat(1 + DRAINED / 1024) } else { body };
    let (fields, framed) = match input.variant {
        0 | 4 | 7 => (format!("Content-Length: {}\r\n", body.len()), body),
        1 | 5 => ("Transfer-Encoding: chunked\r\n".into(), chunked(&body, &sizes, &[], &text)),
        2 | 6 => ("Transfer-Encoding: chunked\r\n".into(), chunked(&body, &sizes, &text, &text)),
        _ => ("Connection: close\r\n".into(), body),
    };
    // `keeps`: the challenge lets the client keep the connection. `closes`: the proxy closes it
    // anyway.
    let keeps = input.variant != 3 && framed.len() <= DRAINED;
    let closes = (4..7).contains(&input.variant);
    let head =
        format!("HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm=\"a, b\"\r\n{fields}\r\n");
    let challenge = [head.as_bytes(), &framed].concat();
    let granted = [GRANTED, &early].concat();
    let first = if closes { challenge.clone() } else { [&challenge[..], &granted].concat() };
    let conversation = Input::from_connections(vec![first, granted], input.fragmentation);

    let make = || HttpConnect::new(endpoint("host.example", "22"), HttpSettings::default(), || None);
    let outcome = play(make, &conversation, Bounds { bytes: 4 * DRAINED, memory: 4 * 1024 * 1024 });
    let (connection, consumed) =
        if keeps && !closes { (0, challenge.len() + GRANTED.len()) } else { (1, GRANTED.len()) };
    assert_eq!(outcome, Outcome { result: Ok(()), connection, consumed });
});

/// Returns the body in chunks of these sizes, with an extension and a trailer (RFC 9112, section
/// 7.1).
fn chunked(body: &[u8], sizes: &[u8], extension: &[u8], trailer: &[u8]) -> Vec<u8> {
    let printable = |bytes: &[u8]| -> String {
        bytes.iter().map(|&byte| char::from(byte)).filter(char::is_ascii_graphic).take(64).collect()
    };
    let extension = Some(printable(extension)).filter(|text| !text.is_empty()).map(|text| format!(";{text}"));
    let extension = extension.unwrap_or_default();
    let mut framed = Vec::new();
    let mut rest = body;
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let size = sizes.next().map_or(rest.len(), |&size| usize::from(size) + 1).min(rest.len());
        framed.extend(format!("{size:x}{extension}\r\n").bytes());
        framed.extend(&rest[..size]);
        framed.extend(b"\r\n");
        rest = &rest[size..];
    }
    framed.extend(format!("0{extension}\r\n").bytes());
    if !trailer.is_empty() {
        framed.extend(format!("X-Trailer: {}\r\n", printable(trailer)).bytes());
    }
    framed.extend(b"\r\n");
    framed
}
