//! The one definition of the flags. The reader of the words, help, suggestions and error messages are made from it.

use clap::{Arg, ArgAction, Command};

use super::help;

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
    HandOver,
    PasswordFile,
    PasswordCommand,
    PasswordFd,
    Netrc,
    NetrcFile,
    Wait,
    Check,
    IdleTimeout,
    Eager,
    Debug,
    Help,
    Version,
}

/// How a flag is typed, and what help says of it.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) flag: Flag,
    pub(super) letter: Option<char>,
    pub(super) long: Option<&'static str>,
    /// What its value is called, if it takes one.
    pub(super) value: Option<&'static str>,
    /// The value may be left out, and stands behind an `=`.
    pub(super) optional: bool,
    help: &'static str,
}

impl Definition {
    const fn new(flag: Flag, letter: Option<char>, value: Option<&'static str>, help: &'static str) -> Self {
        Self { flag, letter, long: None, value, optional: false, help }
    }

    const fn long(self, long: &'static str) -> Self {
        Self { long: Some(long), ..self }
    }

    const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }
}

const fn switch(flag: Flag, letter: char, help: &'static str) -> Definition {
    Definition::new(flag, Some(letter), None, help)
}

const fn long_option(flag: Flag, long: &'static str, value: &'static str, help: &'static str) -> Definition {
    Definition::new(flag, None, Some(value), help).long(long)
}

const fn option(flag: Flag, letter: char, value: &'static str, help: &'static str) -> Definition {
    Definition::new(flag, Some(letter), Some(value), help)
}

const PROXY: &str = "[USER[:PASSWORD]@]HOST[:PORT]";

