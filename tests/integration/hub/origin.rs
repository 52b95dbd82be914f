//! Origins: their targets, connections that are opened in advance, and runs in the background.

use std::io::ErrorKind;
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixListener;
use std::thread;

use rustix::process::{Pid, geteuid, getsid, kill_process, test_kill_process};

use super::*;

/// A target that the test plays.
struct Target(TcpListener);

impl Target {
    fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn args(&self) -> String {
        format!("127.0.0.1 {}", self.0.local_addr().unwrap().port())
    }

    /// Accepts a connection, and sends its number.
    fn accept(&self, number: u8) -> TcpStream {
        let (mut stream, _) = self.0.accept().unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.write_all(&[number]).unwrap();
        stream
    }

    /// Returns `true` if no connection waits to be accepted.
    fn is_idle(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let accepted = self.0.accept();
        self.0.set_nonblocking(false).unwrap();
        accepted.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

/// Sends bytes in both directions of a client's connection, and ends it.
fn expect_session(mut client: WebSocket<TcpStream>, mut target: TcpStream) {
    client.send(Message::binary(b"up".to_vec())).unwrap();
    assert_eq!(read(&mut target, 2), b"up");
    target.write_all(b"down").unwrap();
    target.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.read().unwrap().into_data(), b"down"[..]);
    assert_eq!(close_code(&mut client), 1000);
    client.get_mut().write_all(b"\x88\x82\0\0\0\0\x03\xe8").unwrap();
    assert_eq!(read_to_end(target), "");
}

#[test]
fn spare_connections_are_used_and_replaced() {
    let hub = hub("--open");
    let target = Target::new();
    let origin = origin(hub.address(), "lab", &format!("--spare 2 {}", target.args()));
    let (first, second) = (target.accept(1), target.accept(2));
    assert!(target.is_idle());
    let open = |number: u8| {
        let mut client = open(hub.address(), "/v1/lab/dest", "");
        assert_eq!(client.read().unwrap().into_data(), [number][..]);
        client
    };
    // The oldest is used first. Its first byte was sent before the client came.
    let client = open(1);
    let third = target.accept(3);
    expect_session(client, first);
    // One that the target closes, even after it has sent data, is replaced and never used.
    drop(second);
    let fourth = target.accept(4);
    let client = open(3);
    let fifth = target.accept(5);
    expect_session(client, third);
    assert!(target.is_idle());
    stop(origin);
    for mut spare in [fourth, fifth] {
        // A spare connection ends with the origin.
        assert!(matches!(spare.read(&mut [0]), Ok(0) | Err(_)));
    }
    hub.close();
}

#[test]
fn a_client_that_finds_no_spare_connection_gets_a_new_one() {
    let hub = hub("--open");
    let target = Target::new();
    let origin = origin(hub.address(), "lab", &format!("--spare 1 {}", target.args()));
    let first = target.accept(1);
    let clients = [(), ()].map(|()| open(hub.address(), "/v1/lab/dest", ""));
    // One of the two further connections is the next spare one.
    let mut accepted = [Some(first), Some(target.accept(2)), Some(target.accept(3))];
    for mut client in clients {
        let number = client.read().unwrap().into_data()[0];
        let target = accepted[usize::from(number) - 1].take().unwrap();
        expect_session(client, target);
    }
    drop(accepted);
    stop(origin);
    hub.close();
}

#[test]
fn a_unix_domain_socket_is_offered_with_plain_only() {
    let hub = hub("--open");
    let path = TempPath::new("agent");
    let listener = UnixListener::bind(&*path).unwrap();
    let serve = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 4];
        stream.read_exact(&mut buffer).unwrap();
        stream.write_all(&buffer).unwrap();
    });
    let target = format!("unix:{}", path.display());
    let refused = connect(format!("--origin relay+ws://{}/lab {target}", hub.address())).run();
    refused.expect_failure(2, &["--origin unix:FILE needs --key-file FILE or --plain"]);
    let origin = origin(hub.address(), "lab", &format!("--plain {target}"));
    let url = format!("ws://{}/v1/lab/dest", hub.address());
    connect(format!("-x {url}")).input("ping").run().expect_success().expect_stdout("ping");
    serve.join().unwrap();
    // Nothing listens anymore.
    connect(format!("-x {url}")).input("").run().expect_failure(5, &["502", &target]);
    stop(origin);
    hub.close();
}

