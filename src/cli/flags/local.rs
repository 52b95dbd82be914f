//! The flags for the local endpoint.

use super::definition::{Definition, Flag, Offer, long_option, option, switch};

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
         loopback requires `--listen-password-file` or `--allow-from`."),
    long_option(Flag::AllowTo, "allow-to", "HOST[:PORT]|CIDR[:PORT]",
        "Let clients connect to this target only; repeatable",
        "Let the clients of `--listen` with a scheme connect to this target only. `HOST` allows this name or address, \
         `.HOST` this name and all names below it, and `*` any host. A network matches addresses only, because the names that clients \
         send may be resolved elsewhere. Repeatable.").offering(Offer::Hosts),
    long_option(Flag::AllowFrom, "allow-from", "CIDR",
        "Serve only clients from this network; repeatable",
        "With `--listen` and a scheme, serve only clients from this network or address. Connections from other clients are \
         reset. Repeatable."),
    long_option(Flag::ListenPasswordFile, "listen-password-file", "FILE",
        "Require one of the logins in this file (user:password lines)",
        "Require the clients of `--listen` with a scheme to log in, with SOCKS5 user and password or HTTP Basic. Each \
         line of the file is `user:password`; empty lines and lines that begin with `#` are ignored. SOCKS4 clients \
         are refused. The file is read once, at the start. Only `https://` encrypts the passwords on the \
         network.").offering(Offer::Files),
    long_option(Flag::ServeCert, "serve-cert", "FILE",
        "Present this certificate (PEM) to clients of --listen https://",
        "Present this certificate, a PEM file with any intermediate certificates after it, to the clients of `--listen \
         https://`.").offering(Offer::Files),
    long_option(Flag::ServeKey, "serve-key", "FILE",
        "Use this key for --serve-cert (default: the same file)",
        "Use this key for the certificate of `--serve-cert`. By default, the certificate's file contains \
         it.").offering(Offer::Files),
    switch(Flag::FdPass, 'F',
        "Pass the connection to ssh and exit, for ProxyUseFdpass",
        "Pass the connection to ssh once it is established, and exit. Set `ProxyUseFdpass yes` in ssh's configuration. \
         Works for direct connections and all proxies without TLS, but not with `--tls-target`.").long("fdpass"),
];
