//! The relay hub's requests and control messages: the result does not depend on the fragmentation,
//! and a message survives being encoded.
#![no_main]

use connect::proto::hub::{Action, ControlError, FromHub, HeadReader, Messages, Refusal, Site, ToHub};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    let head = read_head(&[input]);
    assert_eq!(read_head(&bytes), head);
    match head {
        Ok(Some((action, consumed))) => {
            assert!(input[..consumed].ends_with(b"\n"));
            let name = action.session().unwrap_or("x");
            assert!((1..=64).contains(&name.len()), "{name}");
        }
        Ok(None) => {}
        Err(refusal) => assert!((400..500).contains(&refusal.status)),
    }
    let messages = split(&[input]);
    assert_eq!(split(&bytes), messages);
    for message in messages.0 {
        if let Ok(Some(parsed)) = FromHub::parse(&message) {
            assert_eq!(FromHub::parse(parsed.encode().as_bytes()), Ok(Some(parsed)));
        }
        if let Ok(Some(parsed)) = ToHub::parse(&message) {
            let again = ToHub::parse(parsed.encode().as_bytes()).expect("valid").expect("known");
            assert!(
                again.id == parsed.id && again.status == parsed.status && parsed.why.starts_with(&again.why)
            );
        }
    }
});

/// Returns the purpose of the request and the length of its head.
fn read_head(parts: &[&[u8]]) -> Result<Option<(Action, usize)>, Refusal> {
    let site = Site { prefix: String::new(), role: None, origins: Vec::new() };
    let (mut reader, mut consumed) = (HeadReader::default(), 0);
    for part in parts {
        let (count, request) = reader.receive(part, &site)?;
        consumed += count;
        if let Some(request) = request {
            return Ok(Some((request.action, consumed)));
        }
    }
    Ok(None)
}

/// Returns the messages before the first error, and the error.
fn split(parts: &[&[u8]]) -> (Vec<Vec<u8>>, Option<ControlError>) {
    let (mut messages, mut found) = (Messages::default(), Vec::new());
    for part in parts {
        let mut rest = *part;
        loop {
            match messages.next(&mut rest) {
                Ok(Some(message)) => found.push(message),
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}
