//! POST tunnels: the hops `post+http` and `post+https`, and the listeners at their other end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::kit::*;
use crate::listening::*;

/// Starts a listener at the path `/tunnel`, whose tunnels lead to this target.
fn listener(args: &str, target: &Server) -> Listening {
    listening(format!("--listen post+http://127.0.0.1:0/tunnel --open {args} {}", target.args()))
}

fn url(run: &Listening) -> String {
    format!("post+http://{}/tunnel", run.address())
}

#[test]
fn our_client_and_our_listener_are_joined_in_both_directions() {
    let (up, down) = (bytes(1, 3_000_000), bytes(2, 4_000_000));
    for args in ["", "--max-wait 0"] {
        let target = script().expect(&up).expect_eof().send(&down).serve();
        let run = listener(args, &target);
        // The server has a target of its own, so none need be given.
        connect(format!("-x {}", url(&run)))
            .input(up.clone())
            .run()
            .expect_success()
            .expect_stdout(down.clone());
        target.finish();
        assert_eq!(run.close(), [""; 0]);
    }
}

#[test]
fn a_server_that_speaks_first_is_heard_at_once() {
    let target = script().send("banner").expect("ping").send("pong").expect_eof().serve();
    let run = listener("", &target);
    let mut client = connect(format!("-x {} host.example 22", url(&run))).start();
    client.wait_stdout_has("banner");
    client.send("ping");
    client.wait_stdout_has("pong");
    client.close_stdin();
    client.finish().expect_success();
    target.finish();
    run.close();
}

/// Reads the request that opens a tunnel and closes the connection. Returns the request, and what
/// the client prints.
fn first_request(path: &str, args: &str) -> (Vec<u8>, Outcome) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("post+http://{}{path}", server.local_addr().unwrap());
    let client = connect(format!("-dd --resume 0 -x {url} {args}")).start();
    let mut stream = BufReader::new(server.accept().unwrap().0);
    let (mut request, mut length) = (Vec::new(), 0);
    while !request.ends_with(b"\r\n\r\n") {
        let start = request.len();
        stream.read_until(b'\n', &mut request).unwrap();
        let line = std::str::from_utf8(&request[start..]).unwrap();
        length = line.strip_prefix("Content-Length: ").map_or(length, |it| it.trim().parse().unwrap());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    request.extend_from_slice(&body);
    drop(stream);
    (request, client.finish())
}

#[test]
fn the_first_request_names_the_target_only_if_the_user_has() {
    let (request, _) = first_request("/tunnel", "host.example 22");
    assert!(request.ends_with(b"\0\0\0\x0fhost.example:22"), "{}", request.escape_ascii());
    let (request, _) = first_request("/tunnel", "");
    assert!(request.ends_with(&[0; 4]), "{}", request.escape_ascii());
}

#[test]
fn a_token_in_the_query_is_not_logged() {
    let (request, out) = first_request("/tunnel?x=y&token=hunter2", "");
    assert!(String::from_utf8_lossy(&request).contains("?x=y&token=hunter2 HTTP/1.1\r\n"));
    let log = out.stderr_text();
    assert!(log.contains("?x=y&token=xxxxx HTTP/1.1") && !log.contains("hunter2"), "{log}");
}

#[test]
#[cfg(feature = "tls")]
fn the_same_works_over_tls() {
    exchange_over_tls("post+https", "/tunnel", "?a=b");
}

#[test]
fn each_connection_of_a_tunnel_goes_through_the_proxies_before_it() {
    let target = script().send("banner").expect("ping").expect_eof().send("pong").serve();
    let run = listener("", &target);
    let proxy = Server::repeat(|| socks5_none().relay());
    let out = connect(format!("-x socks5h://{proxy},{} host.example 22", url(&run))).input("ping").run();
    out.expect_success().expect_stdout("bannerpong");
    target.finish();
    assert_eq!(proxy.records().len(), 2, "one connection for each direction");
    run.close();
}

