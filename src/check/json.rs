//! The report for scripts: one JSON object.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::facts;
use super::report::Failure;
use super::served::Served;
use super::step::{Step, Verdict};
use crate::config::SettingRecord;
use crate::error::ExitCode;
use crate::plan::{Hop, Local, OriginSettings, Plan};

/// Writes the report to standard output.
pub(super) fn write(
    plan: &Plan,
    records: &[SettingRecord],
    steps: &[Step],
    failure: Option<&Failure>,
    code: ExitCode,
) -> io::Result<()> {
    let target = (!matches!(plan.local, Local::Hub(_))).then(|| plan.target.to_string());
    let mut object = json!({
        "target": target,
        "target_tls": plan.target_tls.as_ref().map(facts::trust),
        "routes": plan.routes.iter().map(|route| route.hops.iter().map(hop).collect()).collect::<Vec<Value>>(),
        "connections": facts::connections(&plan.sockets),
        "settings": records.iter().map(setting).collect::<Vec<_>>(),
        "steps": steps.iter().map(step).collect::<Vec<_>>(),
        "error": failure.map(|failure| &failure.text),
        "try": failure.and_then(|failure| failure.hint.as_ref()),
        "exit_code": code as u8,
    });
    if let Some(object) = object.as_object_mut() {
        if let Some(served) = Served::in_plan(&plan.local) {
            let name = if matches!(plan.local, Local::Hub(_)) { "relay" } else { "listen" };
            object.extend([(name.to_owned(), server(&served))]);
        }
        if let Local::Origin(settings) = &plan.local {
            object.extend([("hub".to_owned(), origin(settings))]);
        }
    }
    writeln!(io::stdout(), "{object:#}")
}

fn server(served: &Served<'_>) -> Value {
    json!({
        "listeners": served.listeners.iter().map(|(_, url)| url).collect::<Vec<_>>(),
        "certificate": served.identity.map(facts::identity),
        "tokens": facts::tokens(&served.access.check),
        "web_pages": facts::web_pages(&served.access.origins),
    })
}

fn origin(settings: &OriginSettings) -> Value {
    json!({ "session": settings.session, "hops": settings.hops.iter().map(hop).collect::<Vec<Value>>() })
}

fn hop(hop: &Hop) -> Value {
    let facts = facts::for_hop(hop).into_iter().map(|(name, fact)| (name.to_owned(), fact.into())).collect();
    let mut object = json!({ "proxy": hop.proxy.to_string(), "protocol": hop.protocol.name() });
    if let (Value::Object(object), Value::Object(facts)) = (&mut object, Value::Object(facts)) {
        object.extend(facts);
    }
    object
}

fn setting(SettingRecord { name, value, origin }: &SettingRecord) -> Value {
    json!({ "name": name, "value": value, "origin": facts::origin(origin) })
}

fn step(step: &Step) -> Value {
    let verdict = match step.verdict {
        Verdict::Good => "good",
        Verdict::Note => "note",
        Verdict::Bad => "bad",
    };
    json!({
        "route": step.route,
        "stage": step.stage,
        "verdict": verdict,
        "milliseconds": (step.elapsed.as_secs_f64() * 1e6).round() / 1e3,
        "text": step.text,
        "try": step.hint,
    })
}
