//! The response to a request for a WebSocket: without a token, with one, and with a subprotocol.
#![no_main]

use connect::proto::Redactor;
use connect::proto::websocket::{HalfClose, Handshake, Request};
use connect::secret::Secret;
use connect_fuzz::PASSWORD;
use connect_fuzz::conversation::{Bounds, Input, alice, play};
use libfuzzer_sys::fuzz_target;

/// The answer to the key that the random bytes below make (RFC 6455 §1.3).
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Maximum number of bytes consumed: heads of 64 KiB, and the start of a body.
const BYTES: usize = (64 + 4 + 4) * 1024;
/// Maximum memory use; see the target `http`.
const MEMORY: usize = 4 * 1024 * 1024;

fuzz_target!(|input: &[u8]| {
    let Some(input) = Input::new(input) else { return };
    let (has_token, has_subprotocol) = (input.variant & 1 != 0, input.variant & 2 != 0);
    let make = || {
        let request = Request {
            host: "server.example".into(),
            path: "/chat".into(),
            token: has_token.then(|| Secret::from(PASSWORD)),
            subprotocols: if has_subprotocol { "v1".into() } else { String::new() },
            needs_subprotocol: false,
            resumed_link: None,
            half_close: HalfClose::Neither,
        };
        // Another hop may have sent the user's credentials, and this server may repeat them.
        let redactor = Redactor::default();
        redactor.add_credentials(&alice());
        Handshake::new(request, || Some(*b"the sample nonce"), redactor)
    };
    let outcome = play(make, &input, Bounds { bytes: BYTES, memory: MEMORY });
    let head = &input.first()[..outcome.consumed];
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    if outcome.result.is_ok() {
        assert!(text.ends_with("\n\n") || text.ends_with("\n\r\n"), "took bytes of a frame: {text:?}");
        assert!(String::from_utf8_lossy(head).contains(ACCEPT));
        for part in ["http/1.", " 101", "upgrade", "websocket", "connection", "sec-websocket-accept"] {
            assert!(text.contains(part), "accepted a response without {part:?}: {text:?}");
        }
    }
});
