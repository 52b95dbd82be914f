//! `--tls-target`: TLS with the target itself.

use std::net::{SocketAddr, TcpStream};

use super::*;
use crate::listening::*;

/// Returns a run with this target over TLS, which trusts the authority.
fn to_target(pki: &Pki, target: &TlsServer, options: &str) -> Program {
    let program = connect("--tls-target --tls-ca").arg(&*pki.file);
    program.args(format!("{options} localhost {}", target.port()))
}

#[test]
fn a_target_over_tls_was_reachable_only_with_another_program() {
    let pki = Pki::new();
    for (options, proxy) in [
        ("", None),
        ("-S", Some(socks5_none())),
        ("--eager -S", Some(socks5_none())),
        ("-4 -R remote -S", Some(socks4_granted())),
        ("-H", Some(http_ok())),
    ] {
        let target = script().send("welcome").expect("ping").expect_eof().send("pong").serve();
        let front = pki.front().in_front_of(&target);
        let proxy = proxy.map(|proxy| proxy.relay_to(&front).serve());
        let options = format!("{options} {}", proxy.as_ref().map(ToString::to_string).unwrap_or_default());
        let out = to_target(&pki, &front, &options).input("ping").run();
        out.expect_success().expect_stdout("welcomepong");
        let handshake = front.only_handshake();
        assert_eq!(handshake.name.as_deref(), Some("localhost"), "{options}");
        assert_eq!(handshake.end, Some(TlsEnd::CloseNotify), "{options}");
        target.finish();
        proxy.map(Server::finish);
    }
}

#[test]
fn the_target_may_be_the_innermost_of_several_tls_connections() {
    let pki = Pki::new();
    let target = script().send("welcome").exchange(1, MIB).serve();
    let inner = pki.front().in_front_of(&target);
    let proxy = http_ok().relay_to(&inner).serve();
    let outer = pki.front().in_front_of(&proxy);
    let url = format!("-x https://{outer}?tls-ca={}", pki.file.display());
    let mut run = to_target(&pki, &inner, &url).limit(TIMEOUT).start();
    run.feed(data(2, MIB));
    let out = run.wait();
    out.expect_success();
    assert_eq!(out.stdout, [b"welcome".to_vec(), bytes(1, usize::try_from(MIB).unwrap())].concat());
    assert_eq!(target.finish_one().digest, Some(Digest::from_reader(data(2, MIB))));
    proxy.finish();
}

#[test]
fn tls_to_the_target_works_with_every_kind_of_local_port() {
    let pki = Pki::new();
    for (option, clients) in [("-p", 1), ("-P", 1), ("--listen", 3)] {
        let target = Server::repeat(|| script().echo());
        let front = pki.front().in_front_of(&target);
        let run = Listening::start(to_target(&pki, &front, &format!("-d {option} 127.0.0.1:0")));
        for _ in 0..clients {
            expect_echo(run.client(), "hello");
        }
        drop(run);
    }
}

#[test]
fn the_certificate_of_the_target_is_read_once_for_all_clients() {
    let pki = Pki::new();
    let target = Server::repeat(|| script().echo());
    let front = pki.front().in_front_of(&target);
    let args = format!("-d --tls-target --listen 127.0.0.1:0 localhost {}", front.port());
    let run = Listening::start(connect(args).env("SSL_CERT_FILE", &*pki.file));
    let clients: Vec<_> = (0..3).map(|_| run.client()).collect();
    for client in clients {
        expect_echo(client, "hello");
    }
    assert_eq!(run.count_lines("the system's certificates: 1 used"), 1);
    assert_eq!(run.close(), [""; 0]);
}

/// Returns a load balancer that expects this PROXY header in plain text, and passes the rest on to
/// the TLS server.
fn balancer(front: &TlsServer, header: fn(SocketAddr, SocketAddr) -> String) -> Script {
    let expect = move |session: &mut Session| {
        let ends = (session.stream().peer_addr().unwrap(), session.stream().local_addr().unwrap());
        let line = session.receive_until(b"\r\n")?;
        let expected = header(ends.0, ends.1);
        if line == expected.as_bytes() {
            Ok(())
        } else {
            Err(format!("got {}, expected {expected}", show(&line)))
        }
    };
    script().then("expect a PROXY header", expect).relay_to(front)
}

fn proxy_line(source: SocketAddr, destination: SocketAddr) -> String {
    let (from, to) = (source.ip(), destination.ip());
    format!("PROXY TCP4 {from} {to} {} {}\r\n", source.port(), destination.port())
}

