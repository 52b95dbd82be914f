//! The answers of the listener itself.

use std::fmt::Write as _;

use crate::proto::http::reason;

/// An answer with one line of text. The connection closes after it.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    text: String,
    fields: String,
    has_body: bool,
}

impl Answer {
    /// Creates an answer.
    pub(super) fn new(status: u16, text: &str) -> Self {
        Self { status, text: format!("connect: {text}\n"), fields: String::new(), has_body: true }
    }

    /// Adds a header field.
    pub(super) fn with(mut self, field: &str) -> Self {
        self.fields.push_str(field);
        self.fields.push_str("\r\n");
        self
    }

    /// Leaves out the text if the request was HEAD.
    pub(super) fn without_body_if(self, is_head: bool) -> Self {
        Self { has_body: self.has_body && !is_head, ..self }
    }

    /// Returns the bytes to send.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let Self { status, text, fields, has_body } = self;
        let mut answer = format!("HTTP/1.1 {status} {}\r\n", reason(*status));
        // Some of these statuses may be cached by default (RFC 9110 §15.1).
        let _ = write!(
            answer,
            "Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
             {fields}Connection: close\r\n\r\n",
            text.len()
        );
        if *has_body {
            answer.push_str(text);
        }
        answer.into_bytes()
    }
}
