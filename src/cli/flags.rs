//! The table of flags. The parser, the help, the manual pages and the shell completions are derived
//! from it.

use clap::{Arg, ArgAction, Command};

use super::{generate, help};

/// A flag, independent of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    Direct,
    Socks,
    SocksEnv,
    Http,
    HttpEnv,
    Telnet,
    TelnetEnv,
    TelnetCommand,
    Proxy,
    Auto,
    OwnNetworks,
    V4,
    V5,
    Resolve,
    Auth,
    Header,
    UserAgent,
    Http10,
    ProxyProtocol,
    TlsTarget,
    TlsCa,
    TlsCert,
    TlsKey,
    TlsPin,
    TlsServerName,
    Insecure,
    Port,
    KeepPort,
    Listen,
    AllowTo,
    AllowFrom,
    ListenPasswordFile,
    ServeCert,
    ServeKey,
    FdPass,
    PasswordFile,
    PasswordCommand,
    PasswordFd,
    Netrc,
    NetrcFile,
    Wait,
    Check,
    IdleTimeout,
    Bind,
    Ipv4,
    Ipv6,
    TcpKeepAlive,
    NoShutdown,
    Eager,
    Debug,
    Quiet,
    Generate,
    Help,
    Version,
}

/// A flag's syntax and documentation.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) flag: Flag,
    pub(super) letter: Option<char>,
    pub(super) long: Option<&'static str>,
    /// The placeholder for the value; `None` if the flag takes no value.
    pub(super) value: Option<&'static str>,
    /// `true` if the value is optional, in which case it must follow an `=`.
    pub(super) optional: bool,
    /// The completions for the value.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test generates the completions"))]
    pub(super) offer: Offer,
    /// The one-line description for `--help`: imperative, at most `MAX_BRIEF` characters.
    pub(super) brief: &'static str,
    /// The full description, in Markdown.
    pub(super) text: &'static str,
}

/// The completions that a shell offers for a value.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "a test generates the completions"))]
pub(super) enum Offer {
    Nothing,
    Files,
    Hosts,
    Commands,
    /// These words. Other values may also be valid.
    Words(&'static [&'static str]),
}

impl Definition {
    const fn long(self, long: &'static str) -> Self {
        Self { long: Some(long), ..self }
    }

    const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    const fn offering(self, offer: Offer) -> Self {
        Self { offer, ..self }
    }

    /// Returns the names and the value, as in `-x, --proxy URL`.
    #[cfg(test)]
    pub(super) fn synopsis(&self) -> String {
        let letter = self.letter.map(|letter| format!("-{letter}"));
        let names: Vec<_> = letter.into_iter().chain(self.long.map(|long| format!("--{long}"))).collect();
        let value = match self.value {
            Some(value) if self.optional => format!("[={value}]"),
            Some(value) => format!(" {value}"),
            None => String::new(),
        };
        names.join(", ") + &value
    }
}

const fn switch(flag: Flag, letter: char, brief: &'static str, text: &'static str) -> Definition {
    Definition {
        flag,
        letter: Some(letter),
        long: None,
        value: None,
        optional: false,
        offer: Offer::Nothing,
        brief,
        text,
    }
}

const fn option(
    flag: Flag,
    letter: char,
    value: &'static str,
    brief: &'static str,
    text: &'static str,
) -> Definition {
    Definition { value: Some(value), ..switch(flag, letter, brief, text) }
}

const fn long_switch(flag: Flag, long: &'static str, brief: &'static str, text: &'static str) -> Definition {
    Definition { letter: None, long: Some(long), ..switch(flag, ' ', brief, text) }
}

const fn long_option(
    flag: Flag,
    long: &'static str,
    value: &'static str,
    brief: &'static str,
    text: &'static str,
) -> Definition {
    Definition { value: Some(value), ..long_switch(flag, long, brief, text) }
}

/// The maximum length of a one-line description, in characters.
#[cfg(test)]
pub(super) const MAX_BRIEF: usize = 70;