#[test]
fn the_proxy_protocol_header_precedes_tls_because_it_is_for_the_load_balancer() {
    let pki = Pki::new();
    let target = Server::repeat(|| script().send("welcome").expect("ping").expect_eof());
    let front = pki.front().in_front_of(&target);
    let options = "--tls-target --proxy-protocol v1 --tls-ca";
    let directly = balancer(&front, proxy_line).serve();
    let program = connect(options).arg(&*pki.file).args(format!("localhost {}", directly.port()));
    program.input("ping").run().expect_success().expect_stdout("welcome");
    directly.finish();
    for (option, proxy) in [("-H", http_ok()), ("--eager -S", socks5_none())] {
        let proxy = proxy.followed_by(balancer(&front, |_, _| "PROXY UNKNOWN\r\n".into())).serve();
        let program = connect(options).arg(&*pki.file).args(format!("{option} {proxy} localhost 22"));
        program.input("ping").run().expect_success().expect_stdout("welcome");
        proxy.finish();
    }
}

#[test]
fn the_proxy_protocol_header_before_tls_names_the_client_of_a_local_port() {
    let pki = Pki::new();
    let target = Server::repeat(|| script().echo());
    let front = pki.front().in_front_of(&target);
    let lines = std::sync::Arc::<std::sync::Mutex<Vec<Vec<u8>>>>::default();
    let seen = std::sync::Arc::clone(&lines);
    let balancer = script().then("take a PROXY header", move |session| {
        let line = session.receive_until(b"\r\n")?;
        seen.lock().unwrap().push(line);
        Ok(())
    });
    let balancer = Server::each([balancer.relay_to(&front)]);
    let program = connect("-d --listen 127.0.0.1:0 --tls-target --proxy-protocol v1 --tls-ca");
    let run = Listening::start(program.arg(&*pki.file).args(format!("localhost {}", balancer.port())));
    let client: TcpStream = run.client();
    let expected = proxy_line(client.local_addr().unwrap(), client.peer_addr().unwrap());
    expect_echo(&client, "hello");
    assert_eq!(*lines.lock().unwrap(), [expected.into_bytes()]);
    drop((client, run));
    balancer.finish();
}

/// Runs the program with this target over TLS, directly and through a proxy, and checks that the
/// message is about the target.
#[track_caller]
fn expect_failure(identity: &Identity, pki: &Pki, host: &str, options: &str, parts: &[&str]) {
    for proxy in [None, Some(http_ok())] {
        let unreached = Server::each([]);
        let front = TlsFront::new(identity).in_front_of(&unreached);
        let proxy = proxy.map(|proxy| proxy.relay_to(&front).serve());
        let through = proxy.as_ref().map(|proxy| format!("-H {proxy}")).unwrap_or_default();
        let program = connect("--tls-target --tls-ca").arg(&*pki.file);
        let out = program.args(format!("{options} {through} {host} {}", front.port())).run();
        let peer = format!("connect: {host}:{}", front.port());
        out.expect_failure(5, &[&[&*peer], parts].concat()).expect_stderr_lacks("proxy");
        proxy.map(Server::finish);
        unreached.finish();
    }
}

#[test]
fn a_wrong_certificate_of_the_target_is_not_blamed_on_the_proxy() {
    let pki = Pki::new();
    let stranger = Authority::new("Stranger").localhost();
    expect_failure(&stranger, &pki, "localhost", "", &["'Stranger'", "not trusted", "target's key"]);
    let other = pki.authority.issue(&["other.example"], CertificateKind::Server);
    let parts = ["for other.example, not for localhost", "right target", "--tls-server-name"];
    expect_failure(&other, &pki, "localhost", "", &parts);
    let expired = pki.authority.issue(&["localhost"], CertificateKind::Expired);
    expect_failure(&expired, &pki, "localhost", "", &["expired", "target's administrator"]);
    let pin = "--tls-pin sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    expect_failure(&pki.authority.localhost(), &pki, "localhost", pin, &["not pinned"]);
    let only_name = pki.authority.issue(&["localhost"], CertificateKind::Server);
    expect_failure(&only_name, &pki, "127.0.0.1", "", &["for localhost, not for 127.0.0.1"]);
}

