//! The syntax and the documentation of a flag.

/// A flag, independent of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag {
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
    TlsTarget,
    TlsCa,
    TlsCert,
    TlsKey,
    TlsPin,
    TlsServerName,
    Insecure,
    Port,
    KeepPort,
    Listen,
    Relay,
    Origin,
    MaxAtOnce,
    MaxTotal,
    Spare,
    Plain,
    Background,
    Drain,
    AllowTo,
    AllowFrom,
    ListenPasswordFile,
    ServeCert,
    ServeKey,
    ServeClientCa,
    TokenKeys,
    Open,
    RelayName,
    DenyFile,
    AllowOrigin,
    TrustForwarded,
    MaxWait,
    FdPass,
    PasswordFile,
    PasswordCommand,
    PasswordFd,
    SshIdentity,
    SshCert,
    SshKnownHosts,
    SshStrict,
    SshPin,
    SshAgent,
    SshCiphers,
    SshCompress,
    SshConfig,
    Ssh,
    Env,
    Tty,
    Subsystem,
    LocalForward,
    RemoteForward,
    Put,
    Get,
    Recursive,
    Preserve,
    CopyBy,
    TokenFile,
    TokenFd,
    KeyFile,
    KeyFd,
    Netrc,
    NetrcFile,
    Wait,
    Check,
    IdleTimeout,
    Bind,
    Ipv4,
    Ipv6,
    TcpKeepAlive,
    KeepAlive,
    Resume,
    Window,
    NoShutdown,
    Eager,
    Debug,
    Quiet,
    MintSigningKey,
    MintToken,
    SigningKey,
    MintKey,
    Generate,
    Help,
    Version,
}

/// A flag's syntax and documentation.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) flag: Flag,
    pub(crate) letter: Option<char>,
    pub(crate) long: Option<&'static str>,
    /// The placeholder for the value; `None` if the flag takes no value.
    pub(crate) value: Option<&'static str>,
    /// `true` if the value is optional, in which case it must follow an `=`.
    pub(crate) optional: bool,
    /// The completions for the value.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test generates the completions"))]
    pub(crate) offer: Offer,
    /// The one-line description for `--help`: imperative, at most `MAX_BRIEF` characters.
    pub(crate) brief: &'static str,
    /// The full description, in Markdown.
    pub(crate) text: &'static str,
}

/// The completions that a shell offers for a value.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "a test generates the completions"))]
pub(crate) enum Offer {
    Nothing,
    Files,
    Hosts,
    Commands,
    /// These words. Other values may also be valid.
    Words(&'static [&'static str]),
}

impl Definition {
    pub(super) const fn long(self, long: &'static str) -> Self {
        Self { long: Some(long), ..self }
    }

    pub(super) const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    pub(super) const fn offering(self, offer: Offer) -> Self {
        Self { offer, ..self }
    }

    /// Returns the names and the value, as in `-x, --proxy URL`.
    #[cfg(test)]
    pub(crate) fn synopsis(&self) -> String {
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

pub(super) const fn switch(flag: Flag, letter: char, brief: &'static str, text: &'static str) -> Definition {
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

pub(super) const fn option(
    flag: Flag,
    letter: char,
    value: &'static str,
    brief: &'static str,
    text: &'static str,
) -> Definition {
    Definition { value: Some(value), ..switch(flag, letter, brief, text) }
}

pub(super) const fn long_switch(
    flag: Flag,
    long: &'static str,
    brief: &'static str,
    text: &'static str,
) -> Definition {
    Definition { letter: None, long: Some(long), ..switch(flag, ' ', brief, text) }
}

pub(super) const fn long_option(
    flag: Flag,
    long: &'static str,
    value: &'static str,
    brief: &'static str,
    text: &'static str,
) -> Definition {
    Definition { value: Some(value), ..long_switch(flag, long, brief, text) }
}

/// The maximum length of a one-line description, in characters.
#[cfg(test)]
pub(crate) const MAX_BRIEF: usize = 70;
