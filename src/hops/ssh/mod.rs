//! An SSH server: opens a channel to the target (RFC 4254 §7.2).

use std::any::Any;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::kind::{HopKind, LoginParameters, Scheme, Settings, password_fact, user_fact};
use crate::codecs::ssh::SshChannel;
use crate::error::Error;
use crate::plan::{Dial, HopRequest, Login, Multiplexer, PasswordPrompt, Protocol, Ssh, TargetUse};
use crate::proto::Negotiation;
use crate::proto::ssh::{self, ChannelTarget, OpenChannel, Prompts};
use crate::ssh::algorithms::{Compression, Offer};
use crate::ssh::cipher::Cipher;
use crate::ssh::connection::Connection;
use crate::ssh::liveness::MAX_UNANSWERED;
use crate::stream::{Layered, Stream};
use crate::sys;
use crate::trace;
use crate::tunnels::ssh::{Settings as SharedSettings, SharedConnection, channel_target};
use host_keys::KnownHostKeys;
use identities::Identities;

mod agent;
mod host_keys;
mod identities;

/// The time without input before the server of a shared connection must prove that it is alive.
const SHARED_KEEP_ALIVE: Duration = Duration::from_secs(25);

/// SSH.
#[derive(Debug)]
pub struct Kind;

/// An SSH server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The host, as it was typed, for files with known host keys.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The user name and password.
    pub login: Login,
    /// The other settings.
    pub settings: Ssh,
    /// The place for the connection of a login that opens no channel; `None` for a hop, whose
    /// channel leads to the target.
    handover: Option<Handover>,
}

/// A place for the connection of a login that opens no channel.
#[derive(Clone, Debug, Default)]
struct Handover(Arc<Mutex<Option<(Connection, String)>>>);

/// Settings do not include the connection.
impl PartialEq for Handover {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Handover {}

impl HopKind for Kind {
    fn name(&self) -> &'static str {
        "SSH"
    }

    fn schemes(&self) -> &'static [Scheme] {
        const SCHEMES: [Scheme; 1] = [Scheme::new("ssh", 22)];
        &SCHEMES
    }

    fn build(&self, _: &Scheme, settings: &mut dyn Settings) -> Result<Arc<dyn Protocol>, Error> {
        // With --ssh-config, this replaces the address and the user name.
        let ssh = settings.ssh()?;
        let Some(address) = settings.address() else {
            return Err(settings.invalid("an SSH server at a UNIX-domain socket is not supported".into()));
        };
        // CONNECT_USER and CONNECT_PASSWORD are for proxies.
        let login = settings.login(&LoginParameters { users: &[], passwords: &["CONNECT_SSH_PASSWORD"] })?;
        let (host, port) = (address.host.to_string(), address.port.get());
        Ok(Arc::new(Server { host, port, login, settings: ssh, handover: None }))
    }
}

impl Server {
    /// Returns the same server as the end of a route: the hop opens no channel, and the user of
    /// the tunnel gets the connection.
    #[must_use]
    pub fn for_sessions(&self) -> Self {
        Self { handover: Some(Handover::default()), ..self.clone() }
    }

    /// Takes the connection of the last login, and the server's name for messages.
    #[must_use]
    pub fn take_connection(&self) -> Option<(Connection, String)> {
        self.handover.as_ref()?.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn offer(&self, eager: bool) -> Offer {
        let compression = if self.settings.compresses { Compression::Preferred } else { Compression::Off };
        let mut offer = Offer { compression, guesses: eager, ..Offer::default() };
        if let Some(ciphers) = &self.settings.ciphers {
            offer.allow_without_strict = ciphers.contains(&Cipher::ChaCha20Poly1305);
            offer.ciphers.clone_from(ciphers);
        }
        offer
    }
}

impl Protocol for Server {
    fn name(&self) -> &'static str {
        Kind.name()
    }

