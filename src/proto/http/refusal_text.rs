//! Extracts the human-readable reason from the body of a refusal.

use super::super::Redactor;
use super::body::Body;
use super::head::Head;

/// Describes a response that refuses a request: the reason phrase, the reason in the body, and the
/// destination of a redirect. The text is printable and may be empty.
pub(in crate::proto) fn describe(head: &Head, body: &Body, redactor: &Redactor) -> String {
    let content_type = head.value("content-type").unwrap_or_default();
    let explanation = extract(content_type, body.start(), redactor);
    // Strip the status from a title such as "403 Forbidden", because the message already has it.
    let status = head.status.to_string();
    let explanation = explanation.strip_prefix(&status).map_or(explanation.as_str(), str::trim_start);
    let shown = head.masked(redactor);
    let reason = shown.as_ref().map_or("", Head::reason);
    let mut parts = vec![redactor.printable(reason.as_bytes()), explanation.to_owned()];
    parts.dedup_by(|explanation, reason| explanation.eq_ignore_ascii_case(reason));
    parts.retain(|part| !part.is_empty());
    let text = parts.join(": ");
    let location = shown.as_ref().and_then(|shown| shown.value("location"));
    match location.filter(|_| (300..400).contains(&head.status)) {
        None => text,
        Some(location) => {
            let gap = if text.is_empty() { "" } else { " " };
            format!("{text}{gap}(to {})", redactor.printable(location.as_bytes()))
        }
    }
}

/// Returns the title of an HTML page, or the first non-blank line of any other text, in printable
/// form.
pub(super) fn extract(content_type: &str, body: &[u8], redactor: &Redactor) -> String {
    // Mask before and after decoding: either step alone can miss a secret.
    let body = redactor.redact_start(body);
    let text = String::from_utf8_lossy(&body);
    if content_type.to_ascii_lowercase().contains("html") || text.trim_start().starts_with('<') {
        return redactor.printable(title(&text).unwrap_or_default().as_bytes());
    }
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    redactor.printable(line.as_bytes())
}

fn title(html: &str) -> Option<String> {
    // ASCII case folding does not change byte offsets.
    let folded = html.to_ascii_lowercase();
    let tag = folded.find("<title")?;
    let start = tag + folded[tag..].find('>')? + 1;
    let end = folded[start..].find('<').map_or(html.len(), |length| start + length);
    let words: Vec<_> = html[start..end].split_whitespace().collect();
    Some(unescape(&words.join(" ")))
}

/// Decodes the character references that are common in titles.
fn unescape(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (entity, c)| text.replace(entity, c))
}

#[cfg(test)]
mod tests;
