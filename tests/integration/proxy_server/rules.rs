//! The clients and targets that a listener serves.

use super::*;

#[test]
fn only_allowed_targets_are_connected() {
    let target = echo();
    let run = socks(&format!("--allow-to localhost:{} --allow-to 127.0.0.0/30 -w 5", target.port()));
    for (host, port, expected) in [
        ("localhost", target.port(), 0),
        ("127.0.0.1", target.port(), 0),
        ("localhost", 1, 2),
        ("127.0.0.9", target.port(), 2),
        ("a.localhost", target.port(), 2),
    ] {
        assert_eq!(socks5(&run, host, port).0, expected, "{host}:{port}");
    }
    let messages = close_after(run, 3);
    // Sessions end in parallel, so the order of their messages is not that of the requests.
    let names_target =
        messages.iter().any(|line| line.contains("localhost:1: --allow-to does not include it"));
    assert!(names_target, "{messages:?}");
    let run = http("--allow-to *:443");
    assert_eq!(tunnel(&run, "host.invalid:443").0, 502);
    assert_eq!(tunnel(&run, "host.invalid:22").0, 403);
    run.close();
}

#[test]
fn only_allowed_clients_are_served() {
    let target = echo();
    let run = listening("--listen socks5://0.0.0.0:0 --allow-from 127.0.0.0/8 --allow-from ::1");
    let port = run.address().port();
    let mut client = connect_to(([127, 0, 0, 1], port).into());
    client.write_all(b"\x05\x01\0").unwrap();
    assert_eq!(read(&client, 2), b"\x05\0");
    client.write_all(&socks5_request_for("127.0.0.1", target.port())).unwrap();
    assert_eq!(read(&client, 10)[1], 0);
    expect_echo(client, "hello");
    assert_eq!(run.close(), [""; 0]);
    let run = http("--allow-from 10.0.0.0/8");
    expect_reset(run.client());
    run.wait_for_line("its address is in no network of --allow-from");
    run.close();
}

#[test]
fn a_connection_that_leads_back_to_a_listener_is_refused() {
    let run = listening("--listen socks5://127.0.0.1:0 --listen http://127.0.0.1:0");
    let ports: Vec<u16> = run.addresses(2).iter().map(std::net::SocketAddr::port).collect();
    for port in &ports {
        for host in ["127.0.0.1", "localhost", "0.0.0.0", "::ffff:127.0.0.1"] {
            assert_eq!(socks5(&run, host, *port).0, 2, "{host}");
        }
    }
    let messages = close_after(run, 8);
    assert!(messages.iter().all(|line| line.contains("it is a listener of this process")), "{messages:?}");
}

/// Each request would make another one, until no descriptors are left.
#[test]
fn a_proxy_that_is_the_listener_itself_is_refused() {
    let port = RefusingPort::new().port();
    for host in ["127.0.0.1", "localhost"] {
        let run = listening(format!("--listen http://127.0.0.1:{port} -H {host}:{port}"));
        assert_eq!(tunnel(&run, "host.example:443").0, 403);
        let messages = close_after(run, 1);
        assert!(messages[0].contains("it is a listener of this process"), "{messages:?}");
    }
}

#[test]
fn two_protocols_are_served_by_one_run() {
    let target = echo();
    let run = listening("--listen http://127.0.0.1:0 --listen socks5://127.0.0.1:0");
    let addresses = run.addresses(2);
    let mut client = connect_to(addresses[0]);
    client.write_all(format!("CONNECT {target} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(status(&head(&client)), 200);
    let mut client = connect_to(addresses[1]);
    client.write_all(b"\x05\x01\0").unwrap();
    assert_eq!(read(&client, 2), b"\x05\0");
    assert_eq!(run.close(), [""; 0]);
}

#[test]
fn a_bad_setting_is_an_error_at_the_start() {
    let proxy = "--listen http://127.0.0.1:0";
    for (args, parts) in [
        (format!("{proxy} host.example 22"), &["unexpected host 'host.example'", "leave out"][..]),
        (format!("{proxy} -x gopher://a"), &["gopher"]),
        (format!("{proxy} -S me@127.0.0.1 --password-file /nonexistent/x"), &["/nonexistent/x"]),
        (format!("{proxy} --listen 127.0.0.1:0"), &["cannot be combined"]),
        (format!("{proxy} --allow-to a/b"), &["--allow-to"]),
        (format!("{proxy} --allow-from host"), &["--allow-from"]),
        (
            format!("{proxy} --listen-password-file /nonexistent/x"),
            &["--listen-password-file", "/nonexistent/x"],
        ),
        (format!("{proxy} --serve-cert x"), &["--listen https://"]),
        (format!("{proxy} -p 0"), &["--listen cannot be combined with -p"]),
        ("--listen socks5://0.0.0.0:0".into(), &["any machine", "--listen-password-file", "--allow-from"]),
        ("--listen socks6://127.0.0.1:0".into(), &["unknown scheme 'socks6'"]),
        ("--listen https://127.0.0.1:0".into(), &["--serve-cert"]),
        ("--listen 127.0.0.1:0".into(), &["missing host"]),
        ("--allow-to a host.example 22".into(), &["--allow-to", "--listen"]),
    ] {
        connect(&args).run().expect_failure(2, parts);
    }
}

#[test]
fn check_tests_the_target_that_a_client_would_name() {
    let target = Server::repeat(|| script().send("hello\r\n").expect_eof());
    let run = connect(format!("--check --listen http://127.0.0.1:0 {}", target.args())).run();
    assert_eq!((run.code, run.stderr_text()), (Some(0), String::new()));
    assert!(run.stdout_text().contains("sent: hello"), "{}", run.stdout_text());
    connect("--check --listen http://127.0.0.1:0").run().expect_failure(2, &["missing host"]);
}

/// Each such client used to hold a thread of the pool that connects targets, for 30 seconds.
#[test]
fn clients_that_send_no_request_hold_no_thread() {
    let target = echo();
    let run = socks("");
    let silent: Vec<_> = (0..300).map(|_| run.client()).collect();
    let (code, client) = socks5(&run, "127.0.0.1", target.port());
    assert_eq!(code, 0);
    expect_echo(&client, "hello");
    #[cfg(target_os = "linux")]
    {
        let (descriptors, threads) = run.count_descriptors_and_threads();
        assert!(descriptors > 300 && threads < 30, "{descriptors} {threads}");
    }
    drop(silent);
    drop(client);
    run.close();
}
