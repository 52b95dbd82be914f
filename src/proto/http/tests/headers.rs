//! Tests of user-supplied header fields.

use super::{BASIC, Connect, ESTABLISHED, Settings};
use crate::proto::http::Header;
use crate::proto::testing::{Turn, alice, endpoint, fails, opens};
use crate::proto::{Error, Negotiation as _, Step};

fn machine(lines: &[&str], http_1_0: bool) -> Connect {
    let headers = lines.iter().map(|line| Header::parse(line).unwrap()).collect();
    let settings = Settings { headers, http_1_0, ..Settings::default() };
    Connect::new(endpoint("ssh.example", "22"), settings, || None)
}

#[test]
fn headers_are_sent_with_every_request_in_order() {
    let start =
        "CONNECT ssh.example:22 HTTP/1.1\r\nHost: ssh.example:22\r\nX-One: 1\r\nx-two: a: b\r\nX-One: 3\r\n";
    let machine = || machine(&["X-One: 1", "x-two:a: b", "X-One: 3"], false);
    opens(
        machine,
        &[
            Turn::Sends(format!("{start}\r\n").as_bytes()),
            Turn::Proxy(b"HTTP/1.0 407 x\r\nProxy-Authenticate: Basic\r\n\r\n"),
            Turn::Asks(alice()),
            Turn::Reconnects,
            Turn::Sends(format!("{start}Proxy-Authorization: Basic {BASIC}\r\n\r\n").as_bytes()),
            Turn::Proxy(ESTABLISHED),
        ],
    );
}

/// Some proxies expect another name, for example that of a virtual host.
#[test]
fn a_host_header_of_the_user_was_refused() {
    let request = b"CONNECT ssh.example:22 HTTP/1.1\r\nHost: front.example\r\nX-One: 1\r\n\r\n";
    let machine = || machine(&["X-One: 1", "host: front.example"], false);
    opens(machine, &[Turn::Sends(request), Turn::Proxy(ESTABLISHED)]);
}

#[test]
fn http_1_0_is_used_on_request() {
    let request = b"CONNECT ssh.example:22 HTTP/1.0\r\nHost: ssh.example:22\r\n\r\n";
    opens(|| machine(&[], true), &[Turn::Sends(request), Turn::Proxy(ESTABLISHED)]);
}

#[test]
fn only_values_of_public_fields_are_displayed() {
    let mut machine = machine(&["X-Token: s3same", "User-Agent: probe/1", "Cookie: ab=cd"], false)
        .with_credentials(Some(alice()));
    assert!(!format!("{machine:?}").contains("s3same"));
    let Ok(Step::Send(wire)) = machine.step() else { unreachable!() };
    let shown = String::from_utf8(wire.masked("?")).unwrap();
    let expected = "Host: ssh.example:22\r\nX-Token: ?\r\nUser-Agent: probe/1\r\nCookie: ?\r\nProxy-Authorization: Basic ?\r\n\r\n";
    assert!(shown.ends_with(expected), "{shown}");
    // If a proxy echoes the secret values, we must not display them either.
    machine.receive(b"HTTP/1.1 403 No s3same, ab=cd probe/1\r\nContent-Length: 0\r\n\r\n").unwrap();
    let error = machine.step().unwrap_err().to_string();
    assert_eq!(error, "refused to connect to ssh.example:22: 403 No xxxxx, xxxxx probe/1");
}

#[test]
fn a_proxy_authorization_header_replaces_any_other_authentication() {
    let request = b"CONNECT ssh.example:22 HTTP/1.1\r\nHost: ssh.example:22\r\nproxy-authorization: Bearer abcdef\r\n\r\n";
    let machine = || machine(&["proxy-authorization: Bearer abcdef"], false).with_credentials(Some(alice()));
    opens(machine, &[Turn::Sends(request), Turn::Proxy(ESTABLISHED)]);
    for status in [401, 407] {
        let refusal = format!("HTTP/1.1 {status} Not with abcdef\r\nProxy-Authenticate: Basic\r\n\r\n");
        let error = fails(machine, &[Turn::Sends(request), Turn::Proxy(refusal.as_bytes())]);
        assert_eq!(error, Error::WrongHeader { text: format!("({status} Not with xxxxx)") });
    }
}