/// All flags, grouped by the headings of the help.
#[rustfmt::skip]
pub(super) const GROUPS: [(&str, &[Definition]); 7] = [
    ("Route", &[
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
             chain.").long("proxy"),
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
    ]),
    ("SOCKS", &[
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
             default."),
    ]),
    ("HTTP", &[
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
    ]),
    ("Authentication", &[
        option(Flag::Auth, 'a', "METHODS",
            "Allow only none, userpass (SOCKS5), basic, digest (HTTP)",
            "Allow only these authentication methods, separated by commas. For SOCKS5: `none` and `userpass`, offered in the \
             given order. By default, `userpass` is offered only if you name a user or a password, or after the proxy has refused \
             `none`. For HTTP: `basic` and `digest`. `connect` uses the strongest method that an HTTP proxy requests, \
             then the next one if the proxy rejects it. If `basic` comes first, as by default, a known password goes out with \
             the first request. `-a digest` never sends the password itself. One list may contain methods for both kinds of \
             proxies.").offering(Offer::Words(&["none", "userpass", "basic", "digest"])),
        long_option(Flag::PasswordFile, "password-file", "FILE",
            "Read the password from the first line of this file",
            "Read the proxy's password from the first line of this file, which may be a pipe. The last of the three \
             `--password` options wins.").offering(Offer::Files),
        long_option(Flag::PasswordCommand, "password-command", "COMMAND",
            "Run this to get the password (%h %p %u: proxy host, port, user)",
            "Run this command in the user's shell once a proxy requires a password, and use the first line of its output. \
             `connect` does not wait for processes that the command leaves in the background. `%h` is the proxy's host, `%p` \
             its port, `%u` the user and `%%` a percent sign.").offering(Offer::Commands),
        long_option(Flag::PasswordFd, "password-fd", "N",
            "Read the password from this inherited file descriptor",
            "Read the password from the first line of this file descriptor, 3 or higher, inherited from the parent process."),
        long_switch(Flag::Netrc, "netrc",
            "Look up user and password in ~/.netrc or the file in NETRC",
            "Look up user and password in `~/.netrc`, or in the file that `NETRC` names."),
        long_option(Flag::NetrcFile, "netrc-file", "FILE",
            "Look up user and password in this netrc file",
            "Look up user and password in this file, which has the format of `~/.netrc`.").offering(Offer::Files),
    ]),
    ("TLS (https:// proxies, --tls-target)", &[
        long_switch(Flag::TlsTarget, "tls-target",
            "Use TLS with the target; the options below are then for it",
            "Use TLS with the target, once the connection or the tunnel to it is established: for an ssh server behind stunnel, \
             HAProxy or sslh. The target's name, or its address if you gave that, must be in its certificate, and the name is sent \
             as SNI. With this option, the other options of this section and their parameters are for the target. Those for \
             a proxy then go into its URL: `-x https://proxy.example?tls-ca=proxy.pem`. A `--proxy-protocol` header is sent \
             before the TLS handshake. Cannot be combined with `-F`."),
        long_option(Flag::TlsCa, "tls-ca", "FILE",
            "Trust the certificate authorities in this PEM file instead",
            "Trust the certificate authorities in this PEM file instead of the system's, for proxies over TLS (`https://`, \
             `socks5h+tls://`) or, with `--tls-target`, for the target. The file may also contain the server's own certificate. Certificate files are read \
             once per run, so restart a listener after changing one.").offering(Offer::Files),
        long_option(Flag::TlsCert, "tls-cert", "FILE",
            "Present this client certificate (PEM)",
            "Present this client certificate, a PEM file, to the proxy or, with `--tls-target`, to the target.").offering(Offer::Files),
        long_option(Flag::TlsKey, "tls-key", "FILE",
            "Use this key for the client certificate (default: the same file)",
            "Use this key for the certificate of `--tls-cert`. By default, the certificate's file contains \
             it.").offering(Offer::Files),
        long_option(Flag::TlsPin, "tls-pin", "sha256//BASE64",
            "Require this public key; repeatable, or separated by ';'",
            "Require this public key in addition to the usual checks. The value is the SHA-256 hash of the key \
             (SubjectPublicKeyInfo), as for curl's `--pinnedpubkey`. Repeatable, or separated by `;`."),
        long_option(Flag::TlsServerName, "tls-server-name", "NAME",
            "Expect this name in the certificate, and send it as SNI",
            "Expect this name in the certificate instead of the server's, and send it as SNI.").offering(Offer::Hosts),
        long_switch(Flag::Insecure, "insecure",
            "Accept any certificate; only check --tls-pin",
            "Accept any certificate, and check only the pins of `--tls-pin`. Without pins, `connect` prints a warning, because \
             an attacker could read and change the traffic."),
    ]),
    ("Local endpoint", &[
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
    ]),
    ("General", &[
        long_option(Flag::ProxyProtocol, "proxy-protocol", "v1|v2",
            "Send a PROXY protocol header to the target first",
            "Send a PROXY protocol header to the target first, as HAProxy and nginx expect with `accept-proxy` or \
             `proxy_protocol`. It contains the address of the local port's client, or of this end of the connection if \
             there is no such client. Through a proxy, where that is unknown, it contains no addresses. Cannot be combined with \
             `-P`, whose clients share one connection.").offering(Offer::Words(&["v1", "v2"])),
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
        long_switch(Flag::NoShutdown, "no-shutdown",
            "Do not half-close when standard input ends",
            "Do not half-close the connection when standard input ends. The session lasts until the remote ends it or the \
             reader of standard output exits; Windows does not report the latter. Use it if a program closes its end before \
             it has the whole response, and the proxy then drops the connection: `git://` through microsocks or tinyproxy. Same as `--no-shutdown` of ncat, and as nc without `-N`."),
        long_option(Flag::Check, "check", "json",
            "Show plan and settings, then test the connection step by step",
            "Show the plan for this host and port and where each setting comes from. Then connect, and show the time of each \
             step, the step that failed, and what to try. The exit code is that of a normal run. The \
             report contains symbols such as arrows, which are ASCII unless the locale (`LC_ALL`, `LC_CTYPE` or `LANG`) \
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
    ]),
];

/// Returns all flags.
pub(super) fn all() -> impl Iterator<Item = &'static Definition> {
    GROUPS.iter().flat_map(|(_, group)| *group)
}

