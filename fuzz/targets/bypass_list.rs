//! Bypass lists. The input is a line with a host, then a list. The first entry that matches the
//! host decides, and an entry matches only the hosts that it should.
#![no_main]

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use connect::addr::{Endpoint, Host, Port, to_ascii};
use connect::cli::ProxyArg;
use connect::plan::Bypass;
use connect_fuzz::planning;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some((host, list)) = text.split_once('\n') else { return };
    let Ok(host) = Host::parse(host) else { return };
    // Environment variables cannot contain a NUL.
    if list.contains('\0') {
        return;
    }
    let target = Endpoint { host: host.clone(), port: Port::MIN };
    let decision = |list: &str| bypass("SOCKS5_DIRECT", list).list.matches(&target);
    let entries: Vec<_> = list.split(',').collect();
    assert_eq!(decision(list), entries.iter().find_map(|entry| decision(entry)), "the first match decides");
    for entry in entries.iter().map(|entry| entry.trim()) {
        let pattern = entry.strip_prefix('!').unwrap_or(entry).trim();
        let Some(direct) = decision(entry) else { continue };
        assert_eq!(direct, !entry.starts_with('!'));
        match &host {
            Host::Name(name) => {
                let domain = pattern.trim_start_matches('*').trim_matches('.');
                let ascii = to_ascii(domain).expect("only a valid name matches").to_ascii_lowercase();
                let domain = ascii.trim_end_matches('.');
                let name = format!(".{}", name.as_str().trim_end_matches('.').to_ascii_lowercase());
                assert!(!domain.is_empty() && name.ends_with(&format!(".{domain}")), "{pattern} and {host}");
            }
            Host::Ip(ip) => {
                let pattern = to_ascii(pattern).expect("only a valid network matches");
                assert_eq!(is_in_network(*ip, &pattern), Some(true), "{pattern} and {host}");
            }
        }
        assert!(
            !pattern.contains("..") && !pattern.contains("//"),
            "{pattern} is neither a network nor a name"
        );
    }
    // Other programs read `no_proxy` too, so its entries never force the proxy.
    assert_ne!(bypass("no_proxy", list).no_proxy.matches(&target), Some(false));
});

/// Returns `Some(true)` if `ip` is in `network`, comparing bit by bit, and `None` if `network`
/// cannot be parsed.
fn is_in_network(ip: IpAddr, network: &str) -> Option<bool> {
    let (address, mask) =
        network.split_once('/').map_or((network, None), |(address, mask)| (address, Some(mask)));
    let (ours, theirs, given) = if address.contains(':') {
        let address = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        let IpAddr::V6(ip) = ip else { return Some(false) };
        (
            format!("{:0128b}", address.parse::<Ipv6Addr>().ok()?.to_bits()),
            format!("{:0128b}", ip.to_bits()),
            128,
        )
    } else {
        let IpAddr::V4(ip) = ip.to_canonical() else { return Some(false) };
        let bytes = address.strip_suffix('.').unwrap_or(address).split('.').map(str::parse);
        let bytes: Vec<u8> = bytes.collect::<Result<_, _>>().ok()?;
        let binary: Vec<_> = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
        (format!("{:0<32}", binary.concat()), format!("{:032b}", ip.to_bits()), bytes.len() * 8)
    };
    let length = match mask {
        None => given,
        Some(mask) if mask.contains('.') => {
            format!("{:b}", mask.parse::<Ipv4Addr>().ok()?.to_bits()).trim_end_matches('0').len()
        }
        Some(mask) => mask.parse().ok()?,
    };
    Some(given <= ours.len() && ours.get(..length)? == theirs.get(..length)?)
}

/// Returns the bypass settings of a plan with `list` in an environment variable.
fn bypass(variable: &str, list: &str) -> Bypass {
    let proxy = ProxyArg::Socks("proxy.example".into());
    let value = |name: &str| (name == variable).then(|| OsString::from(list));
    let (plan, warnings) = planning::plan(&planning::args(proxy), &value, Vec::new());
    let is_expected = |line: &String| variable == "SOCKS5_DIRECT" || line.contains("in quotes");
    assert!(warnings.iter().all(is_expected), "{warnings:?}");
    plan.expect("a list never makes the plan fail").routes.remove(0).bypass
}
