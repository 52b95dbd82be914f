//! Members of the JSON objects in a token.

use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::text::date::LAST_TIME;

/// A JSON object.
pub(super) struct Object(Map<String, Value>);

impl Object {
    /// Parses an object; `None` for any other text.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        match serde_json::from_slice(text) {
            Ok(Value::Object(members)) => Some(Self(members)),
            Ok(_) | Err(_) => None,
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns a string; `None` if the member is missing.
    pub(super) fn string(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        let value = self.0.get(name);
        value.map(|value| value.as_str().ok_or(Refusal::Claim(name))).transpose()
    }

    /// Returns a string or a list of strings, as a list; `None` if the member is missing.
    pub(super) fn strings(&self, name: &'static str) -> Result<Option<Vec<String>>, Refusal> {
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or(Refusal::Claim(name));
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Array(list)) => list.iter().map(text).collect::<Result<_, _>>().map(Some),
            Some(value) => Ok(Some(vec![text(value)?])),
        }
    }

    /// Returns a `NumericDate` (RFC 7519 §2), rounded down to a second; `None` if the member is
    /// missing. Times before 1970 count as 1970, and times after the year 9999 as its end.
    pub(super) fn time(&self, name: &'static str) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let seconds = value.as_u64().or_else(|| value.as_f64().map(whole_seconds));
        seconds.map(|seconds| Some(seconds.min(LAST_TIME))).ok_or(Refusal::Claim(name))
    }

    /// Returns a number from 1 to 2³² − 1; `None` if the member is missing.
    pub(super) fn count(&self, name: &'static str) -> Result<Option<u32>, Refusal> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let count = value.as_u64().and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0);
        count.map(Some).ok_or(Refusal::Claim(name))
    }
}

/// Converts a number that may be negative or have a fraction.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
fn whole_seconds(seconds: f64) -> u64 {
    seconds as u64
}
