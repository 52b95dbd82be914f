//! The challenges of a 407, each line of the input the value of one field: which schemes are seen in them.
#![no_main]

use connect::proto::{Error, HttpConnect, Negotiation, Step};
use connect::text::printable;
use connect_fuzz::conversation::endpoint;
use connect_fuzz::{ends, shown};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if text.contains(['\r', '\0']) {
        return;
    }
    let fields: Vec<_> = text.split('\n').map(|value| format!("Proxy-Authenticate: {value}\r\n")).collect();
    let head = format!("HTTP/1.1 407 Who are you\r\n{}Content-Length: 0\r\n\r\n", fields.concat());
    let schemes: Vec<_> = text.split('\n').flat_map(ends::schemes).collect();

    let mut machine = HttpConnect::new(endpoint("host.example", "22"), None);
    assert!(matches!(machine.step(), Ok(Step::Send(_))));
    match machine.receive(head.as_bytes()) {
        Ok(taken) => {
            assert_eq!(taken, head.len());
            assert_eq!(machine.step(), Ok(Step::Credentials));
            assert!(schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic")), "{schemes:?}");
        }
        Err(Error::NoScheme { offered, status: 407 }) => {
            let named = if schemes.is_empty() { "no scheme is named".into() } else { schemes.join(", ") };
            assert_eq!(offered, printable(named.as_bytes()));
            assert!(!schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic")), "{schemes:?}");
            shown::check(&offered);
        }
        Err(error) => panic!("{error}"),
    }
});
