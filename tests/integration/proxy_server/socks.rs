//! SOCKS4, SOCKS4a and SOCKS5 clients.

use super::*;

#[test]
fn every_version_reaches_the_target_by_name_and_by_address() {
    let target = echo();
    let run = socks("");
    let port = target.port().to_be_bytes();
    let name = socks5_request_for("localhost", target.port());
    let address = [&b"\x05\x01\0\x01\x7f\0\0\x01"[..], &port].concat();
    for (parts, reply_length, granted) in [
        (vec![[&b"\x04\x01"[..], &port, b"\x7f\0\0\x01me\0"].concat()], 8, 90),
        (vec![[&b"\x04\x01"[..], &port, b"\0\0\0\x01me\0localhost\0"].concat()], 8, 90),
        (vec![b"\x05\x01\0".to_vec(), name], 10, 0),
        (vec![b"\x05\x01\0".to_vec(), address], 10, 0),
    ] {
        let mut client = run.client();
        let (request, greeting) = parts.split_last().unwrap();
        for part in greeting {
            client.write_all(part).unwrap();
            assert_eq!(read(&client, 2), b"\x05\0");
        }
        // The client does not wait for the reply.
        client.write_all(&[request, &b"early"[..]].concat()).unwrap();
        let reply = read(&client, reply_length);
        assert_eq!(reply[1], granted, "{reply:?}");
        assert_eq!(read(&client, 5), b"early");
        expect_echo(&client, "later");
    }
    assert_eq!(run.close(), [""; 0]);
}

#[test]
fn the_reply_contains_the_address_of_a_direct_connection_only() {
    let target = Server::repeat(|| {
        script().then("send the address of the client", |session| {
            let address = session.stream().peer_addr().unwrap().to_string();
            session.send(address.as_bytes())
        })
    });
    let run = socks("");
    let mut client = run.client();
    client.write_all(b"\x05\x01\0").unwrap();
    read(&client, 2);
    client.write_all(&socks5_request_for("127.0.0.1", target.port())).unwrap();
    let reply = read(&client, 10);
    assert_eq!(&reply[..8], b"\x05\0\0\x01\x7f\0\0\x01");
    let port = u16::from_be_bytes([reply[8], reply[9]]);
    assert_eq!(read_to_end(client), format!("127.0.0.1:{port}"));
    run.close();
    let proxy = Server::repeat(|| socks5_none().echo());
    let run = socks(&format!("-S {proxy}"));
    let mut client = run.client();
    client.write_all(b"\x05\x01\0").unwrap();
    read(&client, 2);
    client.write_all(&socks5_request_for("host.example", 22)).unwrap();
    assert_eq!(read(&client, 10), b"\x05\0\0\x01\0\0\0\0\0\0");
    expect_echo(&client, "hello");
    run.close();
    assert_eq!(proxy.records()[0].target.as_deref(), Some("host.example:22"));
}

#[test]
fn a_client_learns_why_its_target_was_not_reached() {
    let (refusing, silent) = (RefusingPort::new(), SilentPort::new());
    let run = socks("-w 0.5");
    for (host, port, code) in
        [("127.0.0.1", refusing.port(), 5), ("host.invalid", 22, 4), ("127.0.0.1", silent.port(), 6)]
    {
        let (reply, client) = socks5(&run, host, port);
        assert_eq!(reply, code, "{host}:{port}");
        assert_eq!(read_to_end(client), "");
    }
    let messages = close_after(run, 3);
    assert!(messages.iter().all(|line| line.starts_with("connect: client 127.0.0.1:")), "{messages:?}");
    for (proxy, code) in [
        (Server::repeat(|| socks5_refused(2)), 2),
        (Server::repeat(|| socks5_refused(3)), 3),
        (Server::repeat(|| script().close()), 1),
    ] {
        let run = socks(&format!("-S {proxy}"));
        assert_eq!(socks5(&run, "host.example", 22).0, code);
        run.close();
    }
    let unreachable = socks(&format!("-S 127.0.0.1:{}", refusing.port()));
    assert_eq!(socks5(&unreachable, "host.example", 22).0, 1);
    unreachable.close();
}

#[test]
fn bind_and_udp_are_refused() {
    let run = socks("");
    for command in [2, 3] {
        let mut client = run.client();
        client.write_all(&[5, 1, 0, 5, command, 0, 1, 127, 0, 0, 1, 0, 22]).unwrap();
        assert_eq!(read(&client, 12), b"\x05\0\x05\x07\0\x01\0\0\0\0\0\0");
        assert_eq!(read_to_end(client), "");
    }
    let mut client = run.client();
    client.write_all(b"\x04\x02\0\x16\x7f\0\0\x01\0").unwrap();
    assert_eq!(read_to_end(&client).as_bytes()[1], 91);
    let messages = close_after(run, 3).join("\n");
    for part in ["requested BIND, which", "requested UDP ASSOCIATE, which"] {
        assert!(messages.contains(part), "{messages}");
    }
}

#[test]
fn a_client_that_disconnects_while_its_target_is_dialled_ends_the_attempt() {
    let silent = SilentPort::new();
    let run = socks("");
    let mut client = run.client();
    client
        .write_all(&[b"\x05\x01\0", socks5_request_for("127.0.0.1", silent.port()).as_slice()].concat())
        .unwrap();
    run.wait_for_line("connecting to 127.0.0.1");
    reset(client);
    run.wait_for_line("client disconnected before the target was reached");
    assert_eq!(run.close(), [""; 0]);
}

#[test]
fn a_login_is_required_if_there_is_a_password_file() {
    let target = echo();
    let file = TempPath::file("logins", "# clients\nalice:secret\n");
    #[cfg(unix)]
    std::fs::set_permissions(&*file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let run = socks(&format!("--listen-password-file {}", file.display()));
    let mut client = run.client();
    client.write_all(b"\x05\x02\0\x02").unwrap();
    assert_eq!(read(&client, 2), b"\x05\x02");
    client.write_all(b"\x01\x05alice\x06secret").unwrap();
    assert_eq!(read(&client, 2), b"\x01\0");
    client.write_all(&socks5_request_for("127.0.0.1", target.port())).unwrap();
    assert_eq!(read(&client, 10)[1], 0);
    expect_echo(&client, "hello");
    for (sent, answer) in [
        (&b"\x05\x01\x02\x01\x05alice\x05wrong"[..], &b"\x05\x02\x01\x01"[..]),
        (b"\x05\x01\0", b"\x05\xff"),
        (b"\x04\x01\0\x16\x7f\0\0\x01alice\0", b"\0\x5b\0\0\0\0\0\0"),
    ] {
        let mut client = run.client();
        client.write_all(sent).unwrap();
        assert_eq!(read(&client, answer.len()), answer);
        expect_disconnect(client);
    }
    let messages = close_after(run, 3);
    let all = messages.join("\n");
    assert!(
        all.contains("sent a wrong user name or password") && all.contains("sent no user name and password")
    );
    assert!(!all.contains("secret") && !all.contains("alice"), "{all}");
}

#[test]
fn a_client_of_another_protocol_is_reported_and_a_silent_one_is_not() {
    let run = socks("");
    let mut client = run.client();
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    expect_disconnect(client);
    drop(run.client());
    let mut begun = run.client();
    begun.write_all(b"\x05").unwrap();
    drop(begun);
    run.wait_for_line("did not send a SOCKS request (first byte 0x47)");
    close_after(run, 1);
}
