//! Completes a name with the system's search list.

use std::fs;

use hickory_resolver::proto::ProtoError;
use hickory_resolver::proto::rr::Name;
use resolv_conf::Config;

use crate::addr::SpecialUse;

/// The file with the search list. A missing file and invalid lines are ignored, as they are by the
/// system's resolver.
const RESOLV_CONF: &str = "/etc/resolv.conf";

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
    /// `ndots` dots, and after it otherwise. Domains that are not looked up in DNS are skipped.
    fn with_config(name: &str, config: &Config) -> Result<Self, ProtoError> {
        let parsed = Name::from_str_relaxed(name)?;
        let mut typed = parsed.clone();
        typed.set_fqdn(true);
        let completed =
            |domain: &String| parsed.clone().append_domain(&Name::from_str_relaxed(domain).ok()?).ok();
        let is_special = |name: &Name| SpecialUse::of_domain(&name.to_ascii()).is_some();
        let mut names: Vec<_> = if name.ends_with('.') {
            Vec::new()
        } else {
            let completed = config.get_last_search_or_domain().filter_map(completed);
            completed.filter(|name| !is_special(name)).collect()
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

    /// `resolve` handles special names, so only the search list can make one here.
    #[test]
    fn the_search_list_does_not_make_special_names() {
        let search = "search onion a.localhost invalid b.example x.Onion\n";
        assert_eq!(names("host", search), ["host.b.example.", "host."]);
        assert_eq!(names("onion", search), ["onion.b.example.", "onion."]);
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
