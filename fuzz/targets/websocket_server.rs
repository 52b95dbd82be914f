//! A request for a WebSocket, whose target is connected or not.
#![no_main]

use std::sync::Arc;

use connect::proto::server::{Origin, Rejection};
use connect::proto::websocket::{ServerHandshake, Site};
use connect_fuzz::MEMORY;
use connect_fuzz::serving::{Ending, play_with};
use libfuzzer_sys::fuzz_target;

/// Maximum memory use: a head of 16 KiB, its fields, and copies of the input.
const MAX_MEMORY: usize = 256 * 1024;

fuzz_target!(|input: &[u8]| {
    let origins = vec![Origin::parse("https://www.example").expect("a valid origin")];
    let site = Arc::new(Site { path: "/chat".into(), origins });
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let Some(outcome) = play_with(&|| Box::new(ServerHandshake::new(Arc::clone(&site))), input) else {
        return;
    };
    let peak = MEMORY.peak_usage().saturating_sub(before);
    assert!(peak <= MAX_MEMORY + 8 * input.len(), "needs {peak} bytes of memory");
    assert!(outcome.consumed <= 16 * 1024 + 1, "consumed {} bytes", outcome.consumed);
    let head = String::from_utf8_lossy(&input[1..=outcome.consumed]).to_ascii_lowercase();
    let sent = String::from_utf8_lossy(&outcome.sent);
    match outcome.end {
        Ending::Tunnel => {
            assert!(sent.starts_with("HTTP/1.1 101 ") && sent.ends_with("\r\n\r\n"), "{sent:?}");
            for part in ["get ", "/chat", "upgrade", "websocket", "sec-websocket-key", "13", "host"] {
                assert!(head.contains(part), "accepted a request without {part:?}: {head:?}");
            }
            let origins = head.lines().filter_map(|line| line.strip_prefix("origin:"));
            assert!(
                origins.map(str::trim).all(|it| it.trim_end_matches('/') == "https://www.example"),
                "{head:?}"
            );
        }
        Ending::Closed(Some(Rejection::Web { status, .. })) => {
            assert!(sent.starts_with(&format!("HTTP/1.1 {status} ")), "{sent:?}");
        }
        Ending::Closed(Some(Rejection::Closed)) => assert_eq!(sent, ""),
        Ending::Closed(None) => assert!(sent.starts_with("HTTP/1.1 502 "), "{sent:?}"),
        other => panic!("unexpected {other:?}"),
    }
});