    fn relay_method(&self) -> &'static str {
        "SSH (7)"
    }

    fn login(&self) -> Option<&Login> {
        Some(&self.login)
    }

    fn without_password(&self) -> Option<Arc<dyn Protocol>> {
        let login = Login { password: None, ..self.login.clone() };
        Some(Arc::new(Self { login, ..self.clone() }))
    }

    fn needs_user(&self) -> bool {
        true
    }

    fn prompt_names(&self) -> (&'static str, &'static str) {
        ("SSH", "CONNECT_SSH_PASSWORD")
    }

    fn bypass_parameters(&self) -> &'static [&'static str] {
        &["CONNECT_DIRECT"]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let Ssh { identities, agent, known_hosts, .. } = &self.settings;
        let list = |paths: &mut dyn Iterator<Item = &PathBuf>| {
            paths.map(|path| path.to_string_lossy()).collect::<Vec<_>>().join(", ")
        };
        let agent = agent.as_ref().map_or_else(|| "none".into(), |path| path.to_string_lossy().into_owned());
        vec![
            user_fact(self.login.user.as_ref()),
            password_fact(&self.login, "server"),
            ("private keys", list(&mut identities.iter().map(|file| &file.path))),
            ("agent", agent),
            ("known host keys", list(&mut known_hosts.iter())),
        ]
    }

    fn target_use(&self) -> TargetUse {
        let has_target = self.handover.is_none();
        TargetUse { host: has_target, port: has_target }
    }

    fn leaves_bytes_alone(&self) -> bool {
        false
    }

    fn negotiation(&self, request: HopRequest<'_>) -> Box<dyn Negotiation> {
        let HopRequest { destination, socket, user, prompt, server, is_shared, is_check, eager, .. } =
            request;
        let target = socket.and_then(channel_target).unwrap_or(ChannelTarget::Tcp(destination));
        // Each user of a shared connection opens a channel.
        let target = Some(target).filter(|_| self.handover.is_none() && !is_shared);
        let user = user.unwrap_or_default();
        let label = server.to_string();
        let (host_keys, warnings) =
            KnownHostKeys::read(&self.settings, &self.host, self.port, &label, is_check);
        if !self.settings.is_quiet {
            for warning in warnings {
                trace::message(&warning);
            }
        }
        let Identities { signers, unusable } = identities::read(&self.settings);
        let prompts = match &self.login.ask {
            PasswordPrompt::Command { .. } => Prompts::Command,
            PasswordPrompt::User if prompt.can_be_asked() => Prompts::User,
            PasswordPrompt::User => Prompts::None,
        };
        let login = ssh::Login {
            password_prompt: format!("Enter SSH password for {user}@{}: ", self.host),
            user,
            password: self.login.password.clone(),
            prompts,
            signers,
            unusable,
            host_keys: Box::new(host_keys),
            offer: self.offer(eager),
            server: label,
            asks_for_methods: is_check,
            is_quiet: self.settings.is_quiet,
            is_logged: trace::is_on(),
        };
        Box::new(OpenChannel::new(login, target, sys::random))
    }

    fn establish(
        &self,
        negotiation: &mut dyn Negotiation,
        connection: Box<dyn Stream>,
        _: &dyn Fn() -> Arc<dyn Dial>,
    ) -> Box<dyn Stream> {
        let opened = (negotiation as &mut dyn Any).downcast_mut::<OpenChannel>();
        if let Some(handover) = &self.handover {
            let taken = opened.and_then(OpenChannel::take_connection);
            *handover.0.lock().unwrap_or_else(PoisonError::into_inner) = taken;
            return connection;
        }
        let Some((ssh, channel, server)) = opened.and_then(OpenChannel::take) else { return connection };
        let codec = SshChannel::new(ssh, channel, server);
        let keep_alive = self.settings.keep_alive.filter(|time| !time.is_zero());
        Box::new(Layered::new(connection, codec).with_repeated_keep_alive(keep_alive, MAX_UNANSWERED))
    }

    fn multiplexes(&self) -> bool {
        self.handover.is_none()
    }

    fn reaches_sockets(&self) -> bool {
        self.handover.is_none()
    }

    fn establish_multiplexer(
        &self,
        negotiation: &mut dyn Negotiation,
        connection: Box<dyn Stream>,
        _: &dyn Fn() -> Arc<dyn Dial>,
    ) -> io::Result<Arc<dyn Multiplexer>> {
        let opened = (negotiation as &mut dyn Any).downcast_mut::<OpenChannel>();
        let taken = opened.and_then(OpenChannel::take_connection);
        let (ssh, server) = taken.ok_or(io::ErrorKind::Unsupported)?;
        let keep_alive = self.settings.keep_alive.unwrap_or(SHARED_KEEP_ALIVE);
        let keep_alive = Some(keep_alive).filter(|time| !time.is_zero());
        Ok(Arc::new(SharedConnection::start(ssh, connection, SharedSettings { server, keep_alive })?))
    }
}
