//! Proxies at a UNIX-domain socket.

use std::net::{Shutdown, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use crate::kit::*;
use crate::listening::*;

/// A UNIX-domain socket that forwards each connection to a TCP server. Its `Display` output is the
/// path.
struct Front {
    path: TempPath,
}

impl Front {
    fn new(server: &impl ToString) -> Self {
        let path = TempPath::new("proxy");
        let listener = UnixListener::bind(&*path).unwrap();
        let server = server.to_string();
        // The thread ends with the test process.
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(&server).unwrap());
                let (client_too, server_too) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || forward(&client, &server));
                thread::spawn(move || {
                    let _ = std::io::copy(&mut &server_too, &mut &client_too);
                    let _ = client_too.shutdown(Shutdown::Both);
                });
            }
        });
        Self { path }
    }
}

fn forward(from: &UnixStream, to: &TcpStream) {
    let _ = std::io::copy(&mut { from }, &mut { to });
    let _ = to.shutdown(Shutdown::Write);
}

impl std::fmt::Display for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.path.display().fmt(f)
    }
}

#[test]
fn a_proxy_is_reached_at_a_socket() {
    for (spelling, proxy) in [
        ("-S unix:PATH", socks5_none()),
        ("-S unix://PATH", socks5_none()),
        ("-4 -S unix:PATH", socks4_granted()),
        ("-S me:secret@unix:PATH", socks5_userpass("me", "secret")),
        ("-S socks5h://unix:PATH", socks5_none()),
        ("-x socks5h://unix:PATH", socks5_none()),
        ("-x socks5h://unix:ENCODED", socks5_none()),
        ("-x socks5h://localhostPATH", socks5_none()),
        ("-x socks5://me:secret@unix:PATH?resolve=remote", socks5_userpass("me", "secret")),
        ("-x http://unix:PATH", http_ok()),
        ("-H unix:PATH", http_ok()),
        ("-H http://unix:PATH", http_ok()),
        ("-H me:secret@unix:PATH", http_basic("me", "secret")),
    ] {
        let server = proxy.send("welcome").expect("ping").expect_eof().serve();
        let front = Front::new(&server);
        let path = front.to_string();
        let args = spelling.replace("PATH", &path).replace("ENCODED", &path.replace('/', "%2F"));
        let out = connect(format!("{args} 192.0.2.7 22")).input("ping").run();
        out.expect_success().expect_stdout("welcome");
        assert_eq!(server.finish_one().target.as_deref(), Some("192.0.2.7:22"), "{spelling}");
    }
}

#[test]
fn variables_name_a_proxy_at_a_socket() {
    for (option, name, value) in [
        ("-s", "SOCKS5_SERVER", "unix:PATH"),
        ("-s", "ALL_PROXY", "socks5h://unix:PATH"),
        ("-A", "all_proxy", "socks5h://localhostPATH"),
        ("-A", "CONNECT_PROXY", "socks5h://unix:PATH|direct"),
    ] {
        let server = socks5_none().send("welcome").drain().serve();
        let front = Front::new(&server);
        let run = connect(format!("{option} host.example 22"));
        let run = run.env(name, value.replace("PATH", &front.to_string()));
        run.run().expect_success().expect_stdout("welcome");
        server.finish();
    }
}

#[test]
fn a_proxy_at_a_socket_leads_to_further_proxies() {
    let second = http_ok().send("welcome").drain().serve();
    let first = socks5_none().relay().serve();
    let front = Front::new(&first);
    let out = connect(format!("-x socks5h://unix:{front},http://{second} host 22")).run();
    out.expect_success().expect_stdout("welcome");
    let out = connect(format!("-x http://{second},socks5h://unix:{front} host 22")).run();
    out.expect_failure(2, &["a UNIX-domain socket can only be the first proxy of a chain"]);
}

#[test]
fn a_proxy_at_a_socket_is_reached_again_if_it_requires_a_new_connection() {
    let proxy = HttpDigest { closes: true, ..HttpDigest::new("me", "secret") };
    let server = Server::each([proxy.script(), proxy.script().drain()]);
    let front = Front::new(&server);
    let out = connect(format!("-a digest -H me:secret@unix:{front} host.example 22")).run();
    out.expect_success();
    server.finish();
}

