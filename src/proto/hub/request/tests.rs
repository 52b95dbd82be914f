#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

const UPGRADE: &str = "Host: h\nUpgrade: websocket\nConnection: keep-alive, Upgrade\nSec-WebSocket-Version: 13\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n";
const ID: &str = "00112233445566778899aabbccddeeff";

fn site(prefix: &str, role: Option<RoleLimit>) -> Site {
    Site { prefix: prefix.into(), role, origins: vec![Origin::parse("https://www.example").unwrap()] }
}

/// Reads a head in pieces of each length, which must make no difference.
fn read_at(head: &str, site: &Site) -> Result<Request, Refusal> {
    let input = [head.replace('\n', "\r\n").as_bytes(), b"rest"].concat();
    let in_pieces = |length: usize| {
        let (mut reader, mut consumed) = (HeadReader::default(), 0);
        for piece in input.chunks(length) {
            let (count, request) = reader.receive(piece, site)?;
            consumed += count;
            if let Some(request) = request {
                assert_eq!(&input[consumed..], b"rest");
                return Ok(request);
            }
        }
        panic!("the head has no end")
    };
    let whole = in_pieces(input.len());
    for length in 1..input.len().min(300) {
        let piecewise = in_pieces(length).map(|request| request.action);
        assert_eq!(piecewise, whole.clone().map(|request| request.action), "pieces of {length}");
    }
    whole
}

fn read(target: &str, fields: &str) -> Result<Request, Refusal> {
    read_at(&format!("GET {target} HTTP/1.1\n{fields}\n"), &site("", None))
}

fn status(target: &str, fields: &str) -> (u16, Label) {
    read(target, fields).map_or_else(|it| (it.status, it.label), |_| (200, Label::Origin))
}

fn with(fields: &str) -> String {
    format!("{UPGRADE}{fields}")
}

#[test]
fn each_path_has_its_purpose() {
    let session = || "lab-1._~".to_owned();
    let dest = |mode, resume| Action::Dest { session: session(), mode, resume };
    let id = Id::parse(ID);
    for (target, fields, expected) in [
        (
            "/v1/lab-1._~/origin",
            "Sec-WebSocket-Protocol: connect.origin.v1\n",
            Action::Origin { session: session() },
        ),
        ("/v1/lab-1._~/dest", "", dest(Mode::Raw, None)),
        ("/v1/lab-1._~/dest", "Sec-WebSocket-Protocol: binary\n", dest(Mode::Raw, None)),
        ("/v1/lab-1._~/dest", "Sec-WebSocket-Protocol: connect.mux.v1\n", dest(Mode::Mux, None)),
        (
            "/v1/lab-1._~/dest",
            "Sec-WebSocket-Protocol: connect.mux.v1\nConnect-Resume: 00112233445566778899aabbccddeeff\n",
            dest(Mode::Mux, id),
        ),
        (
            "/v1/lab-1._~/accept/00112233445566778899aabbccddeeff",
            "",
            Action::Accept { session: session(), offer: id.unwrap() },
        ),
    ] {
        assert_eq!(read(target, &with(fields)).unwrap().action, expected, "{target} {fields}");
    }
    for (target, fields, expected) in [
        ("/v1/health", "Host: h\n", Action::Health),
        ("/v1/stats", "Host: h\n", Action::Stats),
        ("/status", "Host: h\n", Action::Status),
        ("/metrics", "Host: h\n", Action::Metrics { open: false }),
        (
            "/metrics",
            "Host: h\nAccept: application/openmetrics-text;version=1.0.0\n",
            Action::Metrics { open: true },
        ),
    ] {
        assert_eq!(read(target, fields).unwrap().action, expected, "{target}");
    }
}

