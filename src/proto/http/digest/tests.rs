#![allow(clippy::unwrap_used)]

use super::super::challenge::parse_line;
use super::{Digest, Hash, NameForm, RequestInfo};
use crate::proto::Credentials;
use crate::proto::testing::login;
use crate::secret::UserName;

/// The examples in the RFCs use GET, because they are requests to servers, not proxies.
const METHOD: &str = "GET";

fn digest(challenge: &str) -> Result<Digest, String> {
    Digest::parse(&parse_line(challenge)[0])
}

fn response_to(challenge: &str, uri: &str, credentials: &Credentials, cnonce: &str) -> String {
    let request = RequestInfo { method: METHOD, uri, credentials, cnonce, count: 1 };
    String::from_utf8(digest(challenge).unwrap().respond(&request).unwrap().parts().concat()).unwrap()
}

/// Joins the lines of a header field that the RFC prints on several lines.
fn unfold(field: &str) -> String {
    field.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// RFC 7616 §3.9.1, with MD5 and with SHA-256.
#[test]
fn responses_match_the_examples_of_rfc_7616() {
    let mufasa = login("Mufasa", "Circle of Life");
    for (algorithm, response) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ] {
        let challenge = unfold(&format!(
            "Digest
             realm=\"http-auth@example.org\",
             qop=\"auth, auth-int\",
             algorithm={algorithm},
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\",
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        ));
        let expected = unfold(&format!(
            "Digest username=\"Mufasa\",
             realm=\"http-auth@example.org\",
             uri=\"/dir/index.html\",
             algorithm={algorithm},
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\",
             nc=00000001,
             cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\",
             qop=auth,
             response=\"{response}\",
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        ));
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        assert_eq!(response_to(&challenge, "/dir/index.html", &mufasa, cnonce), expected);
    }
}

/// RFC 7616 §3.9.2 with the values from erratum 4897; the RFC itself has truncated SHA-512 values.
#[test]
fn sha_512_256_and_userhash_match_the_erratum() {
    let challenge = unfold(
        "Digest
         realm=\"api@example.org\",
         qop=\"auth\",
         algorithm=SHA-512-256,
         nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\",
         opaque=\"HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS\",
         charset=UTF-8,
         userhash=true",
    );
    let expected = unfold(
        "Digest
         username=\"793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b\",
         realm=\"api@example.org\",
         uri=\"/doe.json\",
         algorithm=SHA-512-256,
         nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\",
         nc=00000001,
         cnonce=\"NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v\",
         qop=auth,
         response=\"3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5\",
         opaque=\"HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS\",
         userhash=true",
    );
    let doe = login("J\u{e4}s\u{f8}n Doe", "Secret, or not?");
    assert_eq!(
        response_to(&challenge, "/doe.json", &doe, "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"),
        expected
    );

    // Without userhash, the name is sent as `username*`.
    let named = response_to(&challenge.replace(", userhash=true", ""), "/doe.json", &doe, "x");
    assert!(named.starts_with("Digest username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, realm="), "{named}");
    assert!(!named.contains("userhash"));
}

/// RFC 2069 §2.4 with the value from erratum 749, and RFC 2617 §3.5.
#[test]
fn a_challenge_without_qop_gets_a_response_as_in_rfc_2069() {
    let challenge = "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
         opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
    let answer = response_to(challenge, "/dir/index.html", &login("Mufasa", "CircleOfLife"), "0a4f113b");
    let expected = "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", uri=\"/dir/index.html\", \
         nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", response=\"1949323746fe6a43ef61f9606e7febea\", \
         opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
    assert_eq!(answer, expected);

    let challenge = format!("{challenge}, qop=\"auth,auth-int\"");
    let answer = response_to(&challenge, "/dir/index.html", &login("Mufasa", "Circle Of Life"), "0a4f113b");
    assert!(answer.contains("nc=00000001, cnonce=\"0a4f113b\", qop=auth, "), "{answer}");
    assert!(answer.contains("response=\"6629fae49393a05397450978507c4ef1\""), "{answer}");
}

/// A1 is `H(user:realm:password):nonce:cnonce`; the values were computed with openssl.
#[test]
fn a_session_algorithm_mixes_the_nonces_into_the_secret() {
    for (algorithm, response) in [
        ("MD5-sess", "e15026b9a5a4ef3e6ff09e4e673869a2"),
        ("SHA-256-sess", "060c2ece529ae24ccf57aed81cc2a70a2706649a63bc602eeb6e9650a8f75efe"),
        ("sha-512-256-SESS", "d425e3244c820899c96d0523552c35104bb6a9f1217d19428eba9057c15541d9"),
    ] {
        let challenge = format!("Digest realm=\"r\", nonce=\"n\", qop=auth, algorithm={algorithm}");
        let answer = response_to(&challenge, "/", &login("alice", "pw"), "c");
        assert!(answer.contains(&format!("response=\"{response}\"")), "{answer}");
        assert!(answer.contains(&format!("algorithm={algorithm}, ")), "{answer}");
    }
}

