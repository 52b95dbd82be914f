//! Extracts the human-readable reason from the body of a refusal.

use super::super::Redactor;

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
