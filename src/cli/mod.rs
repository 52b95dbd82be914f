//! Parses the command line. Reads neither files nor variables, so that help and version work with
//! any configuration.

use std::ffi::OsString;
use std::fmt;

use crate::addr::Family;
use crate::error::Error;
use crate::secret::{self, Secret};
use flags::Flag;

mod flags;
mod generate;
mod help;
mod mint;
mod parse;
mod program_name;
mod remote;
mod ssh;
mod verbosity;

pub use mint::MintArgs;
pub use remote::RemoteArgs;
pub use ssh::{IdentityArg, SshArgs};
pub use verbosity::Verbosity;

/// The parsed args of a session. Values are as typed: `config` interprets them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option without a value")]
pub struct Args {
    /// Whichever of `-n -h -H -s -S -t -T -x -A` came last.
    pub proxy: ProxyArg,
    /// `-c`.
    pub telnet_command: Option<String>,
    /// `-D`.
    pub own_networks: bool,
    /// The value of `-p` or `-P`, whichever came last.
    pub local_port: Option<String>,
    /// `true` if `local_port` was set by `-P`: the session with the target outlives its client.
    pub keep_session: bool,
    /// The value of each `--listen`.
    pub listen: Vec<String>,
    /// The value of each `--relay`.
    pub relay: Vec<String>,
    /// `--origin` and its options.
    pub origin: OriginArgs,
    /// The options for listeners with a scheme.
    pub server: ServerArgs,
    /// Whichever of `--token-file` and `--token-fd` came last.
    pub token: Option<TokenSource>,
    /// The options for SSH servers.
    pub ssh: SshArgs,
    /// The options for work at an SSH server.
    pub remote: RemoteArgs,
    /// Whichever of `--key-file` and `--key-fd` came last.
    pub key: Option<KeySource>,
    /// `--window`.
    pub window: Option<String>,
    /// `--keepalive`.
    pub keep_alive: Option<String>,
    /// `--resume`.
    pub resume: Option<String>,
    /// `-F`.
    pub fdpass: bool,
    /// Whichever of `-4` and `-5` came last.
    pub socks_version: Option<SocksVersion>,
    /// `-R`.
    pub resolve: Option<String>,
    /// `-a`.
    pub auth: Option<String>,
    /// `--header`, `--user-agent` and `--http1.0`.
    pub http: HttpArgs,
    /// `--proxy-protocol`.
    pub proxy_protocol: Option<String>,
    /// `--tls-target`.
    pub tls_target: bool,
    /// Whichever of `--password-file`, `--password-command` and `--password-fd` came last.
    pub password: Option<PasswordSource>,
    /// Whichever of `--netrc` and `--netrc-file` came last.
    pub netrc: Option<NetrcSource>,
    /// `-w`.
    pub wait: Option<String>,
    /// `--idle-timeout`.
    pub idle_timeout: Option<String>,
    /// `--bind`.
    pub bind: Option<String>,
    /// The last of `--ipv4` and `--ipv6`.
    pub family: Option<Family>,
    /// `--tcp-keepalive`.
    pub tcp_keep_alive: Option<String>,
    /// `--no-shutdown`.
    pub no_shutdown: bool,
    /// `--eager`.
    pub eager: bool,
    /// `--check`, with its output format. An empty format means text.
    pub check: Option<String>,
    /// `--tls-…` and `--insecure`.
    pub tls: TlsArgs,
    /// Whichever of `-d` and `-q` came last.
    pub verbosity: Verbosity,
    /// The first operand: a host, possibly with a port. Empty if there is none, which is valid only
    /// if [`clients_name_targets`](Self::clients_name_targets).
    pub host: String,
    /// The second operand.
    pub port: Option<String>,
    /// The port in the program's name, as in `connect-25`.
    pub name_port: Option<String>,
}

/// The options for requests to HTTP proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpArgs {
    /// The value of each `--header`.
    pub headers: Vec<Secret>,
    /// `--user-agent`.
    pub user_agent: Option<String>,
    /// `--http1.0`.
    pub http_1_0: bool,
}

/// The options for TLS to a proxy or, with `--tls-target`, to the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsArgs {
    /// `--tls-ca`.
    pub authorities: Option<String>,
    /// `--tls-cert`.
    pub certificate: Option<String>,
    /// `--tls-key`.
    pub key: Option<String>,
    /// The value of each `--tls-pin`.
    pub pins: Vec<String>,
    /// `--tls-server-name`.
    pub server_name: Option<String>,
    /// `--insecure`.
    pub insecure: bool,
}

