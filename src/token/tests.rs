//! Tests of verification: valid tokens, and every kind of bad token.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use ring::signature::Ed25519KeyPair;

use super::*;

/// RFC 8037 appendix A.1: the private key and the public key.
const SEED: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
const PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

const NOW: u64 = 1_795_035_187;
const AUDIENCE: &str = "hub.example";
const LAB1: Usage<'static> = Usage { role: Role::Dest, session: Some("lab1") };

fn signing_key() -> SigningKey {
    let seed = BASE64_URL_SAFE_NO_PAD.decode(SEED).unwrap().try_into().unwrap();
    SigningKey::from_seed(&seed).unwrap().0
}

fn keys(limits: &str) -> KeySet {
    KeySet::parse(format!("ed25519 {PUBLIC} test {limits}").as_bytes()).unwrap()
}

/// Returns a token with this header and payload, signed by the test key.
fn signed(header: &str, payload: &str) -> String {
    let [header, payload] = [header, payload].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let message = format!("{header}.{payload}");
    let signature = BASE64_URL_SAFE_NO_PAD.encode(signing_key().sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// Returns the payload of a valid token after `change`.
fn payload(change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> String {
    let mut claims = serde_json::json!({
        "aud": AUDIENCE, "role": "dest", "session": "lab1", "exp": NOW + 60, "sub": "jane", "jti": "17",
    });
    change(claims.as_object_mut().unwrap());
    claims.to_string()
}

const HEADER: &str = r#"{"alg":"EdDSA"}"#;

fn verify_with(keys: &KeySet, denied: &str, token: &str, usage: Usage<'_>) -> Result<Verified, Refusal> {
    let denied = DenyList::parse(denied.as_bytes()).unwrap();
    Check { keys, denied: &denied, audience: AUDIENCE }
        .verify(token.as_bytes(), usage, NOW)
        .map_err(|refused| refused.why)
}

fn verify(token: &str) -> Result<Verified, Refusal> {
    verify_with(&keys(""), "", token, LAB1)
}

/// RFC 8037 appendix A.4.
#[test]
fn the_signature_of_the_rfc_is_correct() {
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6\
                 dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(signed(HEADER, "Example of Ed25519 signing"), token);
    // The payload is text, but the signature is correct.
    assert_eq!(verify(token), Err(Refusal::Malformed));
    assert_eq!(BASE64_STANDARD.encode(signing_key().public()), PUBLIC);
}

#[test]
fn a_valid_token_is_accepted() {
    let verified = verify(&signed(HEADER, &payload(|_| ()))).unwrap();
    assert_eq!(verified.claims.identity(), "jane");
    for header in [
        r#"{"alg":"EdDSA","typ":"JWT","kid":"any"}"#,
        r#" {"kid":"", "typ":"jwt", "x5t":"ignored", "alg":"EdDSA"}"#,
    ] {
        assert!(verify(&signed(header, &payload(|_| ()))).is_ok(), "{header}");
    }
    for (name, value) in [
        ("aud", serde_json::json!(["other", AUDIENCE])),
        ("session", "la*".into()),
        ("session", "*".into()),
        ("nbf", (NOW + 30).into()),
        ("iat", (NOW + 30).into()),
        ("exp", (NOW + 1).into()),
        ("exp", serde_json::json!(1.8e9)),
        ("max", 1.into()),
    ] {
        let token = signed(HEADER, &payload(|claims| drop(claims.insert(name.into(), value.clone()))));
        assert!(verify(&token).is_ok(), "{name} {value}");
    }
}

#[test]
fn a_token_with_a_bad_claim_is_refused() {
    for (name, value, refusal) in [
        ("exp", Some(NOW.into()), Refusal::Expired(NOW)),
        ("exp", Some(0.into()), Refusal::Expired(0)),
        ("exp", Some((-1).into()), Refusal::Expired(0)),
        ("exp", None, Refusal::Claim("exp")),
        ("nbf", Some((NOW + 31).into()), Refusal::NotYetValid(NOW + 31)),
        ("iat", Some((NOW + 31).into()), Refusal::IssuedLater(NOW + 31)),
        ("aud", Some("other.example".into()), Refusal::Audience),
        ("aud", Some(serde_json::json!([])), Refusal::Audience),
        ("aud", Some("hub.example.org".into()), Refusal::Audience),
        ("aud", None, Refusal::Audience),
        ("role", Some("origin".into()), Refusal::Role),
        ("role", Some("Dest".into()), Refusal::Role),
        ("role", None, Refusal::Role),
        ("session", Some("lab2".into()), Refusal::Session),
        ("session", Some("lab".into()), Refusal::Session),
        ("session", Some("l*1".into()), Refusal::Session),
        ("session", None, Refusal::Session),
        ("max", Some(0.into()), Refusal::Claim("max")),
    ] {
        let value: Option<serde_json::Value> = value;
        let token = signed(
            HEADER,
            &payload(|claims| match value.clone() {
                Some(value) => drop(claims.insert(name.into(), value)),
                None => drop(claims.remove(name)),
            }),
        );
        assert_eq!(verify(&token), Err(refusal), "{name} {value:?}");
    }
}

#[test]
fn a_token_with_a_bad_header_is_refused() {
    for (header, refusal) in [
        (r#"{"alg":"none"}"#, Refusal::Header("alg")),
        (r#"{"alg":"HS256"}"#, Refusal::Header("alg")),
        (r#"{"alg":"eddsa"}"#, Refusal::Header("alg")),
        (r#"{"alg":null}"#, Refusal::Header("alg")),
        ("{}", Refusal::Header("alg")),
        (r#"{"alg":"EdDSA","typ":"at+jwt"}"#, Refusal::Header("typ")),
        (r#"{"alg":"EdDSA","typ":1}"#, Refusal::Header("typ")),
        (r#"{"alg":"EdDSA","kid":1}"#, Refusal::Header("kid")),
        (r#"{"alg":"EdDSA","crit":[]}"#, Refusal::Header("crit")),
        ("[]", Refusal::Malformed),
        ("", Refusal::Malformed),
    ] {
        assert_eq!(verify(&signed(header, &payload(|_| ()))), Err(refusal), "{header}");
    }
}

#[test]
fn a_malformed_token_is_refused() {
    let token = signed(HEADER, &payload(|_| ()));
    let parts: Vec<_> = token.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    let other_end = |part: &str| {
        // The last character of 64 bytes has four bits that must be zero.
        let (start, _) = part.split_at(part.len() - 1);
        format!("{start}B")
    };
    for (bad, refusal) in [
        (String::new(), Refusal::Missing),
        (format!("{header}.{claims}"), Refusal::Malformed),
        (format!("{header}.{claims}."), Refusal::Signature),
        (format!(".{claims}.{signature}"), Refusal::Signature),
        (format!("{token}."), Refusal::Malformed),
        (format!("{header}..{claims}.{signature}"), Refusal::Malformed),
        ("..".into(), Refusal::Signature),
        (format!("{token}=="), Refusal::Malformed),
        (format!("{header}=.{claims}.{signature}"), Refusal::Malformed),
        (format!("{header}.{claims}.{}", other_end(signature)), Refusal::Malformed),
        (format!("{token} "), Refusal::Malformed),
        (format!("{token}\n"), Refusal::Malformed),
        (format!("{header}.{claims}.{}", signature.replace(['-', '_'], "+")), Refusal::Malformed),
        (format!("{header}.{claims}.{}", "A".repeat(86)), Refusal::Signature),
        (token.repeat(1024 * 1024 / token.len()), Refusal::TooLong),
    ] {
        assert_eq!(verify(&bad), Err(refusal), "{bad:.300}");
    }
    for length in 1..token.len() {
        assert!(verify(&token[..length]).is_err(), "{length}");
    }
}

#[test]
fn a_token_with_one_bit_changed_is_refused() {
    let token = signed(HEADER, &payload(|_| ()));
    for index in 0..token.len() {
        for bit in 0..8 {
            let mut changed = token.clone().into_bytes();
            changed[index] ^= 1 << bit;
            let denied = DenyList::default();
            let check = Check { keys: &keys(""), denied: &denied, audience: AUDIENCE };
            let result = check.verify(&changed, LAB1, NOW).map_err(|refused| refused.why);
            let is_right = matches!(result, Err(Refusal::Signature | Refusal::Malformed));
            assert!(is_right, "{index} {bit}: {result:?}");
        }
    }
}

#[test]
fn a_token_may_have_2048_bytes() {
    let padded = |length: usize| {
        let text = payload(|claims| drop(claims.insert("pad".into(), "x".repeat(length).into())));
        signed(HEADER, &text)
    };
    let first = (MAX_TOKEN - padded(0).len()) * 3 / 4 - 3;
    let tokens: Vec<_> = (first..first + 8).map(padded).collect();
    // Three bytes of the payload become four characters.
    assert!(tokens.iter().any(|token| (MAX_TOKEN - 1..=MAX_TOKEN).contains(&token.len())));
    assert!(tokens.iter().any(|token| (MAX_TOKEN + 1..=MAX_TOKEN + 2).contains(&token.len())));
    for token in tokens {
        let expected = if token.len() <= MAX_TOKEN { Ok(()) } else { Err(Refusal::TooLong) };
        assert_eq!(verify(&token).map(drop), expected, "{}", token.len());
    }
}

/// An HMAC over the public key, which a verifier that trusts `alg` accepts.
#[test]
fn an_hmac_with_the_public_key_is_refused() {
    let [header, claims] =
        [r#"{"alg":"HS256","typ":"JWT"}"#, &payload(|_| ())].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let message = format!("{header}.{claims}");
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &BASE64_STANDARD.decode(PUBLIC).unwrap());
    let tag = ring::hmac::sign(&key, message.as_bytes());
    let token = format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag));
    assert_eq!(verify(&token), Err(Refusal::Signature));
}

#[test]
fn the_limits_of_a_key_apply_to_its_tokens() {
    let token = signed(HEADER, &payload(|claims| drop(claims.insert("session".into(), "*".into()))));
    for (limits, session, expected) in [
        ("session=lab*", "lab1", Ok(())),
        ("session=lab*", "web", Err(Refusal::KeyLimits)),
        ("role=dest", "lab1", Ok(())),
        ("role=origin", "lab1", Err(Refusal::KeyLimits)),
    ] {
        let usage = Usage { session: Some(session), ..LAB1 };
        assert_eq!(verify_with(&keys(limits), "", &token, usage).map(drop), expected, "{limits} {session}");
    }
    let other = KeySet::parse(b"ed25519 PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=").unwrap();
    assert_eq!(verify_with(&other, "", &token, LAB1), Err(Refusal::Signature));
}

#[test]
fn a_token_that_was_accepted_becomes_invalid() {
    let (all, none) = (keys(""), DenyList::default());
    let check = Check { keys: &all, denied: &none, audience: AUDIENCE };
    let verified = verify(&signed(HEADER, &payload(|_| ()))).unwrap();
    let recheck = |check: Check<'_>, now| check.recheck(&verified, LAB1, now);
    assert_eq!(recheck(check, NOW + 59), Ok(()));
    // The clock may have been set back.
    assert_eq!(recheck(check, 0), Ok(()));
    assert_eq!(recheck(check, NOW + 60), Err(Refusal::Expired(NOW + 60)));
    assert_eq!(recheck(Check { keys: &KeySet::default(), ..check }, NOW), Err(Refusal::KeyRemoved));
    for denied in ["jti 17", "sub jane", "session lab1"] {
        let denied = DenyList::parse(denied.as_bytes()).unwrap();
        assert_eq!(recheck(Check { denied: &denied, ..check }, NOW), Err(Refusal::Denied));
    }
}

#[test]
fn a_token_that_was_minted_is_accepted() {
    let request =
        MintRequest::parse("role=dest,session=lab*,aud=a,aud=hub.example,ttl=2m,sub=Jané,max=3,nbf=5")
            .unwrap();
    let token = request.sign(&signing_key(), NOW, [0xff; 16]).unwrap();
    let Verified { claims, .. } = verify(&token).unwrap();
    assert_eq!(
        claims.to_string(),
        "role dest, session lab*, audience a hub.example, subject Jané, id _____________________w, max 3, not \
         before 1970-01-01T00:00:05Z, expires 2026-11-18T20:55:07Z"
    );
    assert_eq!((claims.issued, Claims::unverified(token.as_bytes())), (Some(NOW), Some(claims)));
    let request = MintRequest::parse("role=stats,aud=hub.example,ttl=5").unwrap();
    let token = request.sign(&signing_key(), NOW, [0; 16]).unwrap();
    let usage = Usage { role: Role::Stats, session: None };
    assert!(verify_with(&keys(""), "", &token, usage).is_ok());
    let long = format!("role=stats,aud=hub.example,ttl=5,sub={}", "x".repeat(2000));
    let long = MintRequest::parse(&long).unwrap().sign(&signing_key(), NOW, [0; 16]);
    assert_eq!(long, Err(MintError::TooLong));
}

#[test]
fn private_keys_of_both_versions_are_read() {
    let (key, pem) = SigningKey::from_seed(&[7; 32]).unwrap();
    assert_eq!(SigningKey::from_pem(pem.as_bytes()).unwrap().public(), key.public());
    // Version 2, with the public key.
    let pair = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
    let pem = |der: &[u8]| {
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64_STANDARD.encode(der))
    };
    assert!(SigningKey::from_pem(pem(pair.as_ref()).as_bytes()).is_ok());
    // RFC 8410 §10.3, with the public key of §10.1.
    let rfc = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END \
               PRIVATE KEY-----\n";
    let public = BASE64_STANDARD.encode(SigningKey::from_pem(rfc.as_bytes()).unwrap().public());
    assert_eq!(public, "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=");
}

#[test]
fn a_file_without_a_usable_private_key_is_an_error() {
    let pem = |label: &str, body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
    let x25519 = "MC4CAQAwBQYDK2VuBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC";
    for (text, error) in [
        (String::new(), SigningKeyError::NotPem),
        ("ed25519 AAAA".into(), SigningKeyError::NotPem),
        (pem("OPENSSH PRIVATE KEY", "AAAA"), SigningKeyError::NotPem),
        (pem("PUBLIC KEY", "AAAA"), SigningKeyError::NotPem),
        (pem("ENCRYPTED PRIVATE KEY", "AAAA"), SigningKeyError::Encrypted),
        (pem("PRIVATE KEY", "AAAA"), SigningKeyError::NotEd25519),
        (pem("PRIVATE KEY", x25519), SigningKeyError::NotEd25519),
    ] {
        assert_eq!(SigningKey::from_pem(text.as_bytes()).err(), Some(error), "{text}");
    }
    assert_eq!(format!("{:?}", signing_key()), "SigningKey");
}