#[test]
fn a_target_given_by_address_is_verified_by_it_unless_a_server_name_is_given() {
    let pki = Pki::new();
    for (names, option, sent) in [
        (["127.0.0.1", "unused.example"], "", None),
        (["localhost", "inner.example"], "--tls-server-name inner.example", Some("inner.example")),
    ] {
        let target = script().send("welcome").serve();
        let identity = pki.authority.issue(&names, CertificateKind::Server);
        let front = TlsFront::new(&identity).in_front_of(&target);
        let program = connect("--tls-target --tls-ca").arg(&*pki.file);
        let out = program.args(format!("{option} 127.0.0.1 {}", front.port())).run();
        out.expect_success().expect_stdout("welcome");
        assert_eq!(front.only_handshake().name.as_deref(), sent);
        target.finish();
    }
}

#[test]
fn a_target_that_does_not_speak_tls_is_not_blamed_on_the_proxy() {
    let expect = |peer: fn(Script) -> Script, code: i32, parts: &[&str]| {
        for (option, proxy) in [("", script()), ("-H", http_ok()), ("-S", socks5_none())] {
            let server = peer(proxy).serve();
            let (through, host) = match option {
                "" => (String::new(), format!("127.0.0.1:{}", server.port())),
                option => (format!("{option} {server}"), "host.example:22".to_owned()),
            };
            let out = connect(format!("-w 20 --insecure --tls-target -q {through} {host}")).run();
            let parts = [&[&*host, "--tls-target"], parts].concat();
            out.expect_failure(code, &parts).expect_stderr_lacks("proxy");
            server.finish();
        }
    };
    expect(|proxy| proxy.send("SSH-2.0-OpenSSH_9.2\r\n").drain(), 5, &["does not speak TLS", "leave out"]);
    expect(|proxy| proxy.expect_bytes(5).half_close().drain(), 5, &["closed the connection", "handshake"]);
    expect(|proxy| proxy.expect_bytes(5).reset(), 5, &["lost the connection", "TLS handshake"]);
}

/// The alert arrives after the handshake, when the session has already started.
#[test]
fn a_client_certificate_that_the_target_requires_is_presented_or_missed() {
    let pki = Pki::new();
    let members = Authority::new("Members");
    let member = members.issue(&["me"], CertificateKind::Client);
    let (certificate, key) = (member.certificate_file(), member.key_file());
    let versions = [&rustls::version::TLS13];
    let front = || TlsFront::requiring_client_certificate(&pki.authority.localhost(), &members, &versions);
    let target = script().send("welcome").serve();
    let server = front().in_front_of(&target);
    let program = connect("--tls-cert").arg(&*certificate).arg("--tls-key").arg(&*key);
    let program = program.args("--tls-target --tls-ca").arg(&*pki.file);
    let out = program.args(format!("localhost {}", server.port())).run();
    out.expect_success().expect_stdout("welcome");
    target.finish();

    let unreached = Server::each([]);
    let server = front().in_front_of(&unreached);
    let proxy = http_ok().relay_to(&server).serve();
    let mut run = to_target(&pki, &server, &format!("-H {proxy}")).start();
    let peer = format!("localhost:{}", server.port());
    run.wait().expect_failure(8, &[&peer, "certificate_required"]).expect_stderr_lacks("proxy");
    proxy.finish();
    unreached.finish();
}

#[test]
fn a_truncated_session_with_the_target_is_an_error_that_names_it() {
    let pki = Pki::new();
    let target = script().send("half of it").serve();
    let front = pki.front().without_close_notify().in_front_of(&target);
    let proxy = socks5_none().relay_to(&front).serve();
    let out = to_target(&pki, &front, &format!("-S {proxy}")).start().wait();
    let peer = format!("localhost:{}", front.port());
    out.expect_failure(8, &[&peer, "close_notify"]).expect_stdout("half of it");
    target.finish();
    proxy.finish();
}

/// The handshake has proved that the tunnel leads to the target.
#[test]
fn a_session_without_data_after_the_handshake_is_not_blamed_on_the_proxy() {
    let pki = Pki::new();
    let target = script().serve();
    let front = pki.front().in_front_of(&target);
    let proxy = socks5_none().relay_to(&front).serve();
    to_target(&pki, &front, &format!("-S {proxy}")).start().wait().expect_success().expect_stderr("");
    target.finish();
    proxy.finish();
}

#[test]
fn the_next_route_is_tried_if_tls_with_the_target_fails() {
    let pki = Pki::new();
    let target = script().send("welcome").serve();
    let front = pki.front().in_front_of(&target);
    let impostor = http_ok().send("HTTP/1.1 200 Log in here\r\n").drain().serve();
    let proxy = http_ok().relay_to(&front).serve();
    let out = to_target(&pki, &front, &format!("-x http://{impostor}|http://{proxy}")).run();
    out.expect_success().expect_stdout("welcome");
    impostor.finish();
    proxy.finish();
    target.finish();
}

