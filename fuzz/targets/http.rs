//! HTTP CONNECT: without a password, with a known password, and with a password that the user
//! enters.
#![no_main]

use connect::proto::{Error, HttpConnect, HttpScheme, HttpSettings};
use connect_fuzz::conversation::{Bounds, Input, alice, endpoint, play};
use connect_fuzz::reference;
use libfuzzer_sys::fuzz_target;

/// Maximum number of bytes consumed. Each of six challenges has 64 KiB of heads and a body that is
/// drained up to 64 KiB plus one 4 KiB peek. The last response has 64 KiB of heads and the start of
/// a body.
const BYTES: usize = (6 * (64 + 64 + 4) + 64 + 4) * 1024;
/// Maximum memory use: a 64 KiB head as bytes and as text, plus two strings for each field, which
/// can be as short as two bytes.
const MEMORY: usize = 4 * 1024 * 1024;

fuzz_target!(|input: &[u8]| {
    let Some(input) = Input::new(input) else { return };
    let known = input.variant & 1 == 1;
    let make = || {
        HttpConnect::new(endpoint("host.example", "22"), settings(input.variant), || Some([7; 16]))
            .with_credentials(known.then(alice))
    };
    let outcome = play(make, &input, Bounds { bytes: BYTES, memory: MEMORY });
    let last = input.connection(outcome.connection);
    let expected = reference::http(last);
    match outcome.result {
        // The reference parser determines whether a tunnel is established, and where it begins.
        Ok(()) => match expected {
            Some(expected) => assert_eq!(outcome.consumed, expected),
            None => assert!(ends_with_success(&last[..outcome.consumed]), "mistook a refusal for a tunnel"),
        },
        // Do not compare: the reference parser accepts header lines without a colon.
        Err(Error::NotHttp { .. } | Error::MalformedHttp(_)) => {}
        // The reference parser does not detect web pages.
        Err(Error::WebPage { .. }) => {
            let head = expected.expect("a page follows a head with status 2xx");
            assert!(last[head..].contains(&b'<'), "mistook a tunnel for a page");
        }
        Err(error) => assert_eq!(expected, None, "mistook a tunnel for a refusal: {error}"),
    }
});

/// Returns the settings for a variant. If they allow Digest, a known password is sent only after a
/// challenge; otherwise it is sent with the first request.
fn settings(variant: u8) -> HttpSettings {
    let mut settings = HttpSettings::default();
    if variant & 2 != 0 {
        settings.schemes = vec![HttpScheme::Digest, HttpScheme::Basic];
    }
    settings
}

/// Returns `true` if the last of several responses on one connection opens a tunnel.
fn ends_with_success(answers: &[u8]) -> bool {
    let starts = answers.windows(7).enumerate().filter(|(_, word)| word == b"HTTP/1.").map(|(at, _)| at);
    starts.map(|at| &answers[at..]).any(|answer| reference::http(answer) == Some(answer.len()))
}