/// Returns the usage line: all letters that take no value in one cluster, then each letter that
/// takes a value, with its placeholder.
pub(super) fn usage() -> String {
    let letters: String = all().filter(|flag| flag.value.is_none()).filter_map(|flag| flag.letter).collect();
    let with_value = all().filter_map(|flag| Some(format!("[-{} {}]", flag.letter?, flag.value?)));
    let with_value: Vec<_> = with_value.collect();
    format!("connect [-{letters}] {} [--LONG-OPTION] HOST [PORT]", with_value.join(" "))
}

/// Describes the flags to clap, which renders the help and suggests options for misspelled ones.
///
/// clap does not parse the command line, because building this `Command` takes longer than
/// everything else that the program does before it sends its first byte.
pub(super) fn command() -> Command {
    let command = Command::new("connect")
        .about(help::ABOUT)
        .override_usage(help::USAGE)
        .after_help(help::after())
        .after_long_help(help::after_all())
        .max_term_width(120)
        .disable_help_flag(true)
        .disable_version_flag(true);
    GROUPS.iter().fold(command, |command, (heading, group)| {
        command.args(group.iter().map(|definition| argument(definition).help_heading(*heading)))
    })
}

fn argument(definition: &Definition) -> Arg {
    // The ID can be any unique text.
    let mut argument =
        Arg::new(definition.brief).help(definition.brief).long_help(help::plain(definition.text));
    if let Some(letter) = definition.letter {
        argument = argument.short(letter);
    }
    if let Some(long) = definition.long {
        argument = argument.long(long);
    }
    match definition.value {
        Some(value) if definition.optional => {
            argument.action(ArgAction::Set).value_name(value).num_args(0..=1).require_equals(true)
        }
        Some(value) => argument.action(ArgAction::Append).value_name(value).allow_hyphen_values(true),
        None => argument.action(ArgAction::SetTrue),
    }
}
