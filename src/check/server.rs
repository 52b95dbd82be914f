//! The checks of servers for web clients, and of origins.

use super::report::{Failure, Report};
use super::served::Served;
use super::step::Verdict;
use super::{session, text};
use crate::codecs::websocket::ClosingCode;
use crate::connector::Connector;
use crate::error::{Error, ExitCode};
use crate::hops::hub::{Purpose, plan_to_hub, random_session};
use crate::listen::{Gate, try_to_bind, unix_time};
use crate::net::ServerTls;
use crate::plan::{OriginSettings, ServerIdentity};
use crate::proto;
use crate::proto::hub::{Id, UNKNOWN_OFFER};
use crate::sys;
use crate::text::date::date;

/// Reads the files of a server for web clients, and binds its addresses.
pub(super) fn check(report: &Report, served: &Served<'_>) -> Result<(), Failure> {
    report.print(|style| text::title(style, "Checking the server"));
    let mut results = Vec::new();
    if let Some(keys) = Gate::count_keys(&served.access.check).transpose() {
        results.push(result(report, "tokens", keys.map(keys_text)));
    }
    if let Some(identity) = served.identity {
        results.push(check_certificate(report, identity));
    }
    for (at, _) in &served.listeners {
        let bound = try_to_bind(at).map(|addresses| {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            let text = if addresses.is_empty() { at.to_string() } else { addresses.join(", ") };
            format!("{text} is free")
        });
        results.push(result(report, "bind", bound));
    }
    results.into_iter().collect()
}

fn keys_text(count: usize) -> String {
    format!("{count} key{} may sign tokens", if count == 1 { "" } else { "s" })
}

/// Reads the certificate of a server and its key. An expired certificate is no failure, because the
/// server starts with it.
fn check_certificate(report: &Report, identity: &ServerIdentity) -> Result<(), Failure> {
    let (owner, validity) = match ServerTls::describe(identity) {
        Ok(described) => described,
        Err(error) => return result(report, "tls", Err(error)),
    };
    let owner = owner.unwrap_or_else(|| "of an unknown owner".into());
    let now = i64::try_from(unix_time()).unwrap_or(i64::MAX);
    let (period, hint) = match validity {
        Some(period) if now > *period.end() => {
            (format!("expired at {}", date(*period.end())), Some("renew it, because clients reject it"))
        }
        Some(period) if now < *period.start() => (
            format!("not valid before {}", date(*period.start())),
            Some("check the clock of this machine, because clients reject the certificate"),
        ),
        Some(period) => (format!("valid until {}", date(*period.end())), None),
        None => ("validity period unknown".into(), None),
    };
    let verdict = if hint.is_some() { Verdict::Note } else { Verdict::Good };
    report.note("tls", verdict, format!("certificate {owner}, {period}"), hint.map(Into::into));
    Ok(())
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
        let purpose = Purpose::Accept(Id(sys::random().unwrap_or_default()), ClosingCode::default());
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
