//! `--proxy-protocol`: a PROXY protocol header precedes the session data. It contains the client's
//! address, if known.

use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use crate::kit::*;
use crate::listening::*;
use crate::wire::*;

/// Returns a version 1 (text) header.
fn line(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes()
}

/// Returns a version 2 (binary) header.
fn binary(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21".to_vec();
    match (source, destination) {
        (SocketAddr::V4(source), SocketAddr::V4(destination)) => {
            header.extend([0x11, 0, 12]);
            header.extend([source.ip().octets(), destination.ip().octets()].concat());
        }
        (SocketAddr::V6(source), SocketAddr::V6(destination)) => {
            header.extend([0x21, 0, 36]);
            header.extend([source.ip().octets(), destination.ip().octets()].concat());
        }
        _ => panic!("two families"),
    }
    header.extend([source.port().to_be_bytes(), destination.port().to_be_bytes()].concat());
    header
}

const UNKNOWN_LINE: &[u8] = b"PROXY UNKNOWN\r\n";
const LOCAL_BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// Returns a target that expects a header, sent in one piece, with the addresses of both ends of
/// its own connection.
fn expects_own_addresses(header: fn(SocketAddr, SocketAddr) -> Vec<u8>) -> Script {
    script()
        .then("expect a header with both ends of this connection", move |session| {
            let ends = (session.stream().peer_addr(), session.stream().local_addr());
            let due = header(ends.0.unwrap(), ends.1.unwrap());
            let got = session.receive_up_to(1000)?;
            if got == due { Ok(()) } else { Err(format!("expected {}\n     got {}", show(&due), show(&got))) }
        })
        .send("welcome")
        .expect("ping")
        .expect_eof()
}

#[test]
fn the_header_names_both_ends_of_a_direct_connection() {
    let directly = |version: &str, target: Server| {
        let mut run = connect(format!("--proxy-protocol {version} {}", target.args())).start();
        run.wait_stdout_has("welcome");
        run.send("ping");
        run.finish().expect_success().expect_stdout("welcome");
        target.finish();
    };
    directly("v1", expects_own_addresses(line).serve());
    directly("V2", expects_own_addresses(binary).serve());
    directly("v1", Server::each_v6([expects_own_addresses(line)]));
    directly("v2", Server::each_v6([expects_own_addresses(binary)]));
}

#[test]
fn the_header_has_no_addresses_through_a_proxy() {
    for (version, header) in [("v1", UNKNOWN_LINE), ("v2", LOCAL_BINARY)] {
        for (option, proxy) in [("-H", http_ok()), ("-S", socks5_none()), ("--eager -S", socks5_none())] {
            let proxy = proxy
                .early("welcome")
                .expect_at_once(header)
                .send(" again")
                .expect("ping")
                .expect_eof()
                .serve();
            let args = format!("--proxy-protocol {version} {option} {proxy} host.example 22");
            let mut run = connect(args).start();
            run.wait_stdout_has("welcome again");
            run.send("ping");
            run.finish().expect_success();
            proxy.finish();
        }
    }
}

/// Returns a target that stores the header it receives, and the buffer where the header is stored.
fn stores_header() -> (Script, Arc<Mutex<Vec<u8>>>) {
    let got = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&got);
    let script = script().then("take a header", move |session| {
        let start = session.receive(6)?;
        let rest = if start.starts_with(b"PROXY") {
            session.receive_until(b"\n")?
        } else {
            let start = session.receive(10)?;
            let addresses = session.receive(usize::from(start[9]))?;
            [start, addresses].concat()
        };
        *seen.lock().unwrap() = [start, rest].concat();
        Ok(())
    });
    (script, got)
}

/// Checks that the target has received a header with the addresses of both ends of this client's
/// connection.
#[track_caller]
fn expect_header_for(
    client: &TcpStream,
    header: fn(SocketAddr, SocketAddr) -> Vec<u8>,
    got: &Mutex<Vec<u8>>,
) {
    expect_echo(client, "hello");
    let due = header(client.local_addr().unwrap(), client.peer_addr().unwrap());
    assert_eq!(show(&got.lock().unwrap()), show(&due));
}