/// The options for listeners with a scheme.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerArgs {
    /// The value of each `--allow-to`.
    pub allow_to: Vec<String>,
    /// The value of each `--allow-from`.
    pub allow_from: Vec<String>,
    /// `--listen-password-file`.
    pub password_file: Option<String>,
    /// `--serve-cert`.
    pub certificate: Option<String>,
    /// `--serve-key`.
    pub key: Option<String>,
    /// `--serve-client-ca`.
    pub client_authorities: Option<String>,
    /// `--token-keys`.
    pub token_keys: Option<String>,
    /// `--open`.
    pub open: bool,
    /// `--relay-name`.
    pub relay_name: Option<String>,
    /// `--deny-file`.
    pub deny_file: Option<String>,
    /// The value of each `--allow-origin`.
    pub allow_origin: Vec<String>,
    /// The value of each `--trust-forwarded`.
    pub trust_forwarded: Vec<String>,
    /// `--max-wait`.
    pub max_wait: Option<String>,
    /// `--drain`.
    pub drain: Option<String>,
}

/// The options for an origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginArgs {
    /// `--origin`.
    pub hub: Option<String>,
    /// `--max-at-once`.
    pub max_at_once: Option<String>,
    /// `--max-total`.
    pub max_total: Option<String>,
    /// `--spare`.
    pub spare: Option<String>,
    /// `--plain`.
    pub plain: bool,
    /// `--background`.
    pub background: bool,
}

/// The option that selects the proxy.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum ProxyArg {
    /// `-n`, and the default.
    #[default]
    Direct,
    /// `-h`: the HTTP proxy that the environment or a parameter file names.
    HttpFromEnvironment,
    /// `-H`.
    Http(String),
    /// `-s`: the SOCKS proxy that the environment or a parameter file names.
    SocksFromEnvironment,
    /// `-S`.
    Socks(String),
    /// `-t`: the telnet-style proxy that the environment or a parameter file names.
    TelnetFromEnvironment,
    /// `-T`.
    Telnet(String),
    /// The value of each `-x`. Together they form a chain of proxy URLs.
    Proxies(Vec<String>),
    /// `-A`: the first proxy setting of any kind in the environment or a parameter file.
    Auto,
}

/// Shows the option as typed, with passwords masked.
impl fmt::Debug for ProxyArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (letter, values): (_, &[String]) = match self {
            Self::Direct => ('n', &[]),
            Self::HttpFromEnvironment => ('h', &[]),
            Self::Http(value) => ('H', std::slice::from_ref(value)),
            Self::SocksFromEnvironment => ('s', &[]),
            Self::Socks(value) => ('S', std::slice::from_ref(value)),
            Self::TelnetFromEnvironment => ('t', &[]),
            Self::Telnet(value) => ('T', std::slice::from_ref(value)),
            Self::Proxies(values) => ('x', values),
            Self::Auto => ('A', &[]),
        };
        write!(f, "-{letter}")?;
        values.iter().try_for_each(|value| write!(f, " {}", secret::masked_chain(value)))
    }
}

/// The version of the SOCKS protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocksVersion {
    /// `-4`: SOCKS4, or SOCKS4a if the proxy resolves the name.
    V4,
    /// `-5`: SOCKS5.
    V5,
}

/// The option that selects the source of the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// `--password-file`.
    File(String),
    /// `--password-command`.
    Command(String),
    /// `--password-fd`.
    Descriptor(String),
}

/// The option that selects the source of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// `--token-file`.
    File(String),
    /// `--token-fd`.
    Descriptor(String),
}

/// The option that selects the source of the key for the end-to-end encryption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// `--key-file`.
    File(String),
    /// `--key-fd`.
    Descriptor(String),
}

/// The option that selects the netrc file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetrcSource {
    /// `--netrc`: `~/.netrc`.
    Home,
    /// `--netrc-file`.
    File(String),
}

/// The action that the command line selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Connect to a target or, with `--check`, test the connection.
    Session(Box<Args>),
    /// Print this text on standard output.
    Print(String),
    /// Create a key or a token.
    Mint(MintArgs),
}

