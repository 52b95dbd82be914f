//! Challenges in a 407 response, with one `Proxy-Authenticate` value per line of input. The client
//! answers the strongest challenge and repeats its parameters.
#![no_main]

use connect::proto::{Error, HttpConnect, HttpSettings, Negotiation, Step};
use connect::text::printable;
use connect_fuzz::conversation::{alice, endpoint};
use connect_fuzz::display;
use connect_fuzz::reference::{self, Challenge};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if text.contains(['\r', '\0']) {
        return;
    }
    let fields: Vec<_> = text.split('\n').map(|value| format!("Proxy-Authenticate: {value}\r\n")).collect();
    let head = format!("HTTP/1.1 407 Who are you\r\n{}Content-Length: 0\r\n\r\n", fields.concat());
    let challenges: Vec<_> = text.split('\n').flat_map(reference::challenges).collect();
    let best = challenges.iter().filter_map(Challenge::rank).max();

    let mut machine =
        HttpConnect::new(endpoint("host.example", "22"), HttpSettings::default(), || Some([7; 16]));
    assert!(matches!(machine.step(), Ok(Step::Send(_))));
    match machine.receive(head.as_bytes()) {
        Ok(taken) => {
            assert_eq!(taken, head.len());
            assert_eq!(machine.step(), Ok(Step::Credentials));
            assert_eq!(machine.credentials(alice()), Ok(()));
            let Ok(Step::Send(wire)) = machine.step() else { panic!("no answer") };
            let answered = challenges.iter().find(|challenge| challenge.rank() == best);
            check(std::str::from_utf8(wire.bytes()).unwrap_or_default(), best, answered);
        }
        Err(Error::NoScheme { offered, status: 407 }) => {
            assert_eq!(best, None, "{challenges:?}");
            let schemes: Vec<_> = challenges.iter().map(|challenge| challenge.scheme.as_str()).collect();
            assert_eq!(offered.len(), schemes.len(), "{offered:?} of {schemes:?}");
            for (offer, scheme) in offered.iter().zip(schemes) {
                // Error messages truncate long names.
                let name = printable(scheme.as_bytes());
                assert!(name.starts_with(offer.name.trim_end_matches('…')), "{offer:?} is {scheme}");
            }
            display::check(&Error::NoScheme { offered, status: 407 }.to_string());
        }
        Err(error) => panic!("{error}"),
    }
});

/// Checks that the request answers this challenge and repeats its parameters.
fn check(request: &str, best: Option<u8>, answered: Option<&Challenge>) {
    let lines: Vec<_> = request.split("\r\n").collect();
    let [_, _, authorization, "", ""] = lines[..] else { panic!("{request:?}") };
    if best == Some(0) {
        return assert!(authorization.starts_with("Proxy-Authorization: Basic "), "{authorization}");
    }
    let digest =
        authorization.strip_prefix("Proxy-Authorization: ").map(reference::challenges).unwrap_or_default();
    let ([answer], Some(answered)) = (&digest[..], answered) else {
        panic!("{authorization} to {answered:?}")
    };
    assert_eq!(answer.scheme, "Digest");
    for name in ["realm", "nonce", "opaque", "algorithm"] {
        assert_eq!(answer.parameter(name), answered.parameter(name), "{name} in {authorization}");
    }
    assert_eq!(answer.parameter("qop").is_some(), answered.parameter("qop").is_some(), "{authorization}");
    assert!(answer.parameter("response").is_some(), "{authorization}");
}