#[test]
fn each_fault_has_its_status_and_label() {
    let long = "x".repeat(65);
    let many = "x: y\n".repeat(100);
    for (target, fields, expected) in [
        ("/v1/lab/dest?token=x", with(""), (400, Label::Malformed)),
        ("/v1/a%20b/dest", with(""), (400, Label::Malformed)),
        (&*format!("/v1/{long}/dest"), with(""), (400, Label::Malformed)),
        ("/v1//dest", with(""), (400, Label::Malformed)),
        ("/v1/lab/dest", with("Host: h\n"), (400, Label::Malformed)),
        ("/v1/lab/dest", UPGRADE.replace("Host: h\n", ""), (400, Label::Malformed)),
        ("/v1/lab/dest", with("Content-Length: 1\n"), (400, Label::Malformed)),
        ("/v1/lab/dest", with("Transfer-Encoding: chunked\n"), (400, Label::Malformed)),
        ("/v1/lab/dest", UPGRADE.replace("dGhl", "dG"), (400, Label::Malformed)),
        ("/v1/lab/dest", with("Connect-Resume: 1\n"), (400, Label::Malformed)),
        ("/v1/lab/origin", with(""), (400, Label::Malformed)),
        ("/v1/lab/dest", with(&many), (431, Label::Malformed)),
        ("/v1/lab/accept/1", with(""), (404, Label::Absent)),
        ("/v2/lab/dest", with(""), (404, Label::Absent)),
        ("/v1/lab/dest/", with(""), (404, Label::Absent)),
        ("v1/lab/dest", with(""), (404, Label::Absent)),
        ("/", with(""), (404, Label::Absent)),
        ("/v1/lab/dest", with("Origin: https://evil.example\n"), (403, Label::Browser)),
        ("/v1/stats", "Host: h\nOrigin: null\n".into(), (403, Label::Browser)),
        ("/v1/lab/dest", "Host: h\n".into(), (426, Label::Upgrade)),
        ("/v1/lab/dest", UPGRADE.replace(": 13", ": 12"), (426, Label::Upgrade)),
        ("/v1/lab/dest", with("Sec-WebSocket-Version: 13\n"), (426, Label::Upgrade)),
        ("/v1/lab/dest", with("Origin: https://www.example\n"), (200, Label::Origin)),
    ] {
        assert_eq!(status(target, &fields), expected, "{target} {fields}");
    }
    let post = read_at("POST /v1/health HTTP/1.1\nHost: h\n\n", &site("", None));
    assert_eq!(post.unwrap_err().status, 405);
}

#[test]
fn an_endless_head_is_refused() {
    let mut reader = HeadReader::default();
    let refusal = reader.receive(&vec![b'x'; MAX_HUB_HEAD + 1], &site("", None)).unwrap_err();
    assert_eq!((refusal.status, refusal.label), (431, Label::Malformed));
}

#[test]
fn an_address_serves_one_prefix_and_possibly_one_role() {
    let status = |target: &str, prefix, role| {
        let head = format!("GET {target} HTTP/1.1\n{UPGRADE}Sec-WebSocket-Protocol: connect.origin.v1\n\n");
        read_at(&head, &site(prefix, role)).map_or_else(|it| it.status, |_| 200)
    };
    let accept = format!("/v1/lab/accept/{ID}");
    for (target, prefix, role, expected) in [
        ("/hub/v1/lab/dest", "/hub", None, 200),
        ("/v1/lab/dest", "/hub", None, 404),
        ("/hubv1/lab/dest", "/hub", None, 404),
        ("/v1/lab/dest", "", Some(RoleLimit::Dest), 200),
        ("/v1/lab/dest", "", Some(RoleLimit::Origin), 404),
        ("/v1/lab/origin", "", Some(RoleLimit::Origin), 200),
        ("/v1/lab/origin", "", Some(RoleLimit::Dest), 404),
        (&accept, "", Some(RoleLimit::Origin), 200),
        (&accept, "", Some(RoleLimit::Dest), 404),
    ] {
        assert_eq!(status(target, prefix, role), expected, "{target} {prefix} {role:?}");
    }
}

#[test]
fn the_answer_opens_a_websocket_with_half_close() {
    let answer = |target: &str, fields: &str| {
        String::from_utf8(read(target, &with(fields)).unwrap().accepted()).unwrap()
    };
    let raw = answer("/v1/lab/dest", "Sec-WebSocket-Protocol: binary\n");
    assert!(raw.starts_with("HTTP/1.1 101 ") && raw.ends_with("\r\nConnect-Half-Close: 1\r\n\r\n"), "{raw}");
    assert!(raw.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{raw}");
    for (target, protocol) in [("/v1/lab/dest", MUX_PROTOCOL), ("/v1/lab/origin", ORIGIN_PROTOCOL)] {
        let answer = answer(target, &format!("Sec-WebSocket-Protocol: {protocol}\n"));
        assert!(answer.contains(&format!("\r\nSec-WebSocket-Protocol: {protocol}\r\n")), "{answer}");
    }
}

#[test]
fn token_and_client_address_are_taken_from_the_head() {
    let request = read(
        "/v1/lab/dest",
        &with("Authorization: bearer  abc\nX-Forwarded-For: 192.0.2.1\nX-Forwarded-For: 192.0.2.2\n"),
    )
    .unwrap();
    assert_eq!(request.token.as_ref().map(Secret::expose), Some(&b"abc"[..]));
    assert_eq!(request.forwarded_for.as_deref(), Some("192.0.2.1,192.0.2.2"));
    assert!(!format!("{request:?}").contains("abc"));
}
