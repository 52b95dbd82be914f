//! `-A`: uses the proxies that the environment or a parameter file names.

use super::chain;
use super::setting::Setting;
use super::sources::Sources;
use crate::cli::Args;
use crate::error::Error;
use crate::plan::Route;
use crate::trace::trace;

/// Our own parameter, then the variables that other programs use, in order of precedence.
const PARAMETERS: [&str; 7] =
    ["CONNECT_PROXY", "all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"];

/// Returns the first parameter that is not empty.
pub(super) fn setting(sources: &Sources<'_>) -> Option<Setting<Vec<u8>>> {
    sources.first_proxy(&PARAMETERS)
}

/// Returns the routes through the proxies in the first parameter that is not empty. If every
/// parameter is unset or empty, returns the direct route.
pub(super) fn routes(args: &Args, sources: &Sources<'_>) -> Result<Vec<Route>, Error> {
    let Some(setting) = setting(sources) else {
        trace!("no proxy configured, connecting directly");
        return Ok(vec![chain::direct_route(args)?]);
    };
    trace!("using the proxy in {}", setting.source());
    chain::routes(&setting.value, &setting.source(), args, sources)
}
