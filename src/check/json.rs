//! The report for scripts: one JSON object.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::facts;
use super::step::{Step, Verdict};
use crate::config::SettingRecord;
use crate::error::{Error, ExitCode};
use crate::plan::{Hop, Plan};

/// Writes the report to standard output.
pub(super) fn write(
    plan: &Plan,
    records: &[SettingRecord],
    steps: &[Step],
    failure: Option<&Error>,
    code: ExitCode,
) -> io::Result<()> {
    let object = json!({
        "target": plan.target.to_string(),
        "target_tls": plan.target_tls.as_ref().map(facts::trust),
        "routes": plan.routes.iter().map(|route| route.hops.iter().map(hop).collect()).collect::<Vec<Value>>(),
        "connections": facts::connections(&plan.sockets),
        "settings": records.iter().map(setting).collect::<Vec<_>>(),
        "steps": steps.iter().map(step).collect::<Vec<_>>(),
        "error": failure.map(ToString::to_string),
        "try": failure.and_then(Error::hint),
        "exit_code": code as u8,
    });
    writeln!(io::stdout(), "{object:#}")
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
