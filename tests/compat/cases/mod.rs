//! The table, by topic.

use crate::case::{Aspect, Case};

mod direct;
mod environment;
mod files;
mod http;
mod local;
mod names;
mod passwords;
mod relay;
mod socks4;
mod socks5;
mod specs;
mod telnet;
mod words;

/// All of it.
pub(crate) fn all() -> Vec<Case> {
    let topics = [
        words::cases(),
        names::cases(),
        specs::cases(),
        environment::cases(),
        passwords::cases(),
        files::cases(),
        direct::cases(),
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
    /// It speaks to an HTTP proxy: the request line has another version, and `Host` follows.
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

/// Rewrites everything that stands between `start` and `end`, both included.
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
