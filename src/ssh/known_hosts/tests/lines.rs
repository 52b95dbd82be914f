use super::*;

#[test]
fn patterns_match_as_in_openssh() {
    for (patterns, host, expected) in [
        ("h", "h", true),
        ("H", "h", true),
        ("h", "H", true),
        ("h", "hh", false),
        ("a,h", "h", true),
        ("a,,h", "h", true),
        ("*", "h", true),
        ("**", "h", true),
        ("?", "h", true),
        ("?", "hh", false),
        ("h?", "h", false),
        ("*.example", "a.example", true),
        ("*.example", ".example", true),
        ("*.example", "example", false),
        ("a*b*c", "abbcbc", true),
        ("a*b*c", "abbcb", false),
        ("*a?c", "abcadc", true),
        ("*,!h", "h", false),
        ("!h,*", "h", false),
        ("!h,*", "g", true),
        ("!h", "g", false),
        ("!!h", "h", false),
        ("h!", "h!", true),
        ("10.0.0.*", "10.0.0.1", true),
        ("2001:db8::1", "2001:DB8::1", true),
        ("h,|1|x|y", "h", true),
    ] {
        let content = format!("{patterns} {}", ed25519(1));
        assert_eq!(lines(host, 22, content), vec![1; usize::from(expected)], "{patterns} and {host}");
    }
}

#[test]
fn a_pattern_with_many_stars_does_not_take_exponential_time() {
    // It would not end.
    let pattern = "a*".repeat(500);
    let content = format!("{pattern}b {}\n", ed25519(1)).repeat(20);
    assert!(lines(&"a".repeat(250), 22, content).is_empty());
}

/// The hash is from `ssh-keygen -H`.
#[test]
fn hashed_names_match() {
    let field = "|1|rNN47AP03kFcATRiPyzf8EPOm7E=|TMl1TcXPFCy+i/19PlW/HzuD1rA=";
    let salt = BASE64_STANDARD.decode(&field[3..31]).unwrap().try_into().unwrap();
    assert_eq!(hashed("host.example", salt), field);
    let content = format!("{field} {}\n", ed25519(1));
    assert_eq!(lines("HOST.example", 22, &content), [1]);
    assert_eq!(lines("other.example", 22, &content), [0; 0]);
    assert_eq!(lines("host.example", 2222, &content), [1]);
    assert!(read("host.example", 2222, &content).entries()[0].is_fallback);
}

#[test]
fn line_endings_blanks_and_comments_do_not_matter() {
    let key = ed25519(1);
    for line in [
        format!("h {key}"),
        format!("h {key}\n"),
        format!("h {key}\r\n"),
        format!("h {key} comment # more\r\n"),
        format!("  h \t {}  ", key.to_string().replace(' ', "\t")),
    ] {
        assert_eq!(lines("h", 22, &line), [1], "{line:?}");
        assert_eq!(problems(&line), [], "{line:?}");
    }
    let content =
        format!("# comment\n\n \t\r\n  # comment\n#h {key}\n@revoked\th {key}\n@cert-authority h {key}");
    assert_eq!(problems(&content), []);
    let known = read("h", 22, &content);
    let markers: Vec<_> = known.entries().iter().map(|entry| (entry.place().line, entry.marker())).collect();
    assert_eq!(markers, [(6, Marker::Revoked), (7, Marker::Authority)]);
}

#[test]
fn invalid_lines_are_skipped_and_reported() {
    let key = ed25519(1).to_string();
    let blob = key.split_once(' ').unwrap().1;
    let certificate = include_str!("../../certificate/testdata/ed25519-cert.pub").trim_end();
    for (line, reason) in [
        (format!("@what h {key}"), Invalid::Marker),
        (format!("@revoked @revoked h {key}"), Invalid::Marker),
        ("@revoked".to_owned(), Invalid::NoKey),
        ("h".to_owned(), Invalid::NoKey),
        ("h # ssh-ed25519".to_owned(), Invalid::NoKey),
        ("h ssh-ed25519".to_owned(), Invalid::NoKey),
        ("h ssh-ed25519 # x".to_owned(), Invalid::NoKey),
        ("h 1024 35 1234567".to_owned(), Invalid::Version1),
        (format!("h ssh-ed25519 {}", &blob[1..]), Invalid::Base64),
        ("h ssh-ed25519 AAAA".to_owned(), Invalid::Key),
        (format!("h ssh-ed25519 {}", &blob[..blob.len() - 4]), Invalid::Key),
        (format!("h ssh-rsa {blob}"), Invalid::OtherType),
        (format!("h {certificate}"), Invalid::Certificate),
        (format!("|1|x|y {key}"), Invalid::Hash),
        (format!("|1|MDEyMzQ1Njc4OWFiY2RlZmdoaWo=|MDEyMzQ1Njc4OWFiY2RlZmdoaWo=| {key}"), Invalid::Hash),
        (format!("|2|MDEyMzQ1Njc4OWFiY2RlZmdoaWo=|MDEyMzQ1Njc4OWFiY2RlZmdoaWo= {key}"), Invalid::Hash),
        (format!("{} {key}", "h,".repeat(3) + &"x".repeat(1023)), Invalid::LongPattern),
    ] {
        let content = format!("{line}\nh {key}\n");
        assert_eq!(problems(&content), [(1, reason)], "{line}");
        assert_eq!(lines("h", 22, &content), [2], "{line}");
    }
    // The keys of other hosts are not decoded.
    assert_eq!(problems(format!("other ssh-ed25519 {}", &blob[1..])), []);
    let known = read("h", 22, "h");
    assert_eq!(known.problems()[0].to_string(), "F:1: skipping invalid line: missing key");
    assert_eq!(problems("h\n".repeat(1000)).len(), MAX_PROBLEMS);
}

#[test]
fn keys_of_unsupported_types_are_kept() {
    let content = format!("h {}\nh {}\nh {}\n", dsa(), rsa(128), rsa(256));
    let known = read("h", 22, content);
    let types: Vec<_> = known.entries().iter().map(|entry| (entry.type_name(), entry.short_name())).collect();
    assert_eq!(types, [("ssh-dss", "DSA"), ("ssh-rsa", "RSA"), ("ssh-rsa", "RSA")]);
    assert_eq!(known.problems(), []);
}