#[test]
fn the_header_names_the_client_of_a_local_port() {
    for (option, header, version) in [
        ("-p 0", line as fn(_, _) -> _, "v1"),
        ("-p [::1]:0", binary, "v2"),
        ("--listen 127.0.0.1:0", line, "v1"),
    ] {
        let (script, got) = stores_header();
        let target = script.echo().serve();
        let run = listening(format!("{option} --proxy-protocol {version} {}", target.args()));
        expect_header_for(&run.client(), header, &got);
        drop(run);
        target.finish();
    }
}

#[test]
fn each_client_of_a_listener_has_its_own_header_through_a_proxy_too() {
    let (scripts, gots): (Vec<_>, Vec<_>) = (0..2)
        .map(|_| {
            let (script, got) = stores_header();
            (http_ok().followed_by(script.echo()), got)
        })
        .unzip();
    let proxy = Server::each(scripts);
    let run = listening(format!("--listen 0 --proxy-protocol v2 -H {proxy} host.example 22"));
    for got in &gots {
        let client = run.client();
        expect_header_for(&client, binary, got);
    }
    drop(run);
    proxy.finish();
}

#[test]
fn an_unknown_version_is_an_error() {
    let out = connect("--proxy-protocol v3 127.0.0.1 1").run();
    out.expect_failure(2, &["--proxy-protocol", "v1 or v2", "'v3'"]);
}

#[test]
fn debug_output_shows_the_header() {
    let target = script().expect_at_once(UNKNOWN_LINE).serve();
    let proxy = http_ok().relay_to(target.to_string()).serve();
    let out = connect(format!("-d --proxy-protocol v1 -H {proxy} host.example 22")).run();
    out.expect_code(0).expect_stderr_has(">>> \"PROXY UNKNOWN\\r\\n\"");
    target.finish();
    proxy.finish();
}

/// A web server in front of a listener names the client in X-Forwarded-For or in `REMOTE_ADDR`.
mod behind_a_web_server {
    use std::io::{Read, Write};

    use super::*;

    /// Waits for the header that the target stores.
    #[track_caller]
    fn expect_header(got: &Mutex<Vec<u8>>, source: &str, destination: SocketAddr) {
        eventually("a header", || !got.lock().unwrap().is_empty());
        let due = line(source.parse().unwrap(), destination);
        assert_eq!(show(&got.lock().unwrap()), show(&due));
    }

    /// Starts a target for `count` clients, and a listener that trusts the clients on this machine.
    /// Also returns what the target stores for each.
    fn start(listener: &str, count: usize) -> (Server, Listening, Vec<Arc<Mutex<Vec<u8>>>>) {
        let (scripts, gots): (Vec<_>, Vec<_>) = (0..count).map(|_| stores_header()).unzip();
        let target = Server::each(scripts.into_iter().map(Script::expect_reset).collect::<Vec<_>>());
        let args = format!(
            "--listen {listener} --open --trust-forwarded 127.0.0.0/8 --proxy-protocol v1 {}",
            target.args()
        );
        (target, listening(args), gots)
    }

    /// Returns a request that opens a tunnel.
    fn opening() -> Vec<u8> {
        [&[1, 1, 0, 0][..], &[0; 16], &[7; 16], &[0; 4]].concat()
    }

    #[test]
    fn each_request_on_a_connection_has_a_client_of_its_own() {
        let (target, run, gots) = start("post+http://127.0.0.1:0/tunnel", 3);
        let mut client = run.client();
        for (index, forwarded) in ["192.0.2.1", "192.0.2.2, 127.0.0.3", ""].iter().enumerate() {
            let body = opening();
            let head = format!(
                "POST /tunnel/{index:032x} HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: {forwarded}\r\n\
                 Content-Length: {}\r\n\r\n",
                body.len()
            );
            client.write_all(&[head.as_bytes(), &body].concat()).unwrap();
            let source = match forwarded.split(',').next() {
                Some(address @ ("192.0.2.1" | "192.0.2.2")) => format!("{address}:0"),
                _ => client.local_addr().unwrap().to_string(),
            };
            expect_header(&gots[index], &source, client.peer_addr().unwrap());
        }
        run.wait_for_lines("has opened tunnel", gots.len());
        run.close();
        target.finish();
    }

