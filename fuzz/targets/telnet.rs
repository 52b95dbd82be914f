//! Telnet-style proxies.
#![no_main]

use connect::proto::{TELNET_COMMAND, Telnet};
use connect_fuzz::conversation::{Bounds, Input, endpoint, play};
use connect_fuzz::reference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some(input) = Input::new(input) else { return };
    let make = || Telnet::new(endpoint("host.example", "22"), TELNET_COMMAND.into());
    // Memory use peaks while the buffer for a 64 KiB line grows, or while the line is converted
    // to lower case.
    let outcome = play(make, &input, Bounds { bytes: 64 * 1024, memory: 260 * 1024 });
    assert_eq!(outcome.result.is_ok().then_some(outcome.consumed), reference::telnet(input.first()));
});
