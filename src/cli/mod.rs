//! What was typed. Nothing here looks at files or variables: help and version work with any configuration.

use std::ffi::OsString;
use std::fmt;

use crate::error::Error;
use crate::secret::{self, Secret};
use flags::Flag;

mod flags;
mod generate;
mod help;
mod parse;
mod program_name;

/// The options and words of one command line, as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option that is given or not")]
pub struct Args {
    /// The last of `-n -h -H -s -S -t -T -x -A`.
    pub method: ProxyArg,
    /// `-c`.
    pub telnet_command: Option<String>,
    /// `-D`.
    pub own_networks: bool,
    /// The last of `-p` and `-P`.
    pub port_to_listen: Option<(String, Keep)>,
    /// Each `--listen`.
    pub listen: Vec<String>,
    /// `-F`.
    pub hand_over: bool,
    /// The last of `-4 -5`.
    pub socks_version: Option<SocksVersion>,
    /// `-R`.
    pub resolve: Option<String>,
    /// `-a`.
    pub auth: Option<String>,
    /// What is added to requests to HTTP proxies.
    pub requests: HttpArgs,
    /// `--proxy-protocol`.
    pub proxy_protocol: Option<String>,
    /// The last of `--password-file`, `--password-command` and `--password-fd`.
    pub password: Option<PasswordSource>,
    /// The last of `--netrc` and `--netrc-file`.
    pub netrc: Option<NetrcSource>,
    /// `-w`.
    pub wait: Option<String>,
    /// `--idle-timeout`.
    pub idle_timeout: Option<String>,
    /// `--no-shutdown`.
    pub no_shutdown: bool,
    /// `--eager`.
    pub eager: bool,
    /// `--check`, and how it is told.
    pub check: Option<String>,
    /// `--tls-…`, `--insecure`.
    pub tls: TlsArgs,
    /// `-d` or `-q`.
    pub verbosity: Verbosity,
    /// The first word: a host, which may have a port.
    pub host: String,
    /// The second word.
    pub port: Option<String>,
    /// The port in the program's name, as in `connect-25`.
    pub name_port: Option<String>,
}

/// How much is told on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// `-q`: errors only.
    Quiet,
    /// Warnings as well, and what is waited for.
    #[default]
    Normal,
    /// `-d`, so many times.
    Debug(u8),
}

/// What is added to requests to HTTP proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpArgs {
    /// Each `--header`.
    pub headers: Vec<Secret>,
    /// `--user-agent`.
    pub user_agent: Option<String>,
    /// `--http1.0`.
    pub http_1_0: bool,
}

/// The options that concern TLS with a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsArgs {
    /// `--tls-ca`.
    pub authorities: Option<String>,
    /// `--tls-cert`.
    pub certificate: Option<String>,
    /// `--tls-key`.
    pub key: Option<String>,
    /// Each `--tls-pin`.
    pub pins: Vec<String>,
    /// `--tls-server-name`.
    pub server_name: Option<String>,
    /// `--insecure`.
    pub insecure: bool,
}

/// How to get to the target.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum ProxyArg {
    /// `-n`, and the default.
    #[default]
    Direct,
    /// `-h`: the HTTP proxy that the environment names.
    HttpFromEnvironment,
    /// `-H`.
    Http(String),
    /// `-s`: the SOCKS proxy that the environment names.
    SocksFromEnvironment,
    /// `-S`.
    Socks(String),
    /// `-t`: the telnet-style proxy that the environment names.
    TelnetFromEnvironment,
    /// `-T`.
    Telnet(String),
    /// Each `-x`: a chain of proxies by their URLs.
    Proxies(Vec<String>),
    /// `-A`: whatever the environment names.
    Auto,
}

/// As the flag is typed, and without a password.
impl fmt::Debug for ProxyArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (letter, words): (_, &[String]) = match self {
            Self::Direct => ('n', &[]),
            Self::HttpFromEnvironment => ('h', &[]),
            Self::Http(word) => ('H', std::slice::from_ref(word)),
            Self::SocksFromEnvironment => ('s', &[]),
            Self::Socks(word) => ('S', std::slice::from_ref(word)),
            Self::TelnetFromEnvironment => ('t', &[]),
            Self::Telnet(word) => ('T', std::slice::from_ref(word)),
            Self::Proxies(words) => ('x', words),
            Self::Auto => ('A', &[]),
        };
        write!(f, "-{letter}")?;
        words.iter().try_for_each(|word| write!(f, " {}", secret::masked(word)))
    }
}

/// `-p` or `-P`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// `-p`: the session ends with its client.
    No,
    /// `-P`: the session is kept for the next client.
    Yes,
}

/// `-4` or `-5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocksVersion {
    /// SOCKS4 and 4a.
    V4,
    /// SOCKS5.
    V5,
}

/// Where a password is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// `--password-file`.
    File(String),
    /// `--password-command`.
    Command(String),
    /// `--password-fd`.
    Descriptor(String),
}

/// Which netrc file is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetrcSource {
    /// `--netrc`: the user's.
    Home,
    /// `--netrc-file`.
    File(String),
}

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A session.
    Session(Box<Args>),
    /// A text for standard output.
    Print(String),
}

