//! Tells a web page from a tunnel. A web server or the login page of a network may answer CONNECT
//! with status 200 and a page.

use super::body::Body;
use super::head::Head;

/// Possible starts of an HTML page, in lower case. No target that speaks first sends one of them.
const STARTS: [&str; 9] =
    ["<!doctype", "<html", "<head", "<title", "<meta", "<body", "<script", "<!--", "<?xml"];

/// Returns `true` if a head with status 2xx looks like that of a page: it announces HTML, or
/// redirects a browser, and the body is not empty. The bytes after the head then decide.
pub(super) fn is_announced(head: &Head) -> bool {
    let is_html = head.values("content-type").any(|value| value.to_ascii_lowercase().contains("html"));
    let redirects = ["location", "refresh"].iter().any(|name| head.value(name).is_some());
    (is_html || redirects) && !Body::from_head(head).is_complete()
}

/// Returns whether the bytes after the head begin an HTML page. `None` if they are too few to
/// decide.
pub(super) fn begins(head: &Head, bytes: &[u8]) -> Option<bool> {
    let mut body = Body::from_head(head);
    // Without valid chunks, the bytes belong to the tunnel.
    body.receive(bytes).ok().map_or(Some(false), |_| {
        let is_page = starts_like_page(body.start());
        is_page.or_else(|| body.is_complete().then_some(false))
    })
}

fn starts_like_page(text: &[u8]) -> Option<bool> {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).trim_ascii_start();
    let text = text.to_ascii_lowercase();
    if STARTS.iter().any(|start| text.starts_with(start.as_bytes())) {
        return Some(true);
    }
    let may_become_page = STARTS.iter().any(|start| start.as_bytes().starts_with(&text));
    (!may_become_page && !BYTE_ORDER_MARK.starts_with(&text)).then_some(false)
}
