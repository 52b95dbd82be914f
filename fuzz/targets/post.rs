//! The server of a POST tunnel: HTTP requests in any fragmentation, and requests whose positions
//! and lengths come from the fuzzer. The target must receive each byte once and in order.
#![no_main]

use std::time::Duration;

use connect::proto::post::{
    Answer, Event, HttpRequests, Key, MAX_BODY, Opening, ReadRequest, Received, Refusal, Request, Sid, Table,
};
use libfuzzer_sys::fuzz_target;

const SID: [u8; 16] = [1; 16];

fuzz_target!(|input: &[u8]| {
    check_reader(input);
    check_messages(input);
    check_stream(input);
});

fn check_reader(input: &[u8]) {
    let whole = read(&[input]);
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(read(&bytes), whole);
    if let Ok(requests) = whole {
        assert!(requests.iter().all(|request| request.body.len() <= MAX_BODY));
    }
}

fn read(parts: &[&[u8]]) -> Result<Vec<Received>, Refusal> {
    let mut reader = HttpRequests::new("/");
    let mut requests = Vec::new();
    for part in parts {
        let mut rest = *part;
        while !rest.is_empty() {
            let (count, request) = reader.receive(rest)?;
            assert!(count > 0);
            rest = &rest[count..];
            requests.extend(request);
        }
    }
    Ok(requests)
}

fn check_messages(input: &[u8]) {
    if let Some((request, data)) = Request::decode(input) {
        let mut body = request.encode(data.len());
        body.extend_from_slice(data);
        assert_eq!(body, input);
    }
    if let Some((answer, data)) = Answer::decode(input) {
        let mut body = answer.encode().to_vec();
        body.extend_from_slice(data);
        assert_eq!(body, input);
    }
}

/// Returns the byte at a position of the up stream.
fn byte_at(position: u64) -> u8 {
    (position % 251) as u8
}

/// Each five bytes of the input are an action: its kind, a position and a length.
fn check_stream(input: &[u8]) {
    let sid = Sid::new(SID);
    let mut table = Table::new(Duration::from_secs(25), 1);
    let mut now = Duration::ZERO;
    let request = |up, down| Request {
        opening: None,
        is_eof: false,
        is_reset: false,
        is_poll: false,
        wait: 0,
        up,
        down,
        key: Key::new(SID),
    };
    let opening = Some(Opening { token: b"", target: b"" });
    table.request(0, sid, &Request { opening, ..request(0, 0) }.encode(0), now);
    table.connected(sid, now);
    let (mut delivered, mut sent) = (0_u64, 0_u64);
    for (index, action) in input.chunks_exact(5).enumerate() {
        let position = u64::from(u16::from_be_bytes([action[1], action[2]]));
        let length = usize::from(u16::from_be_bytes([action[3], action[4]]));
        now += Duration::from_millis(1);
        match action[0] % 5 {
            0 | 1 => {
                let mut body = Request { is_poll: action[0] % 2 == 1, ..request(position, 0) }.encode(length);
                body.extend((position..position + length as u64).map(byte_at));
                table.request(index as u64 + 1, sid, &body, now);
            }
            2 => {
                let pending = table.pending(sid);
                let count = pending.len().min(length);
                for byte in &pending[..count] {
                    assert_eq!(*byte, byte_at(delivered), "at {delivered}");
                    delivered += 1;
                }
                table.written(sid, count, now);
            }
            3 => {
                let count = table.room(sid).min(length);
                table.received(sid, &vec![0; count], now);
                sent += count as u64;
            }
            _ => table.request(index as u64 + 1, sid, &request(0, position).encode(0), now),
        }
        for event in table.take_events() {
            let Event::Reply(reply) = event else { continue };
            match reply.status {
                200 => {
                    let (answer, data) = Answer::decode(&reply.body).expect("a message");
                    assert!(answer.up >= delivered && answer.down + data.len() as u64 <= sent);
                    assert!(!answer.is_reset && reply.body.len() <= MAX_BODY);
                }
                status => assert_eq!(status, 400),
            }
        }
    }
}
