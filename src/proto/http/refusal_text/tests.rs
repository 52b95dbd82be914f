use super::of;

#[test]
fn a_page_has_a_title_or_nothing_to_say() {
    for (body, due) in [
        ("<title>a &lt;b&gt; &quot;c&quot; &#39;d&#39; &amp;lt;</title>", "a <b> \"c\" 'd' &lt;"),
        ("\r\n <html><TITLE\n>  two\t\nwords </TITLE>", "two words"),
        ("<p>no title</p>", ""),
        ("<title", ""),
        ("<title>", ""),
        ("<title>cut sho", "cut sho"),
        ("<İ><title>\u{130}x</title>", "\u{130}x"),
    ] {
        assert_eq!(of("", body.as_bytes()), due, "{body}");
    }
    assert_eq!(of("text/html", b"words without a tag"), "");
}

#[test]
fn a_text_is_told_by_its_first_line_that_has_words() {
    for (body, due) in [
        ("", ""),
        (" \r\n\t\n", ""),
        ("\n\n  first \r\nsecond", "first"),
        ("1 < 2\n<title>x</title>", "1 < 2"),
    ] {
        assert_eq!(of("text/plain", body.as_bytes()), due, "{body}");
    }
}

#[test]
fn broken_text_is_no_trouble() {
    assert_eq!(of("", &"ü".as_bytes()[..1]), "\u{fffd}");
    assert_eq!(of("", b"<title>\xff\x1b</title>"), "\u{fffd}\\x1b");
}