/// Parses a command line, including the program's name.
///
/// # Errors
/// [`Error::Usage`] or [`Error::Config`] for an invalid command line.
// Not inlined, because the caller's stack frame lives as long as the session: leftovers of the
// `Args` built here could keep pieces of a password in it.
#[inline(never)]
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, Error> {
    let mut args = args.into_iter();
    let program = args.next().unwrap_or_default();
    let args: Vec<_> = args.collect();
    if args.is_empty() {
        return Ok(Request::Print(help::short(&flags::usage())));
    }
    let mut parsed = Args { name_port: program_name::port(&program), ..Args::default() };
    let (mut text, mut mint) = (None, MintArgs::default());
    let operands = parse::read(args, |flag, value| {
        match flag {
            Flag::MintSigningKey => mint.new_signing_key = Some(value),
            Flag::MintToken => mint.claims = Some(value),
            Flag::SigningKey => mint.signing_key = Some(value),
            Flag::MintKey => mint.key = true,
            Flag::Help => text = Some(help_text(&value)),
            Flag::Generate => text = Some(generate::text(&value).map(str::to_owned)),
            Flag::Version => text = Some(Ok(help::version())),
            flag => parsed.take(flag, value),
        }
        text.is_none()
    })?;
    if let Some(text) = text {
        return text.map(Request::Print);
    }
    if mint != MintArgs::default() {
        // `-q` and `-d` are harmless, and a link may supply a port.
        let Args { verbosity, name_port, .. } = &parsed;
        let harmless = Args { verbosity: *verbosity, name_port: name_port.clone(), ..Args::default() };
        let has_others = !operands.is_empty() || parsed != harmless;
        return mint::check(MintArgs { verbosity: *verbosity, ..mint }, has_others).map(Request::Mint);
    }
    if parsed.remote.server.is_some() {
        parsed.remote.operands = operands;
        return Ok(Request::Session(Box::new(parsed)));
    }
    let mut operands = operands.into_iter();
    parsed.host = match operands.next() {
        Some(host) => host,
        None if parsed.clients_name_targets() && parsed.check.is_none() => String::new(),
        None if !parsed.relay.is_empty() => String::new(),
        None if parsed.may_lack_target() && parsed.origin.hub.is_none() => String::new(),
        None => return Err(Error::Usage("missing host".into())),
    };
    parsed.port = operands.next();
    match operands.next() {
        None => Ok(Request::Session(Box::new(parsed))),
        Some(extra) => {
            let is_option = extra.starts_with('-');
            let extra = if is_option { secret::masked_option(&extra) } else { secret::masked(&extra) };
            Err(Error::Usage(format!(
                "unexpected argument '{extra}' after host and port; put options before the host"
            )))
        }
    }
}

fn help_text(value: &str) -> Result<String, Error> {
    match value {
        "" => Ok(flags::command().render_help().to_string()),
        "all" => Ok(flags::command().render_long_help().to_string()),
        _ => Err(Error::Config(format!(
            "invalid value '{}' for --help; use --help or --help=all",
            secret::masked(value)
        ))),
    }
}

/// The schemes of listeners that connect all clients to the same target.
const FIXED_TARGET_SCHEMES: [&str; 5] = ["post+http", "post+https", "scgi", "ws", "wss"];

impl Args {
    /// Returns `true` if a listener speaks a protocol in which its clients name the target.
    #[must_use]
    pub fn clients_name_targets(&self) -> bool {
        let schemes = self.listen.iter().filter_map(|value| value.split_once("://"));
        schemes
            .into_iter()
            .any(|(scheme, _)| !FIXED_TARGET_SCHEMES.iter().any(|fixed| scheme.eq_ignore_ascii_case(fixed)))
    }

    /// Returns `true` if the proxies may include a server that selects the target, so that port, or
    /// host and port, may be missing.
    #[must_use]
    pub fn may_lack_target(&self) -> bool {
        matches!(self.proxy, ProxyArg::Proxies(_) | ProxyArg::Auto)
    }

