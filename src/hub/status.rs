//! The page that shows the statistics of a hub in a browser.
//!
//! It contains no data: its script reads `v1/stats` with a token that the user types.

use base64::prelude::{BASE64_STANDARD, Engine};
use sha2::{Digest, Sha256};

/// The page.
pub(super) const PAGE: &str = include_str!("status.html");

/// Returns the header fields of the page. The browser runs only its own script, which can connect
/// only to the hub.
pub(super) fn fields() -> String {
    let [script, style] = ["script", "style"].map(|name| hash(element(name)));
    format!(
        "Content-Security-Policy: default-src 'none'; script-src '{script}'; style-src '{style}'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
         Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n"
    )
}

/// Returns the contents of the page's only element with this name.
fn element(name: &str) -> &'static str {
    let start = PAGE.split_once(&format!("<{name}>")).map_or("", |(_, rest)| rest);
    start.split_once(&format!("</{name}>")).map_or("", |(contents, _)| contents)
}

/// Returns the hash of an element, as a policy names it (CSP Level 3, section 2.3.1).
fn hash(contents: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(contents)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_permits_the_script_and_the_style_of_the_page() {
        let fields = fields();
        for name in ["script", "style"] {
            assert_eq!(PAGE.matches(&format!("<{name}")).count(), 1, "{name}");
            assert!(element(name).len() > 500, "{name}");
            assert!(fields.contains(&format!("{name}-src '{}';", hash(element(name)))), "{fields}");
        }
        // The hash of an empty script, computed by `openssl dgst -sha256 -binary | base64`.
        assert_eq!(hash(""), "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn the_page_needs_no_other_resource_and_stores_nothing() {
        for part in
            ["http:", "https:", "url(", "import", " src=", "<link", "style=", "onclick", "innerHTML", "eval("]
        {
            assert!(!PAGE.contains(part), "{part}");
        }
        for part in ["localStorage", "sessionStorage", "indexedDB", "cookie", "history", "location"] {
            assert!(!PAGE.contains(part), "{part}");
        }
        assert!(PAGE.len() < 8 * 1024, "{} bytes", PAGE.len());
    }
}
