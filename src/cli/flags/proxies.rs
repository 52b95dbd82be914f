//! The flags for the route and the protocols of proxies.

use super::definition::{Definition, Flag, Offer, long_option, long_switch, option, switch};

/// The proxies to use.
#[rustfmt::skip]
pub(super) const ROUTE: &[Definition] = &[
    switch(Flag::Direct, 'n',
        "Connect directly, without a proxy (the default)",
        "Connect directly, without a proxy. This is the default. The last of `-n -S -s -H -h -T -t -x -A` wins."),
    option(Flag::Socks, 'S', "PROXY",
        "Use this SOCKS proxy (default port 1080)",
        "Use this SOCKS proxy, given as `[USER[:PASSWORD]@]HOST[:PORT]`, or as `unix:/PATH` if it listens on a UNIX-domain \
         socket. The default port is 1080. The version is 5 unless `-4` is given. `-S PROXY` is the same as \
         `-x socks5h://PROXY`."),
    switch(Flag::SocksEnv, 's',
        "Use the SOCKS proxy in SOCKS5_SERVER, SOCKS_SERVER or ALL_PROXY",
        "Use the SOCKS proxy in `SOCKS5_SERVER` (with `-4`: `SOCKS4_SERVER`), else `SOCKS_SERVER`, else `ALL_PROXY`."),
    option(Flag::Http, 'H', "PROXY",
        "Use this HTTP proxy (default port 80)",
        "Use this HTTP proxy, given as `[USER[:PASSWORD]@]HOST[:PORT]` or `unix:/PATH`, with the CONNECT method. The default port is 80. \
         `http://HOST/` means the same. `https://HOST/` is a proxy over TLS, with default port 443."),
    switch(Flag::HttpEnv, 'h',
        "Use the HTTP proxy in HTTP_PROXY, https_proxy or ALL_PROXY",
        "Use the HTTP proxy in the first of `HTTP_PROXY`, `https_proxy`, `HTTPS_PROXY`, `http_proxy` and `ALL_PROXY` that \
         is set."),
    option(Flag::Telnet, 'T', "HOST[:PORT]",
        "Use this telnet-style proxy (default port 23)",
        "Use this telnet-style proxy. The default port is 23. `connect` sends a command (see `-c`), and the proxy reports \
         the connection in a line of text."),
    switch(Flag::TelnetEnv, 't',
        "Use the telnet-style proxy in TELNET_PROXY",
        "Use the telnet-style proxy in `TELNET_PROXY`."),
    option(Flag::Proxy, 'x', "URL[,URL...]",
        "Use a chain of proxies, with fallbacks: 'socks5://a,http://b|direct'",
        "Use a chain of proxies, in this order: `socks5://a.example,http://b.example:8080`. After a `|`, give a \
         fallback, used if the chain fails: `http://a.example | direct`. Each further `-x` adds hops to the \
         chain. `ssh://[USER@]HOST` is an SSH server that forwards connections. `ws://HOST/PATH` and `wss://…` reach the target over a WebSocket: `%h` and `%p` in path and query are the \
         target's host and port, and options of the hop follow `#`. If the server selects the target, leave out host \
         and port.").long("proxy"),
    switch(Flag::Auto, 'A',
        "Use CONNECT_PROXY, all_proxy, https_proxy or http_proxy, else none",
        "Use the proxies in `CONNECT_PROXY`, set in the environment or a parameter file. Without it, use the proxy in \
         `all_proxy`, `https_proxy` or `http_proxy`. Without any of these, connect directly.").long("auto"),
    option(Flag::TelnetCommand, 'c', "COMMAND",
        "Send this to a telnet-style proxy (default 'telnet %h %p')",
        "Send this command to a telnet-style proxy. The default is `telnet %h %p`. `%h` is the target's host, `%p` its \
         port and `%%` a percent sign. `\\r`, `\\n`, `\\t` and `\\\\` are as in C."),
    switch(Flag::OwnNetworks, 'D',
        "Bypass the proxy for targets in this machine's own networks",
        "Bypass the proxy for targets in the networks of this machine's interfaces."),
];

/// SOCKS proxies.
#[rustfmt::skip]
pub(super) const SOCKS: &[Definition] = &[
    switch(Flag::V4, '4',
        "Use SOCKS version 4 (4a to send a name)",
        "Use SOCKS version 4, or 4a to send a name."),
    switch(Flag::V5, '5',
        "Use SOCKS version 5 (the default)",
        "Use SOCKS version 5. This is the default."),
    option(Flag::Resolve, 'R', "local|remote|both|ADDR[:PORT]",
        "Resolve the target here, at the proxy, or by this DNS server",
        "Choose where to resolve the target's name for a SOCKS proxy: on this machine (`local`), at the proxy (`remote`), \
         or on this machine and, if that fails, at the proxy (`both`). The default is `remote` for SOCKS5 and `both` for \
         SOCKS4. An address (`10.0.0.1`, `10.0.0.1:5353`, `2001:db8::1`, `[2001:db8::1]:5353`) selects the DNS server for \
         this machine to query, also for a direct connection. `connect` then uses the search list in `/etc/resolv.conf` \
         but not the hosts file, and gives up after 10 seconds or the limit of `-w`. The system always resolves the \
         proxy's own name. `localhost` and the names below it are this machine, whatever a DNS server says. Names in `.onion` \
         always go to the proxy.").offering(Offer::Words(&["local", "remote", "both"])),
    long_switch(Flag::Eager, "eager",
        "Pipeline the SOCKS5 handshake to save a round trip per proxy",
        "Pipeline the SOCKS5 handshake to save a round trip per proxy: send greeting, password and request at once. \
         `connect` offers one method: user and password if it has a password, and no authentication otherwise, unless \
         `-a` selects one. Some proxies, such as microsocks, lose the data after the greeting, so this is off by \
         default. To an SSH server, `connect` sends the first message of the key exchange without waiting for the \
         server's algorithms, which also saves a round trip."),
];

/// HTTP proxies.
#[rustfmt::skip]
pub(super) const HTTP: &[Definition] = &[
    long_option(Flag::Header, "header", "NAME:VALUE|@FILE",
        "Add a header, or all headers in a file; repeatable",
        "Add this header, or each line of a file, to requests to HTTP proxies. Repeatable. `Connection` and headers \
         about content are not allowed. `Host` replaces the generated header, which is the target, and \
         `Proxy-Authorization` replaces user and password. `connect` protects the values like passwords, and warns \
         about a file that others can read. If a chain has several HTTP proxies, all of them get a public header such \
         as `Via`; a header that may be secret is refused. Write it into the URL of the proxy that needs it: \
         `http://proxy.example?header=X-Token:%20abc`.").offering(Offer::Files),
    long_option(Flag::UserAgent, "user-agent", "TEXT",
        "Send this User-Agent (default: none)",
        "Send this `User-Agent` to HTTP proxies. By default, `connect` sends none."),
    long_switch(Flag::Http10, "http1.0",
        "Use HTTP/1.0",
        "Use HTTP/1.0, for old HTTP proxies."),
];
