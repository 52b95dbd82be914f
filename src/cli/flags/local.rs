//! The flags for the local endpoint.

use super::definition::{Definition, Flag, long_option, option, switch};

/// The local endpoint.
#[rustfmt::skip]
pub(super) const LOCAL: &[Definition] = &[
    option(Flag::Port, 'p', "[ADDR:]PORT",
        "Serve one client on this local port (default ADDR: loopback)",
        "Serve one client on this local port instead of standard input and output. The default address is `localhost`: \
         `connect` then listens on both 127.0.0.1 and ::1. Any other name means all of its addresses. With port 0, the \
         system chooses a port, and `connect` prints it."),
    option(Flag::KeepPort, 'P', "[ADDR:]PORT",
        "Serve clients in turn, in one session with the target",
        "Serve clients on this local port one after another, in a single session with the target. The session ends when \
         standard input does."),
    long_option(Flag::Listen, "listen", "ADDR:PORT|unix:PATH|URL",
        "Serve each client in its own session until stopped; repeatable",
        "Serve each client on this local port, `[ADDR:]PORT`, or UNIX-domain socket in its own session until stopped. \
         `systemd` means all sockets passed by systemd (socket activation). Repeatable. With a scheme, `connect` is a \
         proxy itself: leave out host and port, because each client names its target. `socks5://[ADDR:]PORT` serves \
         SOCKS5, SOCKS4 and SOCKS4a. `http://[ADDR:]PORT` serves CONNECT and `http://` URLs, and `https://` does so over \
         TLS. Bypass lists, `no_proxy` and `Match` apply to the target of each client. An address other than \
         loopback requires `--listen-password-file` or `--allow-from`. `ws://[ADDR:]PORT/PATH` and `wss://…` relay \
         WebSocket connections to host and port. `post+http://[ADDR:]PORT/PATH` and `post+https://…` \
         serve POST tunnels to host and port, and so do `scgi://[ADDR:]PORT/PATH` and `scgi:unix:FILE?path=/PATH` behind a web \
         server. They require `--token-keys` or `--open`."),
    switch(Flag::FdPass, 'F',
        "Pass the connection to ssh and exit, for ProxyUseFdpass",
        "Pass the connection to ssh once it is established, and exit. Set `ProxyUseFdpass yes` in ssh's configuration. \
         Works for direct connections and all proxies without TLS, but not with `--tls-target`.").long("fdpass"),
];