    #[test]
    fn the_client_of_an_scgi_request_is_its_remote_addr() {
        let (target, run, gots) = start("scgi://127.0.0.1:0/tunnel", 1);
        let mut client = run.client();
        let body = opening();
        let uri = "/tunnel/00112233445566778899aabbccddeeff";
        let length = body.len().to_string();
        let fields = [
            "CONTENT_LENGTH",
            &length,
            "SCGI",
            "1",
            "REQUEST_METHOD",
            "POST",
            "REQUEST_URI",
            uri,
            "REMOTE_ADDR",
        ];
        let header = [&fields[..], &["192.0.2.7"]].concat().join("\0") + "\0";
        client.write_all(&[format!("{}:{header},", header.len()).as_bytes(), &body].concat()).unwrap();
        expect_header(&gots[0], "192.0.2.7:0", client.peer_addr().unwrap());
        run.wait_for_line("has opened tunnel");
        run.close();
        target.finish();
    }

    #[test]
    fn the_client_of_a_websocket_is_the_forwarded_one() {
        let (target, run, gots) = start("ws://127.0.0.1:0/ssh", 1);
        let mut client = run.client();
        let request = "GET /ssh HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                       X-Forwarded-For: 2001:db8::7\r\n\r\n";
        client.write_all(request.as_bytes()).unwrap();
        client.read_exact(&mut [0; 12]).unwrap();
        let SocketAddr::V4(ours) = client.peer_addr().unwrap() else { panic!("IPv6") };
        let mapped = SocketAddr::new(ours.ip().to_ipv6_mapped().into(), ours.port());
        expect_header(&gots[0], "[2001:db8::7]:0", mapped);
        run.close();
        target.finish();
    }
}

#[cfg(unix)]
mod unix {
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    /// The header must be sent before ssh takes over the connection.
    #[test]
    fn a_passed_connection_has_sent_the_header() {
        let target = expects_own_addresses(line).serve();
        let mut connection =
            crate::fd_passing::pass_connection(format!("-F --proxy-protocol v1 {}", target.args()));
        let mut welcome = [0; 7];
        connection.read_exact(&mut welcome).unwrap();
        connection.write_all(b"ping").unwrap();
        drop(connection);
        target.finish();
    }

    #[test]
    fn a_client_without_an_ip_address_has_no_addresses_in_the_header() {
        let path = TempPath::new("target");
        let listener = UnixListener::bind(&*path).unwrap();
        let run = connect(format!("--proxy-protocol v1 unix:{}", path.display())).start();
        let (mut target, _) = listener.accept().unwrap();
        let mut header = vec![0; UNKNOWN_LINE.len()];
        target.read_exact(&mut header).unwrap();
        assert_eq!(header, UNKNOWN_LINE);
        target.write_all(b"welcome").unwrap();
        run.wait_stdout_has("welcome");
        drop(target);
        run.finish().expect_success();

        let (script, got) = stores_header();
        let (target, socket) = (script.echo().serve(), TempPath::new("socket"));
        let run =
            connect(format!("-d --listen unix:{} --proxy-protocol v2 {}", socket.display(), target.args()))
                .start();
        run.wait_stderr_has("local_type=socket");
        let mut client = loop {
            match UnixStream::connect(&*socket) {
                Ok(client) => break client,
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(5)),
            }
        };
        client.write_all(b"hello").unwrap();
        client.read_exact(&mut [0; 5]).unwrap();
        assert_eq!(*got.lock().unwrap(), LOCAL_BINARY);
        drop(client);
        drop(run);
        target.finish();
    }
}
