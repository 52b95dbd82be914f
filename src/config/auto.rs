//! `-A`: whichever proxy the environment or a file names.

use super::chain;
use super::sources::Sources;
use crate::cli::Typed;
use crate::error::Error;
use crate::plan::Route;
use crate::trace::trace;

/// What everybody else looks at, in the order in which it counts.
const USUAL: [&str; 6] = ["all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"];

/// The routes that `CONNECT_PROXY` describes, or the proxy that the usual variables name, or the direct way.
pub(super) fn routes(typed: &Typed, sources: &Sources<'_>) -> Result<Vec<Route>, Error> {
    let names = std::iter::once("CONNECT_PROXY").chain(USUAL);
    for name in names.filter(|name| sources.is_set(name)) {
        if let Some((name, words)) = sources.first_named(&[name])? {
            trace!("{name} says which proxy");
            return chain::routes(&words, name, typed, sources);
        }
    }
    trace!("nothing names a proxy: directly");
    Ok(vec![chain::direct(typed)?])
}
