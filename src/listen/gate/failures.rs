//! Limits the tokens that fail, because checking a signature takes time.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Tokens from one address that may fail within [`INTERVAL`].
const MAX_FAILURES: u32 = 100;

/// The interval for which failures are counted.
const INTERVAL: Duration = Duration::from_secs(1);

/// Addresses that are counted separately. All others share one count.
const MAX_COUNTED: usize = 4096;

/// The failures of the current interval.
#[derive(Debug)]
pub(super) struct Failures {
    since: Instant,
    counts: HashMap<IpAddr, u32>,
}

impl Failures {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, counts: HashMap::new() }
    }

    /// Returns `true` if a token from this address may be checked.
    pub(super) fn permit(&mut self, from: IpAddr, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= INTERVAL {
            *self = Self::new(now);
        }
        self.counts.get(&self.key(from)).is_none_or(|count| *count < MAX_FAILURES)
    }

    /// Counts a token from this address that has failed.
    pub(super) fn count(&mut self, from: IpAddr) {
        let key = self.key(from);
        *self.counts.entry(key).or_default() += 1;
    }

    /// Returns the address under which failures are counted. A network of IPv6 addresses belongs to
    /// one site.
    fn key(&self, from: IpAddr) -> IpAddr {
        let key = match from.to_canonical() {
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
            v4 @ IpAddr::V4(_) => v4,
        };
        let has_room = self.counts.len() < MAX_COUNTED || self.counts.contains_key(&key);
        if has_room { key } else { Ipv6Addr::UNSPECIFIED.into() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_may_send_100_failing_tokens_per_second() {
        let start = Instant::now();
        let mut failures = Failures::new(start);
        for (first, same_site, other) in [
            ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
            ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"),
        ] {
            for _ in 0..MAX_FAILURES {
                assert!(failures.permit(ip(first), start));
                failures.count(ip(first));
            }
            assert!(!failures.permit(ip(first), start + Duration::from_millis(999)), "{first}");
            assert!(!failures.permit(ip(same_site), start), "{same_site}");
            assert!(failures.permit(ip(other), start), "{other}");
        }
        assert!(failures.permit(ip("192.0.2.1"), start + INTERVAL));
    }

    #[test]
    fn many_addresses_share_one_count() {
        let start = Instant::now();
        let mut failures = Failures::new(start);
        for number in 0..1_000_000 {
            failures.count(std::net::Ipv4Addr::from_bits(number).into());
        }
        assert_eq!(failures.counts.len(), MAX_COUNTED + 1);
        assert!(failures.permit(ip("0.0.0.1"), start) && !failures.permit(ip("10.0.0.1"), start));
    }
}
