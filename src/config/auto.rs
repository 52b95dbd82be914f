//! `-A`: whichever proxy the environment or a file names.

use super::chain;
use super::sources::Sources;
use crate::cli::Args;
use crate::error::Error;
use crate::plan::Route;
use crate::trace::trace;

/// Our own, and what everybody else looks at, in the order in which it counts.
const NAMES: [&str; 7] =
    ["CONNECT_PROXY", "all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"];

/// The routes that `CONNECT_PROXY` describes, or the proxy that the usual variables name, or the direct way.
pub(super) fn routes(typed: &Args, sources: &Sources<'_>) -> Result<Vec<Route>, Error> {
    let Some(found) = sources.first_filled(&NAMES)? else {
        trace!("nothing names a proxy: directly");
        return Ok(vec![chain::direct(typed)?]);
    };
    trace!("{} says which proxy", found.source());
    chain::routes(&found.value, &found.source(), typed, sources)
}
