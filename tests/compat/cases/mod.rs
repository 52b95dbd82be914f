//! The table of cases, by topic.

use crate::case::{Aspect, Case};

mod args;
mod bypass;
mod environment;
mod files;
mod http;
mod local;
mod names;
mod passwords;
mod proxy_urls;
mod relay;
mod socks4;
mod socks5;
mod telnet;

pub(crate) fn all() -> Vec<Case> {
    let topics = [
        args::cases(),
        names::cases(),
        proxy_urls::cases(),
        environment::cases(),
        passwords::cases(),
        files::cases(),
        bypass::cases(),
        socks5::cases(),
        socks4::cases(),
        http::cases(),
        telnet::cases(),
        relay::cases(),
        local::cases(),
    ];
    topics.into_iter().flatten().collect()
}

impl Case {
    /// Expects the usual differences in a CONNECT request: our request uses HTTP/1.1 and includes
    /// `Host`.
    fn over_http(self) -> Self {
        self.translated(Aspect::Wire, "http-1.1", |theirs| {
            with_host(theirs, "CONNECT ", " HTTP/1.0\\r\\n", |target| {
                format!("CONNECT {target} HTTP/1.1\\r\\nHost: {target}\\r\\n")
            })
        })
        .translated(Aspect::Debug, "http-1.1", |theirs| {
            with_host(theirs, "debug: >>> \"CONNECT ", " HTTP/1.0\\r\\n\"\n", |target| {
                let host = format!("debug: >>> \"Host: {target}\\r\\n\"\n");
                format!("debug: >>> \"CONNECT {target} HTTP/1.1\\r\\n\"\n{host}")
            })
        })
    }
}

/// Replaces each target, together with the `start` and `end` around it, with the result of
/// `rewrite`.
fn with_host(text: &str, start: &str, end: &str, rewrite: fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(start) {
        let Some((target, after)) = after.split_once(end) else { break };
        out += before;
        out += &rewrite(target);
        rest = after;
    }
    out + rest
}