#[test]
fn quotes_and_backslashes_are_escaped_both_ways() {
    let challenge = r#"Digest realm="a \"b\" \\c", nonce="\n", opaque="\"", qop="auth""#;
    let answer = response_to(challenge, "/", &login(r#"do"main\me"#, "pw"), r#"c"c"#);
    for part in [
        r#"username="do\"main\\me""#,
        r#"realm="a \"b\" \\c""#,
        r#"nonce="n""#,
        r#"cnonce="c\"c""#,
        r#"opaque="\"""#,
    ] {
        assert!(answer.contains(part), "{answer}");
    }
    // The hash covers the unquoted values.
    assert!(answer.contains("response=\"2406b4e1b344d096122bf1e86af55380\""), "{answer}");
}

#[test]
fn a_non_ascii_user_name_is_sent_in_the_form_that_the_proxy_supports() {
    let challenge = "Digest realm=\"r\", nonce=\"n\", qop=auth";
    let name = |more: &str, user| response_to(&format!("{challenge}{more}"), "/", &login(user, "pw"), "c");
    assert!(name("", "jörg").starts_with("Digest username=\"jörg\","));
    assert!(name(", charset=\"utf-8\"", "jörg").starts_with("Digest username*=UTF-8''j%C3%B6rg,"));
    assert!(name(", charset=UTF-8", "a\"b").starts_with("Digest username=\"a\\\"b\","));
    assert!(name(", charset=UTF-8", "é'(%)*").starts_with("Digest username*=UTF-8''%C3%A9%27%28%25%29%2A,"));
}

#[test]
fn a_user_name_with_a_control_character_can_only_be_sent_as_a_hash() {
    for (more, works) in [("", false), (", charset=UTF-8", false), (", userhash=true", true)] {
        let digest = digest(&format!("Digest realm=\"r\", nonce=\"n\"{more}")).unwrap();
        let credentials = login("a\r\nb", "pw");
        assert_eq!(digest.check(&credentials).is_ok(), works, "{more}");
        let request =
            RequestInfo { method: METHOD, uri: "/", credentials: &credentials, cnonce: "c", count: 1 };
        assert_eq!(digest.respond(&request).is_ok(), works, "{more}");
    }
}

/// No encoding is known for such a name, so it cannot be sent in the extended notation.
#[test]
fn a_user_name_in_latin_1_is_sent_as_it_is() {
    let credentials = Credentials { user: UserName::new(b"jos\xe9\"".into()), password: "pw".into() };
    for charset in ["", ", charset=UTF-8"] {
        let challenge = format!("Digest realm=\"r\", nonce=\"n\", qop=auth{charset}");
        let request =
            RequestInfo { method: METHOD, uri: "/", credentials: &credentials, cnonce: "c", count: 1 };
        let answer = digest(&challenge).unwrap().respond(&request).unwrap();
        assert!(answer.parts()[0].starts_with(b"Digest username=\"jos\xe9\\\"\", realm=\"r\""), "{charset}");
    }
}

#[test]
fn only_the_response_is_secret() {
    let challenge = "Digest realm=\"r\", nonce=\"n\", qop=auth, opaque=\"o\"";
    let credentials = login("alice", "pw");
    let request =
        RequestInfo { method: METHOD, uri: "/", credentials: &credentials, cnonce: "c", count: 0x1f };
    let answer = digest(challenge).unwrap().respond(&request).unwrap();
    let [before, secret, after] = answer.parts().map(|part| str::from_utf8(part).unwrap());
    assert!(before.ends_with("nc=0000001f, cnonce=\"c\", qop=auth, response=\""), "{before}");
    assert!(secret.len() == 32 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()), "{secret}");
    assert_eq!(after, "\", opaque=\"o\"");
}

#[test]
fn an_unsupported_challenge_is_rejected_with_the_cause() {
    for (challenge, why) in [
        ("Digest", "no realm or no nonce"),
        ("Digest realm=\"r\"", "no realm or no nonce"),
        ("Digest nonce=\"n\"", "no realm or no nonce"),
        ("Digest realm=\"r\", nonce=\"n\", algorithm=SHA-1", "unsupported algorithm SHA-1"),
        ("Digest realm=\"r\", nonce=\"n\", algorithm=sha-512", "unsupported algorithm sha-512"),
        ("Digest realm=\"r\", nonce=\"n\", algorithm=\"\"", "unsupported algorithm "),
        ("Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"", "no quality of protection 'auth'"),
        ("Digest realm=\"r\", nonce=\"n\", qop=\"\"", "no quality of protection 'auth'"),
        (
            "Digest realm=\"r\", nonce=\"n\", algorithm=MD5-sess",
            "algorithm MD5-SESS without a quality of protection",
        ),
        ("Digest realm=\"r\", nonce=\"n\", realm=\"s\"", "malformed challenge"),
        ("Digest realm=\"\u{fffd}\", nonce=\"n\"", "not UTF-8"),
    ] {
        assert_eq!(digest(challenge).unwrap_err(), why, "{challenge}");
    }
}

#[test]
fn parameters_are_accepted_with_and_without_quotes_and_in_any_case() {
    let strict = digest(
        "Digest realm=r, nonce=n, qop=auth, algorithm=SHA-256, stale=true, userhash=true, charset=utf-8",
    );
    let quoted = "DIGEST Realm = \"r\", NONCE=\"n\", QOP=\"auth-int , AUTH\", Algorithm=\"SHA-256\", STALE=\"TRUE\", \
         UserHash=\"True\", Charset=\"UTF-8\", unknown=x";
    assert_eq!(strict, digest(quoted));
    let strict = strict.unwrap();
    assert!(strict.stale && strict.name_form == NameForm::Hashed && strict.qop);
    assert_eq!(strict.hash, Hash::Sha256);
}
