//! The response to a WebSocket request that is refused.

use crate::proto::http::reason;

/// Returns a response with one line of text. The server closes the connection after it.
pub(in crate::proto) fn refusal_response(status: u16, why: &str) -> Vec<u8> {
    let fields = match status {
        401 => "WWW-Authenticate: Bearer\r\n",
        405 => "Allow: GET\r\n",
        426 => "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        503 => "Retry-After: 1\r\n",
        _ => "",
    };
    let connection = if status == 426 { "Upgrade, close" } else { "close" };
    format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\n{fields}Connection: {connection}\r\n\r\n{why}\n",
        reason(status),
        why.len() + 1
    )
    .into_bytes()
}
