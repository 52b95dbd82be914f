//! Settings for SSH servers: options of the URL, then the command line, then parameters, then
//! ssh's own configuration (`--ssh-config`).

use std::path::PathBuf;
use std::time::Duration;

use super::access;
use super::proxy_url::ProxyUrl;
use super::setting::{Origin, Setting};
use super::sources::Sources;
use crate::cli::{Args, Verbosity};
use crate::error::Error;
use crate::plan::{IdentityFile, Ssh};
use crate::secret;
use crate::ssh::cipher::Cipher;
use crate::ssh::known_hosts::{Mode, Pin};
use openssh::OpenSshConfig;

mod openssh;

/// The private keys to try without `--ssh-identity`, below the home directory.
const IDENTITIES: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// The files with known host keys, below the home directory and for all users.
const KNOWN_HOSTS: [&str; 2] = ["known_hosts", "known_hosts2"];
const SYSTEM_KNOWN_HOSTS: [&str; 2] = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];

/// Returns the settings for the server in this URL. Removes their options from its query. With
/// `--ssh-config`, replaces the address of the URL, and adds the user name if the URL has none.
///
/// # Errors
/// [`Error::Config`] for an invalid value, or if ssh's configuration cannot be used.
pub(super) fn for_hop(url: &mut ProxyUrl, args: &Args, sources: &Sources<'_>) -> Result<Ssh, Error> {
    // The memory of the process will contain keys.
    sources.protect_memory();
    let openssh = OpenSshConfig::for_hop(url, args, sources)?.unwrap_or_default();
    let mut lookup = Lookup { url, sources };
    let (identities, only_identities) = identities(&mut lookup, args, &openssh)?;
    let strict = lookup.one("ssh-strict", "--ssh-strict", args.ssh.strict.as_ref(), "CONNECT_SSH_STRICT")?;
    let strict = strict.map_or(Ok(openssh.strict.unwrap_or_default()), |value| {
        Mode::parse(&value.value).ok_or_else(|| invalid(&value, "yes, ask, accept-new or no"))
    })?;
    let pin = lookup.one("ssh-pin", "--ssh-pin", args.ssh.pin.as_ref(), "CONNECT_SSH_PIN")?;
    let pin = pin.map(|value| {
        Pin::parse(&value.value).ok_or_else(|| invalid(&value, "the fingerprint that ssh-keygen -l prints"))
    });
    let ciphers = lookup.one("ssh-ciphers", "--ssh-ciphers", args.ssh.ciphers.as_ref(), "")?;
    Ok(Ssh {
        identities,
        only_identities,
        agent: agent(&mut lookup, args, &openssh)?,
        known_hosts: known_hosts(&mut lookup, args, openssh.known_hosts)?,
        host_key_name: openssh.host_key_name,
        strict,
        pin: pin.transpose()?,
        ciphers: ciphers.map(|value| parse_ciphers(&value)).transpose()?,
        compresses: compresses(&mut lookup, args)?,
        keep_alive: keep_alive(&mut lookup, args)?,
        is_quiet: args.verbosity == Verbosity::Quiet,
    })
}

/// Returns the private keys to try. The flag says that no other key may be tried.
fn identities(
    lookup: &mut Lookup<'_>,
    args: &Args,
    openssh: &OpenSshConfig,
) -> Result<(Vec<IdentityFile>, bool), Error> {
    let sources = lookup.sources;
    let has_own_key = lookup.url.query.has("ssh-identity");
    let certificate = lookup.one("ssh-cert", "--ssh-cert", None, "")?;
    if has_own_key || args.ssh.identities.is_empty() {
        let file = lookup.one("ssh-identity", "--ssh-identity", None, "CONNECT_SSH_IDENTITY")?;
        if let Some(file) = file {
            let certificate = certificate.map(|it| sources.path(&it.value));
            let path = sources.path(&file.value);
            return Ok((vec![IdentityFile { path, certificate, is_optional: false }], true));
        }
    }
    if let Some(certificate) = certificate {
        return Err(Error::Config(format!("{} requires ssh-identity=FILE", certificate.source())));
    }
    if !args.ssh.identities.is_empty() {
        let named = args.ssh.identities.iter().map(|identity| {
            let path = sources.path(&sources.option("--ssh-identity", &identity.file).value);
            let certificate = identity.certificate.as_ref();
            let certificate = certificate.map(|file| sources.path(&sources.option("--ssh-cert", file).value));
            IdentityFile { path, certificate, is_optional: false }
        });
        return Ok((named.collect(), true));
    }
    if !openssh.identities.is_empty() {
        return Ok((openssh.identities.clone(), openssh.only_identities));
    }
    let home = sources.home();
    let files = IDENTITIES.into_iter().filter_map(|name| Some(home.as_ref()?.join(".ssh").join(name)));
    let optional = |path| IdentityFile { path, certificate: None, is_optional: true };
    Ok((files.map(optional).collect(), false))
}

