//! What a proxy's URL asks for behind its `?`: options of this hop alone.

use super::spec::percent_decoded;
use crate::error::Error;

/// `name=value&name=value`, percent-decoded. Each option is taken by whoever understands it; one that is left over is
/// an error.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
    /// The names that were asked for.
    known: Vec<&'static str>,
}

impl Query {
    /// Takes a query apart.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let decoded = |part: &str| String::from_utf8(percent_decoded(part));
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            decoded(name).ok().zip(decoded(value).ok()).ok_or_else(|| "its query is not UTF-8".to_owned())
        };
        let pairs = text.split('&').filter(|part| !part.is_empty()).map(pair).collect::<Result<_, _>>()?;
        Ok(Self { pairs, known: Vec::new() })
    }

    /// The value of an option, the last one if it is named more than once; empty for a name without a value.
    pub(super) fn take(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let mut value = None;
        while let Some(index) = self.pairs.iter().position(|(known, _)| known == name) {
            value = Some(self.pairs.remove(index).1);
        }
        value
    }

    /// Nothing may be left that nobody understood. `source` is where the URL was named, `scheme` its scheme.
    pub(super) fn finish(&self, source: &str, scheme: &str) -> Result<(), Error> {
        let Some((name, _)) = self.pairs.first() else { return Ok(()) };
        let known = match self.known.as_slice() {
            [] => "it takes none".to_owned(),
            known => format!("it takes {}", known.join(", ")),
        };
        // What is not a name could be the end of a password with a '?' in it.
        let is_name =
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let name = if is_name { format!("'{name}'") } else { "what follows its '?'".into() };
        Err(Error::Config(format!("the proxy in {source}: {scheme}:// does not know {name}; {known}")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "that is how a test fails")]

    use super::*;

    #[test]
    fn options_are_decoded_and_taken_once_and_the_last_one_counts() {
        let mut query = Query::parse("a=1&b=x%20%26y&&c&a=2").unwrap();
        assert_eq!(query.take("a").as_deref(), Some("2"));
        assert_eq!(query.take("b").as_deref(), Some("x &y"));
        assert_eq!(query.take("c").as_deref(), Some(""));
        assert_eq!(query.take("a"), None);
        query.finish("-x", "http").unwrap();
        assert!(Query::parse("a=%ff").is_err());
    }

    #[test]
    fn what_nobody_takes_is_an_error_that_says_what_there_is() {
        let mut query = Query::parse("resolv=local").unwrap();
        assert_eq!(query.take("resolve"), None);
        let error = query.finish("-x", "socks5").unwrap_err().to_string();
        assert_eq!(error, "the proxy in -x: socks5:// does not know 'resolv'; it takes resolve");
        let error = Query::parse("pa%20ss").unwrap().finish("-x", "http").unwrap_err().to_string();
        assert!(!error.contains("pa ss"), "{error}");
    }
}
