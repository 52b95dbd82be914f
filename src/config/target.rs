//! Parses the target from the operands on the command line.

use std::borrow::Cow;

use super::service::port_or_service;
use crate::addr::{Endpoint, Host, split_port};
use crate::cli::Args;
use crate::error::Error;
use crate::plan::Target;
use crate::secret;

/// Returns the target. Its port comes from the second operand, the first operand or the program's
/// name.
pub(super) fn target(args: &Args) -> Result<Target, Error> {
    if let Some(path) = args.host.strip_prefix("unix:") {
        return match (path, &args.port) {
            ("", _) => Err(Error::Config("missing path after 'unix:'".into())),
            (_, Some(port)) => Err(Error::Usage(format!(
                "unexpected port '{port}' after {}: a UNIX-domain socket has no port",
                args.host
            ))),
            (path, None) => Ok(Target::Unix(path.into())),
        };
    }
    for operand in [Some(&args.host), args.port.as_ref()].into_iter().flatten() {
        expect_no_proxy(operand)?;
    }
    let (host, port_in_host) = split_port(&args.host);
    let host = Host::parse(host)?;
    if let (Some(port), Some(other)) = (&args.port, port_in_host) {
        return Err(Error::Usage(format!("two ports for {host}: {other} and {port}")));
    }
    let port = args.port.as_deref().or(port_in_host).or(args.name_port.as_deref());
    let port = port.ok_or_else(|| Error::Usage(format!("missing port for {host}")))?;
    Ok(Target::Tcp(Endpoint { host, port: port_or_service(port)? }))
}

/// Rejects a proxy with a password where a host is expected: the user probably forgot `-S`. The
/// error masks the password.
pub(super) fn expect_no_proxy(text: &str) -> Result<(), Error> {
    match secret::masked(text) {
        Cow::Borrowed(_) => Ok(()),
        Cow::Owned(text) => {
            Err(Error::Config(format!("expected a host, got the proxy '{text}'; put -S or -H before it")))
        }
    }
}
