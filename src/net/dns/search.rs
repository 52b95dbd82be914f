//! Which names are asked for: the one that was typed, and what the system's search list makes of it.

use std::fs;

use hickory_resolver::proto::ProtoError;
use hickory_resolver::proto::rr::Name;
use resolv_conf::Config;

/// Where the search list is. Not every system has it, and what is wrong in it is passed over, as by the system.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The names to ask for, in this order, each of them complete.
pub(super) struct Candidates {
    names: Vec<Name>,
    typed: Name,
}

impl Candidates {
    /// Those of a name, on this machine.
    pub(super) fn of(name: &str) -> Result<Self, ProtoError> {
        let file = fs::read(RESOLV_CONF).unwrap_or_default();
        Self::by(name, &Config::parse_with_errors(&file).0)
    }

    /// A name that ends in a dot is complete. Another one is tried as it is before the search list has its turn if it
    /// has enough dots, and after it if not.
    fn by(name: &str, config: &Config) -> Result<Self, ProtoError> {
        let parsed = Name::from_str_relaxed(name)?;
        let mut typed = parsed.clone();
        typed.set_fqdn(true);
        let completed =
            |domain: &String| parsed.clone().append_domain(&Name::from_str_relaxed(domain).ok()?).ok();
        let mut names: Vec<_> = match name.strip_suffix('.') {
            Some(_) => Vec::new(),
            None => config.get_last_search_or_domain().filter_map(completed).collect(),
        };
        let dots = name.bytes().filter(|&byte| byte == b'.').count();
        let place = if dots < usize::try_from(config.ndots).unwrap_or(usize::MAX) { names.len() } else { 0 };
        names.insert(place, typed.clone());
        Ok(Self { names, typed })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Name> {
        self.names.iter()
    }

    /// Whether this is the name as it was typed.
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
        Candidates::by(name, &config).unwrap().iter().map(Name::to_ascii).collect()
    }

    #[test]
    fn the_search_list_completes_a_name_that_is_not_complete() {
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

    #[test]
    fn without_a_search_list_and_with_a_broken_one_the_name_itself_is_left() {
        let long = format!("search {}.example\n", "x".repeat(64));
        for file in ["", "nonsense\n\u{0}\u{ff}", "search\n", "options ndots:many\n", &long] {
            assert_eq!(names("host", file), ["host."], "{file:?}");
        }
    }

    #[test]
    fn a_name_in_any_script_or_with_underscores_is_a_name() {
        assert_eq!(names("bücher.example", ""), ["xn--bcher-kva.example."]);
        assert_eq!(names("under_score_.example", ""), ["under_score_.example."]);
        assert!(Candidates::by(&"x".repeat(64), &Config::new()).is_err());
        assert!(Candidates::by("a..b", &Config::new()).is_err());
    }
}
