//! Completes a name with the system's search list.

use std::fs;

use hickory_resolver::proto::ProtoError;
use hickory_resolver::proto::rr::Name;
use resolv_conf::Config;

use crate::addr::last_label;

/// The file with the search list. A missing file and invalid lines are ignored, as they are by the
/// system's resolver.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Domains whose names no name server may see (RFC 6761 §6.3 and §6.4, RFC 7686). The resolver
/// answers them itself, but would not recognize them with a domain of the search list appended.
const SPECIAL: [&str; 3] = ["localhost", "invalid", "onion"];

/// The fully qualified names to query, in order.
pub(super) struct Candidates {
    names: Vec<Name>,
    typed: Name,
}

impl Candidates {
    /// Returns the candidates for a name on this machine.
    pub(super) fn for_name(name: &str) -> Result<Self, ProtoError> {
        let file = fs::read(RESOLV_CONF).unwrap_or_default();
        Self::with_config(name, &Config::parse_with_errors(&file).0)
    }

    /// Returns the candidates for a name and a search list. A name that ends in a dot is fully
    /// qualified. Any other name is tried as typed before the search list if it has at least
    /// `ndots` dots, and after it otherwise.
    fn with_config(name: &str, config: &Config) -> Result<Self, ProtoError> {
        let parsed = Name::from_str_relaxed(name)?;
        let mut typed = parsed.clone();
        typed.set_fqdn(true);
        let completed =
            |domain: &String| parsed.clone().append_domain(&Name::from_str_relaxed(domain).ok()?).ok();
        let is_special = SPECIAL.iter().any(|label| last_label(name).eq_ignore_ascii_case(label));
        let mut names: Vec<_> = match name.strip_suffix('.') {
            Some(_) => Vec::new(),
            None if is_special => Vec::new(),
            None => config.get_last_search_or_domain().filter_map(completed).collect(),
        };
        let dots = name.bytes().filter(|&byte| byte == b'.').count();
        let index = if dots < usize::try_from(config.ndots).unwrap_or(usize::MAX) { names.len() } else { 0 };
        names.insert(index, typed.clone());
        Ok(Self { names, typed })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Name> {
        self.names.iter()
    }

    /// Returns `true` if `name` is the name as the user typed it.
    pub(super) fn is_typed(&self, name: &Name) -> bool {
        *name == self.typed
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "that is how a test fails")]

    use super::*;

    fn names(name: &str, file: &str) -> Vec<String> {
        let (config, _) = Config::parse_with_errors(file.as_bytes());
        Candidates::with_config(name, &config).unwrap().iter().map(Name::to_ascii).collect()
    }

    #[test]
    fn the_search_list_completes_a_relative_name() {
        let search = "nameserver 192.0.2.1\nsearch a.example b.example\n";
        assert_eq!(names("host", search), ["host.a.example.", "host.b.example.", "host."]);
        assert_eq!(names("host.x", search), ["host.x.", "host.x.a.example.", "host.x.b.example."]);
        assert_eq!(names("host.", search), ["host."]);
        assert_eq!(names("host.x.", search), ["host.x."]);
        let ndots = format!("{search}options ndots:2\n");
        assert_eq!(names("host.x", &ndots), ["host.x.a.example.", "host.x.b.example.", "host.x."]);
        assert_eq!(names("a.host.x", &ndots)[0], "a.host.x.");
        assert_eq!(names("host", "domain a.example\n"), ["host.a.example.", "host."]);
    }

    /// `localhost` was sent as `localhost.a.example.` first.
    #[test]
    fn special_names_are_not_completed_with_the_search_list() {
        let search = "search a.example\noptions ndots:3\n";
        assert_eq!(names("localhost", search), ["localhost."]);
        assert_eq!(names("a.LocalHost", search), ["a.localhost."]);
        assert_eq!(names("host.invalid", search), ["host.invalid."]);
        assert_eq!(names("abc.onion", search), ["abc.onion."]);
        assert_eq!(names("invalid.host", search)[0], "invalid.host.a.example.");
    }

    #[test]
    fn without_a_valid_search_list_only_the_name_itself_is_tried() {
        let long = format!("search {}.example\n", "x".repeat(64));
        for file in ["", "nonsense\n\u{0}\u{ff}", "search\n", "options ndots:many\n", &long] {
            assert_eq!(names("host", file), ["host."], "{file:?}");
        }
    }

    #[test]
    fn international_names_and_underscores_are_accepted() {
        assert_eq!(names("bücher.example", ""), ["xn--bcher-kva.example."]);
        assert_eq!(names("under_score_.example", ""), ["under_score_.example."]);
        assert!(Candidates::with_config(&"x".repeat(64), &Config::new()).is_err());
        assert!(Candidates::with_config("a..b", &Config::new()).is_err());
    }
}
