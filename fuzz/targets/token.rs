//! Tokens, keys files and deny-files. This build has no signatures, so the target reads the claims
//! of a token without them, as a client does.
#![no_main]

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use connect::text::escaped;
use connect::token::{Check, Claims, DenyList, KeySet, MAX_TOKEN, MintRequest, Role, Usage};
use connect_fuzz::display;
use libfuzzer_sys::fuzz_target;

/// The first second after the year 9999.
const END_OF_TIME: u64 = 253_402_300_800;

fuzz_target!(|input: &[u8]| {
    token(input);
    // A token with this payload.
    let made = format!("e30.{}.AA", BASE64_URL_SAFE_NO_PAD.encode(input));
    let claims = Claims::unverified(made.as_bytes());
    if let Ok(object) = serde_json::from_slice::<serde_json::Value>(input) {
        let has_end = object.get("exp").is_some_and(serde_json::Value::is_number);
        assert!(claims.is_none() || has_end, "a token has an end");
    } else {
        assert_eq!(claims, None);
    }
    token(made.as_bytes());

    let keys = KeySet::parse(input);
    let denied = DenyList::parse(input);
    for error in [keys.as_ref().err(), denied.as_ref().err()].into_iter().flatten() {
        display::check(&error.to_string());
        assert!((1..=input.split(|&byte| byte == b'\n').count()).contains(&error.line));
    }
    if let Ok(keys) = keys {
        let check = Check { keys: &keys, denied: &DenyList::default(), audience: "hub" };
        assert!(check.verify(made.as_bytes(), Usage { role: Role::Dest, session: Some("x") }, 0).is_err());
    }
    if let Ok(Err(error)) = str::from_utf8(input).map(MintRequest::parse) {
        display::check(&escaped(&error.to_string()).chars().take(1000).collect::<String>());
    }
});

/// Reads the claims of a token.
fn token(token: &[u8]) {
    let Some(claims) = Claims::unverified(token) else { return };
    assert!(token.len() <= MAX_TOKEN);
    // There is only one way to write the same bytes.
    let parts: Vec<_> = token.split(|&byte| byte == b'.').collect();
    assert_eq!(parts.len(), 3);
    for part in parts {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64url");
        assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(bytes).as_bytes(), part);
    }
    assert!(claims.expires < END_OF_TIME && claims.max != Some(0));
    assert!(claims.not_before.is_none_or(|time| time < END_OF_TIME));
    display::check(&claims.to_string());
}
