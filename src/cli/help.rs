//! The texts around the flags. Backquotes stand around what is typed, except in what is only for a terminal.

/// What the program is.
pub(super) const ABOUT: &str = "\
Connects standard input and output to HOST:PORT, directly or through a SOCKS or HTTP proxy.
Made for ssh:  ProxyCommand connect -S socks.example %h %p";

pub(super) const USAGE: &str = "connect [OPTIONS] HOST [PORT]";

/// What stands behind the options.
pub(super) const OPERANDS: &str = "\
HOST is a name or an address, IPv6 bare or in brackets, or `unix:PATH` for a socket on this machine; PORT is a number or a \
service name. `HOST:PORT` works as one word. Without a port, the program's name gives it: a link `connect-25` or \
`connect-smtp` needs none. PROXY is `[USER[:PASSWORD]@]HOST[:PORT]`. Letters cluster (`-dS PROXY`), and options stand \
before the host.";

/// What the program says when it ends.
pub(super) const EXIT_CODES: [(u8, &str); 9] = [
    (0, "the session ended normally"),
    (1, "this machine failed us, for instance out of descriptors"),
    (2, "wrong usage or configuration"),
    (3, "a name was not resolved"),
    (4, "neither the proxy nor the target was reached"),
    (5, "the proxy refused, did not speak its protocol, or is not trusted (TLS)"),
    (6, "authentication failed, or a password is wanted and there is nobody to ask"),
    (7, "a limit has passed"),
    (8, "the relay broke: data may be missing, or the reader of the output has left (that one is silent)"),
];

/// How a session ends.
#[cfg(test)]
pub(super) const ENDINGS: &str = "\
Every failure is one line on standard error: `connect:`, what failed and where, why, and what to try.

The end of standard input becomes a half-close, and what the remote still sends is delivered. The end of the remote ends
the session once it is delivered. A reset is an error, and so is an end of TLS without `close_notify`. Between a client of
a local port and the target half-closes pass both ways, and so do resets: who is cut off sees one, and so does a client
whose target was not reached. A UNIX-domain socket has none and sees an end. `-p`, `-P` and `--listen` end with code 0 on
SIGTERM and SIGINT while they wait for a client.
";

const EXAMPLES: &str = "\
Examples:
  ssh -o ProxyCommand='connect -S socks.example %h %p' host.example
  ssh -o ProxyCommand='connect -H proxy.example:8080 %h %p' host.example
  ssh -o ProxyCommand='connect -x socks5://one.example,https://two.example %h %p' host.example
  connect --check -S socks.example host.example 22
";

/// Where parameters come from.
const NOTES: &str = "\
User and password, if the proxy wants them, are those in the proxy's specification, else
  SOCKS5  SOCKS5_USER SOCKS_USER CONNECT_USER
          SOCKS5_PASSWD SOCKS5_PASSWORD SOCKS_PASSWORD CONNECT_PASSWORD
  SOCKS4  SOCKS4_USER SOCKS_USER CONNECT_USER
  HTTP    HTTP_PROXY_USER CONNECT_USER
          HTTP_PROXY_PASSWORD CONNECT_PASSWORD
else the login name, and a password asked for by the program SSH_ASKPASS or on the terminal. --password-... comes before \
these variables; CONNECT_PASSWORD_FILE, CONNECT_PASSWORD_COMMAND and netrc (CONNECT_NETRC) behind them.

Parameters that are not in the environment are looked for in ~/.connectrc and /etc/connectrc: NAME = value, one a line. \
What follows a line such as 'Match localnetwork 192.168.1.0/24' counts there only, up to the next Match: host, port, \
localnetwork, localuser, exec and all are conditions, and a ! in front is the opposite.

TLS to the proxy (https://, socks5h+tls:// and so on) trusts the system's authorities, unless --tls-ca, or CONNECT_TLS_CA, \
or tls-ca= in the proxy's URL names others; so with the other options for it.

Targets in SOCKS5_DIRECT, SOCKS4_DIRECT, SOCKS_DIRECT, HTTP_DIRECT or CONNECT_DIRECT (10.0.0.0/8,.example.com,...) and in \
no_proxy are reached directly.

CONNECT_RELAY=copy in the environment relays through memory where Linux could keep the bytes in the kernel.
";

/// Behind the options in a line each.
pub(super) fn after() -> String {
    let more = "More: connect --help=all, and the manual pages connect(1) and connectrc(5).";
    format!("{}\n\n{EXAMPLES}\n{more}\n", plain(OPERANDS))
}

/// Behind the options in full.
pub(super) fn after_all() -> String {
    let codes = EXIT_CODES.map(|(code, meaning)| format!("  {code}  {meaning}")).join("\n");
    format!("{}\n\n{NOTES}\nExit codes:\n{codes}\n\n{EXAMPLES}", plain(OPERANDS))
}

/// Text for a terminal: what is typed stands bare, and in quotes if there are blanks in it.
pub(super) fn plain(text: &str) -> String {
    let pieces = text.split('`').enumerate();
    let quoted = |(index, piece): (usize, &str)| match piece {
        typed if index % 2 == 1 && typed.contains(' ') => format!("'{typed}'"),
        piece => piece.to_owned(),
    };
    pieces.map(quoted).collect()
}

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
