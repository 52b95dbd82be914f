use super::{COMMAND, MAX_ANSWER, Telnet};
use crate::proto::testing::{Turn, alice, endpoint, fails, opens};
use crate::proto::{Awaited, Error, Negotiation as _, Unencodable};

const SENT: &[u8] = b"telnet host.example 22\r\n";

fn machine() -> Telnet {
    Telnet::new(endpoint("host.example", "22"), COMMAND.into())
}

/// Checks that the tunnel is established after this answer.
fn accepts(answer: &[u8]) {
    opens(machine, &[Turn::Sends(SENT), Turn::Proxy(answer)]);
}

/// Returns the error for this answer.
fn answered(answer: &[u8]) -> Error {
    fails(machine, &[Turn::Sends(SENT), Turn::Proxy(answer)])
}

/// Returns the error if the proxy closes the connection after this answer.
fn closed_after(answer: &[u8]) -> Error {
    fails(machine, &[Turn::Sends(SENT), Turn::Proxy(answer), Turn::Closes])
}

fn refused(text: &str) -> Error {
    Error::TelnetRefused { target: endpoint("host.example", "22").into(), text: text.into() }
}

#[test]
fn the_command_is_expanded() {
    for (command, expected) in [
        ("telnet %h %p", "telnet host.example 22"),
        ("%p%h%p", "22host.example22"),
        (r"c %h\r\n\tx", "c host.example\r\n\tx"),
        ("%%h %%%h", "%h %host.example"),
        (r"\\n \\\n", "\\n \\\n"),
        (r"%x %H %P \x \0 \R", r"%x %H %P \x \0 \R"),
        (r"%\n", "%\n"),
        (r"\%h", r"\host.example"),
        ("100 %", "100 %"),
        (r"end \", r"end \"),
        ("", ""),
        ("bücher %h", "bücher host.example"),
    ] {
        let make = || Telnet::new(endpoint("host.example", "22"), command.into());
        let sent = format!("{expected}\r\n");
        opens(make, &[Turn::Sends(sent.as_bytes()), Turn::Proxy(b"Connected to x\r\n")]);
    }
}

#[test]
fn a_percent_sign_in_the_host_name_is_not_expanded() {
    // In an IPv6 address, a percent sign precedes the zone.
    let make = || Telnet::new(endpoint("fe80::1%p", "22"), "%h %p".into());
    opens(make, &[Turn::Sends(b"fe80::1%p 22\r\n"), Turn::Proxy(b"connected to\n")]);
}

#[test]
fn an_ipv6_target_is_sent_without_brackets() {
    let make = || Telnet::new(endpoint("[2001:db8::7]", "22"), COMMAND.into());
    opens(make, &[Turn::Sends(b"telnet 2001:db8::7 22\r\n"), Turn::Proxy(b"connected to it\r\n")]);
    let refusal = [Turn::Sends(b"telnet 2001:db8::7 22\r\n"), Turn::Proxy(b"connect failed\n")];
    assert_eq!(fails(make, &refusal).to_string(), "refused to connect to [2001:db8::7]:22: connect failed");
}

#[test]
fn a_line_with_the_success_phrase_establishes_the_tunnel() {
    for answer in [
        "Connected to host.example.\r\n",
        "connected to\n",
        "CONNECTED TO 1.2.3.4\r\n",
        "you are cOnNeCtEd tO it\n",
        "unconnected to\n",
        "Trying 192.0.2.7...\r\nConnected to host.example.\r\n",
        "\r\n\n\r\nWelcome!\r\nproxy> \r\nconnected to x\r\n",
        "previous session was connected to x, and is closed\n",
        "\0\u{1}\u{7f}\r\nconnected to x\n",
    ] {
        accepts(answer.as_bytes());
    }
    accepts(b"\xff\xfd\x18\xff\xfe\x01Connected to x\r\n");
}

#[test]
fn bytes_after_the_success_line_belong_to_the_tunnel() {
    for early in
        ["Escape character is '^]'.\r\n", "connection refused\r\n", "\r\n", "SSH-2.0-x\r\n closed\r\n"]
    {
        let answer = format!("connected to x\r\n{early}");
        let mut machine = machine();
        assert!(machine.step().is_ok());
        assert_eq!(machine.receive(answer.as_bytes()), Ok(16), "{early:?}");
    }
}

#[test]
fn a_line_with_a_failure_phrase_is_a_refusal_and_quoted() {
    for text in [
        "Connection refused",
        "connect to address 192.0.2.7: Connection refused",
        "CONNECTION FAILED",
        "request Rejected by policy",
        "Connection closed by foreign host.",
        "it failedmiserably",
    ] {
        assert_eq!(answered(format!("{text}\r\n").as_bytes()), refused(text));
        assert_eq!(answered(format!("Trying...\r\n{text}\n").as_bytes()), refused(text));
        // EOF ends the line, too.
        assert_eq!(closed_after(text.as_bytes()), refused(text));
    }
    let error = refused("Connection refused");
    assert_eq!(error.to_string(), "refused to connect to host.example:22: Connection refused");
}

#[test]
fn a_similar_phrase_is_neither_success_nor_failure() {
    for text in [
        "refused\r\n",
        "rejected\r\n",
        "connectedto x\r\n",
        "connected  to x\r\n",
        "connected\r\nto x\r\n",
        "connection\r\nrefused\r\n",
        "unrefused-closed\r\n",
        "connected\tto\r\n",
        "",
        "connected to a line without its end",
    ] {
        assert_eq!(closed_after(text.as_bytes()), Error::Closed(Awaited::TelnetLine), "{text:?}");
    }
}

#[test]
fn control_characters_in_a_refusal_are_escaped() {
    let error = answered(b"\x1b]0;owned\x07 connection\t refused \xff\x9b \xe2\x80\xae!\r\n");
    assert_eq!(error, refused("\\x1b]0;owned\\x07 connection\\t refused \\xff\\x9b \\u{202e}!"));
    let error = answered(&[&[b'x'; 5000][..], b" refused\n"].concat());
    assert_eq!(error, refused(&format!("{}…", "x".repeat(160))));
}

#[test]
fn the_answer_line_may_come_within_64_kib() {
    for filler in ["x", "a line of text, and another one\r\n"] {
        let success = "\nconnected to x\n";
        let text = filler.repeat(MAX_ANSWER / filler.len() + 1);
        let late = format!("{}{success}", &text[..MAX_ANSWER - success.len()]);
        opens(machine, &[Turn::Sends(SENT), Turn::Proxy(late.as_bytes())]);
        let too_late = format!("{}{success}", &text[..=MAX_ANSWER - success.len()]);
        assert_eq!(answered(too_late.as_bytes()), Error::NoAnswerLine(64), "{filler:?}");
    }
    assert_eq!(
        answered(&vec![b'x'; MAX_ANSWER + 1]).to_string(),
        "sent 64 KiB of text without reporting success or failure"
    );
}

#[test]
fn a_restart_sends_the_command_again_and_discards_a_partial_line() {
    let mut machine = machine();
    let first = machine.step();
    assert_eq!(machine.receive(b"half a line, connec"), Ok(19));
    machine.restart();
    assert_eq!(machine.step(), first);
    // The partial line from the old connection is discarded.
    assert_eq!(machine.receive(b"ted to x\r\n"), Ok(10));
    assert_eq!(machine.closed(), Err(Error::Closed(Awaited::TelnetLine)));
}

/// A telnet-style proxy sees the password for the next hop.
#[test]
fn the_password_of_another_hop_is_masked() {
    let redactor = crate::proto::Redactor::default();
    redactor.add(&"hunter2".into());
    let masking = || machine().with_redactor(redactor.clone());
    let error = fails(masking, &[Turn::Sends(SENT), Turn::Proxy(b"hunter2 refused\r\n")]);
    assert_eq!(error.to_string(), "refused to connect to host.example:22: xxxxx refused");
}

#[test]
fn passwords_are_rejected() {
    assert_eq!(machine().credentials(alice()), Err(Error::NotEncodable(Unencodable::TelnetPassword)));
}
