//! Help and manual page text other than the flag descriptions. Text that the documentation also
//! uses is Markdown; [`plain`] converts it for the terminal.

/// The description of the program.
pub(super) const ABOUT: &str = "\
Connects standard input and output to HOST:PORT through SOCKS and HTTP proxies, or directly.
For ssh:  ProxyCommand connect -S socks.example %h %p";

pub(super) const USAGE: &str = "connect [OPTIONS] HOST [PORT]";

/// The operands, shown after the options.
pub(super) const OPERANDS: &str = "\
HOST is a name, an IPv4 address, an IPv6 address with or without brackets, or `unix:PATH` for a local socket. With \
`-x ssh://…`, `unix:PATH` is a socket at the SSH server, and `queue:NAME` a named queue there. With `-A`, a socket is \
always local. An \
international name is converted to its ASCII form (`xn--`). PORT is a \
number or a service name. `HOST:PORT` works as one argument. Without a port, the program's name supplies it: a link named \
`connect-25` or `connect-smtp` connects to that port. PROXY is `[USER[:PASSWORD]@]HOST[:PORT]`. Single-letter options can \
be combined (`-dS PROXY`). Options come before HOST. With `--ssh`, the operands are the words of COMMAND or, with `--put` and \
`--get`, FILE... DEST.";

/// The exit codes and their meanings.
pub(super) const EXIT_CODES: [(u8, &str); 10] = [
    (0, "success: the session ended normally"),
    (1, "local system error, such as too many open files"),
    (2, "invalid command line or configuration"),
    (3, "name resolution failed"),
    (4, "could not connect to the proxy or the target"),
    (5, "the proxy refused, violated its protocol, or led nowhere; or TLS failed"),
    (6, "authentication failed, or no password is available"),
    (7, "time limit exceeded"),
    (8, "relaying failed: data may be missing; or the reader of the output exited (no message)"),
    (255, "with --ssh and a command: it has no exit status, or connect failed"),
];

/// The ends of sessions, for the documentation.
#[cfg(test)]
pub(super) const ENDINGS: &str = "\
Every failure prints one line on standard error: `connect:`, what failed and where, the cause, and what to try.

When standard input ends, `connect` half-closes the connection and delivers what the remote still sends. When the remote
closes the connection, `connect` delivers the remaining data and exits. A reset is an error, and so is the end of a TLS
connection without `close_notify`. Half-closes and resets pass in both directions between the client of a local port and
the target. A client whose session is cut off, or whose target cannot be reached, receives a reset. A UNIX-domain socket
has no reset: there, the client sees the end of the data.

If a proxy granted the request and the connection is closed or reset before the target sends anything, that is an error (exit
code 5). It is only a warning if the local end had closed first, because a session may only send data.

With `-p`, `-P` and `--listen`, `connect` exits with code 0 on SIGTERM, SIGINT or SIGHUP while it waits for a client.
`--listen` does so at any time, and resets the sessions that are open. A listener for web clients reads its keys, deny-file and
certificate again on SIGHUP instead. With `-p` and `-P`, the signal kills `connect`
during a session (a shell shows exit code 128 plus its number), and both ends receive a reset. If a signal ends `connect`
while it connects for standard input and output, it first prints what it was waiting for. A signal that is ignored when
`connect` starts, as under nohup, stays ignored.
";

const EXAMPLES: &str = "\
Examples:
  ssh -o ProxyCommand='connect -S socks.example %h %p' host.example
  ssh -o ProxyCommand='connect -H proxy.example:8080 %h %p' host.example
  ssh -o ProxyCommand='connect -x socks5://one.example,https://two.example %h %p' host.example
  connect --check -S socks.example host.example 22
";

/// The sources of parameters, for `--help=all`.
const NOTES: &str = "\
The user and password for a proxy are those given with the proxy, or else
  SOCKS5  SOCKS5_USER SOCKS_USER CONNECT_USER
          SOCKS5_PASSWD SOCKS5_PASSWORD SOCKS_PASSWORD CONNECT_PASSWORD
  SOCKS4  SOCKS4_USER SOCKS_USER CONNECT_USER
  HTTP    HTTP_PROXY_USER CONNECT_USER
          HTTP_PROXY_PASSWORD CONNECT_PASSWORD
The default user is the login name. The --password options take precedence over these variables. After the variables come \
CONNECT_PASSWORD_FILE, CONNECT_PASSWORD_COMMAND and netrc (CONNECT_NETRC). Finally, connect asks for the password with the \
program in SSH_ASKPASS or on the terminal.

Parameters that are not set in the environment may be set in ~/.connectrc and /etc/connectrc, one NAME = value per line. \
The lines after a line such as 'Match localnetwork 192.168.1.0/24' apply only there, up to the next Match. The conditions \
are host, port, localnetwork, localuser, exec and all. A ! negates a condition.

TLS to the proxy (https://, socks5h+tls:// and so on) trusts the system's certificate authorities. --tls-ca, CONNECT_TLS_CA \
and tls-ca= in the proxy's URL override them. The other TLS options also exist in these three forms. With --tls-target, \
options and parameters are for the target, and a proxy has only those in its URL.

Targets in SOCKS5_DIRECT, SOCKS4_DIRECT, SOCKS_DIRECT, HTTP_DIRECT or CONNECT_DIRECT (10.0.0.0/8,.example.com,...) and in \
no_proxy are reached without the proxy.

CONNECT_RELAY=copy in the environment relays through user space even where Linux could splice.
";

/// Returns the text after the one-line descriptions.
pub(super) fn after() -> String {
    let more = "More: connect --help=all, and the manual pages connect(1) and connectrc(5).";
    format!("{}\n\n{EXAMPLES}\n{more}\n", plain(OPERANDS))
}

/// Returns the text after the full descriptions.
pub(super) fn after_all() -> String {
    let codes = EXIT_CODES.map(|(code, meaning)| format!("  {code}  {meaning}")).join("\n");
    format!("{}\n\n{NOTES}\nExit codes:\n{codes}\n\n{EXAMPLES}", plain(OPERANDS))
}

/// Converts Markdown for the terminal: removes the backquotes, and quotes code that contains
/// spaces.
pub(super) fn plain(text: &str) -> String {
    let pieces = text.split('`').enumerate();
    let quoted = |(index, piece): (usize, &str)| match piece {
        code if index % 2 == 1 && code.contains(' ') => format!("'{code}'"),
        piece => piece.to_owned(),
    };
    pieces.map(quoted).collect()
}

/// Returns the text for `-V`.
pub(super) fn version() -> String {
    format!("connect {}\n", env!("CARGO_PKG_VERSION"))
}

/// Returns the text to print if there are no args. Wraps the usage line at 80 columns.
pub(super) fn short(usage_line: &str) -> String {
    const WIDTH: usize = 80;
    const INDENT: &str = "       ";
    let mut usage = String::from("Usage:");
    let mut column = usage.len();
    // Break lines only between bracketed options, or before `HOST`.
    for part in usage_line.replace("] [", "]\0[").replace("] H", "]\0H").split('\0') {
        if column + 1 + part.len() > WIDTH {
            usage.push('\n');
            usage.push_str(INDENT);
            column = INDENT.len();
        } else {
            usage.push(' ');
            column += 1;
        }
        usage.push_str(part);
        column += part.len();
    }
    format!("{}{ABOUT}\n\n{usage}\n\nRun 'connect --help' for a description of all options.\n", version())
}
