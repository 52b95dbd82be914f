//! SCGI requests: the result does not depend on the fragmentation, and a request has the length
//! that its header announces.
#![no_main]

use connect::proto::post::{Form, MAX_BODY, MAX_HEAD, ReadRequest, Received, Refusal, ScgiRequest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let whole = read(&[input]);
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(read(&bytes), whole);
    match whole {
        Ok(None) => {}
        Ok(Some((request, consumed))) => {
            let before = consumed - request.body.len();
            assert!(before <= MAX_HEAD + "16384:,".len() && request.body.len() <= MAX_BODY);
            assert_eq!(input[before..consumed], request.body);
            let field = format!("CONTENT_LENGTH\0{}", request.body.len());
            let header = String::from_utf8_lossy(&input[..before]).into_owned();
            let value = header.split_once(':').expect("a length").1;
            let digits = value.split('\0').nth(1).expect("a value").trim_start_matches('0');
            assert!(value.starts_with("CONTENT_LENGTH\0") && field.ends_with(digits), "{value:?}");
            assert!(!request.keeps_alive);
        }
        Err(refusal) => {
            assert!((400..500).contains(&refusal.status));
            let answer = Form::Scgi.refusal(refusal);
            assert!(answer.starts_with(format!("Status: {} ", refusal.status).as_bytes()));
        }
    }
});

/// Returns the request and the number of bytes that it has.
fn read(parts: &[&[u8]]) -> Result<Option<(Received, usize)>, Refusal> {
    let mut reader = ScgiRequest::new("/");
    let (mut found, mut consumed) = (None, 0);
    for part in parts {
        let mut rest = *part;
        while !rest.is_empty() {
            let (count, request) = reader.receive(rest)?;
            assert!(count > 0);
            rest = &rest[count..];
            consumed += count;
            if let Some(request) = request {
                assert!(found.is_none(), "two requests");
                found = Some((request, consumed));
            }
        }
    }
    Ok(found)
}
