//! `--mint-signing-key`, `--mint-token` and `--mint-key`.

use base64::prelude::{BASE64_STANDARD, Engine};
use connect::token::{Check, DenyList, KeySet, Role, Usage};

use crate::kit::*;

const CLAIMS: &str = "role=dest,session=lab*,aud=hub.example,ttl=1h,sub=jane,max=2";

fn mint_key(file: &TempPath) -> String {
    let out = connect("").arg("--mint-signing-key").arg(&**file).run();
    out.expect_success().expect_stderr("");
    String::from_utf8(out.stdout).unwrap()
}

fn mint_token(file: &TempPath, claims: &str) -> String {
    let out = connect("").arg("--mint-token").arg(claims).arg("--signing-key").arg(&**file).run();
    out.expect_success();
    String::from_utf8(out.stdout).unwrap()
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn a_key_signs_tokens_that_its_public_key_verifies() {
    let file = TempPath::new("hub.key");
    let line = mint_key(&file);
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    assert!(line.starts_with("ed25519 ") && line.ends_with(&format!("= {name}\n")), "{line}");
    let token = mint_token(&file, CLAIMS);
    let keys = KeySet::parse(line.as_bytes()).unwrap();
    let check = Check { keys: &keys, denied: &DenyList::default(), audience: "hub.example" };
    let usage = Usage { role: Role::Dest, session: Some("lab1") };
    let verified = check.verify(token.trim_end().as_bytes(), usage, now()).unwrap();
    assert_eq!((verified.claims.identity(), verified.claims.max), ("jane", Some(2)));
    assert!((now() + 3590..=now() + 3600).contains(&verified.claims.expires), "{verified:?}");
    // Each token has a name of its own.
    assert_ne!(mint_token(&file, CLAIMS), token);
}

#[cfg(unix)]
#[test]
fn a_new_key_can_be_read_by_its_owner_only_and_replaces_no_file() {
    use std::os::unix::fs::PermissionsExt;

    let file = TempPath::new("hub.key");
    mint_key(&file);
    assert_eq!(std::fs::metadata(&*file).unwrap().permissions().mode() & 0o777, 0o600);
    let before = std::fs::read(&*file).unwrap();
    let out = connect("").arg("--mint-signing-key").arg(&*file).run();
    out.expect_failure(1, &["cannot create key file", "choose another name"]).expect_stdout("");
    assert_eq!(std::fs::read(&*file).unwrap(), before);
    // A dangling link is a path that exists.
    let link = TempPath::new("link");
    std::os::unix::fs::symlink("/nonexistent/target", &*link).unwrap();
    connect("").arg("--mint-signing-key").arg(&*link).run().expect_failure(1, &["cannot create key file"]);
}

#[test]
fn a_random_key_has_32_bytes() {
    let key = || {
        let out = connect("--mint-key").run();
        out.expect_success().expect_stderr("");
        String::from_utf8(out.stdout).unwrap()
    };
    let (first, second) = (key(), key());
    assert_eq!(BASE64_STANDARD.decode(first.trim_end()).unwrap().len(), 32);
    assert_ne!(first, second);
}

#[test]
fn nothing_but_the_key_or_the_token_may_be_requested() {
    for (args, message) in [
        ("--mint-key --mint-signing-key x", "--mint-signing-key cannot be combined with --mint-key"),
        ("--mint-key host", "--mint-key takes no host and no other options"),
        ("--mint-key -S proxy", "--mint-key takes no host and no other options"),
        ("--mint-token role=dest", "--mint-token requires --signing-key FILE"),
        ("--mint-key --signing-key x", "--signing-key has no effect with --mint-key"),
        ("--signing-key x host 22", "--signing-key has no effect without --mint-token"),
    ] {
        connect(args).run().expect_failure(2, &[message]).expect_stdout("");
    }
    connect("-q --mint-key").run().expect_success();
}
