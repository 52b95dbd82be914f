//! The flags for servers that clients of other protocols use, and for tokens.

use super::definition::{Definition, Flag, Offer, long_option, long_switch};

/// Listeners with a scheme.
#[rustfmt::skip]
pub(super) const SERVERS: &[Definition] = &[
    long_option(Flag::Relay, "relay", "ws://ADDR:PORT[/PREFIX]",
        "Run a hub, at which origins and their clients meet; repeatable",
        "Run a relay hub at this address, until stopped. Origins (`--origin`) register with the hub and offer their target as \
         a session. Clients (`-x relay+wss://HUB/SESSION`) are joined with the origin, and so are other WebSocket clients, at \
         `PREFIX/v1/SESSION/dest`. `wss://` uses TLS. \
         `?role=origin` or `?role=dest` after the address limits it to one of the two. The hub takes no host. It requires \
         `--token-keys` or `--open`. Repeatable."),
    long_option(Flag::Origin, "origin", "relay+wss://HUB/SESSION",
        "Offer HOST PORT at this hub, as this session",
        "Register with this relay hub, and connect its clients to HOST and PORT, or to `unix:FILE`, until stopped. Clients reach the target by the \
         name of the session: `-x relay+wss://HUB/SESSION`. Without SESSION, the name is a random UUID. `connect` \
         prints `SOCKET_ID=\"SESSION\"; export SOCKET_ID;` once it is registered. Proxies on the way to the hub precede \
         its URL, as in `http://proxy.example,relay+wss://HUB/SESSION`. Options such as `-x` are for the connection to HOST. If \
         the connection to the hub is lost, `connect` registers again, and connections to the target go on."),
    long_option(Flag::MaxAtOnce, "max-at-once", "N",
        "Accept at most N clients at a time (--origin)",
        "With `--origin`, refuse further clients while N are connected."),
    long_option(Flag::MaxTotal, "max-total", "N",
        "Accept at most N clients in all (--origin)",
        "With `--origin`, refuse further clients once N have been connected. Those whose target could not be reached do not \
         count."),
    long_option(Flag::Spare, "spare", "N",
        "Open N connections to the target in advance (--origin)",
        "With `--origin`, keep N connections to the target open for the next clients, so that they need not wait for one. \
         `connect` replaces a connection that a client uses or that the target closes. Servers close idle connections after \
         their own timeout: OpenSSH after 2 minutes without a login, even if a client uses the connection by then."),
    long_switch(Flag::Plain, "plain",
        "Offer a UNIX-domain socket without end-to-end encryption",
        "With `--origin`, offer a UNIX-domain socket (`unix:FILE`) without `--key-file`, so that its data passes \
         through the hub without end-to-end encryption. The operator of the hub, and everyone who has a token for the session, can \
         then use the socket."),
    long_switch(Flag::Background, "background",
        "Continue in the background once registered (--origin)",
        "With `--origin`, continue in the background once the hub has registered the origin, without a terminal and without \
         standard input, output and error. `connect` then prints `CONNECT_PID=\"PID\"; export CONNECT_PID;` as well, for \
         `eval`, and exits. If it cannot register, it prints nothing but the error. Not supported on Windows."),
    long_option(Flag::Drain, "drain", "SECONDS",
        "Let a hub exit this long after SIGTERM (default 30)",
        "On SIGTERM, the hub of `--relay` refuses new sessions. It exits once its connections have ended, or after this time. \
         The default is 30."),
    long_option(Flag::AllowTo, "allow-to", "HOST[:PORT]|CIDR[:PORT]",
        "Let clients connect to this target only; repeatable",
        "Let the clients of `--listen` with a scheme connect to this target only. `HOST` allows this name or address, \
         `.HOST` this name and all names below it, and `*` any host. A network matches addresses only, because the names that clients \
         send may be resolved elsewhere. Repeatable.").offering(Offer::Hosts),
    long_option(Flag::AllowFrom, "allow-from", "CIDR",
        "Serve only clients from this network; repeatable",
        "With `--listen` and a scheme, or with `--origin`, serve only clients from this network or address. An origin relies on \
         the hub for the addresses of its clients. Connections from other clients are \
         reset. Repeatable."),
    long_option(Flag::ListenPasswordFile, "listen-password-file", "FILE",
        "Require one of the logins in this file (user:password lines)",
        "Require the clients of `--listen` with a scheme to log in, with SOCKS5 user and password or HTTP Basic. Each \
         line of the file is `user:password`; empty lines and lines that begin with `#` are ignored. SOCKS4 clients \
         are refused. The file is read once, at the start. Only `https://` encrypts the passwords on the \
         network.").offering(Offer::Files),
    long_option(Flag::ServeCert, "serve-cert", "FILE",
        "Present this certificate (PEM) to clients that use TLS",
        "Present this certificate, a PEM file with any intermediate certificates after it, to the clients of listeners and \
         hubs with TLS: `https://`, `wss://` and `post+https://`.").offering(Offer::Files),
    long_option(Flag::ServeKey, "serve-key", "FILE",
        "Use this key for --serve-cert (default: the same file)",
        "Use this key for the certificate of `--serve-cert`. By default, the certificate's file contains \
         it.").offering(Offer::Files),
    long_option(Flag::ServeClientCa, "serve-client-ca", "FILE",
        "Require client certificates by the authorities in this PEM file",
        "Require each client of a listener over TLS to present a certificate that one of the authorities in this PEM file \
         has issued. The TLS handshake fails without one.").offering(Offer::Files),
    long_option(Flag::TokenKeys, "token-keys", "FILE",
        "Require a token signed by a key in this file",
        "Require clients to present a token that a key in this file has signed. Each line is `ed25519 BASE64 [NAME] \
         [session=GLOB] [role=ROLE]`, as `--mint-signing-key` prints it; empty lines and lines that begin with `#` are \
         ignored. `session=` and `role=` limit the tokens that a key may sign. Several keys allow rotation. A change to \
         the file takes effect within 2 seconds: connections whose key was removed are ended. Requires `--relay-name`.").offering(Offer::Files),
    long_switch(Flag::Open, "open",
        "Serve clients without a token",
        "Serve clients without a token. Listeners that check tokens require either this option or `--token-keys`."),
    long_option(Flag::RelayName, "relay-name", "NAME",
        "Accept tokens for this audience",
        "Accept only tokens whose audience (the `aud` claim) contains this name. Required with `--token-keys`."),
    long_option(Flag::DenyFile, "deny-file", "FILE",
        "Refuse the tokens, subjects and sessions in this file",
        "Refuse tokens although they are valid. Each line is `jti ID`, `sub SUBJECT` or `session NAME`; empty lines and lines \
         that begin with `#` are ignored, and `*` in a session name matches any text. A change to the file takes effect \
         within 2 seconds: connections that are now denied are ended.").offering(Offer::Files),
    long_option(Flag::AllowOrigin, "allow-origin", "URL",
        "Accept browsers on pages of this origin; repeatable",
        "Accept requests with this `Origin` header, such as `https://www.example`. Browsers send the header for the page that \
         makes the request. Without this option, requests with an `Origin` header are refused, so that no web page can reach \
         a listener on the user's machine. Repeatable."),
    long_option(Flag::TrustForwarded, "trust-forwarded", "CIDR",
        "Believe X-Forwarded-For from this network; repeatable",
        "Take the client's address from the `X-Forwarded-For` header of requests that come from this network, such as that of \
         a web server in front. The client is the last address in the header that is outside of these networks. Repeatable."),
    long_option(Flag::MaxWait, "max-wait", "SECONDS",
        "Hold a poll of a POST tunnel for at most this time (default 25)",
        "Hold a poll of a POST tunnel, which is a request that waits for data, for at most this time. The default is 25. Use \
         0 behind a web server with few workers, because each held request occupies one."),
];