/// All of them, under the headings of the help.
#[rustfmt::skip]
const GROUPS: [(&str, &[Definition]); 7] = [
    ("Way to the target", &[
        switch(Flag::Direct, 'n', "Directly, through no proxy (the default)"),
        option(Flag::Socks, 'S', PROXY, "Through this SOCKS proxy; port 1080 if not given"),
        switch(Flag::SocksEnv, 's', "Through the SOCKS proxy in SOCKS5_SERVER, SOCKS4_SERVER, SOCKS_SERVER or ALL_PROXY"),
        option(Flag::Http, 'H', PROXY, "Through this HTTP proxy; port 80 if not given"),
        switch(Flag::HttpEnv, 'h', "Through the HTTP proxy in HTTP_PROXY, https_proxy or ALL_PROXY"),
        option(Flag::Telnet, 'T', "HOST[:PORT]", "Through this telnet-style proxy; port 23 if not given"),
        switch(Flag::TelnetEnv, 't', "Through the telnet-style proxy in TELNET_PROXY"),
        option(Flag::Proxy, 'x', "URL[,URL...]", "Through these proxies, one behind another: socks5://a,http://b; or else: |direct").long("proxy"),
        switch(Flag::Auto, 'A', "Through the proxies in CONNECT_PROXY, else all_proxy, https_proxy or http_proxy").long("auto"),
        option(Flag::TelnetCommand, 'c', "COMMAND", "What to send to a telnet-style proxy; 'telnet %h %p' if not given"),
        switch(Flag::OwnNetworks, 'D', "Reach targets in this machine's own networks directly"),
    ]),
    ("SOCKS", &[
        switch(Flag::V4, '4', "Speak SOCKS version 4 (4a where a name is sent)"),
        switch(Flag::V5, '5', "Speak SOCKS version 5 (the default)"),
        option(Flag::Resolve, 'R', "local|remote|both|ADDR[:PORT]", "Who resolves the target's name: this machine, the proxy, whoever can, this server"),
        option(Flag::Auth, 'a', "METHODS", "What may be used to authenticate: none, userpass (SOCKS5); basic, digest (HTTP)"),
        Definition::new(Flag::Eager, None, None, "Do not wait for answers that are known: a round trip less for each SOCKS5 proxy").long("eager"),
    ]),
    ("HTTP", &[
        Definition::new(Flag::Header, None, Some("NAME:VALUE|@FILE"), "Add this header, or those in a file, to requests to HTTP proxies; repeatable").long("header"),
        Definition::new(Flag::UserAgent, None, Some("TEXT"), "Add a User-Agent; none is sent otherwise").long("user-agent"),
        Definition::new(Flag::Http10, None, None, "Speak HTTP/1.0").long("http1.0"),
    ]),
    ("Password", &[
        Definition::new(Flag::PasswordFile, None, Some("FILE"), "The password is the first line of this file").long("password-file"),
        Definition::new(Flag::PasswordCommand, None, Some("COMMAND"), "The password is the first line that this prints; %h %p %u are the proxy and the user").long("password-command"),
        Definition::new(Flag::PasswordFd, None, Some("N"), "The password is the first line that comes from this open descriptor, 3 or more").long("password-fd"),
        Definition::new(Flag::Netrc, None, None, "Look for user and password in ~/.netrc, or in the file NETRC").long("netrc"),
        Definition::new(Flag::NetrcFile, None, Some("FILE"), "The same in this file").long("netrc-file"),
    ]),
    ("TLS to the proxy (https://)", &[
        long_option(Flag::TlsCa, "tls-ca", "FILE", "Trust the authorities in this PEM file, in the place of the system's"),
        long_option(Flag::TlsCert, "tls-cert", "FILE", "Show the proxy this certificate of ours (PEM)"),
        long_option(Flag::TlsKey, "tls-key", "FILE", "The key of that certificate, if it is not in the same file"),
        long_option(Flag::TlsPin, "tls-pin", "sha256//BASE64", "Trust no other key than this one, or these (repeatable, or with ';')"),
        long_option(Flag::TlsServerName, "tls-server-name", "NAME", "The name to ask for, and that the certificate must have"),
        Definition::new(Flag::Insecure, None, None, "Trust any certificate; only the pins are checked, if there are any").long("insecure"),
    ]),
    ("Instead of standard input and output", &[
        option(Flag::Port, 'p', "[ADDR:]PORT", "Take one client on this local port; loopback if no ADDR is given"),
        option(Flag::KeepPort, 'P', "[ADDR:]PORT", "Take one client after another, who share one session with the target"),
        Definition::new(Flag::Listen, None, Some("ADDR:PORT|unix:PATH"), "Give every client a session of its own, until stopped; repeatable").long("listen"),
        switch(Flag::HandOver, 'F', "Hand the connection to ssh and leave: for ssh with ProxyUseFdpass yes").long("fdpass"),
    ]),
    ("General", &[
        Definition::new(Flag::ProxyProtocol, None, Some("v1|v2"), "Tell the target first whom the session is for: a PROXY protocol header").long("proxy-protocol"),
        option(Flag::Wait, 'w', "SECONDS", "Give up if the target is not reached in this time; 0 for no limit"),
        Definition::new(Flag::IdleTimeout, None, Some("SECONDS"), "End a session in which nothing has moved for so long; 0 for no limit (the default)").long("idle-timeout"),
        Definition::new(Flag::Check, None, Some("json"), "Say what the plan is and where it comes from, and try it, each step with its time").long("check").optional(),
        switch(Flag::Debug, 'd', "Say on standard error what is done; -dd: and what is relayed"),
        Definition::new(Flag::Help, None, None, "Print this help").long("help"),
        switch(Flag::Version, 'V', "Print the version").long("version"),
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
        .override_usage("connect [OPTIONS] HOST [PORT]")
        .after_help(help::AFTER)
        .disable_help_flag(true)
        .disable_version_flag(true);
    GROUPS.iter().fold(command, |command, (heading, group)| {
        command.args(group.iter().map(|definition| argument(definition).help_heading(*heading)))
    })
}

fn argument(definition: &Definition) -> Arg {
    // Any text will do for a name that no other has.
    let mut argument = Arg::new(definition.help).help(definition.help).action(ArgAction::SetTrue);
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
        None => argument,
    }
}