fn known_hosts(lookup: &mut Lookup<'_>, args: &Args, openssh: Vec<PathBuf>) -> Result<Vec<PathBuf>, Error> {
    let named = lookup.all(
        "ssh-known-hosts",
        "--ssh-known-hosts",
        &args.ssh.known_hosts,
        "CONNECT_SSH_KNOWN_HOSTS",
    )?;
    let sources = lookup.sources;
    if !named.is_empty() {
        return Ok(named.iter().map(|path| sources.path(&path.value)).collect());
    }
    if !openssh.is_empty() {
        return Ok(openssh);
    }
    let home = sources.home();
    let own = KNOWN_HOSTS.into_iter().filter_map(|name| Some(home.as_ref()?.join(".ssh").join(name)));
    Ok(own.chain(SYSTEM_KNOWN_HOSTS.map(PathBuf::from)).collect())
}

/// Returns the socket of the agent; `None` for no agent.
fn agent(lookup: &mut Lookup<'_>, args: &Args, openssh: &OpenSshConfig) -> Result<Option<PathBuf>, Error> {
    let agent = lookup.one("ssh-agent", "--ssh-agent", args.ssh.agent.as_ref(), "CONNECT_SSH_AGENT")?;
    let agent = agent.map(|setting| setting.value).or_else(|| openssh.agent.clone());
    let socket = match agent.as_deref() {
        None | Some("auto" | "SSH_AUTH_SOCK") => {
            lookup.sources.raw_variable("SSH_AUTH_SOCK").map(PathBuf::from)
        }
        Some("off" | "none") => None,
        Some(path) => Some(lookup.sources.path(path)),
    };
    Ok(socket.filter(|path| !path.as_os_str().is_empty()))
}

/// Returns the time without input before a request that the server has to answer: zero for no such
/// requests, and `None` for the default.
fn keep_alive(lookup: &mut Lookup<'_>, args: &Args) -> Result<Option<Duration>, Error> {
    lookup.sources.mark_used("--keepalive");
    let value = lookup.url.query.take("keepalive");
    let (value, source) = match (value, &args.keep_alive) {
        (Some(value), _) => (value, "keepalive="),
        (None, Some(value)) => (value.clone(), "--keepalive"),
        (None, None) => return Ok(None),
    };
    access::whole_seconds(&value, source).map(Some)
}

fn compresses(lookup: &mut Lookup<'_>, args: &Args) -> Result<bool, Error> {
    let setting = lookup.one("ssh-compress", "--ssh-compress", None, "")?;
    setting.map_or(Ok(args.ssh.compresses), |setting| match setting.value.as_str() {
        "" | "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(invalid(&setting, "yes or no")),
    })
}

fn parse_ciphers(list: &Setting) -> Result<Vec<Cipher>, Error> {
    let find = |name: &str| Cipher::ALL.into_iter().find(|cipher| cipher.name() == name);
    list.value
        .split(',')
        .map(|name| {
            find(name).ok_or_else(|| {
                let names: Vec<_> = Cipher::ALL.iter().map(|cipher| cipher.name()).collect();
                invalid(list, &format!("a list of {}", names.join(", ")))
            })
        })
        .collect()
}

fn invalid(value: &Setting, expected: &str) -> Error {
    Error::Config(format!(
        "invalid value '{}' for {}; use {expected}",
        secret::masked_text(&value.value),
        value.source()
    ))
}

/// Finds the values of the settings.
struct Lookup<'a> {
    url: &'a mut ProxyUrl,
    sources: &'a Sources<'a>,
}

impl Lookup<'_> {
    /// Returns a value; `None` if it is not set. `parameter` may be empty.
    fn one(
        &mut self,
        query: &'static str,
        option: &'static str,
        arg: Option<&String>,
        parameter: &'static str,
    ) -> Result<Option<Setting>, Error> {
        self.sources.mark_used(option);
        if let Some(value) = self.url.query.take(query) {
            return Ok(Some(Setting { name: query, value, origin: Origin::Option(query) }));
        }
        let parameters = [parameter];
        let parameters = if parameter.is_empty() { &[][..] } else { &parameters };
        self.sources.option_or(option, arg, parameters)
    }

    /// Returns all values of a setting that may be repeated.
    fn all(
        &mut self,
        query: &'static str,
        option: &'static str,
        args: &[String],
        parameter: &'static str,
    ) -> Result<Vec<Setting>, Error> {
        if self.url.query.has(query) || args.is_empty() {
            return Ok(self.one(query, option, None, parameter)?.into_iter().collect());
        }
        self.url.query.take(query);
        Ok(args.iter().map(|arg| self.sources.option(option, arg)).collect())
    }
}
