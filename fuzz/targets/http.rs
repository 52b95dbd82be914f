//! HTTP CONNECT, as a conversation: without a password, with one that is known, and with one that is asked for.
#![no_main]

use connect::proto::{Error, HttpConnect, HttpScheme, HttpSettings};
use connect_fuzz::conversation::{Bounds, Input, alice, endpoint, play};
use connect_fuzz::ends;
use libfuzzer_sys::fuzz_target;

/// For each of six challenges its heads and its body, which is drained up to a limit and a look beyond it; then the heads of
/// the last answer, and the start of its body.
const BYTES: usize = (6 * (64 + 64 + 4) + 64 + 4) * 1024;
/// A head of 64 KiB, in bytes and in text, and 20 bytes of index for each field of two bytes.
const MEMORY: usize = 4 * 1024 * 1024;

fuzz_target!(|input: &[u8]| {
    let Some(input) = Input::new(input) else { return };
    let known = input.variant & 1 == 1;
    let make = || {
        HttpConnect::new(endpoint("host.example", "22"), settings(input.variant), || Some([7; 16]))
            .with_credentials(known.then(alice))
    };
    let ending = play(make, &input, Bounds { bytes: BYTES, memory: MEMORY });
    let last = input.connection(ending.connection);
    let due = ends::http(last);
    match ending.verdict {
        // A tunnel stands only where the specification says so, and begins there.
        Ok(()) => match due {
            Some(due) => assert_eq!(ending.taken, due),
            None => assert!(ends_with_success(&last[..ending.taken]), "took a refusal for a tunnel"),
        },
        // Lines without a colon are for the machine alone to find.
        Err(Error::NotHttp { .. } | Error::MalformedHttp(_)) => {}
        Err(error) => assert_eq!(due, None, "took a tunnel for a refusal: {error}"),
    }
});

/// A password that is known goes out at once, or not before it is asked for.
fn settings(variant: u8) -> HttpSettings {
    let mut settings = HttpSettings::default();
    if variant & 2 != 0 {
        settings.schemes = vec![HttpScheme::Digest, HttpScheme::Basic];
    }
    settings
}

/// Whether the last of some answers on one connection opens a tunnel: the one behind a challenge.
fn ends_with_success(answers: &[u8]) -> bool {
    let starts = answers.windows(7).enumerate().filter(|(_, word)| word == b"HTTP/1.").map(|(at, _)| at);
    starts.map(|at| &answers[at..]).any(|answer| ends::http(answer) == Some(answer.len()))
}
