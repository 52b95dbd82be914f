//! End-to-end encryption.

use std::net::TcpListener;

use super::balancer::Balancer;
use super::*;

/// Creates a key file.
fn key() -> TempPath {
    let key = connect("--mint-key").run().expect_success().stdout.clone();
    TempPath::private("agent.key", key)
}

const MARKER: &str = "this text must not be seen";

#[test]
fn the_hub_sees_no_data_of_a_link_with_a_key() {
    let hub = hub("--open");
    for (key, is_seen) in [(None, true), (Some(key()), false)] {
        let args = key.as_ref().map(|key| format!("--key-file {}", key.display())).unwrap_or_default();
        let target = script().expect(MARKER).send("answer").expect_eof().serve();
        let [origin_leg, client_leg] = [(); 2].map(|()| Balancer::start(hub.address()));
        let run = origin(origin_leg.address, "lab", &format!("{args} {}", target.args()));
        let mut client = dest(client_leg.address, &args).start();
        client.send(MARKER);
        client.wait_stdout_has("answer");
        // Frames to the hub are masked, so each direction is visible only after the hub.
        assert_eq!(client_leg.has_seen(b"answer"), is_seen);
        assert_eq!(origin_leg.has_seen(MARKER.as_bytes()), is_seen);
        client.close_stdin();
        client.wait().expect_code(0);
        target.finish();
        stop(run);
    }
    hub.close();
}

#[test]
fn encrypted_data_survives_cut_connections() {
    let hub = hub("--open");
    let key = key();
    let args = format!("--key-file {}", key.display());
    let (up, down) = (bytes(1, 4_000_000), bytes(2, 4_000_000));
    let target = script().send(&down).expect(&up).expect_eof().serve();
    let network = Balancer::cutting(hub.address(), 1_000_000);
    let run = origin(hub.address(), "lab", &format!("{args} {}", target.args()));
    dest(network.address, &args).input(up).run().expect_code(0).expect_stdout(down);
    target.finish();
    assert!(network.count() > 2, "only {} connections", network.count());
    stop(run);
    hub.close();
}

#[test]
fn both_ends_need_the_same_key() {
    let hub = hub("--open");
    let (key, other) = (key(), key());
    let option = |key: &TempPath| format!("--key-file {}", key.display());
    let why = ["the other end of 'lab' does not have the same key", "check --key-file"];
    // An origin with a key connects to its target only after the client has proved its key.
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    target.set_nonblocking(true).unwrap();
    let port = target.local_addr().unwrap().port();
    let args = format!("--max-total 1 {} 127.0.0.1 {port}", option(&key));
    let run = origin(hub.address(), "lab", &args);
    for args in [option(&other), String::new()] {
        dest(hub.address(), &args).input("data").run().expect_failure(6, &why);
    }
    run.wait_for_lines("the client does not have the same key", 2);
    assert_eq!(
        refused(hub.address(), "/v1/lab/dest", ""),
        (403, "the origin requires end-to-end encryption\n".into())
    );
    stop(run);
    let accepted = target.accept().map_err(|error| error.kind());
    assert_eq!(accepted.err(), Some(std::io::ErrorKind::WouldBlock), "the target was connected");
    let target = Server::repeat(|| script().expect_disconnect());
    let run = origin(hub.address(), "lab", &target.args());
    dest(hub.address(), &option(&key)).input("data").run().expect_failure(6, &why);
    stop(run);
    hub.close();
}

#[test]
fn a_target_that_refuses_an_encrypted_link_is_reported() {
    let hub = hub("--open");
    let key = key();
    let nobody = RefusingPort::new();
    let args = format!("--key-file {}", key.display());
    let run = origin(hub.address(), "lab", &format!("{args} 127.0.0.1 {}", nobody.port()));
    let why = format!("the origin of 'lab' cannot reach 127.0.0.1:{}: connection refused", nobody.port());
    dest(hub.address(), &args).input("").run().expect_failure(4, &[&why]);
    stop(run);
    hub.close();
}

#[test]
fn a_key_is_32_bytes_in_base64_from_a_file_a_descriptor_or_a_parameter() {
    let hub = hub("--open");
    let key = key();
    let target = Server::repeat(|| script().send("banner").expect_disconnect());
    let parameter = format!("--key-file {}", key.display());
    let run = origin(hub.address(), "lab", &format!("{parameter} {}", target.args()));
    let url = format!("-x relay+ws://{}/lab", hub.address());
    let file = key.display();
    for program in [connect(format!("{url}#key-file={file}")), connect(&url).env("CONNECT_KEY_FILE", &*key)] {
        program.input("").run().expect_code(0).expect_stdout("banner");
    }
    for (contents, shown) in [("password\n", "password"), ("AAAA\n", "AAAA")] {
        let invalid = TempPath::private("key", contents);
        let out = connect(format!("{url} --key-file {}", invalid.display())).run();
        out.expect_failure(2, &["invalid key in --key-file", "expected 32 bytes in base64"]);
        out.expect_stderr_lacks(shown);
    }
    let value = std::fs::read_to_string(&*key).unwrap();
    let out = connect(format!("{url} --key-file {value}")).run();
    out.expect_failure(2, &["cannot read the key from the file it names"]);
    out.expect_stderr_lacks(value.trim());
    connect(format!("{url}#key={}", value.trim())).run().expect_failure(2, &["a key in a URL"]);
    stop(run);
    hub.close();
}

#[test]
#[cfg(unix)]
fn a_key_file_that_others_can_read_causes_a_warning() {
    let value = connect("--mint-key").run().expect_success().stdout.clone();
    let readable = TempPath::file("agent.key", value);
    let out = connect(format!("-x relay+ws://127.0.0.1:1/lab --key-file {}", readable.display())).run();
    out.expect_code(4).expect_stderr_has("can be read by others; run chmod 600");
}
