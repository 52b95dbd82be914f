//! The server side of SOCKS4, SOCKS4a and SOCKS5, with and without a login.
#![no_main]

use connect::addr::{Endpoint, Host, Port};
use connect_fuzz::serving::{Ending, play};
use connect_fuzz::{PASSWORD, USER};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((outcome, has_login)) = play("socks5", input) else { return };
    // The longest request: SOCKS4a with a user ID and a name, or a greeting, a login and a request.
    assert!(outcome.consumed <= 520 + 513 + 262, "consumed {} bytes", outcome.consumed);
    let request = &input[1..=outcome.consumed];
    match (&outcome.target, reference(request, has_login)) {
        (Some(target), Some(expected)) => assert_eq!(*target, expected),
        (None, None) => {}
        (target, expected) => panic!("requested {target:?}, expected {expected:?}"),
    }
    match outcome.end {
        Ending::Tunnel => assert!(matches!(
            outcome.sent.as_slice(),
            [.., 0, 90, _, _, _, _, _, _] | [.., 5, 0, 0, 1, _, _, _, _, _, _]
        )),
        Ending::Closed(_) => {}
        Ending::Forwarded { .. } => panic!("SOCKS forwards nothing"),
    }
});

/// Parses a complete request in one piece, independently of the server. Returns the target if it is
/// to be connected.
fn reference(bytes: &[u8], has_login: bool) -> Option<String> {
    let (host, port) = match bytes {
        [4, 1, high, low, address @ ..] if !has_login => {
            let (address, rest) = address.split_at_checked(4)?;
            let (user, rest) = until_nul(rest)?;
            (user.len() <= 255).then_some(())?;
            let host = match address {
                [0, 0, 0, 1..=255] => text(until_nul(rest)?.0)?,
                [a, b, c, d] => format!("{a}.{b}.{c}.{d}"),
                _ => return None,
            };
            (host, u16::from_be_bytes([*high, *low]))
        }
        [5, count, rest @ ..] => {
            let (methods, mut rest) = rest.split_at_checked(usize::from(*count))?;
            methods.contains(&if has_login { 2 } else { 0 }).then_some(())?;
            if has_login {
                let login = [&[1, 5], USER.as_bytes(), &[18], PASSWORD.as_bytes()].concat();
                rest = rest.strip_prefix(login.as_slice())?;
            }
            let (host, port) = match rest {
                [5, 1, _, 1, a, b, c, d, port @ ..] => (format!("{a}.{b}.{c}.{d}"), port),
                [5, 1, _, 3, length, rest @ ..] => {
                    let (name, port) = rest.split_at_checked(usize::from(*length))?;
                    (text(name)?, port)
                }
                [5, 1, _, 4, rest @ ..] => {
                    let (address, port) = rest.split_at_checked(16)?;
                    (std::net::Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?).to_string(), port)
                }
                _ => return None,
            };
            let [high, low] = port else { return None };
            (host, u16::from_be_bytes([*high, *low]))
        }
        _ => return None,
    };
    let (host, port) = (Host::parse(&host).ok()?, Port::new(port)?);
    Some(Endpoint { host, port }.to_string())
}

/// Splits off a field that ends in NUL.
fn until_nul(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// Returns a name that is valid and contains nothing that a shell could interpret.
fn text(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let is_address = Host::parse(name).is_ok_and(|host| matches!(host, Host::Ip(_)));
    let is_harmless =
        |name: &str| !name.starts_with('-') && name.chars().all(|c| c.is_alphanumeric() || ".-_".contains(c));
    // The name may be converted to ASCII, so compare its result.
    let parsed = Host::parse(name).ok()?.to_string();
    (is_address || is_harmless(&parsed)).then(|| name.to_owned())
}
