//! The checks of a relay hub and of an origin.

use super::report::{Failure, Report};
use super::step::Verdict;
use super::{session, text};
use crate::connector::Connector;
use crate::error::{Error, ExitCode};
use crate::hops::hub::{Purpose, plan_to_hub, random_session};
use crate::listen::{Gate, try_to_bind};
use crate::net::ServerTls;
use crate::plan::{HubServer, OriginSettings, TokenCheck};
use crate::proto;
use crate::proto::hub::{Id, UNKNOWN_OFFER};
use crate::sys;

/// Reads the files of a hub, and binds its addresses.
pub(super) fn check_hub(report: &Report, server: &HubServer) -> Result<(), Failure> {
    report.print(|style| text::title(style, "Checking"));
    let mut results = Vec::new();
    if let TokenCheck::Keys { .. } = &server.access.check {
        let read = Gate::new(&server.access.check).map(|_| "read the keys of the tokens".to_owned());
        results.push(result(report, "tokens", read));
    }
    if let Some(identity) = &server.identity {
        let loaded = ServerTls::load(identity).map(|_| "read the certificate and its key".to_owned());
        results.push(result(report, "tls", loaded));
    }
    for listener in &server.listeners {
        let bound = try_to_bind(&listener.at).map(|addresses| {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            format!("{} is free", addresses.join(", "))
        });
        results.push(result(report, "bind", bound));
    }
    results.into_iter().collect()
}

/// Asks the hub for permission to offer the session, and connects to the target. Checks both, even
/// if the first one fails.
pub(super) fn check_origin(
    report: &Report,
    connector: &Connector,
    settings: &OriginSettings,
) -> Result<(), Failure> {
    report.state.borrow_mut().title = "Connecting to the hub";
    let hub = ask_hub(report, connector, settings);
    let mut state = report.state.borrow_mut();
    (state.title, state.route) = ("Connecting to the target", 0);
    drop(state);
    hub.and(session::check(report, connector))
}

/// Accepts an offer that does not exist. The hub checks the token before it looks for the offer, so
/// the origin that offers the session at present is not replaced.
fn ask_hub(report: &Report, connector: &Connector, settings: &OriginSettings) -> Result<(), Failure> {
    let asked = || {
        let session = settings.session.clone().map_or_else(random_session, Ok)?;
        let purpose = Purpose::Accept(Id(sys::random().unwrap_or_default()));
        let plan = plan_to_hub(connector.plan(), settings, &session, purpose);
        connector.connect_with(&plan, report).map(drop)
    };
    match asked() {
        Err(Error::Negotiation { cause: proto::Error::NoWebSocket { status: 404, text, .. }, .. })
            if text.ends_with(UNKNOWN_OFFER) =>
        {
            let text = match &settings.session {
                Some(session) => format!("the hub permits session '{session}'"),
                None => "the hub permits a random session".into(),
            };
            report.note("hub", Verdict::Good, text, None);
            Ok(())
        }
        Err(error) => {
            report.failure(&error);
            Err(Failure::from(&error))
        }
        Ok(()) => {
            let text = "the server opens a WebSocket for an unknown offer, so it is no relay hub".to_owned();
            report.note("hub", Verdict::Bad, text.clone(), None);
            Err(Failure { text, hint: None, code: ExitCode::Refused })
        }
    }
}

/// Reports the result of a step.
fn result(report: &Report, stage: &'static str, result: Result<String, Error>) -> Result<(), Failure> {
    match result {
        Ok(text) => {
            report.note(stage, Verdict::Good, text, None);
            Ok(())
        }
        Err(error) => {
            report.note(stage, Verdict::Bad, error.to_string(), error.hint());
            Err(Failure::from(&error))
        }
    }
}
