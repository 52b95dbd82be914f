//! The one definition of the flags. Parsing, help and error messages are made from it.

use clap::{Arg, ArgAction, Command, value_parser};

use super::help;

/// The flags, with their texts.
pub(super) fn command() -> Command {
    let flag =
        |id: &'static str, letter| Arg::new(id).short(letter).action(ArgAction::SetTrue).overrides_with(id);
    let option = |id: &'static str, letter, name| {
        // The C program takes any next word for the value, whatever it begins with.
        Arg::new(id).short(letter).value_name(name).allow_hyphen_values(true).overrides_with(id)
    };
    Command::new("connect")
        .about(help::ABOUT)
        .override_usage("connect [OPTIONS] HOST [PORT]")
        .after_help(help::AFTER)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .next_help_heading("Way to the target")
        .args([
            flag("direct", 'n').help("Directly, through no proxy (the default)"),
            option("socks", 'S', PROXY).help("Through this SOCKS proxy; port 1080 if not given"),
            flag("socks-env", 's')
                .help("Through the SOCKS proxy in SOCKS5_SERVER, SOCKS4_SERVER, SOCKS_SERVER or ALL_PROXY"),
            option("http", 'H', PROXY).help("Through this HTTP proxy; port 80 if not given"),
            flag("http-env", 'h').help("Through the HTTP proxy in HTTP_PROXY, https_proxy or ALL_PROXY"),
            option("telnet", 'T', "HOST[:PORT]")
                .help("Through this telnet-style proxy; port 23 if not given"),
            flag("telnet-env", 't').help("Through the telnet-style proxy in TELNET_PROXY"),
            option("telnet-command", 'c', "COMMAND")
                .help("What to send to a telnet-style proxy; 'telnet %h %p' if not given"),
            flag("own-networks", 'D').help("Reach targets in this machine's own networks directly"),
        ])
        .next_help_heading("SOCKS")
        .args([
            flag("v4", '4').overrides_with("v5").help("Speak SOCKS version 4 (4a where a name is sent)"),
            flag("v5", '5').overrides_with("v4").help("Speak SOCKS version 5 (the default)"),
            option("resolve", 'R', "local|remote|both|ADDR[:PORT]")
                .help("Who resolves the target's name: this machine, the proxy, whoever can, this server"),
            option("auth", 'a', "METHODS")
                .help("SOCKS5 authentication to offer: none, userpass, or both with a comma"),
        ])
        .next_help_heading("Instead of standard input and output")
        .args([
            option("port", 'p', "[ADDR:]PORT")
                .help("Take one client on this local port; loopback if no ADDR is given"),
            option("keep-port", 'P', "[ADDR:]PORT")
                .help("Take one client after another, who share one session with the target"),
            Arg::new("listen")
                .long("listen")
                .value_name("ADDR:PORT|unix:PATH")
                .action(ArgAction::Append)
                .help("Give every client a session of its own, until stopped; repeatable"),
            flag("hand-over", 'F')
                .long("fdpass")
                .help("Hand the connection to ssh and leave: for ssh with ProxyUseFdpass yes"),
        ])
        .next_help_heading("General")
        .args([
            option("wait", 'w', "SECONDS")
                .help("Give up if the target is not reached in this time; 0 for no limit"),
            Arg::new("eager")
                .long("eager")
                .action(ArgAction::SetTrue)
                .help("Do not wait for answers that are known: a round trip less for each SOCKS5 proxy"),
            Arg::new("debug")
                .short('d')
                .action(ArgAction::Count)
                .help("Say on standard error what is done; -dd: and what is relayed"),
            Arg::new("help").long("help").action(ArgAction::Help).help("Print this help"),
            Arg::new("version")
                .short('V')
                .long("version")
                .action(ArgAction::Version)
                .help("Print the version"),
            Arg::new("target").num_args(0..).hide(true).value_parser(value_parser!(String)),
        ])
        .version(env!("CARGO_PKG_VERSION"))
}

const PROXY: &str = "[USER[:PASSWORD]@]HOST[:PORT]";
