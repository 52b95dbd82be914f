//! Tokens, minted by the program and checked by `PyJWT` and OpenSSL, and the other way round.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use connect::token::{Check, DenyList, KeySet, Role, Usage};

use crate::context::{Case, Context, Topic, program};
use crate::kit::Outcome;

/// Debian's interpreter, which has Debian's modules.
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/tokens.py");
const CLAIMS: &str = "role=dest,session=lab*,aud=hub.example,ttl=1h,sub=Jané,max=2";

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("tokens");
    topic.ours("PyJWT accepts a token of the program", |context| {
        let (key, line) = minted_key(context);
        expect_accepted_by_pyjwt(&minted_token(context, &key), &line);
    });
    topic.ours("PyJWT accepts a token signed with a key of openssl", |context| {
        let key = context.folder.join("openssl.key");
        let key = key.display().to_string();
        output(program("openssl", ["genpkey", "-algorithm", "ed25519", "-out", &key]).run());
        let public = output(program("openssl", ["pkey", "-in", &key, "-pubout", "-outform", "DER"]).run());
        let public = BASE64_STANDARD.encode(&public[public.len() - 32..]);
        expect_accepted_by_pyjwt(&minted_token(context, &key), &format!("ed25519 {public} openssl"));
    });
    topic.ours("openssl verifies the signature of a token of the program", openssl_verifies);
    topic.ours("the program judges the tokens of PyJWT signed with its own key", |context| {
        let (key, line) = minted_key(context);
        judge_tokens_of_pyjwt(&key, &line);
    });
    topic.ours("the program judges the tokens of PyJWT signed with a key of cryptography", |context| {
        let key = context.folder.join("cryptography.key").display().to_string();
        let line = text(program(PYTHON, [SCRIPT, "generate", &key]).run());
        judge_tokens_of_pyjwt(&key, &line);
        expect_accepted_by_pyjwt(&minted_token(context, &key), &line);
    });
    topic.into_cases()
}

/// Returns standard output. Fails the case if the program failed.
#[track_caller]
fn output(outcome: Outcome) -> Vec<u8> {
    outcome.expect_code(0);
    outcome.stdout
}

#[track_caller]
fn text(outcome: Outcome) -> String {
    String::from_utf8(output(outcome)).unwrap().trim_end().to_owned()
}

/// Creates a key with the program. Returns its path and its line for a keys file.
fn minted_key(context: &Context) -> (String, String) {
    let key = context.folder.join("hub.key").display().to_string();
    let line = text(context.connect(format!("--mint-signing-key {key}")).run());
    (key, line)
}

fn minted_token(context: &Context, key: &str) -> String {
    text(context.connect(format!("--mint-token {CLAIMS} --signing-key {key}")).run())
}

#[track_caller]
fn expect_accepted_by_pyjwt(token: &str, line: &str) {
    let verify = program(PYTHON, [SCRIPT, "verify", line, "hub.example"]).input(token);
    let result: serde_json::Value = serde_json::from_str(&text(verify.run())).unwrap();
    assert_eq!(result["header"], serde_json::json!({ "alg": "EdDSA", "typ": "JWT" }));
    let claims = &result["claims"];
    assert_eq!(claims["sub"], "Jané");
    assert_eq!(
        (&claims["role"], &claims["session"], &claims["max"]),
        (&"dest".into(), &"lab*".into(), &2.into())
    );
    let time = |name: &str| claims[name].as_u64().unwrap();
    assert_eq!(time("exp") - time("iat"), 3600);
    assert!(claims["jti"].as_str().is_some_and(|id| id.len() == 22), "{claims}");
}

fn openssl_verifies(context: &Context) {
    let (key, line) = minted_key(context);
    // OpenSSL reads the private key, and derives the public key in the line.
    let public = output(program("openssl", ["pkey", "-in", &key, "-pubout", "-outform", "DER"]).run());
    let encoded = BASE64_STANDARD.encode(&public[public.len() - 32..]);
    assert_eq!(line, format!("ed25519 {encoded} hub.key"));
    let pem = text(program("openssl", ["pkey", "-in", &key, "-pubout"]).run());
    let pem = context.file("public.pem", pem + "\n").display().to_string();
    let token = minted_token(context, &key);
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    let signature = context.file("signature", signature).display().to_string();
    for (message, code) in [(message.to_owned(), 0), (format!("{message}x"), 1)] {
        let message = context.file("message", message).display().to_string();
        let args = ["pkeyutl", "-verify", "-pubin", "-inkey", &pem, "-rawin", "-in", &message];
        program("openssl", args.into_iter().chain(["-sigfile", &signature])).run().expect_code(code);
    }
}

/// Checks the good and the bad tokens of `PyJWT` with the verification of the program.
#[track_caller]
fn judge_tokens_of_pyjwt(key: &str, line: &str) {
    let keys = KeySet::parse(line.as_bytes()).unwrap();
    let check = Check { keys: &keys, denied: &DenyList::default(), audience: "hub.example" };
    let usage = Usage { role: Role::Dest, session: Some("lab1") };
    let tokens = output(program(PYTHON, [SCRIPT, "mint", key]).run());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let tokens = String::from_utf8(tokens).unwrap();
    assert_eq!(tokens.lines().count(), 22);
    for line in tokens.lines() {
        let mut columns = line.split('\t');
        let mut next = || columns.next().unwrap();
        let (status, name, token) = (next(), next(), next());
        let result = check.verify(token.as_bytes(), usage, now);
        let judged = result.as_ref().map_or_else(|refused| refused.why.status(), |_| 200);
        assert_eq!(judged.to_string(), status, "{name}: {result:?}");
    }
}
