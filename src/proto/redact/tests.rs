#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

use super::*;

const PASSWORD: &str = "p&ss \"w<r%d\\ü'";

fn redactor(secrets: &[&str]) -> Redactor {
    let redactor = Redactor::default();
    for &secret in secrets {
        redactor.add(&secret.into());
    }
    redactor
}

fn redacted(secrets: &[&str], text: impl AsRef<[u8]>) -> String {
    String::from_utf8_lossy(&redactor(secrets).redact(text.as_ref())).into_owned()
}

/// Masks after decoding missed these, and so did masks before it.
#[test]
fn a_secret_is_masked_in_every_encoding_that_a_proxy_may_use() {
    for encoded in [
        &b"p&ss \"w<r%d\\\xc3\xbc'"[..],
        b"p&amp;ss &quot;w&lt;r%d\\\xc3\xbc&#39;",
        b"p&amp;ss &QUOT;w&#60;r&#37;d&#x5C;&#xfc;&apos;",
        b"p&amp;amp;ss &amp;quot;w&amp;lt;r%d\\\xc3\xbc&amp;amp;#039;",
        b"p%26ss%20%22w%3Cr%25d%5C%C3%BC%27",
        b"p%26ss+%22w%3cr%25d%5c%c3%bc%27",
        b"p&ss \\\"w<r%d\\\\\xc3\xbc'",
        b"p\\u0026ss \\\"w\\u003Cr%d\\\\\\u00fc'",
        b"p\\x26ss \\x22w<r%d\\x5c\\xc3\\xbc'",
        b"p&ss \"w<r%d\\\xfc'",
        b"p&ss\r\n\t \"w<r%d\\\xc3\xbc'",
        b"p&s\r\n s \"w<r%d\\\xc3\xbc'",
        b"p&ss\r\n4\r\n \"w<\r\n00a;x=y\r\nr%d\\\xc3\xbc'",
    ] {
        let text = [b"me:", encoded, b"; \xff&amp;"].concat();
        let expected = String::from_utf8_lossy(b"me:xxxxx; \xff&amp;").into_owned();
        assert_eq!(redacted(&[PASSWORD], &text), expected, "{}", encoded.escape_ascii());
        assert!(redactor(&[PASSWORD]).occurs_in(encoded));
    }
}

#[test]
fn everything_else_is_left_as_it_is() {
    for text in ["", "p&ss", "&amp;&lt;&&#;&#x;%%4&amp", "p&ss \"w<r%d\\u", "\\\\\\", "\r\n4\r\n", "xü%C3%BC"]
    {
        assert_eq!(redacted(&[], text), text);
        assert_eq!(redacted(&["p&ss \"w<r%d", "&%\\\""][1..], text), text);
    }
    assert_eq!(redacted(&["No"], "403 No"), "403 No", "a short secret matches by chance");
    let bytes = b"\xff\x00\xfe p\xe4ss";
    assert_eq!(redactor(&[PASSWORD]).redact(bytes), bytes);
}

#[test]
fn a_secret_that_is_not_utf_8_is_masked_before_decoding() {
    let redactor = Redactor::default();
    redactor.add(&Secret::new(b"\xa9ecret\xff-word".to_vec()));
    assert_eq!(redactor.printable(b"\xc3\xa9ecret\xff-word!"), "\\xc3xxxxx!");
    assert_eq!(redactor.printable(b"%A9ecret&#255;-word!"), "xxxxx!");
}

#[test]
fn secrets_that_overlap_are_masked_together() {
    assert_eq!(redacted(&["abcdef", "efghij"], "1abcdefghij2"), "1xxxxx2");
    assert_eq!(redacted(&["abcd", "abcdefgh"], "abcdefgh abcdef"), "xxxxx xxxxxef");
    assert_eq!(redacted(&["aaaa"], "aaaaaaa-aaa"), "xxxxx-aaa");
}

/// The body of a refusal is read up to a limit.
#[test]
fn the_start_of_a_secret_at_the_end_of_the_text_is_masked() {
    let start =
        |secret, text: &str| String::from_utf8(redactor(&[secret]).redact_start(text.as_bytes())).unwrap();
    assert_eq!(start("hunter2", "hunter2 me:hunt"), "xxxxx me:xxxxx");
    assert_eq!(start("hunter2", "me:hun"), "me:hun");
    assert_eq!(start("h&nter2", "me:h&amp;n&#116;e&#"), "me:xxxxx");
    assert_eq!(redacted(&["Bearer abcd"], "Bearer"), "Bearer", "a complete text");
}

#[test]
fn the_password_in_a_header_is_masked_as_well() {
    let redactor = Redactor::default();
    redactor.add_header_value(&"Basic bWU6aHVudGVyMg==".into());
    redactor.add_header_value(&"Bearer abcdefgh".into());
    let text = "me:hunter2 bWU6aHVudGVyMg== abcdefgh Bearer";
    assert_eq!(redactor.printable(text.as_bytes()), "me:xxxxx xxxxx xxxxx Bearer");
}

/// Returns the lines of a text that arrives in pieces of this size, and the rest.
fn logged(redactor: &Redactor, text: &[u8], size: usize) -> Vec<String> {
    let (mut held, mut pieces) = (Vec::new(), Vec::new());
    for piece in text.chunks(size) {
        held.extend(piece);
        let (shown, length) = redactor.redact_lines(&held);
        held.drain(..length);
        pieces.push(shown);
    }
    pieces.push(redactor.redact_start(&held));
    pieces.retain(|piece| !piece.is_empty());
    pieces.iter().map(|piece| piece.escape_ascii().to_string()).collect()
}

#[test]
fn a_secret_that_arrives_in_pieces_is_masked_and_nothing_is_lost() {
    let redactor = redactor(&["hunter2", "two\r\nlines\n"]);
    let text = b"HTTP/1.1 403 No\r\nX: hunter2\r\nhun\r\n\r\nY: two\r\nlines\nZ: %68unter2 two\r\nend";
    let expected = "HTTP/1.1 403 No\\r\\nX: xxxxx\\r\\nhun\\r\\n\\r\\nY: xxxxxZ: xxxxx two\\r\\nend";
    for size in 1..text.len() {
        assert_eq!(logged(&redactor, text, size).concat(), expected, "{size}");
    }
    let lines = logged(&redactor, text, 1);
    assert_eq!(lines[..2], ["HTTP/1.1 403 No\\r\\n", "X: xxxxx\\r\\n"]);
}

#[test]
fn a_line_is_held_back_only_while_a_secret_may_continue_in_it() {
    let redactor = redactor(&["hunter2\nopensesame"]);
    for (text, shown) in [
        ("a\nb", "a\n"),
        ("a\nme:hunter2\n", "a\n"),
        ("a\nme:hunter2\nopened\n", "a\nme:hunter2\nopened\n"),
        ("a\nme:hunter2\nopen\n", "a\n"),
        ("a\nhunter2\nopensesame\nhunter2\n", "a\nxxxxx\n"),
        ("a", ""),
        ("", ""),
    ] {
        let (lines, length) = redactor.redact_lines(text.as_bytes());
        assert_eq!(String::from_utf8(lines).unwrap(), shown, "{text:?}");
        assert!(text.is_char_boundary(length));
    }
}