/// Only root can play another user.
#[test]
#[cfg(target_os = "linux")]
fn a_unix_domain_socket_of_another_user_is_not_offered() {
    use rustix::thread::set_thread_res_uid;
    let root = geteuid();
    if !root.is_root() {
        return;
    }
    let other = rustix::fs::Uid::from_raw(65534);
    let hub = hub("--open");
    let path = TempPath::new("agent");
    let at = path.to_path_buf();
    // The kernel records the user at listen(2).
    let bind = move || {
        let listener = UnixListener::bind(at).unwrap();
        set_thread_res_uid(root, other, root).unwrap();
        rustix::net::listen(&listener, 1).unwrap();
        listener
    };
    let listener = thread::spawn(bind).join().unwrap();
    let origin = origin(hub.address(), "lab", &format!("--plain unix:{}", path.display()));
    assert_eq!(refused(hub.address(), "/v1/lab/dest", "").0, 502);
    origin.wait_for_line("served by another user");
    drop(listener);
    stop(origin);
    hub.close();
}

/// A process in the background, which is killed at the end of the test.
struct Background(Pid);

impl Background {
    /// Reads the process id in `CONNECT_PID="1"; export CONNECT_PID;`.
    fn from_line(line: &str) -> Self {
        let pid =
            line.strip_prefix("CONNECT_PID=\"").and_then(|it| it.strip_suffix("\"; export CONNECT_PID;"));
        Self(Pid::from_raw(pid.unwrap_or_else(|| panic!("{line}")).parse().unwrap()).unwrap())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}

#[test]
fn an_origin_continues_in_the_background() {
    let hub = hub("--open");
    let target = script().send("banner").expect_eof().serve();
    let args = format!("--background --origin relay+ws://{}/ {}", hub.address(), target.args());
    let out = connect(args).run();
    let stdout = out.expect_success().expect_stderr("").stdout_text();
    let [session, pid] = stdout.lines().collect::<Vec<_>>()[..] else { panic!("{stdout}") };
    let background = Background::from_line(pid);
    for line in [session, pid] {
        let (name, value) = line.split_once("=\"").unwrap();
        let value = value.strip_suffix(&format!("\"; export {name};")).unwrap();
        assert!(name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "{line}");
        assert!(value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte)), "{line}");
    }
    // It leads a session without a terminal.
    assert_eq!(getsid(Some(background.0)).unwrap(), background.0);
    #[cfg(target_os = "linux")]
    for descriptor in 0..3 {
        let link = format!("/proc/{}/fd/{descriptor}", background.0.as_raw_nonzero());
        assert_eq!(std::fs::read_link(link).unwrap().to_str(), Some("/dev/null"));
    }
    let session = session.split('"').nth(1).unwrap();
    let url = format!("ws://{}/v1/{session}/dest", hub.address());
    connect(format!("-x {url}")).input("").run().expect_success().expect_stdout("banner");
    target.finish();
    kill_process(background.0, Signal::TERM).unwrap();
    // This test is not the parent of the process and cannot wait for it, so ask the hub instead.
    let statistics = || page(hub.address(), "/v1/stats").1;
    eventually("the end of the session", || statistics().contains(r#""sessions":0"#));
    hub.close();
}

#[test]
fn a_failure_before_the_background_has_its_usual_exit_code() {
    let nobody = RefusingPort::new();
    let hub_url = format!("relay+ws://127.0.0.1:{}/lab", nobody.port());
    let out = connect(format!("--background --origin {hub_url} 127.0.0.1 9")).run();
    out.expect_failure(4, &["Connection refused"]).expect_stdout("");
    let files = tokens::Files::new();
    let hub = files.hub();
    let origin = format!("--background --origin relay+ws://{}/lab 127.0.0.1 9", hub.address());
    connect(&origin).run().expect_failure(6, &["token missing"]).expect_stdout("");
    hub.close();
}

/// The parent waits for an origin that waits itself, and a signal to both ends both.
#[test]
fn a_signal_before_the_background_ends_both_processes() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("relay+ws://{}/lab", silent.local_addr().unwrap());
    let mut run = connect(format!("--background --origin {url} 127.0.0.1 9")).start();
    let (mut hub, _) = silent.accept().unwrap();
    read_head(&mut hub);
    let pid = Pid::from_raw(i32::try_from(run.pid()).unwrap()).unwrap();
    rustix::process::kill_process_group(pid, Signal::TERM).unwrap();
    let end = run.wait();
    assert!(end.code != Some(0) || end.signal.is_some(), "{end:?}");
    end.expect_stdout("");
    assert_eq!(read_to_end(hub), "");
    assert!(test_kill_process(pid).is_err());
}