#[test]
fn each_client_of_a_listener_has_a_tunnel_of_its_own() {
    let target = Server::repeat(|| script().echo());
    let server = listener("", &target);
    let run = listening(format!("--listen 127.0.0.1:0 -x {} host.example 22", url(&server)));
    let clients: Vec<_> = (0..8).map(|_| run.client()).collect();
    for (index, client) in clients.iter().enumerate() {
        expect_echo(client, format!("client {index}"));
    }
    for client in &clients {
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(client), "");
    }
    assert_eq!(run.close(), [""; 0]);
    assert_eq!(server.close(), [""; 0]);
    assert_eq!(target.records().len(), 8);
}

#[test]
fn a_target_that_is_cut_off_ends_the_session_after_its_data() {
    let go = Gate::new();
    let target = script().send("last words").wait_for(&go).reset().serve();
    let run = listener("", &target);
    let client = connect(format!("-x {} host.example 22", url(&run))).start();
    client.wait_stdout_has("last words");
    go.open();
    let out = client.finish();
    out.expect_failure(8, &["the server lost the connection to the target", "data may be missing"]);
    out.expect_stdout("last words");
    run.wait_for_line("lost the connection");
    run.close();
}

/// The target must not wait for a client that is gone.
#[test]
fn a_client_that_leaves_resets_the_target() {
    let target = script().send("hello").expect_reset().serve();
    let server = listener("", &target);
    let run = listening(format!("--listen 127.0.0.1:0 -x {} host.example 22", url(&server)));
    let client = run.client();
    assert_eq!(read(&client, 5), b"hello");
    reset(client);
    target.finish();
    run.close();
    server.close();
}

/// The reset reaches the target although the process that opened the tunnels is gone.
#[test]
fn a_listener_that_is_terminated_resets_the_targets_of_its_tunnels() {
    let target = Server::repeat(|| script().send("hello").expect_reset());
    let server = listener("", &target);
    let run = listening(format!("--listen 127.0.0.1:0 -x {} host.example 22", url(&server)));
    let clients: Vec<_> = (0..20).map(|_| run.client()).collect();
    for client in &clients {
        assert_eq!(read(client, 5), b"hello");
    }
    assert_eq!(run.close(), [""; 0]);
    assert_eq!(target.finish().len(), clients.len());
    for mut client in &clients {
        assert_eq!(client.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    }
    server.close();
}

/// Without the client's last request, the server would wait a minute for another one.
#[test]
fn a_reader_that_leaves_resets_the_target() {
    let target = script().send("hello").send_until_refused(Duration::from_secs(20)).serve();
    let server = listener("", &target);
    let (mut reader, writer) = pipe();
    let client = connect(format!("-x {} host.example 22", url(&server))).stdout(writer).start();
    reader.read_exact(&mut [0; 5]).unwrap();
    drop(reader);
    target.finish();
    assert_eq!(client.finish().code, Some(8));
    server.close();
}

/// A TCP proxy whose connections can be cut, after which it refuses new ones for a while.
struct Network {
    port: u16,
    state: Arc<Mutex<NetworkState>>,
}

#[derive(Default)]
struct NetworkState {
    is_down: bool,
    streams: Vec<TcpStream>,
}

impl Network {
    fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(NetworkState::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let mut state = shared.lock().unwrap();
                if state.is_down {
                    continue;
                }
                let server = TcpStream::connect(server).unwrap();
                for (mut from, mut to) in [(&client, &server), (&server, &client)]
                    .map(|(from, to)| (from.try_clone().unwrap(), to.try_clone().unwrap()))
                {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
                state.streams.extend([client, server]);
            }
        });
        Self { port, state }
    }

    fn cut(&self) {
        let mut state = self.state.lock().unwrap();
        state.is_down = true;
        for stream in state.streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn restore(&self) {
        self.state.lock().unwrap().is_down = false;
    }
}

