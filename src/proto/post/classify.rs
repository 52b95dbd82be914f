//! Decides what a response means for a tunnel.

use super::exchange::Response;
use super::failure::Failure;
use super::message::Answer;
use crate::text::printable;

/// The meaning of a response.
pub(super) enum Verdict<'a> {
    /// An answer of the protocol, and its data.
    Answer(Answer, &'a [u8]),
    /// Status 413: the body was too long for a server on the way.
    TooLong,
    /// Repeat the request, because of this cause.
    Retry(String),
    /// The tunnel has failed.
    Final(Failure),
}

/// Classifies a response. `is_opening` is `true` for the answer to OPEN.
pub(super) fn classify(response: &Response, is_opening: bool) -> Verdict<'_> {
    let status = response.status;
    match status {
        200 if response.has_message() && !response.ends_at_eof => {
            if let Some((answer, data)) = Answer::decode(&response.body) {
                return Verdict::Answer(answer, data);
            }
        }
        400 => {
            // nginx: "The plain HTTP request was sent to HTTPS port".
            let expects_tls = response.body.windows(5).any(|window| window == b"HTTPS");
            return Verdict::Final(Failure::Malformed { expects_tls });
        }
        401 => return Verdict::Final(Failure::Token(cause(response))),
        403 | 409 => return Verdict::Final(Failure::Refused(cause(response))),
        404 | 410 if !is_opening => return Verdict::Final(Failure::SessionLost),
        // OPEN has no data that could be shortened.
        413 if !is_opening => return Verdict::TooLong,
        429 => return Verdict::Retry(cause(response)),
        408 | 500 | 502 | 503 | 504 => return Verdict::Retry(status_line(response)),
        _ => {}
    }
    if is_opening {
        Verdict::Final(Failure::NotATunnel(description(response)))
    } else {
        Verdict::Retry(description(response))
    }
}

/// Describes a response that is no message of the protocol.
fn description(response: &Response) -> String {
    match (&response.content_type, &response.location) {
        (_, Some(location)) if (300..400).contains(&response.status) => {
            format!("{} to {}", status_line(response), printable(location.as_bytes()))
        }
        _ if response.status != 200 => status_line(response),
        _ if response.has_message() && response.ends_at_eof => "a body without a length".into(),
        _ if response.has_message() => "an invalid message".into(),
        (Some(content_type), _) => format!("content type {}", printable(content_type.as_bytes())),
        (None, _) => "no content type".into(),
    }
}

fn status_line(response: &Response) -> String {
    let reason = printable(response.reason.as_bytes());
    format!("HTTP status {} {reason}", response.status).trim_end().into()
}

/// Returns the first line of a server's text, or the status if there is none.
fn cause(response: &Response) -> String {
    let is_text = response.content_type.as_deref() == Some("text/plain");
    let line = response.body.split(|&byte| byte == b'\n').next().filter(|_| is_text).unwrap_or_default();
    let line = line.strip_prefix(b"connect: ").unwrap_or(line);
    match printable(line) {
        text if text.is_empty() => status_line(response),
        text => text,
    }
}
