//! The texts around the flags.

/// What the program is.
pub(super) const ABOUT: &str = "\
Connects standard input and output to HOST:PORT, directly or through a SOCKS or HTTP proxy.
Made for ssh:  ProxyCommand connect -S socks.example %h %p";

/// Where parameters come from, and examples.
pub(super) const AFTER: &str = "\
HOST is a name or an address, or unix:PATH for a socket on this machine; PORT is a number or a service
name. HOST:PORT and [IPV6]:PORT work as one word. Without a port, a program name such as connect-25 gives it.

User and password, if the proxy wants them, are those in the proxy's specification, else
  SOCKS5  SOCKS5_USER SOCKS_USER CONNECT_USER   SOCKS5_PASSWD SOCKS5_PASSWORD SOCKS_PASSWORD CONNECT_PASSWORD
  SOCKS4  SOCKS4_USER SOCKS_USER CONNECT_USER
  HTTP    HTTP_PROXY_USER CONNECT_USER          HTTP_PROXY_PASSWORD CONNECT_PASSWORD
else the login name, and a password asked for by the program SSH_ASKPASS or on the terminal. --password-... comes
before these variables; CONNECT_PASSWORD_FILE, CONNECT_PASSWORD_COMMAND and netrc (CONNECT_NETRC) behind them.

Parameters that are not in the environment are looked for in ~/.connectrc and /etc/connectrc: NAME = value, one a
line. What follows a line such as 'Match localnetwork 192.168.1.0/24' counts there only, up to the next Match:
host, port, localnetwork, localuser, exec and all are conditions, and a ! in front is the opposite.

TLS to the proxy (https://, socks5h+tls:// and so on) trusts the system's authorities, unless --tls-ca, or
CONNECT_TLS_CA, or tls-ca= in the proxy's URL names others; so with the other options for it.

CONNECT_RELAY=copy in the environment relays through memory where Linux could keep the bytes in the kernel.

Targets in SOCKS5_DIRECT, SOCKS4_DIRECT, SOCKS_DIRECT, HTTP_DIRECT or CONNECT_DIRECT (10.0.0.0/8,.example.com,...)
and in no_proxy are reached directly.

Examples:
  ssh -o ProxyCommand='connect -S socks.example %h %p' host.example
  ssh -o ProxyCommand='connect -H proxy.example:8080 %h %p' host.example
  ssh -o ProxyCommand='connect -x socks5://one.example,http://two.example:8080 %h %p' host.example
  connect -d -4 -S socks.example host.example ssh

Exit code: 0 session ended normally, 1 this machine failed, 2 usage, 3 name not resolved, 4 not reached,
5 refused by the proxy, 6 authentication failed, 7 timed out, 8 the relay broke.
";

/// For `-V`.
pub(super) fn version() -> String {
    format!("connect {}\n", env!("CARGO_PKG_VERSION"))
}

/// For a command line without a word.
pub(super) fn short() -> String {
    format!(
        "{}{ABOUT}\n\nUsage: connect [-ndDhst45] [-S [user[:password]@]host[:port]] [-H [user[:password]@]host[:port]]\n\
        \x20              [-R local|remote|both|address] [-a methods] [-w seconds] host [port]\n\n\
        connect --help says more.\n",
        version(),
    )
}