/// After the target's EOF, a pause of 5 seconds used to end the session, even while the requests
/// with the rest of the data were being repeated.
#[test]
fn an_outage_after_the_eof_of_the_target_loses_no_data() {
    let (up, go) = (bytes(1, 3_000_000), Gate::new());
    let target = script().send("bye").half_close().wait_for(&go).expect(&up).expect_eof().serve();
    let server = listener("", &target);
    let network = Network::to(server.address());
    // A file never pauses, which would end the session, too.
    let input = TempPath::file("up", &up);
    let client = connect(format!("-x post+http://127.0.0.1:{}/tunnel", network.port));
    let mut client = client.stdin(std::fs::File::open(&*input).unwrap()).start();
    client.wait_stdout_has("bye");
    network.cut();
    std::thread::sleep(Duration::from_secs(7));
    network.restore();
    go.open();
    client.wait().expect_success();
    target.finish();
    server.close();
}

#[test]
#[cfg(unix)]
fn the_status_line_shows_an_outage_and_is_erased_after_it() {
    use crate::waiting::{AtTerminal, Screen};

    for is_restored in [true, false] {
        let target = Server::repeat(|| script().echo());
        let server = listener("", &target);
        let (network, pty) = (Network::to(server.address()), Pty::with_columns(120));
        let args = format!("--resume 3 -x post+http://127.0.0.1:{}/tunnel", network.port);
        let mut client = connect(args).at(&pty).start();
        client.send("ping");
        client.wait_stdout_has("ping");
        network.cut();
        let mut screen = Screen::new(&pty);
        screen.wait_has("connect: connection to 127.0.0.1 lost; resuming (1 s of 3)");
        if is_restored {
            network.restore();
            client.send(" pong");
            client.wait_stdout_has("ping pong");
            client.finish().expect_code(0);
        } else {
            client.wait().expect_code(8);
        }
        let (lines, output) = screen.finish();
        let has_one_line = lines.len() == 1 && lines[0].contains("did not answer for 3 seconds");
        assert!(if is_restored { lines.is_empty() } else { has_one_line }, "{lines:?} {output:?}");
        server.close();
    }
}

/// Reads a request, and returns its body.
fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    body
}

/// Apache sends answers in chunks, and many servers close the connection after each.
#[test]
fn an_answer_that_is_chunked_or_closes_the_connection_is_accepted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (is_open, is_poll) = match read_request(&mut stream)[1] {
                flags if flags & 1 != 0 => (true, false),
                flags => (false, flags & 8 != 0),
            };
            let flags = u8::from(is_open) | u8::from(is_poll) << 1;
            let received = u8::from(!is_open && !is_poll);
            let head = [1, flags, 0, 0, 0, 0, 0, 0, 0, 0, 0, received, 0, 0, 0, 0, 0, 0, 0, 0];
            let body = [&head[..], if is_poll { b"bye" } else { b"" }].concat();
            let mut answer =
                b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n\
                               Transfer-Encoding: chunked\r\n\r\n"
                    .to_vec();
            for part in [&body[..7], &body[7..], &[]] {
                answer.extend(format!("{:x}\r\n", part.len()).into_bytes());
                answer.extend_from_slice(part);
                answer.extend(b"\r\n");
            }
            stream.write_all(&answer).unwrap();
        }
    });
    let out = connect(format!("-x post+http://127.0.0.1:{port}/t host.example 22")).input("").run();
    out.expect_success().expect_stdout("bye");
}

#[test]
fn the_token_is_in_the_body_and_in_no_message() {
    let token = TempPath::private("token", "0123456789abcdef\n");
    let target = script().expect("ping").expect_eof().serve();
    let run = listener("", &target);
    let args = format!("-d -x {} --token-file {} host.example 22", url(&run), token.display());
    let out = connect(args).input("ping").run();
    assert_eq!(out.code, Some(0), "{out:?}");
    let log = String::from_utf8(out.stderr.clone()).unwrap();
    assert!(!log.contains("0123456789abcdef") && log.contains("POST /tunnel/"), "{log}");
    target.finish();
    run.close();
}
