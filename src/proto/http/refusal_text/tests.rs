use crate::proto::Redactor;

fn extract(content_type: &str, body: &[u8]) -> String {
    super::extract(content_type, body, &Redactor::default())
}

#[test]
fn a_page_is_reduced_to_its_title() {
    for (body, expected) in [
        ("<title>a &lt;b&gt; &quot;c&quot; &#39;d&#39; &amp;lt;</title>", "a <b> \"c\" 'd' &lt;"),
        ("\r\n <html><TITLE\n>  two\t\nwords </TITLE>", "two words"),
        ("<p>no title</p>", ""),
        ("<title", ""),
        ("<title>", ""),
        ("<title>cut sho", "cut sho"),
        ("<İ><title>\u{130}x</title>", "\u{130}x"),
    ] {
        assert_eq!(extract("", body.as_bytes()), expected, "{body}");
    }
    assert_eq!(extract("text/html", b"words without a tag"), "");
}

#[test]
fn a_text_is_reduced_to_its_first_nonblank_line() {
    for (body, expected) in [
        ("", ""),
        (" \r\n\t\n", ""),
        ("\n\n  first \r\nsecond", "first"),
        ("1 < 2\n<title>x</title>", "1 < 2"),
    ] {
        assert_eq!(extract("text/plain", body.as_bytes()), expected, "{body}");
    }
}

#[test]
fn invalid_utf_8_is_accepted() {
    assert_eq!(extract("", &"ü".as_bytes()[..1]), "\u{fffd}");
    assert_eq!(extract("", b"<title>\xff\x1b</title>"), "\u{fffd}\\x1b");
}
