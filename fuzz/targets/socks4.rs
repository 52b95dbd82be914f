//! SOCKS4 and SOCKS4a.
#![no_main]

use connect::proto::Socks4;
use connect_fuzz::USER;
use connect_fuzz::conversation::{Bounds, Input, endpoint, play};
use connect_fuzz::reference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some(input) = Input::new(input) else { return };
    let host = if input.variant & 1 == 0 { "192.0.2.1" } else { "host.example" };
    let make = || Socks4::new(endpoint(host, "22"), USER.into());
    let outcome = play(make, &input, Bounds { bytes: 8, memory: 2048 });
    assert_eq!(outcome.result.is_ok().then_some(outcome.consumed), reference::socks4(input.first()));
});
