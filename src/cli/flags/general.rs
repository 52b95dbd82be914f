//! The flags that apply to every run.

use super::definition::{Definition, Flag, Offer, long_option, long_switch, option, switch};
use crate::cli::generate;

/// Everything else.
#[rustfmt::skip]
pub(super) const GENERAL: &[Definition] = &[
    long_option(Flag::ProxyProtocol, "proxy-protocol", "v1|v2",
        "Send a PROXY protocol header to the target first",
        "Send a PROXY protocol header to the target first, as HAProxy and nginx expect with `accept-proxy` or \
         `proxy_protocol`. It contains the address of the local port's client, or of this end of the connection if \
         there is no such client. If a web server has named the client (`--trust-forwarded`, or `REMOTE_ADDR` with SCGI), it \
         contains that address, with port 0. Through a proxy, where that is unknown, it contains no addresses. Cannot be \
         combined with `-P`, whose clients share one connection.").offering(Offer::Words(&["v1", "v2"])),
    option(Flag::Wait, 'w', "SECONDS",
        "Limit the time to reach the target (0: no limit)",
        "Limit the time to reach the target, including name resolution, connecting and the handshakes with proxies. Time \
         at a password prompt does not count. 0 means no limit, neither in total nor for a single proxy, route, name server or \
         `Match exec` command. Without `-w`, each proxy has 30 seconds for all its \
         handshakes, including those on new connections that it requires."),
    long_option(Flag::IdleTimeout, "idle-timeout", "SECONDS",
        "Close a session without traffic for this long (default 0: never)",
        "Close a session that carries no data in either direction for this long, with exit code 7. The default is 0, for no \
         limit. `--listen` closes only the idle session. The remote receives a reset, so that it cannot mistake this for \
         the end of the data. Without this option, only a peer that vanished is detected (see `--tcp-keepalive`)."),
    long_option(Flag::Bind, "bind", "ADDRESS|INTERFACE",
        "Connect from this local address or network interface",
        "Connect from this address of this machine (`192.0.2.5`, `2001:db8::5`), or through this network interface \
         (`eth0`). This applies to all TCP connections and to queries to a DNS server given with `-R`. It does not apply to \
         the system's resolver, UNIX-domain sockets or local ports. An address restricts connections to its family. On \
         Linux and macOS, connections use the interface whatever the routing table says. Linux before 5.7 allows that only to \
         root. There, and on other systems, `connect` uses the interface's address instead."),
    long_switch(Flag::Ipv4, "ipv4",
        "Look up and connect to IPv4 addresses only",
        "Look up and connect to IPv4 addresses only. This applies to proxies and to the target: to the address to which \
         `connect` itself connects, and to names that it resolves for a SOCKS proxy (`-R local`). It does not apply to local \
         ports, or to names that a proxy resolves. SOCKS4 always requires an IPv4 address. The last of `--ipv4` and `--ipv6` wins."),
    long_switch(Flag::Ipv6, "ipv6",
        "Look up and connect to IPv6 addresses only",
        "Look up and connect to IPv6 addresses only. See `--ipv4`."),
    long_option(Flag::TcpKeepAlive, "tcp-keepalive", "SECONDS",
        "Probe a silent peer after this time (default 60, 0: never)",
        "Let TCP probe a peer that has sent nothing for this long, then every quarter of this time. If five probes in a row \
         remain unanswered, the connection breaks, so the session of a peer that vanished ends after a bit more than twice \
         this time. The probes also keep firewalls from forgetting the connection. The default is 60, and 0 disables the \
         probes. The option applies to every TCP connection: to proxies, to the target and from the clients of a local \
         port. A proxy answers for itself, not for the target; to check the whole path, set `ServerAliveInterval` in ssh."),
    long_option(Flag::KeepAlive, "keepalive", "SECONDS",
        "Probe a silent WebSocket or SSH peer after this time (0: never)",
        "Send a WebSocket Ping after this time without input. The connection counts as cut off after another 35 seconds without \
         any. The default is 25, below the limits of common proxies, and 0 sends no Pings. To an SSH server, send a request \
         (`keepalive@openssh.com`) after this time without input. Three unanswered requests in a row end the connection. For SSH, the \
         default is 25 with forwards and if the clients of `--listen` share the connection, and otherwise 0."),
    long_option(Flag::Resume, "resume", "SECONDS",
        "Survive lost connections to a hub or a POST server (default 60)",
        "If a session through a relay hub, or in a POST tunnel, loses its connection, try to connect again for this time. \
         After that, the session ends with an error. The default is 60, after which a POST server forgets the tunnel. With 0, a lost \
         connection ends the session. Each end of a session through a hub has its own time limit."),
    long_option(Flag::Window, "window", "BYTES",
        "Limit the bytes on their way through a hub (default 1048576)",
        "Send at most this many bytes through a relay hub before the other end acknowledges them, and hold at most as many for \
         each client that does not accept them. The default is 1048576. More is faster over long distances: the rate is at most \
         this number per round trip."),
    long_switch(Flag::NoShutdown, "no-shutdown",
        "Do not half-close when standard input ends",
        "Do not half-close the connection when standard input ends. The session lasts until the remote ends it or the \
         reader of standard output exits; Windows does not report the latter. Use it if a program closes its end before \
         it has the whole response, and the proxy then drops the connection: `git://` through microsocks or tinyproxy. Same as `--no-shutdown` of ncat, and as nc without `-N`."),
    long_option(Flag::Check, "check", "json",
        "Show plan and settings, then test the connection step by step",
        "Show the plan for this host and port and where each setting comes from. Then connect, and show the time of each \
         step, the step that failed, and what to try. The exit code is that of a normal run. With `--origin`, ask the hub \
         whether the token permits the session, which replaces no other origin; the hub logs that as an unknown offer. With \
         `--relay`, read the files, and bind the addresses, which must be free; with `--listen` and `ws`, `wss`, `post+http`, \
         `post+https` or `scgi`, do so before connecting. The report contains symbols such as arrows, which are ASCII unless the locale (`LC_ALL`, `LC_CTYPE` or `LANG`) \
         uses UTF-8. `--check=json` prints one JSON object instead.").optional().offering(Offer::Words(&["json"])),
    switch(Flag::Debug, 'd',
        "Log to standard error; -dd also dumps relayed data",
        "Log to standard error. Passwords in the handshakes are masked, also if a proxy repeats them. `-dd` also dumps the \
         relayed data in hexadecimal, as it is."),
    switch(Flag::Quiet, 'q',
        "Print errors only: no warnings, no status line",
        "Print errors only: no warnings, such as about a parameter file with a password that others can read, and no \
         status line. The last of `-q` and `-d` wins.").long("quiet"),
    long_option(Flag::Generate, "generate", "WHAT",
        "Print man, connectrc (man page), bash, zsh, fish or powershell",
        "Print a manual page, connect(1) (`man`) or connectrc(5) (`connectrc`), or the completion script for a shell: \
         `bash`, `zsh`, `fish` or `powershell`.").offering(Offer::Words(generate::WORDS)),
    long_option(Flag::Help, "help", "all",
        "Print this help; --help=all describes each option in full",
        "Print each option in one line. `--help=all` describes each option in full.").optional().offering(Offer::Words(&["all"])),
    switch(Flag::Version, 'V',
        "Print the version",
        "Print the version.").long("version"),
];