/// Reads a command line, the program's name first.
///
/// # Errors
/// [`Error::Usage`] for whatever makes no sense.
// Its frame must not be part of the caller's, which lives as long as the session: what fields leave unused there holds
// what was on the stack before, pieces of a password among it.
#[inline(never)]
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Request, Error> {
    let mut words = words.into_iter();
    let program = words.next().unwrap_or_default();
    let words: Vec<_> = words.collect();
    if words.is_empty() {
        return Ok(Request::Print(help::short()));
    }
    let mut typed = Args { name_port: program_name::port(&program), ..Args::default() };
    let mut text = None;
    let operands = parse::read(words, |flag, value| {
        match flag {
            Flag::Help => text = Some(help_text(&value)),
            Flag::Generate => text = Some(generate::text(&value).map(str::to_owned)),
            Flag::Version => text = Some(Ok(help::version())),
            flag => typed.take(flag, value),
        }
        text.is_none()
    })?;
    if let Some(text) = text {
        return text.map(Request::Print);
    }
    let mut operands = operands.into_iter();
    typed.host = operands.next().ok_or_else(|| Error::Usage("no host given".into()))?;
    typed.port = operands.next();
    match operands.next() {
        None => Ok(Request::Session(Box::new(typed))),
        Some(extra) => {
            let extra = secret::masked(&extra);
            Err(Error::Usage(format!("'{extra}' after host and port: options go before the host")))
        }
    }
}

fn help_text(value: &str) -> Result<String, Error> {
    match value {
        "" => Ok(flags::command().render_help().to_string()),
        "all" => Ok(flags::command().render_long_help().to_string()),
        _ => Err(Error::Config(format!("--help='{value}' is unknown; there are --help and --help=all"))),
    }
}

impl Args {
    /// Of flags that exclude each other the last one counts, with its own value.
    fn take(&mut self, flag: Flag, value: String) {
        match flag {
            Flag::Direct => self.method = ProxyArg::Direct,
            Flag::Socks => self.method = ProxyArg::Socks(value),
            Flag::SocksEnv => self.method = ProxyArg::SocksFromEnvironment,
            Flag::Http => self.method = ProxyArg::Http(value),
            Flag::HttpEnv => self.method = ProxyArg::HttpFromEnvironment,
            Flag::Telnet => self.method = ProxyArg::Telnet(value),
            Flag::TelnetEnv => self.method = ProxyArg::TelnetFromEnvironment,
            Flag::Proxy => match &mut self.method {
                ProxyArg::Proxies(words) => words.push(value),
                method => *method = ProxyArg::Proxies(vec![value]),
            },
            Flag::Auto => self.method = ProxyArg::Auto,
            Flag::TelnetCommand => self.telnet_command = Some(value),
            Flag::OwnNetworks => self.own_networks = true,
            Flag::V4 => self.socks_version = Some(SocksVersion::V4),
            Flag::V5 => self.socks_version = Some(SocksVersion::V5),
            Flag::Resolve => self.resolve = Some(value),
            Flag::Auth => self.auth = Some(value),
            Flag::Eager => self.eager = true,
            Flag::Check => self.check = Some(value),
            Flag::Header => self.requests.headers.push(Secret::new(value.into_bytes())),
            Flag::UserAgent => self.requests.user_agent = Some(value),
            Flag::Http10 => self.requests.http_1_0 = true,
            Flag::ProxyProtocol => self.proxy_protocol = Some(value),
            Flag::TlsCa => self.tls.authorities = Some(value),
            Flag::TlsCert => self.tls.certificate = Some(value),
            Flag::TlsKey => self.tls.key = Some(value),
            Flag::TlsPin => self.tls.pins.push(value),
            Flag::TlsServerName => self.tls.server_name = Some(value),
            Flag::Insecure => self.tls.insecure = true,
            Flag::Port => self.port_to_listen = Some((value, Keep::No)),
            Flag::KeepPort => self.port_to_listen = Some((value, Keep::Yes)),
            Flag::Listen => self.listen.push(value),
            Flag::FdPass => self.hand_over = true,
            Flag::PasswordFile => self.password = Some(PasswordSource::File(value)),
            Flag::PasswordCommand => self.password = Some(PasswordSource::Command(value)),
            Flag::PasswordFd => self.password = Some(PasswordSource::Descriptor(value)),
            Flag::Netrc => self.netrc = Some(NetrcSource::Home),
            Flag::NetrcFile => self.netrc = Some(NetrcSource::File(value)),
            Flag::Wait => self.wait = Some(value),
            Flag::IdleTimeout => self.idle_timeout = Some(value),
            Flag::NoShutdown => self.no_shutdown = true,
            Flag::Debug => {
                self.verbosity = match self.verbosity {
                    Verbosity::Debug(times) => Verbosity::Debug(times.saturating_add(1)),
                    _ => Verbosity::Debug(1),
                }
            }
            Flag::Quiet => self.verbosity = Verbosity::Quiet,
            // They are no part of a session.
            Flag::Generate | Flag::Help | Flag::Version => {}
        }
    }
}

#[cfg(test)]
mod docgen;
#[cfg(test)]
mod tests;