/// Otherwise the options would apply to both, and a pin fits only one of them.
#[test]
fn the_options_are_for_the_target_and_those_of_a_proxy_are_in_its_url() {
    let (pki, other) = (Pki::new(), Pki::named("Other Authority"));
    let serve = || {
        let target = script().send("welcome").serve();
        let inner = pki.front().in_front_of(&target);
        let proxy = http_ok().relay_to(&inner).serve();
        let outer = other.front().in_front_of(&proxy);
        (target, inner, proxy, outer)
    };
    // Pass the settings as options, then as parameters.
    for is_option in [true, false] {
        let (target, inner, proxy, outer) = serve();
        let url = format!("https://{outer}?tls-ca={}", other.file.display());
        let args = format!("-x {url} localhost {}", inner.port());
        let program = if is_option {
            connect("--tls-target --tls-ca").arg(&*pki.file).args(args)
        } else {
            connect(args).env("CONNECT_TLS_TARGET", "yes").env("CONNECT_TLS_CA", &*pki.file)
        };
        program.run().expect_success().expect_stdout("welcome");
        target.finish();
        proxy.finish();
    }
    // The target's options do not apply to a proxy without its own.
    let unreached = Server::each([]);
    let outer = pki.front().in_front_of(&unreached);
    let run = to_target(&pki, &outer, &format!("-H https://{outer}")).env("SSL_CERT_FILE", &*other.file);
    let url = "(with --tls-target, in the URL given to -x)";
    run.run().expect_failure(5, &["HTTP proxy 127.0.0.1", "not trusted", url]);
    unreached.finish();
}

#[test]
fn a_connection_that_needs_encryption_cannot_be_passed_to_ssh() {
    for args in ["-F --tls-target 127.0.0.1 1", "-F --tls-target -S 127.0.0.1:1 host.example 22"] {
        connect(args).run().expect_failure(2, &["-F cannot be combined", "--tls-target", "ProxyUseFdpass"]);
    }
    let run = connect("-F 127.0.0.1 1").env("CONNECT_TLS_TARGET", "yes").run();
    run.expect_failure(2, &["-F cannot be combined"]);
}

#[test]
fn the_parameter_for_tls_to_the_target_is_yes_or_no() {
    let target = Server::repeat(|| script().send("welcome"));
    let run = |value: &str| connect(target.args()).env("CONNECT_TLS_TARGET", value).run();
    for value in ["no", "NO", ""] {
        run(value).expect_success().expect_stdout("welcome");
    }
    run("Yes").expect_failure(5, &["does not speak TLS"]);
    run("on").expect_failure(2, &["'on'", "CONNECT_TLS_TARGET", "yes or no"]);
    connect("--tls-target unix:/nonexistent").run().expect_failure(2, &["unix:/nonexistent", "no name"]);
}

#[test]
fn check_reports_tls_with_the_target() {
    let pki = Pki::new();
    for proxy in [None, Some(http_ok())] {
        let target = script().send("SSH-2.0-test\r\n").serve();
        let front = pki.front().in_front_of(&target);
        let proxy = proxy.map(|proxy| proxy.relay_to(&front).serve());
        let through = proxy.as_ref().map(|proxy| format!("-H {proxy}")).unwrap_or_default();
        let out = to_target(&pki, &front, &format!("--check {through}")).run();
        out.expect_success();
        let (report, peer) = (out.stdout_text(), format!("localhost:{}", front.port()));
        for part in [
            format!("TLS with {peer}: trusts the authorities in"),
            "--tls-target         command line   yes".into(),
            "time limit: 30 seconds for each handshake".into(),
            format!("tls     TLS with {peer}: TLS 1.3, "),
            "certificate issued by 'Test Authority'".into(),
            format!("{peer} sent: SSH-2.0-test"),
        ] {
            assert!(report.contains(&part), "no {part:?} in {report}");
        }
        target.finish();
        proxy.map(Server::finish);
    }
    let unreached = Server::each([]);
    let front = Pki::named("Stranger").front().in_front_of(&unreached);
    let out = to_target(&pki, &front, "--check=json").run();
    out.expect_code(5);
    let report = out.stdout_text();
    for part in ["\"target_tls\": \"trusts the authorities in ", "\"stage\": \"tls\"", "not trusted here"] {
        assert!(report.contains(part), "no {part:?} in {report}");
    }
    unreached.finish();
}
