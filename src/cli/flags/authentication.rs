//! The flags for authentication and TLS.

use super::definition::{Definition, Flag, Offer, long_option, long_switch, option};

/// The login for a proxy.
#[rustfmt::skip]
pub(super) const AUTHENTICATION: &[Definition] = &[
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
];

/// TLS with a proxy or the target.
#[rustfmt::skip]
pub(super) const TLS: &[Definition] = &[
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
];
