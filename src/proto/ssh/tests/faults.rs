//! Each message of a correct conversation, with each fault.

use super::server::{FAULTS, Fault, OUTPUT, Plan, Server};
use super::*;
use crate::proto::{Error, Negotiation, Step};
use crate::ssh::connection::{Connection, Source};
use crate::ssh::message;

/// The end of a conversation.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The channel has ended after this output.
    Output(Vec<u8>),
    /// The client has failed, with this message.
    Failed(String),
    /// The client waits for the server. The driver has a time limit.
    Waiting,
    /// The client connects again.
    Reconnect,
}

const CORRECT: Plan = Plan { fault: Fault::None, index: 0, is_inside: false };

/// Carries a conversation out, in pieces of this size.
fn converse(server: &mut Server, piece: usize) -> End {
    let mut client = open_channel();
    let mut input = Vec::new();
    let failed = |error: Error| match error {
        Error::Ssh(failure) => End::Failed(failure.message(&SERVER)),
        other => panic!("{other:?}"),
    };
    for _ in 0..10_000 {
        match client.step() {
            Err(error) => return failed(error),
            Ok(Step::Send(wire)) => server.receive(wire.bytes()),
            Ok(Step::Receive(_)) => match next_piece(server, &mut input, piece) {
                Some(bytes) => assert_eq!(client.receive(&bytes).unwrap(), bytes.len()),
                None if server.is_closed => return failed(client.closed().unwrap_err()),
                None => return End::Waiting,
            },
            Ok(Step::Ask { .. }) => client.answered(Err("nobody answers".into())).unwrap(),
            Ok(Step::Reconnect) => return End::Reconnect,
            Ok(Step::Done) => {
                let (connection, channel, _) = client.take().unwrap();
                return relay(connection, channel, server, input, piece);
            }
            Ok(_) => panic!("an unexpected step"),
        }
    }
    panic!("a conversation without end");
}

/// Returns the next bytes from the server; `None` if none are on their way.
fn next_piece(server: &mut Server, input: &mut Vec<u8>, piece: usize) -> Option<Vec<u8>> {
    if input.is_empty() {
        *input = server.wire.pop_front()?;
    }
    let rest = input.split_off(piece.min(input.len()));
    Some(std::mem::replace(input, rest))
}

/// Reads the output of the target up to EOF.
fn relay(
    mut connection: Connection,
    channel: crate::ssh::connection::ChannelId,
    server: &mut Server,
    mut input: Vec<u8>,
    piece: usize,
) -> End {
    let (mut output, mut buffer) = (Vec::new(), [0; 100]);
    loop {
        match connection.read(channel, Source::Data, &mut buffer).unwrap() {
            Some(0) => return End::Output(output),
            Some(count) => output.extend_from_slice(&buffer[..count]),
            None => {
                let Some(bytes) = next_piece(server, &mut input, piece) else {
                    let closed = connection.transport().closed();
                    return if server.is_closed {
                        End::Failed(closed.message(&SERVER))
                    } else {
                        End::Waiting
                    };
                };
                if let Err(error) = connection.receive(&bytes) {
                    return End::Failed(error.message(&SERVER));
                }
                while connection.next_event().is_some() {}
            }
        }
    }
}

/// Returns the number of messages of a correct conversation.
fn message_count() -> usize {
    let mut server = Server::new(CORRECT, 7);
    assert_eq!(converse(&mut server, usize::MAX), End::Output(OUTPUT.to_vec()));
    assert_eq!(server.received.first(), Some(&message::SERVICE_REQUEST));
    assert_eq!(server.received.last(), Some(&message::CHANNEL_OPEN));
    server.count()
}

#[test]
fn a_conversation_works_one_byte_at_a_time() {
    for piece in [1, 2, 3, 100] {
        assert_eq!(converse(&mut Server::new(CORRECT, 7), piece), End::Output(OUTPUT.to_vec()));
    }
}

#[test]
fn a_wrong_host_key_gets_no_request() {
    for piece in [1, usize::MAX] {
        let mut server = Server::new(CORRECT, 8);
        let End::Failed(message) = converse(&mut server, piece) else { panic!("the key is accepted") };
        assert_eq!(message, format!("unknown host key of {SERVER}"));
        assert!(server.received.is_empty());
    }
}

