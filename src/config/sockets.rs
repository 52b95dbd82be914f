//! Settings for the TCP sockets of a run.

use std::time::Duration;

use super::setting::Setting;
use super::sources::Sources;
use crate::cli::Args;
use crate::error::Error;
use crate::plan::SocketSettings;
use crate::secret;

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
    })
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