    /// Records a flag and its value. Of several flags that exclude each other, the last one wins.
    fn take(&mut self, flag: Flag, value: String) {
        match flag {
            Flag::Direct => self.proxy = ProxyArg::Direct,
            Flag::Socks => self.proxy = ProxyArg::Socks(value),
            Flag::SocksEnv => self.proxy = ProxyArg::SocksFromEnvironment,
            Flag::Http => self.proxy = ProxyArg::Http(value),
            Flag::HttpEnv => self.proxy = ProxyArg::HttpFromEnvironment,
            Flag::Telnet => self.proxy = ProxyArg::Telnet(value),
            Flag::TelnetEnv => self.proxy = ProxyArg::TelnetFromEnvironment,
            Flag::Proxy => match &mut self.proxy {
                ProxyArg::Proxies(urls) => urls.push(value),
                proxy => *proxy = ProxyArg::Proxies(vec![value]),
            },
            Flag::Auto => self.proxy = ProxyArg::Auto,
            Flag::TelnetCommand => self.telnet_command = Some(value),
            Flag::OwnNetworks => self.own_networks = true,
            Flag::V4 => self.socks_version = Some(SocksVersion::V4),
            Flag::V5 => self.socks_version = Some(SocksVersion::V5),
            Flag::Resolve => self.resolve = Some(value),
            Flag::Auth => self.auth = Some(value),
            Flag::Eager => self.eager = true,
            Flag::Check => self.check = Some(value),
            Flag::Header => self.http.headers.push(Secret::new(value.into_bytes())),
            Flag::UserAgent => self.http.user_agent = Some(value),
            Flag::Http10 => self.http.http_1_0 = true,
            Flag::ProxyProtocol => self.proxy_protocol = Some(value),
            Flag::TlsTarget => self.tls_target = true,
            Flag::TlsCa => self.tls.authorities = Some(value),
            Flag::TlsCert => self.tls.certificate = Some(value),
            Flag::TlsKey => self.tls.key = Some(value),
            Flag::TlsPin => self.tls.pins.push(value),
            Flag::TlsServerName => self.tls.server_name = Some(value),
            Flag::Insecure => self.tls.insecure = true,
            Flag::Port => (self.local_port, self.keep_session) = (Some(value), false),
            Flag::KeepPort => (self.local_port, self.keep_session) = (Some(value), true),
            Flag::Listen => self.listen.push(value),
            Flag::Relay => self.relay.push(value),
            Flag::Origin => self.origin.hub = Some(value),
            Flag::MaxAtOnce => self.origin.max_at_once = Some(value),
            Flag::MaxTotal => self.origin.max_total = Some(value),
            Flag::Spare => self.origin.spare = Some(value),
            Flag::Plain => self.origin.plain = true,
            Flag::Background => self.origin.background = true,
            Flag::Drain => self.server.drain = Some(value),
            Flag::AllowTo => self.server.allow_to.push(value),
            Flag::AllowFrom => self.server.allow_from.push(value),
            Flag::ListenPasswordFile => self.server.password_file = Some(value),
            Flag::ServeCert => self.server.certificate = Some(value),
            Flag::ServeKey => self.server.key = Some(value),
            Flag::ServeClientCa => self.server.client_authorities = Some(value),
            Flag::TokenKeys => self.server.token_keys = Some(value),
            Flag::Open => self.server.open = true,
            Flag::RelayName => self.server.relay_name = Some(value),
            Flag::DenyFile => self.server.deny_file = Some(value),
            Flag::AllowOrigin => self.server.allow_origin.push(value),
            Flag::TrustForwarded => self.server.trust_forwarded.push(value),
            Flag::MaxWait => self.server.max_wait = Some(value),
            Flag::TokenFile => self.token = Some(TokenSource::File(value)),
            Flag::TokenFd => self.token = Some(TokenSource::Descriptor(value)),
            Flag::FdPass => self.fdpass = true,
            Flag::PasswordFile => self.password = Some(PasswordSource::File(value)),
            Flag::PasswordCommand => self.password = Some(PasswordSource::Command(value)),
            Flag::PasswordFd => self.password = Some(PasswordSource::Descriptor(value)),
            Flag::Netrc => self.netrc = Some(NetrcSource::Home),
            Flag::NetrcFile => self.netrc = Some(NetrcSource::File(value)),
            Flag::Wait => self.wait = Some(value),
            Flag::IdleTimeout => self.idle_timeout = Some(value),
            Flag::Bind => self.bind = Some(value),
            Flag::Ipv4 => self.family = Some(Family::V4),
            Flag::Ipv6 => self.family = Some(Family::V6),
            Flag::TcpKeepAlive => self.tcp_keep_alive = Some(value),
            Flag::KeepAlive => self.keep_alive = Some(value),
            Flag::KeyFile => self.key = Some(KeySource::File(value)),
            Flag::KeyFd => self.key = Some(KeySource::Descriptor(value)),
            Flag::Window => self.window = Some(value),
            Flag::Resume => self.resume = Some(value),
            Flag::NoShutdown => self.no_shutdown = true,
            Flag::Debug => {
                self.verbosity = match self.verbosity {
                    Verbosity::Debug(times) => Verbosity::Debug(times.saturating_add(1)),
                    _ => Verbosity::Debug(1),
                }
            }
            Flag::Quiet => self.verbosity = Verbosity::Quiet,
            Flag::Ssh
            | Flag::Env
            | Flag::Tty
            | Flag::Subsystem
            | Flag::LocalForward
            | Flag::RemoteForward
            | Flag::Put
            | Flag::Get
            | Flag::Recursive
            | Flag::Preserve
            | Flag::CopyBy => self.remote.take(flag, value),
            // The other flags are for SSH servers, apart from those that replace the session, which
            // `parse` handles.
            flag => self.ssh.take(flag, value),
        }
    }
}

#[cfg(test)]
mod docgen;
#[cfg(test)]
mod tests;
