//! Hosts, ports and endpoints: every accepted value is safe on the wire, and its displayed form
//! parses back to the same value.
#![no_main]

use connect::addr::{Endpoint, Host, MAX_NAME, parse_port, split_port};
use connect_fuzz::display;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (host, port) = split_port(text);
    match port {
        Some(port) => assert_eq!(format!("{host}:{port}"), text),
        None => assert_eq!(host, text),
    }
    let number = port.and_then(parse_port);
    let as_number =
        port.filter(|port| port.bytes().all(|byte| byte.is_ascii_digit())).and_then(|port| port.parse().ok());
    assert_eq!(
        number.map(|port| u32::from(port.get())),
        as_number.filter(|number| (1..=65_535).contains(number))
    );

    for text in [text, host] {
        match Host::parse(text) {
            Err(error) => display::check(&error.to_string()),
            Ok(host) => {
                let shown = host.to_string();
                assert!(shown.len() <= MAX_NAME && !shown.is_empty() && shown.is_ascii());
                assert!(
                    !shown
                        .contains(|c: char| c.is_control() || c.is_whitespace() || "/\\@?#[]<>".contains(c))
                );
                assert!(matches!(host, Host::Ip(_)) || !shown.contains(':') || shown.contains('%'));
                display::check(&shown);
                assert_eq!(Host::parse(&shown).as_ref(), Ok(&host));
                let Some(port) = number.or(parse_port("22")) else { return };
                let shown = Endpoint { host: host.clone(), port }.to_string();
                let (again, its_port) = split_port(&shown);
                assert_eq!(Host::parse(again), Ok(host));
                assert_eq!(its_port.and_then(parse_port), Some(port));
            }
        }
    }
});
