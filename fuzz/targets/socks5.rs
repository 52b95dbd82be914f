//! SOCKS5: without authentication, with a known password, with a password that the user enters, and
//! with pipelined requests.
#![no_main]

use connect::proto::{Socks5, Socks5Method as ProxyArg};
use connect_fuzz::conversation::{Bounds, Input, alice, endpoint, play};
use connect_fuzz::reference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some(input) = Input::new(input) else { return };
    let (none, userpass) = (ProxyArg::None, ProxyArg::UserPass);
    let (methods, codes): (_, &[u8]) = match input.variant {
        0 | 4 => (vec![none], &[0]),
        1 | 5 => (vec![userpass], &[2]),
        _ => (vec![none, userpass], &[0, 2]),
    };
    let known = input.variant != 2;
    let host = if input.variant & 1 == 0 { "2001:db8::1" } else { "host.example" };
    let make = || {
        let machine = Socks5::new(endpoint(host, "22"), methods.clone());
        machine.with_credentials(known.then(alice)).eager(input.variant & 4 != 0)
    };
    // The method selection, the login status, and the longest reply, which contains a 255-byte
    // name.
    let outcome = play(make, &input, Bounds { bytes: 2 + 2 + 4 + 1 + 255 + 2, memory: 8 * 1024 });
    assert_eq!(outcome.result.is_ok().then_some(outcome.consumed), reference::socks5(input.first(), codes));
});