/// Something on the way changes packets.
#[test]
fn a_fault_on_the_way_is_an_error_and_changes_no_data() {
    let count = message_count();
    // The channel has ended with its EOF. CLOSE follows.
    let eof = count - 2;
    for (index, fault) in (0..count).flat_map(|index| FAULTS.map(|fault| (index, fault))) {
        for piece in [1, usize::MAX] {
            let plan = Plan { fault, index, is_inside: false };
            let mut server = Server::new(plan, 7);
            let end = converse(&mut server, piece);
            match &end {
                End::Output(output) => {
                    assert_eq!(output, OUTPUT, "{plan:?}");
                    // Each earlier packet is necessary. Another line may precede the
                    // identification.
                    let is_harmless =
                        index > eof || index == eof && [Fault::Doubled, Fault::Longer].contains(&fault);
                    assert!(is_harmless || index == 0, "{plan:?}: no error");
                }
                End::Failed(message) => expect_clear(message, plan),
                End::Waiting => {
                    let may_wait = [
                        Fault::Silence,
                        Fault::Shorter,
                        Fault::Cut,
                        Fault::Garbage,
                        Fault::Renumbered,
                        Fault::Reordered,
                    ];
                    assert!(may_wait.contains(&fault) || index <= 1, "{plan:?}");
                }
                End::Reconnect => assert!(index <= 1, "{plan:?}"),
            }
            // Nothing is sent to a server whose key is not proved. A fault after the signature
            // comes too late.
            let is_proved = index == 2 && [Fault::Doubled, Fault::Longer, Fault::Shorter].contains(&fault);
            if [1, 2].contains(&index) && !is_proved {
                assert!(server.received.is_empty(), "{plan:?}");
            }
        }
    }
}

/// The server itself is at fault.
#[test]
fn a_faulty_server_causes_an_error_or_is_harmless() {
    let count = message_count();
    for (index, fault) in (0..count).flat_map(|index| FAULTS.map(|fault| (index, fault))) {
        let plan = Plan { fault, index, is_inside: true };
        let mut server = Server::new(plan, 7);
        match converse(&mut server, usize::MAX) {
            End::Output(output) => {
                let is_part = OUTPUT.repeat(2).starts_with(&output) || fault == Fault::Garbage;
                assert!(is_part, "{plan:?}: {output:?}");
            }
            End::Failed(message) => expect_clear(&message, plan),
            End::Waiting => {}
            End::Reconnect => assert_eq!(index, 1, "{plan:?}"),
        }
        // A fault in KEXINIT or the public value, except that the first of two replies is valid.
        if [1, 2].contains(&index) && (index, fault) != (2, Fault::Doubled) {
            assert!(server.received.is_empty(), "{plan:?}");
        }
    }
}

#[track_caller]
fn expect_clear(message: &str, plan: Plan) {
    assert!(message.contains(SERVER), "{plan:?}: {message}");
    assert!(message.len() < 300 && !message.chars().any(char::is_control), "{plan:?}: {message}");
    assert!(!message.contains("secret"), "{plan:?}: {message}");
}

#[test]
fn the_messages_name_the_step_that_failed() {
    for (index, fault, is_inside, expected) in [
        (0, Fault::Missing, false, "lost the connection to SERVER: closed before it sent its identification"),
        (1, Fault::Cut, false, "lost the connection to SERVER: closed before the key exchange was complete"),
        (1, Fault::Shorter, true, "SERVER violated the protocol: malformed message KEXINIT"),
        (2, Fault::Garbage, true, "SERVER violated the protocol: malformed message KEX_ECDH_REPLY"),
        (3, Fault::Doubled, true, "SERVER violated the protocol: the length of a packet is invalid"),
        (4, Fault::Garbage, false, "SERVER sent a corrupt packet: MAC mismatch"),
        (
            5,
            Fault::Missing,
            false,
            "lost the connection to SERVER: closed before authentication was complete",
        ),
        (12, Fault::Missing, false, "lost the connection to SERVER: closed before the channel was open"),
    ] {
        let plan = Plan { fault, index, is_inside };
        let end = converse(&mut Server::new(plan, 7), usize::MAX);
        assert_eq!(end, End::Failed(expected.replace("SERVER", SERVER)), "{plan:?}");
    }
}
