//! The one definition of the flags. The reader of the words, help, suggestions and error messages are made from it.

use clap::{Arg, ArgAction, Command};

use super::{generate, help};

/// A flag, by what it does.
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
    TlsCa,
    TlsCert,
    TlsKey,
    TlsPin,
    TlsServerName,
    Insecure,
    Port,
    KeepPort,
    Listen,
    FdPass,
    PasswordFile,
    PasswordCommand,
    PasswordFd,
    Netrc,
    NetrcFile,
    Wait,
    Check,
    IdleTimeout,
    NoShutdown,
    Eager,
    Debug,
    Quiet,
    Generate,
    Help,
    Version,
}

/// How a flag is typed, and what is said of it. Help, the manual pages, the shells' completions and the pages of the
/// documentation are made of this.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) flag: Flag,
    pub(super) letter: Option<char>,
    pub(super) long: Option<&'static str>,
    /// What its value is called, if it takes one.
    pub(super) value: Option<&'static str>,
    /// The value may be left out, and stands behind an `=`.
    pub(super) optional: bool,
    /// What shells offer for the value.
    #[cfg_attr(not(test), expect(dead_code, reason = "completions are made beforehand"))]
    pub(super) offer: Offer,
    /// In a line.
    pub(super) brief: &'static str,
    /// In full. Backquotes stand around what is typed.
    pub(super) text: &'static str,
}

/// What a shell can offer for a value.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "completions are made beforehand"))]
pub(super) enum Offer {
    /// It cannot know.
    Nothing,
    Files,
    Hosts,
    Commands,
    /// These, although others may be possible.
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

