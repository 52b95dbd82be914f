//! Parses the target from the operands on the command line.

use super::queue;
use super::service::{port_after_host, port_or_service};
use crate::addr::{Endpoint, Host, split_port};
use crate::cli::Args;
use crate::error::Error;
use crate::plan::{self, Plan, Route, Target, TargetUse};
use crate::secret;

/// Returns the target; `None` if the clients of a listener name their targets. Otherwise its port
/// comes from the second operand, the first operand or the program's name.
pub(super) fn target(args: &Args) -> Result<Option<Target>, Error> {
    // `--check` tests the route that the listener would use for this target.
    if !args.clients_name_targets() || args.check.is_some() {
        return operands(args).map(Some);
    }
    if args.host.is_empty() {
        return Ok(None);
    }
    Err(Error::Usage(format!(
        "unexpected host '{}': the clients of --listen with a scheme name their targets; leave out host and port",
        secret::masked(&args.host)
    )))
}

/// Returns a target for a plan that only checks the settings.
pub(super) fn placeholder() -> Result<Target, Error> {
    Ok(Target::Tcp(plan::placeholder(None)?))
}

/// Returns the target in the operands.
fn operands(args: &Args) -> Result<Target, Error> {
    if args.host.is_empty() && args.may_lack_target() {
        return Ok(Target::AtServer(None));
    }
    if let Some(path) = args.host.strip_prefix("unix:") {
        return match (path, &args.port) {
            ("", _) => Err(Error::Config("missing path after 'unix:'".into())),
            (_, Some(port)) => Err(Error::Usage(format!(
                "unexpected port '{}' after {}: a UNIX-domain socket has no port",
                secret::masked(port),
                secret::masked_text(&args.host)
            ))),
            (path, None) => Ok(Target::Unix(path.into())),
        };
    }
    expect_no_server(&args.host)?;
    if let Some(name) = args.host.strip_prefix("queue:").filter(|_| queue::is_possible(args)) {
        return match &args.port {
            _ if !queue::is_name(name) => Err(Error::Config(format!(
                "invalid queue '{}': {}",
                secret::masked_text(name),
                queue::NAME_RULE
            ))),
            Some(port) => Err(Error::Usage(format!(
                "unexpected port '{}' after {}: a queue has no port",
                secret::masked(port),
                args.host
            ))),
            None => Ok(Target::Queue(name.into())),
        };
    }
    for operand in [Some(&args.host), args.port.as_ref()].into_iter().flatten() {
        expect_no_proxy(operand)?;
    }
    let (host, port_in_host) = split_port(&args.host);
    let host = Host::parse(host)?;
    if let (Some(port), Some(other)) = (&args.port, port_in_host) {
        let other = secret::quotable_number(other).unwrap_or("****");
        return Err(Error::Usage(format!("two ports for {host}: {other} and {}", secret::masked(port))));
    }
    let port = match (args.port.as_deref().or(args.name_port.as_deref()), port_in_host) {
        (_, Some(port)) => port_after_host(port)?,
        (Some(port), None) => port_or_service(port)?,
        (None, None) if args.may_lack_target() => return Ok(Target::AtServer(Some(host))),
        (None, None) => return Err(missing_port(&host)),
    };
    Ok(Target::Tcp(Endpoint { host, port }))
}

fn missing_port(host: &Host) -> Error {
    Error::Usage(format!("missing port for {host}"))
}

/// Checks that each route ends at a server that needs no more of the target than the user has
/// named.
pub(super) fn check(plan: &Plan) -> Result<(), Error> {
    let Target::AtServer(named) = &plan.target else { return Ok(()) };
    let all = TargetUse { host: true, port: true };
    let needs = |route: &Route| route.hops.last().map_or(all, |hop| hop.protocol.target_use());
    let needs: Vec<_> = plan.routes.iter().map(needs).collect();
    match named {
        None if needs.iter().any(|it| it.host || it.port) => Err(Error::Usage("missing host".into())),
        Some(host) if needs.iter().any(|it| it.port) => Err(missing_port(host)),
        _ => Ok(()),
    }
}

/// Rejects an SSH URL where a host is expected.
fn expect_no_server(host: &str) -> Result<(), Error> {
    let is_ssh = host.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("ssh://"));
    if !is_ssh {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "unexpected operand '{}': to run a command at an SSH server, use --ssh",
        secret::masked(host)
    )))
}

/// Rejects a proxy with a password where a host is expected: the user probably forgot `-S`. The
/// error masks the password.
pub(super) fn expect_no_proxy(text: &str) -> Result<(), Error> {
    if secret::in_arg(text.as_bytes()).is_empty() {
        return Ok(());
    }
    Err(Error::Config(format!(
        "expected a host, got the proxy '{}'; put -S or -H before it",
        secret::masked(text)
    )))
}
