//! The messages on the control connection of an origin: JSON objects in text messages.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::Id;
use crate::text::prefix;

/// Maximum length of a control message, in bytes.
pub(super) const MAX_MESSAGE: usize = 4096;

/// Maximum length of the text in a refusal, in bytes.
const MAX_WHY: usize = 512;

/// The conversation for which a client connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A link, which carries several connections.
    Mux,
    /// The bytes of one connection.
    Raw,
}

/// A message from the hub to an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromHub {
    /// The origin is registered.
    Ready,
    /// A client waits for a connection.
    Offer {
        /// The name of the offer.
        id: Id,
        /// The client's address.
        from: IpAddr,
        /// The client's identity; empty without one.
        subject: String,
        /// The conversation.
        mode: Mode,
        /// The link to resume.
        resume: Option<Id>,
    },
    /// The client of this offer has left.
    Withdrawn(Id),
    /// The hub shuts down after this many seconds.
    Drain(u64),
}

/// A message from an origin to the hub: it does not accept an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToHub {
    /// The offer.
    pub id: Id,
    /// The status for the client: 403, 410, 429 or 502.
    pub status: u16,
    /// The reason, for people.
    pub why: String,
}

/// The reason to close a control connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// A message is too long.
    #[error("control message longer than {MAX_MESSAGE} bytes")]
    TooLong,
    /// A message is not a JSON object, or lacks a member.
    #[error("malformed control message")]
    Malformed,
}

impl FromHub {
    /// Returns the message to send.
    #[must_use]
    pub fn encode(&self) -> String {
        let message = match self {
            Self::Ready => json!({"t": "ready"}),
            Self::Offer { id, from, subject, mode, resume } => json!({
                "t": "offer",
                "id": id.to_string(),
                "from": from.to_string(),
                "sub": subject,
                "mode": match mode { Mode::Mux => "mux", Mode::Raw => "raw" },
                "resume": resume.map(|id| id.to_string()),
            }),
            Self::Withdrawn(id) => json!({"t": "withdrawn", "id": id.to_string()}),
            Self::Drain(seconds) => json!({"t": "drain", "seconds": seconds}),
        };
        message.to_string()
    }

    /// Parses a message. Returns `None` for an unknown type.
    ///
    /// # Errors
    /// The message is malformed.
    pub fn parse(text: &[u8]) -> Result<Option<Self>, ControlError> {
        let message = Members::parse(text)?;
        Ok(Some(match message.text("t")? {
            "ready" => Self::Ready,
            "offer" => Self::Offer {
                id: message.id()?,
                from: message.text("from")?.parse().map_err(|_| ControlError::Malformed)?,
                subject: message.text("sub")?.to_owned(),
                mode: match message.text("mode")? {
                    "mux" => Mode::Mux,
                    "raw" => Mode::Raw,
                    _ => return Err(ControlError::Malformed),
                },
                resume: match message.0.get("resume") {
                    None | Some(Value::Null) => None,
                    Some(id) => Some(parsed_id(id)?),
                },
            },
            "withdrawn" => Self::Withdrawn(message.id()?),
            "drain" => Self::Drain(message.number("seconds")?),
            _ => return Ok(None),
        }))
    }
}

impl ToHub {
    /// Returns the message to send.
    #[must_use]
    pub fn encode(&self) -> String {
        let Self { id, status, why } = self;
        let why = prefix(why, MAX_WHY);
        json!({"t": "refuse", "id": id.to_string(), "status": status, "why": why}).to_string()
    }

    /// Parses a message. Returns `None` for an unknown type.
    ///
    /// # Errors
    /// The message is malformed, or its status is none that an origin may choose.
    pub fn parse(text: &[u8]) -> Result<Option<Self>, ControlError> {
        let message = Members::parse(text)?;
        if message.text("t")? != "refuse" {
            return Ok(None);
        }
        let status = match message.number("status")? {
            status @ (403 | 410 | 429 | 502) => u16::try_from(status).map_err(|_| ControlError::Malformed)?,
            _ => return Err(ControlError::Malformed),
        };
        Ok(Some(Self { id: message.id()?, status, why: message.text("why")?.to_owned() }))
    }
}

/// The members of a message.
struct Members(Map<String, Value>);

impl Members {
    fn parse(text: &[u8]) -> Result<Self, ControlError> {
        match serde_json::from_slice(text) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) | Err(_) => Err(ControlError::Malformed),
        }
    }

    fn text(&self, name: &str) -> Result<&str, ControlError> {
        self.0.get(name).and_then(Value::as_str).ok_or(ControlError::Malformed)
    }

    fn number(&self, name: &str) -> Result<u64, ControlError> {
        self.0.get(name).and_then(Value::as_u64).ok_or(ControlError::Malformed)
    }

    fn id(&self) -> Result<Id, ControlError> {
        self.0.get("id").ok_or(ControlError::Malformed).and_then(parsed_id)
    }
}

fn parsed_id(value: &Value) -> Result<Id, ControlError> {
    value.as_str().and_then(Id::parse).ok_or(ControlError::Malformed)
}

/// Splits the payload of a control connection into JSON objects. An object ends at its last brace,
/// so the splitter needs no message boundaries.
#[derive(Debug, Default)]
pub struct Messages {
    /// The bytes of an incomplete object.
    buffer: Vec<u8>,
    depth: u32,
    is_in_string: bool,
    is_escaped: bool,
}