    /// As it is typed, with its value: `-x, --proxy URL`.
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

/// All of them, under the headings of the help.
#[rustfmt::skip]
pub(super) const GROUPS: [(&str, &[Definition]); 7] = [
    ("Way to the target", &[
        switch(Flag::Direct, 'n',
            "Directly, through no proxy (the default)",
            "Directly, through no proxy. That is the default. Of `-n -S -s -H -h -T -t -x -A` the last one counts."),
        option(Flag::Socks, 'S', "PROXY",
            "Through this SOCKS proxy; port 1080 if not given",
            "Through this SOCKS proxy, `[USER[:PASSWORD]@]HOST[:PORT]`, port 1080 if none is given. It speaks version 5 unless `-4` is given. As \
             `-x socks5h://PROXY`."),
        switch(Flag::SocksEnv, 's',
            "Through the SOCKS proxy in SOCKS5_SERVER, SOCKS4_SERVER, SOCKS_SERVER or ALL_PROXY",
            "Through the SOCKS proxy in `SOCKS5_SERVER` or `SOCKS4_SERVER` (by version), else `SOCKS_SERVER`, else \
             `ALL_PROXY`."),
        option(Flag::Http, 'H', "PROXY",
            "Through this HTTP proxy; port 80 if not given",
            "Through this HTTP proxy, `[USER[:PASSWORD]@]HOST[:PORT]`, port 80 if none is given, with the method CONNECT. `http://HOST/` works as well, and \
             `https://HOST/` is one that speaks TLS, port 443."),
        switch(Flag::HttpEnv, 'h',
            "Through the HTTP proxy in HTTP_PROXY, https_proxy or ALL_PROXY",
            "Through the HTTP proxy in `HTTP_PROXY`, `https_proxy`, `HTTPS_PROXY`, `http_proxy` or `ALL_PROXY`: the first \
             that is set."),
        option(Flag::Telnet, 'T', "HOST[:PORT]",
            "Through this telnet-style proxy; port 23 if not given",
            "Through this telnet-style proxy, port 23 if none is given: it is sent a command (see `-c`) and says when it \
             is connected."),
        switch(Flag::TelnetEnv, 't',
            "Through the telnet-style proxy in TELNET_PROXY",
            "Through the telnet-style proxy in `TELNET_PROXY`."),
        option(Flag::Proxy, 'x', "URL[,URL...]",
            "Through these proxies, one behind another: socks5://a,http://b; or else: |direct",
            "Through these proxies, one behind another, the first one first: `socks5://a.example,http://b.example:8080`. \
             A `|` stands before what is tried if that does not lead there: `http://a.example | direct`. Repeatable: each \
             one is a further hop.").long("proxy"),
        switch(Flag::Auto, 'A',
            "Through the proxies in CONNECT_PROXY, else all_proxy, https_proxy or http_proxy",
            "Through the proxies that `CONNECT_PROXY` names, in the environment or a parameter file, else `all_proxy`, \
             `https_proxy` or `http_proxy`; directly if nothing names one.").long("auto"),
        option(Flag::TelnetCommand, 'c', "COMMAND",
            "What to send to a telnet-style proxy; 'telnet %h %p' if not given",
            "What to send to a telnet-style proxy, `telnet %h %p` if this is not given. `%h` is the target's host, `%p` its \
             port, `%%` a percent sign, and `\\r \\n \\t \\\\` are as in C."),
        switch(Flag::OwnNetworks, 'D',
            "Reach targets in this machine's own networks directly",
            "Reach targets in the networks of this machine's own interfaces directly, whatever proxy is given."),
    ]),
    ("SOCKS", &[
        switch(Flag::V4, '4',
            "Speak SOCKS version 4 (4a where a name is sent)",
            "Speak SOCKS version 4, and 4a where the proxy is sent a name."),
        switch(Flag::V5, '5',
            "Speak SOCKS version 5 (the default)",
            "Speak SOCKS version 5. That is the default."),
        option(Flag::Resolve, 'R', "local|remote|both|ADDR[:PORT]",
            "Who resolves the target's name: this machine, the proxy, whoever can, this server",
            "Who resolves the target's name for a SOCKS proxy: this machine (`local`), the proxy (`remote`), or this \
             machine if it can and else the proxy (`both`). Without it the proxy does for SOCKS5, and for SOCKS4 it is as \
             with `both`. With an address (`10.0.0.1`, `10.0.0.1:5353`, `2001:db8::1`, `[2001:db8::1]:5353`) this machine \
             resolves it, on the direct way too, and asks this name server: the search list in `/etc/resolv.conf` counts, \
             the hosts file does not, and no answer in 10 seconds, or in those of `-w`, is an error. A proxy's own name is \
             always looked up by the system.").offering(Offer::Words(&["local", "remote", "both"])),
        option(Flag::Auth, 'a', "METHODS",
            "What may be used to authenticate: none, userpass (SOCKS5); basic, digest (HTTP)",
            "What may be used to authenticate, separated by commas. For SOCKS5: `none`, `userpass`, offered in this order. \
             For HTTP: `basic`, `digest`. The strongest that a proxy asks for is used, and the next one if it is not \
             accepted; but a password that is known goes out with the first request, as Basic, if `basic` is named first, \
             as it is by default. `-a digest` never sends a password as it is. One list may name ways for both kinds of \
             proxy.").offering(Offer::Words(&["none", "userpass", "basic", "digest"])),
        long_switch(Flag::Eager, "eager",
            "Do not wait for answers that are known: a round trip less for each SOCKS5 proxy",
            "Save a round trip at each SOCKS5 proxy: greeting, password and request go out at once. One method is offered, \
             user and password if there is a password, and none otherwise, unless `-a` says which. Some proxies lose what \
             comes with the greeting (microsocks does), so it is off by default."),
    ]),
    ("HTTP", &[
        long_option(Flag::Header, "header", "NAME:VALUE|@FILE",
            "Add this header, or those in a file, to requests to HTTP proxies; repeatable",
            "Add this header, or those in the lines of a file, to requests to HTTP proxies. Repeatable. Not `Host`, \
             `Connection` and what describes content. `Proxy-Authorization` takes the place of user and password. Values \
             are kept as secret as a password.").offering(Offer::Files),
        long_option(Flag::UserAgent, "user-agent", "TEXT",
            "Add a User-Agent; none is sent otherwise",
            "Add a `User-Agent`. None is sent otherwise, since a proxy need not know."),
        long_switch(Flag::Http10, "http1.0",
            "Speak HTTP/1.0",
            "Speak HTTP/1.0, to HTTP proxies that know no other."),
    ]),
    ("Password", &[
        long_option(Flag::PasswordFile, "password-file", "FILE",
            "The password is the first line of this file",
            "The password for the proxy is the first line of this file, which may be a pipe. Of the three options for a \
             password the last one counts.").offering(Offer::Files),
        long_option(Flag::PasswordCommand, "password-command", "COMMAND",
            "The password is the first line that this prints; %h %p %u are the proxy and the user",
            "The password is the first line that this command prints. It is run, by the user's shell, once a proxy wants a \
             password: `%h %p %u %%` are the proxy's host and port, the user, and a percent \
             sign.").offering(Offer::Commands),
        long_option(Flag::PasswordFd, "password-fd", "N",
            "The password is the first line that comes from this open descriptor, 3 or more",
            "The password is the first line that comes from this descriptor, 3 or more, which whoever starts `connect` has \
             opened."),
        long_switch(Flag::Netrc, "netrc",
            "Look for user and password in ~/.netrc, or in the file NETRC",
            "Look for user and password in `~/.netrc`, or in the file that `NETRC` names."),
        long_option(Flag::NetrcFile, "netrc-file", "FILE",
            "The same in this file",
            "Look for user and password in this file, which is written as `~/.netrc` is.").offering(Offer::Files),
    ]),
    ("TLS to the proxy (https://)", &[
        long_option(Flag::TlsCa, "tls-ca", "FILE",
            "Trust the authorities in this PEM file, in the place of the system's",
            "TLS to a proxy (`https://`, `socks5h+tls://`): trust the authorities in this PEM file, in the place of the \
             system's. A proxy's own certificate may stand there as well.").offering(Offer::Files),
        long_option(Flag::TlsCert, "tls-cert", "FILE",
            "Show the proxy this certificate of ours (PEM)",
            "Show the proxy this certificate of ours, a PEM file.").offering(Offer::Files),
        long_option(Flag::TlsKey, "tls-key", "FILE",
            "The key of that certificate, if it is not in the same file",
            "The key of the certificate of `--tls-cert`, if it is not in the same file.").offering(Offer::Files),
        long_option(Flag::TlsPin, "tls-pin", "sha256//BASE64",
            "Trust no other key than this one, or these (repeatable, or with ';')",
            "Trust no other key than this one, besides what is checked anyway: the SHA-256 of the public key \
             (SubjectPublicKeyInfo), as for curl's `--pinnedpubkey`. Repeatable, or several with `;` between them."),
        long_option(Flag::TlsServerName, "tls-server-name", "NAME",
            "The name to ask for, and that the certificate must have",
            "The name to ask for (SNI), and to find in the certificate, in the place of the \
             proxy's.").offering(Offer::Hosts),
        long_switch(Flag::Insecure, "insecure",
            "Trust any certificate; only the pins are checked, if there are any",
            "Check nothing of a certificate but the pins; without pins there is a warning, since anybody may read and \
             change then what goes through."),
    ]),
    ("Instead of standard input and output", &[
        option(Flag::Port, 'p', "[ADDR:]PORT",
            "Take one client on this local port; loopback if no ADDR is given",
            "Take one client on this local port, on loopback unless an address is given. With port 0 the system chooses \
             one, which is told on standard error."),
        option(Flag::KeepPort, 'P', "[ADDR:]PORT",
            "Take one client after another, who share one session with the target",
            "Take one client after another on this local port, who share one session with the target. The end of standard \
             input ends it."),
        long_option(Flag::Listen, "listen", "ADDR:PORT|unix:PATH",
            "Give every client a session of its own, until stopped; repeatable",
            "Give every client on this local port, `[ADDR:]PORT`, or on this UNIX-domain socket a session of its own, until \
             stopped. `systemd` is each socket that systemd has opened for this process (socket activation). Repeatable."),
        switch(Flag::FdPass, 'F',
            "Hand the connection to ssh and leave: for ssh with ProxyUseFdpass yes",
            "Hand the connection to ssh, once it stands, and leave: for ssh with `ProxyUseFdpass yes`. Works directly and \
             through every proxy without TLS.").long("fdpass"),
    ]),
    ("General", &[
        long_option(Flag::ProxyProtocol, "proxy-protocol", "v1|v2",
            "Tell the target first whom the session is for: a PROXY protocol header",
            "Tell the target first whom the session is for, as HAProxy and nginx understand it (`accept-proxy`, \
             `proxy_protocol`): the client of a local port, or else this end of the connection; without addresses where \
             nobody knows them, as behind a proxy.").offering(Offer::Words(&["v1", "v2"])),
        option(Flag::Wait, 'w', "SECONDS",
            "Give up if the target is not reached in this time; 0 for no limit",
            "Give up if the target is not reached in this time: names, dialling and negotiation count, but not the time \
             spent at a password prompt. 0 is no limit. Without it each proxy has 30 seconds to answer."),
        long_option(Flag::IdleTimeout, "idle-timeout", "SECONDS",
            "End a session in which nothing has moved for so long; 0 for no limit (the default)",
            "End a session in which nothing has moved in either direction for so long, with exit code 7. Off by default, \
             which is 0. `--listen` ends that session only. The other end is reset, so that it cannot take this for the \
             end of the data. Without it a peer that vanished is noticed by the system's own timers: TCP keep-alive is on, \
             with the times of the system (Linux: `net.ipv4.tcp_keepalive_time`, two hours)."),
        long_switch(Flag::NoShutdown, "no-shutdown",
            "Do not pass on the end of standard input",
            "Do not pass on the end of standard input: the session ends when the remote ends it, or when standard output is \
             closed as well, which nobody is told of on Windows. For programs that close their end \
             before the answer has come, with a proxy that takes this for the end of all, as with `git://` through \
             microsocks or tinyproxy. As ncat's option of this name, and as nc without `-N`."),
        long_option(Flag::Check, "check", "json",
            "Say what the plan is and where it comes from, and try it, each step with its time",
            "Say what the plan is for this host and port and where each value of it comes from, and try it: each stage with \
             its time, what failed, and what to try. The exit code is that of a run. With `--check=json` it is one JSON \
             object, for scripts.").optional().offering(Offer::Words(&["json"])),
        switch(Flag::Debug, 'd',
            "Say on standard error what is done; -dd: and what is relayed",
            "Say on standard error what is done; twice (`-dd`): and what is relayed, as a hex dump."),
        switch(Flag::Quiet, 'q',
            "Say nothing but errors: no warnings, and nothing of what is waited for",
            "Say nothing but errors: no warnings, as of a parameter file that others can read, and, at a terminal, nothing \
             of what is waited for. Of `-q` and `-d` the last one counts.").long("quiet"),
        long_option(Flag::Generate, "generate", "WHAT",
            "Print a manual page (man, connectrc) or a shell's completions (bash, zsh, fish, powershell)",
            "Print the manual page `connect(1)` (`man`) or `connectrc(5)` (`connectrc`), or the completions of a shell: \
             `bash`, `zsh`, `fish` or `powershell`.").offering(Offer::Words(generate::WORDS)),
        long_option(Flag::Help, "help", "all",
            "Print this help; --help=all: and all there is to say",
            "Print each option in a line; `--help=all`: and all that is said here.").optional().offering(Offer::Words(&["all"])),
        switch(Flag::Version, 'V',
            "Print the version",
            "Print the version.").long("version"),
    ]),
];

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Definition> {
    GROUPS.iter().flat_map(|(_, group)| *group)
}

/// For clap, which writes the help and knows what a typing error may mean. It does not read the words: to be told of
/// the flags takes it longer than everything else does that an everyday run has to do up to the first byte.
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
    // Any text will do for a name that no other has.
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
