//! `--check` for hubs and origins.

use super::tokens::Files;
use super::*;

/// Returns the lines of a report that contain a mark or a fact, without times.
#[track_caller]
fn expect_lines(out: &Outcome, expected: &[&str]) {
    let text = out.stdout_text();
    let mut rest = text.lines();
    for part in expected {
        assert!(rest.any(|line| line.contains(part)), "no {part:?} in this order:\n{text}");
    }
}

#[test]
fn an_origin_is_checked_without_replacing_the_present_one() {
    let files = Files::new();
    let hub = files.hub();
    let target = Server::repeat(|| script().send("SSH-2.0-test\r\n").drain());
    let token = files.file("role=origin,session=lab,ttl=60,sub=me");
    let args = format!("--token-file {} {}", token.display(), target.args());
    let present = origin(hub.address(), "lab", &args);
    let url = format!("relay+ws://{}/lab", hub.address());
    let check = |args: &str| connect(format!("--check --origin {url} {args}")).run();
    let out = check(&args);
    out.expect_code(0).expect_stderr("");
    expect_lines(
        &out,
        &[
            "Plan for 127.0.0.1:",
            &format!("session lab at the hub {}", hub.address()),
            "token role origin, session lab, audience hub.example, subject me, id ",
            "Settings",
            "Connecting to the hub",
            "connected to",
            "the hub permits session 'lab'",
            "Connecting to the target",
            "sent: SSH-2.0-test",
            "Success",
        ],
    );
    assert_eq!(present.count_lines("registered session"), 1);
    // The target is checked even if the hub refuses, and the first failure decides.
    let wrong = files.file("role=origin,session=other,ttl=60");
    let out = check(&format!("--token-file {} {}", wrong.display(), target.args()));
    out.expect_code(5);
    expect_lines(&out, &["Connecting to the hub", "403", "sent: SSH-2.0-test", "Failed with exit code 5"]);
    let nobody = RefusingPort::new();
    let out = check(&format!("--token-file {} 127.0.0.1 {}", token.display(), nobody.port()));
    out.expect_code(4);
    expect_lines(&out, &["the hub permits session 'lab'", "Connection refused", "Failed with exit code 4"]);
    let out = check(&target.args());
    out.expect_code(6);
    expect_lines(&out, &["token missing", "Failed with exit code 6"]);
    assert_eq!(present.count_lines("lost the connection"), 0);
    stop(present);
    hub.close();
}

#[test]
fn a_server_that_is_no_hub_is_found() {
    let listener = listening("--listen ws://127.0.0.1:0/v1/lab/x --open 127.0.0.1 9");
    let out = connect(format!("--check --origin relay+ws://{}/lab 127.0.0.1 9", listener.address())).run();
    out.expect_code(5);
    expect_lines(
        &out,
        &["Connecting to the hub", "did not open a WebSocket: 404", "Failed with exit code 5"],
    );
    listener.close();
}

#[test]
fn the_json_report_has_the_hub() {
    let hub = hub("--open");
    let target = Server::repeat(|| script().send("banner").drain());
    let args = format!("--check=json --origin relay+ws://{}/ {}", hub.address(), target.args());
    let out = connect(args).run();
    out.expect_success();
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(report["hub"]["session"], serde_json::Value::Null);
    assert_eq!(report["hub"]["hops"][0]["proxy"], hub.address().to_string());
    let steps = report["steps"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["stage"] == "hub" && step["verdict"] == "good"), "{report}");
    hub.close();
}

#[test]
fn a_hub_is_checked() {
    let files = Files::new();
    let authority = Authority::new("CA");
    let identity = authority.localhost();
    let (certificate, key) = (identity.certificate_file(), identity.key_file());
    let options = format!(
        "--token-keys {} --relay-name hub.example --serve-cert {} --serve-key {}",
        files.keys.display(),
        certificate.display(),
        key.display()
    );
    let check = |args: &str| connect(format!("--check {args}")).run();
    let out = check(&format!("--relay wss://127.0.0.1:0/hub?role=origin --relay ws://127.0.0.1:0 {options}"));
    out.expect_code(0).expect_stderr("");
    expect_lines(
        &out,
        &[
            "Plan for a relay hub",
            "wss://127.0.0.1:0/hub, origins only",
            "ws://127.0.0.1:0",
            &format!("certificate: {}, key in {}", certificate.display(), key.display()),
            &format!("tokens: keys in {}, audience hub.example", files.keys.display()),
            "Settings",
            "Checking",
            "1 key may sign tokens",
            " for localhost, 127.0.0.1, valid until ",
            "is free",
            "is free",
            "Success",
        ],
    );
    // A hub that runs has the address, and the other steps are still tried.
    let running = hub("--open");
    let at = format!("--relay ws://{} --relay ws://127.0.0.1:0", running.address());
    let out = check(&format!("{at} --token-keys {} --relay-name hub.example", files.keys.display()));
    out.expect_code(1);
    expect_lines(&out, &["1 key may sign tokens", "in use", "is free", "Failed with exit code 1"]);
    // A file that is missing is an error in the plan, as without --check.
    let out = check(&format!("{at} --token-keys /nonexistent/keys --relay-name hub.example"));
    out.expect_failure(2, &["--token-keys: cannot read /nonexistent/keys: No such file"]);
    let out = connect(format!("--check=json --relay ws://{} --open", running.address())).run();
    out.expect_code(1);
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(report["relay"]["tokens"], "none required");
    assert_eq!((&report["target"], &report["steps"][0]["stage"]), (&serde_json::Value::Null, &"bind".into()));
    running.close();
}