#[test]
fn a_failure_names_the_socket() {
    let missing = TempPath::new("missing");
    let path = missing.display();
    let out = connect(format!("-S unix:{path} host 22")).run();
    let message =
        format!("cannot connect to SOCKS5 proxy unix:{path}: No such file or directory; check the path");
    out.expect_failure(4, &[&message]);
    let stale = TempPath::new("stale");
    drop(UnixListener::bind(&*stale).unwrap());
    let out = connect(format!("-H unix:{} host 22", stale.display())).run();
    out.expect_failure(4, &["cannot connect to HTTP proxy unix:", "refused", "check that the program"]);
    let server = socks5_refused(2).serve();
    let front = Front::new(&server);
    let out = connect(format!("-S unix:{front} host 22")).run();
    out.expect_failure(5, &[&format!("SOCKS5 proxy unix:{front} refused to connect to host:22")]);
    server.finish();
    // Another route may work.
    let target = script().send("welcome").serve();
    let out = connect(format!("-x socks5h://unix:{path}|direct {}", target.args())).run();
    out.expect_success().expect_stdout("welcome");
}

#[test]
fn targets_bypass_a_proxy_at_a_socket() {
    let target = script().send("welcome").serve();
    let run = connect(format!("-S unix:/nonexistent/socks {}", target.args())).env("no_proxy", "127.0.0.0/8");
    run.run().expect_success().expect_stdout("welcome");
    target.finish();
}

#[test]
fn the_report_and_the_log_show_the_socket() {
    let server = socks5_userpass("me", "secret").early("SSH-2.0-test\r\n").drain().serve();
    let front = Front::new(&server);
    let out = connect(format!("--check -d -S me:secret@unix:{front} host 22")).run();
    let text = out.expect_code(0).stdout_text();
    for part in [
        format!("SOCKS5 proxy unix:{front} → host:22\n"),
        format!("       unix:{front}: user me; password configured"),
        format!("me:****@unix:{front}\n"),
        format!("connected to SOCKS5 proxy unix:{front}\n"),
    ] {
        assert!(text.contains(&part), "{part:?} is not in {text}");
    }
    out.expect_stderr_has(&format!("relay_host=unix:{front}\n")).expect_stderr_lacks("secret");
    assert!(!text.contains("secret"), "{text}");
    server.finish();
}

#[test]
fn the_password_for_a_proxy_at_a_socket_is_found() {
    let prompt = TempPath::new("prompt");
    let askpass =
        TempPath::file("askpass", format!("#!/bin/sh\necho \"$1\" > {}\necho secret\n", prompt.display()));
    std::fs::set_permissions(&*askpass, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let serve = || socks5_userpass("me", "secret").drain().serve();
    let server = serve();
    let front = Front::new(&server);
    let run = connect(format!("-a userpass -S me@unix:{front} host 22"));
    let run = run.env("SSH_ASKPASS", &*askpass).env("SSH_ASKPASS_REQUIRE", "force");
    run.run().expect_success();
    server.finish();
    let asked = std::fs::read_to_string(&*prompt).unwrap();
    assert_eq!(asked, format!("Enter SOCKS5 password for me@unix:{front}: \n"));

    let server = serve();
    let front = Front::new(&server);
    let run = connect(format!("-a userpass -S me@unix:{front}")).arg("--password-command");
    let run = run.arg("test %u:%h:%p = me:localhost: && echo secret").args("host 22");
    run.run().expect_success();
    server.finish();

    let server = serve();
    let front = Front::new(&server);
    let netrc = TempPath::file("netrc", format!("machine unix:{front} login me password secret\n"));
    std::fs::set_permissions(&*netrc, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let run = connect("--netrc-file").arg(&*netrc).args(format!("-S unix:{front} host 22"));
    run.run().expect_success();
    server.finish();
}

#[test]
fn clients_of_a_local_port_reach_a_proxy_at_a_socket() {
    let server = Server::repeat(|| socks5_none().echo());
    let front = Front::new(&server);
    let run = listening(format!("--listen 127.0.0.1:0 -S unix:{front} host 22"));
    let clients = [run.client(), run.client()];
    for client in &clients {
        expect_echo(client, "hello");
    }
    assert_eq!(run.close(), [""; 0]);
}

#[cfg(feature = "tls")]
#[test]
fn tls_to_a_proxy_at_a_socket_needs_a_name() {
    let authority = Authority::new("Test Authority");
    let inside = http_ok().send("welcome").drain().serve();
    let identity = authority.issue(&["proxy.example"], CertificateKind::Server);
    let tls = TlsFront::new(&identity).in_front_of(&inside);
    let front = Front::new(&tls);
    let ca = authority.file();
    let args = format!("--tls-ca {} -H https://unix:{front}", ca.display());
    let out = connect(format!("{args} host 22")).run();
    out.expect_failure(2, &[&format!("no TLS server name for HTTP proxy unix:{front}"), "--tls-server-name"]);
    let out = connect(format!("{args} --tls-server-name proxy.example host 22")).run();
    out.expect_success().expect_stdout("welcome");
}