/// Tokens.
#[rustfmt::skip]
pub(super) const TOKENS: &[Definition] = &[
    long_option(Flag::TokenFile, "token-file", "FILE",
        "Send the token in the first line of this file",
        "Send the token in the first line of this file to the server: the last `relay+ws://`, `relay+wss://`, \
         `ws://`, `wss://`, `post+http://` or `post+https://` hop of a route. Other hops have the option `token-file=` in their URL. `-` is standard input, unless \
         the session uses it. A listener reads the file again for each session, and a session through a hub or in a POST \
         tunnel when its token has expired, so the token can be renewed. `connect` protects the token like a password, and `-d` logs only its claims. \
         The last of `--token-file` and `--token-fd` wins.").offering(Offer::Files),
    long_option(Flag::TokenFd, "token-fd", "N",
        "Read the token from this inherited file descriptor",
        "Read the token from the first line of this file descriptor, 3 or higher, inherited from the parent process."),
    long_option(Flag::KeyFile, "key-file", "FILE",
        "Encrypt from end to end with the key in this file",
        "Encrypt what passes through a relay hub, from end to end, with the key in the first line of this file: 32 random \
         bytes in base64, as `--mint-key` prints them. The origin and its clients have the same key. It applies to `--origin`, \
         and to the last `relay+ws://` or `relay+wss://` hop of a route; other hops have the option `key-file=` in their URL. \
         An origin with a key serves no other clients. `-` is standard input, unless the session uses it. The last of \
         `--key-file` and `--key-fd` wins.").offering(Offer::Files),
    long_option(Flag::KeyFd, "key-fd", "N",
        "Read that key from this inherited file descriptor",
        "Read the key for the end-to-end encryption from the first line of this file descriptor, 3 or higher, inherited from the \
         parent process."),
    long_option(Flag::MintSigningKey, "mint-signing-key", "FILE",
        "Create a key that signs tokens, and print its public key",
        "Create a private key for signing tokens in this new file (Ed25519, PKCS#8 PEM, mode 600). Print the line for the file of \
         `--token-keys`.").offering(Offer::Files),
    long_option(Flag::MintToken, "mint-token", "CLAIMS",
        "Print a token with these claims, signed by --signing-key",
        "Print a token with these claims, `name=value,...`: `role` (`dest` for clients, `origin` or `stats`), `session` (the last segment \
         of the server's path, or a prefix followed by `*`), `aud` (the server's `--relay-name`; repeatable) and `ttl` (the lifetime \
         in seconds, or a number with `s`, `m`, `h` or `d`). Optional are `sub` (the holder), `max` (the number of connections \
         at a time) and `nbf` (the time from which it is valid)."),
    long_option(Flag::SigningKey, "signing-key", "FILE",
        "Use this private key for --mint-token",
        "Sign the token of `--mint-token` with the private key in this file: Ed25519 in PKCS#8 PEM, as `--mint-signing-key` or \
         `openssl genpkey -algorithm ed25519` writes it.").offering(Offer::Files),
    long_switch(Flag::MintKey, "mint-key",
        "Print a random key of 32 bytes in base64",
        "Print a random key of 32 bytes in base64, for `--key-file`."),
];
