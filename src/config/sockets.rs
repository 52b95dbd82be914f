//! Settings for the TCP sockets of a run.

use std::time::Duration;

use super::setting::{Origin, Setting};
use super::sources::Sources;
use crate::addr::{Family, Host};
use crate::cli::Args;
use crate::error::Error;
use crate::plan::{Bind, BindTo, FamilyLimit, Plan, SocketSettings};
use crate::secret;
use crate::text::{printable, reorders_or_hides};

/// The longest time that Linux accepts for `TCP_KEEPIDLE`, in seconds.
const MAX_KEEP_ALIVE: u16 = 32767;

/// Returns the settings from the command line or, where it has none, from parameters. Even a direct
/// connection reads the parameter files for them, because it must obey them, too.
pub(super) fn settings(args: &Args, sources: &Sources<'_>) -> Result<SocketSettings, Error> {
    let keep_alive =
        sources.option_or("--tcp-keepalive", args.tcp_keep_alive.as_ref(), &["CONNECT_TCP_KEEPALIVE"])?;
    Ok(SocketSettings {
        keep_alive: match keep_alive.filter(|setting| !setting.value.is_empty()) {
            Some(setting) => keep_alive_time(&setting)?,
            None => Some(SocketSettings::KEEP_ALIVE_TIME),
        },
        family: family(args, sources)?,
        bind: bind(args, sources)?,
    })
}

/// Returns the address or interface of `--bind`; `None` to let the system choose.
fn bind(args: &Args, sources: &Sources<'_>) -> Result<Option<Bind>, Error> {
    let setting = sources.option_or("--bind", args.bind.as_ref(), &["CONNECT_BIND"])?;
    // Reject an empty option instead of letting the system choose, because it may be a script's
    // mistake.
    let is_unset =
        |setting: &Setting| setting.value.is_empty() && !matches!(setting.origin, Origin::Option(_));
    let Some(setting) = setting.filter(|setting| !is_unset(setting)) else { return Ok(None) };
    let value = setting.value.trim_ascii();
    let to = match Host::parse(value) {
        Ok(host) if host.ip().is_some() => BindTo::Address(host),
        _ if !value.is_empty() && !value.chars().any(|c| c.is_control() || reorders_or_hides(c)) => {
            BindTo::Interface(value.to_owned())
        }
        _ => {
            return Err(Error::Config(format!(
                "invalid value '{}' for {}; use an address or a network interface of this machine",
                printable(secret::masked(value).as_bytes()),
                setting.source()
            )));
        }
    };
    Ok(Some(Bind { to, setting: setting.source() }))
}

/// Returns the only address family to use; `None` for both.
fn family(args: &Args, sources: &Sources<'_>) -> Result<Option<FamilyLimit>, Error> {
    if let Some(family) = args.family {
        let option = match family {
            Family::V4 => "--ipv4",
            Family::V6 => "--ipv6",
        };
        sources.record(option, &Origin::Option(option), || format!("{family} only"));
        return Ok(Some(FamilyLimit { family, setting: option.into() }));
    }
    let Some(setting) = sources.first_nonempty(&["CONNECT_ADDRESS_FAMILY"])? else { return Ok(None) };
    let value = setting.value.trim();
    let family = match value.to_ascii_lowercase().as_str() {
        "any" => return Ok(None),
        "ipv4" | "inet" => Family::V4,
        "ipv6" | "inet6" => Family::V6,
        _ => {
            return Err(Error::Config(format!(
                "invalid value '{}' for {}; use ipv4, ipv6 or any",
                secret::masked(value),
                setting.source()
            )));
        }
    };
    Ok(Some(FamilyLimit { family, setting: setting.source() }))
}

/// Checks that the addresses in the plan belong to the only family that may be used.
///
/// # Errors
/// [`Error::Config`] if the address of `--bind` or of a name server belongs to the other family.
pub(super) fn check(plan: &Plan) -> Result<(), Error> {
    let Some(FamilyLimit { family, setting }) = &plan.sockets.dialled_family() else { return Ok(()) };
    if let Some(Bind { to: BindTo::Address(host), setting: bind }) = &plan.sockets.bind
        && host.ip().is_some_and(|ip| !family.includes(ip))
    {
        return Err(Error::Config(format!(
            "{bind} cannot be combined with {setting}: {host} is not an {family} address"
        )));
    }
    let servers = plan.routes.iter().filter_map(|route| route.name_server);
    let mut servers = servers.chain(plan.hops().filter_map(|hop| hop.protocol.resolve()?.server()));
    match servers.find(|server| !family.includes(server.ip())) {
        Some(server) => Err(Error::Config(format!(
            "cannot query name server {server}: it has no {family} address, which {setting} requires"
        ))),
        None => Ok(()),
    }
}

/// Parses a number of seconds. `None` for 0, which disables keep-alive.
fn keep_alive_time(setting: &Setting) -> Result<Option<Duration>, Error> {
    let value = setting.value.trim();
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse::<u16>() {
        Ok(0) => Ok(None),
        Ok(seconds @ 1..=MAX_KEEP_ALIVE) if is_number => Ok(Some(Duration::from_secs(seconds.into()))),
        _ => Err(Error::Config(format!(
            "invalid value '{}' for {}; use a whole number of seconds up to {MAX_KEEP_ALIVE}",
            secret::masked(value),
            setting.source()
        ))),
    }
}