impl Messages {
    /// Consumes bytes up to the end of an object, and returns the object. Returns `None` if all of
    /// the input has been consumed without the end of one.
    ///
    /// # Errors
    /// An object is too long, or something else precedes one.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, ControlError> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            if self.depth == 0 && byte.is_ascii_whitespace() {
                continue;
            }
            if self.depth == 0 && byte != b'{' {
                return Err(ControlError::Malformed);
            }
            if self.buffer.len() == MAX_MESSAGE {
                return Err(ControlError::TooLong);
            }
            self.buffer.push(byte);
            self.track(byte);
            if self.depth == 0 {
                return Ok(Some(std::mem::take(&mut self.buffer)));
            }
        }
        Ok(None)
    }

    fn track(&mut self, byte: u8) {
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' if self.is_in_string => self.is_escaped = true,
            b'"' => self.is_in_string = !self.is_in_string,
            b'{' if !self.is_in_string => self.depth += 1,
            b'}' if !self.is_in_string => self.depth -= 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn id() -> Id {
        Id::parse("00112233445566778899aabbccddeeff").unwrap()
    }

    #[test]
    fn messages_of_the_hub_survive_encoding() {
        let offer = |mode, resume| FromHub::Offer {
            id: id(),
            from: "2001:db8::1".parse().unwrap(),
            subject: "a\"}{é".into(),
            mode,
            resume,
        };
        for message in [
            FromHub::Ready,
            offer(Mode::Raw, None),
            offer(Mode::Mux, Some(id())),
            FromHub::Withdrawn(id()),
            FromHub::Drain(30),
        ] {
            assert_eq!(FromHub::parse(message.encode().as_bytes()), Ok(Some(message)));
        }
    }

    #[test]
    fn a_refusal_survives_encoding_and_its_text_is_limited() {
        let refusal = |why: &str| ToHub { id: id(), status: 502, why: why.into() };
        assert_eq!(ToHub::parse(refusal("a\nb").encode().as_bytes()), Ok(Some(refusal("a\nb"))));
        let parsed = ToHub::parse(refusal(&"é".repeat(4000)).encode().as_bytes()).unwrap().unwrap();
        assert_eq!(parsed.why, "é".repeat(MAX_WHY / 2));
    }

    #[test]
    fn unknown_types_and_members_are_ignored() {
        assert_eq!(FromHub::parse(br#"{"t":"news"}"#), Ok(None));
        assert_eq!(FromHub::parse(br#"{"x":[{}],"t":"ready"}"#), Ok(Some(FromHub::Ready)));
        assert_eq!(ToHub::parse(br#"{"t":"news","status":1}"#), Ok(None));
    }

    #[test]
    fn malformed_messages_are_errors() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"t":1}"#,
            r#"{"t":"withdrawn"}"#,
            r#"{"t":"withdrawn","id":"1"}"#,
            r#"{"t":"drain","seconds":-1}"#,
            r#"{"t":"offer","id":"00112233445566778899aabbccddeeff","from":"x","sub":"","mode":"raw"}"#,
            r#"{"t":"offer","id":"00112233445566778899aabbccddeeff","from":"::1","sub":"","mode":"x"}"#,
        ] {
            assert_eq!(FromHub::parse(text.as_bytes()), Err(ControlError::Malformed), "{text}");
        }
        let refuse = |status: &str| {
            format!(r#"{{"t":"refuse","id":"00112233445566778899aabbccddeeff","status":{status},"why":""}}"#)
        };
        for status in ["401", "500", "0", "66038", "\"403\"", "null"] {
            assert_eq!(ToHub::parse(refuse(status).as_bytes()), Err(ControlError::Malformed), "{status}");
        }
    }

    /// Splits `input` in pieces of each length.
    fn split(input: &[u8]) -> Result<Vec<Vec<u8>>, ControlError> {
        let in_pieces = |length: usize| {
            let (mut messages, mut found) = (Messages::default(), Vec::new());
            for mut piece in input.chunks(length) {
                while let Some(message) = messages.next(&mut piece)? {
                    found.push(message);
                }
            }
            Ok(found)
        };
        let whole = in_pieces(input.len().max(1));
        for length in 1..input.len().min(200) {
            assert_eq!(in_pieces(length), whole, "pieces of {length}");
        }
        whole
    }

    #[test]
    fn objects_are_split_in_every_fragmentation() {
        let objects = [r#"{"a":{"b":"}{"}}"#, r#"{"c":"\"}\\"}"#, "{}"];
        let found = split(objects.join(" \n").as_bytes()).unwrap();
        assert_eq!(found, objects.map(|object| object.as_bytes().to_vec()));
        assert_eq!(split(br#"{"incomplete":"#), Ok(Vec::new()));
    }

    #[test]
    fn text_between_objects_and_long_objects_are_errors() {
        assert_eq!(split(b"{}x{}"), Err(ControlError::Malformed));
        assert_eq!(split(b"]"), Err(ControlError::Malformed));
        let of_length = |length: usize| format!("{{{}}}", " ".repeat(length - 2));
        assert_eq!(split(of_length(MAX_MESSAGE).as_bytes()).map(|found| found.len()), Ok(1));
        assert_eq!(split(of_length(MAX_MESSAGE + 1).as_bytes()), Err(ControlError::TooLong));
    }
}
