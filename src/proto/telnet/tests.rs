use super::{COMMAND, MAX_ANSWER, Telnet};
use crate::proto::testing::{Turn, alice, endpoint, fails, opens};
use crate::proto::{Error, Negotiation as _};

const SENT: &[u8] = b"telnet host.example 22\r\n";

fn machine() -> Telnet {
    Telnet::new(endpoint("host.example", "22"), COMMAND.into())
}

fn accepts(answer: &[u8]) {
    opens(machine, &[Turn::Sends(SENT), Turn::Proxy(answer)]);
}

fn answered(answer: &[u8]) -> Error {
    fails(machine, &[Turn::Sends(SENT), Turn::Proxy(answer)])
}

/// The answer, after which the proxy closes.
fn cut_off(answer: &[u8]) -> Error {
    fails(machine, &[Turn::Sends(SENT), Turn::Proxy(answer), Turn::Closes])
}

fn refused(text: &str) -> Error {
    Error::TelnetRefused { target: "host.example:22".into(), text: text.into() }
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
fn what_a_name_looks_like_is_not_expanded_again() {
    // A host name may hold a percent sign: that of a zone.
    let make = || Telnet::new(endpoint("fe80::1%p", "22"), "%h %p".into());
    opens(make, &[Turn::Sends(b"fe80::1%p 22\r\n"), Turn::Proxy(b"connected to\n")]);
}

#[test]
fn an_ipv6_target_is_sent_without_brackets() {
    let make = || Telnet::new(endpoint("[2001:db8::7]", "22"), COMMAND.into());
    opens(make, &[Turn::Sends(b"telnet 2001:db8::7 22\r\n"), Turn::Proxy(b"connected to it\r\n")]);
    let refusal = [Turn::Sends(b"telnet 2001:db8::7 22\r\n"), Turn::Proxy(b"connect failed\n")];
    assert_eq!(fails(make, &refusal).to_string(), "refused [2001:db8::7]:22: connect failed");
}

#[test]
fn a_line_with_the_good_phrase_opens_the_tunnel() {
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
fn what_follows_the_good_line_is_no_longer_looked_at() {
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
fn a_line_with_a_bad_phrase_is_a_refusal_and_quoted() {
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
        // A refusal that ends with the connection, not with the line.
        assert_eq!(cut_off(text.as_bytes()), refused(text));
    }
    let error = refused("Connection refused");
    assert_eq!(error.to_string(), "refused host.example:22: Connection refused");
}

#[test]
fn a_phrase_that_is_not_quite_there_is_no_verdict() {
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
        assert_eq!(cut_off(text.as_bytes()), Error::Closed("the line that says it is connected"), "{text:?}");
    }
}

#[test]
fn a_refusal_is_shown_without_its_control_characters() {
    let error = answered(b"\x1b]0;owned\x07 connection\t refused \xff\x9b \xe2\x80\xae!\r\n");
    assert_eq!(error, refused("\\x1b]0;owned\\x07 connection\\t refused \\xff\\x9b \\u{202e}!"));
    let error = answered(&[&[b'x'; 5000][..], b" refused\n"].concat());
    assert_eq!(error, refused(&format!("{}…", "x".repeat(160))));
}

#[test]
fn a_verdict_may_come_late_but_not_for_ever() {
    for filler in ["x", "a line of text, and another one\r\n"] {
        let good = "\nconnected to x\n";
        let text = filler.repeat(MAX_ANSWER / filler.len() + 1);
        let late = format!("{}{good}", &text[..MAX_ANSWER - good.len()]);
        opens(machine, &[Turn::Sends(SENT), Turn::Proxy(late.as_bytes())]);
        let too_late = format!("{}{good}", &text[..=MAX_ANSWER - good.len()]);
        assert_eq!(answered(too_late.as_bytes()), Error::NoAnswerLine(64), "{filler:?}");
    }
    assert_eq!(
        answered(&vec![b'x'; MAX_ANSWER + 1]).to_string(),
        "sent 64 KiB of text and never said whether it is connected"
    );
}

#[test]
fn a_new_connection_begins_with_the_command() {
    let mut machine = machine();
    let first = machine.step();
    assert_eq!(machine.receive(b"half a line, connec"), Ok(19));
    machine.restart();
    assert_eq!(machine.step(), first);
    // What the old connection began to say is forgotten.
    assert_eq!(machine.receive(b"ted to x\r\n"), Ok(10));
    assert_eq!(machine.closed(), Err(Error::Closed("the line that says it is connected")));
}

#[test]
fn there_is_no_place_for_a_password() {
    assert!(matches!(machine().credentials(alice()), Err(Error::NotEncodable(_))));
}
