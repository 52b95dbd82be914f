use super::*;
use crate::ssh::wire::Write;

/// Returns a client that waits for the handle of a file to download.
fn opening() -> Client {
    let mut client = Client::new();
    client.receive(b"\0\0\0\x05\x02\0\0\0\x03");
    client.get(b"file", Some(Attributes::default()));
    assert_eq!(client.next_event(), Ok(None));
    client
}

/// Returns the error for a packet without its length.
fn error(client: &mut Client, packet: &[u8]) -> Option<Error> {
    let mut bytes = Vec::new();
    bytes.put_string(packet);
    client.receive(&bytes);
    loop {
        match client.next_event() {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    }
}

#[test]
fn a_server_of_another_version_is_an_error() {
    assert_eq!(error(&mut Client::new(), b"\x02\0\0\0\x02"), Some(Error::Version(2)));
    assert_eq!(error(&mut Client::new(), b"\x02\0\0\0\x04"), Some(Error::Version(4)));
    assert_eq!(error(&mut Client::new(), b"\x65\0\0\0\x00"), Some(Error::Unexpected(101)));
    assert_eq!(error(&mut Client::new(), b"\x02\0\0\0\x03\0\0\0\x01"), Some(Error::Malformed(2)));
}

#[test]
fn replies_must_fit_their_requests() {
    assert_eq!(error(&mut opening(), b"\x67\0\0\0\0\0\0\0\x01x"), Some(Error::Unexpected(103)));
    assert_eq!(error(&mut opening(), b"\x65\0\0\0\0\0\0\0\0"), Some(Error::Unexpected(101)));
    assert_eq!(error(&mut opening(), b"\x66\0\0\0\x07\0\0\0\x01h"), Some(Error::UnknownRequest));
    assert_eq!(error(&mut opening(), b"\x66\0\0\0\0\0\0\0\x02h"), Some(Error::Malformed(102)));
    assert_eq!(error(&mut opening(), b"\x03\0\0\0\0"), Some(Error::Unexpected(3)));
    let handle = [&b"\x66\0\0\0\0\0\0\x01\x01"[..], &[7; 257]].concat();
    assert_eq!(error(&mut opening(), &handle), Some(Error::Malformed(102)));
    let mut client = opening();
    assert_eq!(error(&mut client, b"\x66\0\0\0\0\0\0\0\x01h"), None);
    assert_eq!(error(&mut client, b"\x66\0\0\0\0\0\0\0\x01h"), Some(Error::UnknownRequest));
}

#[test]
fn data_must_not_be_empty_or_longer_than_requested() {
    for length in [0, 32 * 1024 + 1] {
        let mut client = opening();
        assert_eq!(error(&mut client, b"\x66\0\0\0\0\0\0\0\x01h"), None);
        let mut data = b"\x67\0\0\0\x01".to_vec();
        data.put_string(vec![1; length]);
        assert_eq!(error(&mut client, &data), Some(Error::Malformed(103)));
    }
}

#[test]
fn limits_of_the_server_are_respected() {
    let memory = Memory::new(&[("file", Node::file(&pattern(50_000)))]);
    let mut pair = Pair::new(&memory).with_fault(|request| {
        match request {
            Request::Read { length, .. } => assert!(*length <= 1000),
            Request::Write { data, .. } => assert!(data.len() <= 500),
            _ => {}
        }
        None
    });
    let mut version = b"\x02\0\0\0\x03".to_vec();
    version.put_string("limits@openssh.com").put_string("1");
    assert_eq!(error(&mut pair.client, &version), None);
    let mut limits = b"\xc9\0\0\0\0".to_vec();
    for limit in [2024_u64, 5000, 500, 1] {
        limits.put(&limit.to_be_bytes());
    }
    assert_eq!(error(&mut pair.client, &limits), None);
    pair.client.sent(pair.client.output().len());
    pair.server.handle(b"\x01\0\0\0\x03", &mut Vec::new()).unwrap();
    let ids = [pair.client.get(b"file", None), pair.put("new", &pattern(50_000))];
    let events = pair.run();
    assert!(ids.iter().all(|id| events.contains(&Event::Done(*id))), "{events:?}");
    assert_eq!(memory.node("new").unwrap().data, pattern(50_000));
    drop(pair);
    // 1 handle: the second job starts after the first one.
    assert_eq!(*memory.open.borrow(), 0);
}

#[test]
fn garbage_causes_errors_and_no_panic() {
    let mut state = 1_u64;
    let mut byte = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        u8::try_from(state >> 56).unwrap()
    };
    for _ in 0..2000 {
        let mut client = opening();
        client.list(b"d");
        client.put(put("p", None));
        for _ in 0..10 {
            let kind = [101, 102, 103, 104, 105, 201][usize::from(byte()) % 6];
            let mut packet = vec![kind, 0, 0, 0, byte() % 4];
            packet.extend((0..byte() % 32).map(|_| if byte() > 60 { 0 } else { byte() % 8 }));
            if error(&mut client, &packet).is_some() {
                break;
            }
        }
    }
}
