//! A server that checks tokens: `--token-keys`, `--deny-file`, SIGHUP and client certificates. The
//! server is that of POST tunnels.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use std::{fs, thread};

use rustix::process::Signal;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::kit::*;
use crate::listening::{Listening, eventually, listening};
use crate::proxy_server::{echo, status};

/// A keys file, a deny-file, and the key that signs.
struct Files {
    key: TempPath,
    keys: TempPath,
    denied: TempPath,
}

impl Files {
    fn new() -> Self {
        let key = TempPath::new("hub.key");
        let line = connect("").arg("--mint-signing-key").arg(&*key).run().expect_success().stdout.clone();
        Self { key, keys: TempPath::file("hub.keys", line), denied: TempPath::file("denied", "") }
    }

    fn token(&self, claims: &str) -> String {
        let claims = format!("role=dest,aud=hub.example,{claims}");
        let out = connect("").arg("--mint-token").arg(claims).arg("--signing-key").arg(&*self.key).run();
        String::from_utf8(out.expect_success().stdout.clone()).unwrap().trim_end().to_owned()
    }

    fn serve(&self, more: &str, target: &Server) -> Listening {
        listening(format!(
            "--listen post+http://127.0.0.1:0/lab/ssh --token-keys {} --relay-name hub.example --deny-file {} {more} {}",
            self.keys.display(),
            self.denied.display(),
            target.args()
        ))
    }
}

/// Returns an identifier for a new tunnel.
fn new_tunnel() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{:032x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Returns a request of a POST tunnel.
fn request(tunnel: &str, flags: u8, wait: u8, token: Option<&str>) -> Vec<u8> {
    let mut body = vec![1, flags, 0, wait];
    body.extend([0; 16]);
    body.extend([7; 16]);
    if let Some(token) = token {
        body.extend(u16::try_from(token.len()).unwrap().to_be_bytes());
        body.extend(token.as_bytes());
        body.extend([0; 2]);
    }
    let head = format!(
        "POST /lab/ssh/{tunnel} HTTP/1.1\r\nHost: h\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// Sends a request, and returns the status, the fields and the body of the response.
fn ask(mut client: impl Read + Write, request: &[u8]) -> (u16, String, Vec<u8>) {
    client.write_all(request).unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    (status(&head), head, answer[end..].to_vec())
}

const OPEN: u8 = 1;
const POLL: u8 = 8;
const RESET: u8 = 4;

/// Opens a tunnel with this token. Returns the status, and the text of a refusal.
fn open(run: &Listening, token: &str) -> (u16, String) {
    let (status, _, body) = ask(run.client(), &request(&new_tunnel(), OPEN, 0, Some(token)));
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[test]
fn a_server_accepts_valid_tokens_for_its_path_only() {
    let (files, target) = (Files::new(), echo());
    let run = files.serve("", &target);
    let good = files.token("session=ssh,ttl=60");
    for (token, expected, text) in [
        (good.clone(), 200, ""),
        (files.token("session=s*,ttl=60"), 200, ""),
        (files.token("session=lab,ttl=60"), 403, "token for another session"),
        (format!("{good}="), 401, "malformed token"),
        (Files::new().token("session=ssh,ttl=60"), 401, "token not signed by a known key"),
        (
            files.token("session=ssh,ttl=60,nbf=2100-01-01T00:00:00Z"),
            401,
            "not valid before 2100-01-01T00:00:00Z",
        ),
        (String::new(), 401, "token missing"),
    ] {
        let (status, body) = open(&run, &token);
        assert_eq!(status, expected, "{body}");
        assert!(expected == 200 || body.contains(text), "{body}");
    }
    let (_, head, _) = ask(run.client(), &request(&new_tunnel(), OPEN, 0, Some("")));
    assert!(head.contains("\r\nWWW-Authenticate: Bearer\r\n"), "{head}");
    // Neither a message nor a line of -d contains a token.
    let end = run.stop(Signal::TERM);
    let parts: Vec<_> = good.split('.').collect();
    assert!(end.messages.iter().all(|line| !parts.iter().any(|part| line.contains(part))), "{end:?}");
    assert_eq!(end.code, Some(0));
}

#[test]
fn a_refusal_names_client_identity_and_session() {
    let (files, target) = (Files::new(), echo());
    let run = files.serve("--trust-forwarded 127.0.0.0/8", &target);
    let ask_as = |number: u8, request: &[u8]| {
        let field = format!("Host: h\r\nX-Forwarded-For: 192.0.2.{number}\r\n");
        ask(run.client(), &replaced(request, b"Host: h\r\n", field.as_bytes())).0
    };
    let open = |token: &str| request(&new_tunnel(), OPEN, 0, Some(token));
    let other = files.token("session=lab,sub=jane,ttl=60");
    assert_eq!([ask_as(1, &open("")), ask_as(2, &open(&other))], [401, 403]);
    // The head is refused, so no body is read.
    let unknown = replaced(&open(""), b"/lab/ssh/", b"/lab/other/");
    assert_eq!(ask_as(3, &unknown), 404);
    run.wait_for_line("refused client 192.0.2.1 for session 'ssh': 401 token missing");
    run.wait_for_line("refused client 192.0.2.2 (jane) for session 'ssh': 403 token for another session");
    run.wait_for_line("refused client 192.0.2.3 for session 'ssh': 404 no tunnel at this path");
    // A tunnel that ends is reported in the same way.
    let tunnel = new_tunnel();
    let token = files.token("session=ssh,sub=jack,ttl=60");
    assert_eq!(ask_as(4, &request(&tunnel, OPEN, 0, Some(&token))), 200);
    fs::write(&*files.denied, "sub jack\n").unwrap();
    run.wait_for_line("refused client 192.0.2.4 (jack) for session 'ssh': 403 token denied");
    run.stop(Signal::TERM);
}

/// Returns a request with a part replaced.
fn replaced(request: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = request.windows(from.len()).position(|window| window == from).unwrap();
    [&request[..at], to, &request[at + from.len()..]].concat()
}

/// Opens a tunnel, runs `revoke`, and waits for the end of the tunnel.
#[track_caller]
fn expect_end(run: &Listening, token: &str, revoke: impl FnOnce()) {
    let tunnel = new_tunnel();
    let (status, _, body) = ask(run.client(), &request(&tunnel, OPEN, 0, Some(token)));
    assert_eq!((status, body[1]), (200, 1), "{body:?}");
    revoke();
    let started = Instant::now();
    loop {
        let (status, _, body) = ask(run.client(), &request(&tunnel, POLL, 2, None));
        if status != 200 || body[1] & RESET != 0 {
            return;
        }
        assert!(started.elapsed() < TIMEOUT, "the tunnel continues");
    }
}

#[test]
fn a_tunnel_ends_after_its_token_is_revoked() {
    let (files, target) = (Files::new(), echo());
    let run = files.serve("", &target);
    expect_end(&run, &files.token("session=ssh,ttl=60,sub=jane"), || {
        fs::write(&*files.denied, "sub jane\n").unwrap();
    });
    expect_end(&run, &files.token("session=ssh,ttl=2"), || ());
    expect_end(&run, &files.token("session=ssh,ttl=60"), || {
        fs::write(&*files.keys, "# none\n").unwrap();
    });
    assert_eq!(open(&run, &files.token("session=ssh,ttl=60")).0, 401);
    run.stop(Signal::TERM);
}

/// Starts a client with this token file, and waits until its tunnel is open.
fn client_of(run: &Listening, token: &TempPath) -> Running {
    let args = format!("-x post+http://{}/lab/ssh --token-file {}", run.address(), token.display());
    let mut client = connect(args).start();
    client.send("before");
    client.wait_stdout_has("before");
    client
}

#[test]
fn a_client_continues_with_a_renewed_token() {
    let (files, target) = (Files::new(), echo());
    let run = files.serve("", &target);
    let token = TempPath::private("token", files.token("session=ssh,ttl=2"));
    let mut client = client_of(&run, &token);
    fs::write(&*token, files.token("session=ssh,ttl=60")).unwrap();
    run.wait_for_line("has renewed the token");
    client.send(" after");
    client.wait_stdout_has("before after");
    client.close_stdin();
    client.finish().expect_success();
    run.close();
    assert_eq!(target.finish().len(), 1);
}

/// The target is reset at once, although the server would wait for another token.
#[test]
fn a_client_without_a_renewed_token_ends_and_resets_the_target() {
    let (files, target) = (Files::new(), script().expect("before").send("before").expect_reset().serve());
    let run = files.serve("", &target);
    let token = TempPath::private("token", files.token("session=ssh,ttl=2"));
    let mut client = client_of(&run, &token);
    client.wait().expect_failure(6, &["rejected the token: token expired at", "get a new token"]);
    target.finish();
    run.close();
}

#[test]
fn sighup_reads_the_files_again_and_ends_nothing() {
    let (files, target) = (Files::new(), echo());
    let run = files.serve("", &target);
    let token = files.token("session=ssh,ttl=60");
    assert_eq!(open(&run, &token).0, 200);
    run.run.signal(Signal::HUP);
    run.wait_for_line("--token-keys: read ");
    run.wait_for_line("--deny-file: read ");
    assert_eq!(open(&run, &token).0, 200);
    // An unusable file changes nothing.
    fs::write(&*files.keys, "ed25519 nonsense\n").unwrap();
    run.wait_for_line("line 1: expected a key of 32 bytes in base64; its previous content stays in use");
    assert_eq!(open(&run, &token).0, 200);
    run.stop(Signal::TERM);
}

#[test]
fn a_hundred_failing_tokens_per_second_are_checked() {
    let (files, target) = (Files::new(), echo());
    let run = files.serve("", &target);
    let wrong = Files::new().token("session=ssh,ttl=60");
    assert!((0..100).all(|_| open(&run, &wrong).0 == 401));
    // On a busy machine, one thread may need more than a second for 100 tokens.
    let limited = || {
        let burst = || (0..100).any(|_| open(&run, &wrong).0 == 429);
        thread::scope(|scope| {
            let bursts: Vec<_> = (0..8).map(|_| scope.spawn(burst)).collect();
            bursts.into_iter().any(|burst| burst.join().unwrap())
        })
    };
    eventually("a refusal without a check", limited);
    // The limit is for the address, and ends after a second.
    eventually("a check", || open(&run, &files.token("session=ssh,ttl=60")).0 == 200);
    run.stop(Signal::TERM);
}

fn tls(
    run: &Listening,
    authority: &Authority,
    client: Option<&Identity>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let configuration = match client {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            builder.with_client_auth_cert(identity.chain.clone(), identity.private_key()).unwrap()
        }
    };
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(configuration), name).unwrap();
    StreamOwned::new(connection, run.client())
}

#[test]
fn sighup_replaces_the_certificate() {
    let target = echo();
    let (old, new) = (Authority::new("Old Authority"), Authority::new("New Authority"));
    let file = |authority: &Authority| {
        let identity = authority.localhost();
        identity.pem() + &fs::read_to_string(&*identity.key_file()).unwrap()
    };
    let certificate = TempPath::private("server.pem", file(&old));
    let run = listening(format!(
        "--listen post+https://127.0.0.1:0/ssh --open --serve-cert {} {}",
        certificate.display(),
        target.args()
    ));
    let is_trusted = |authority: &Authority| {
        let mut client = tls(&run, authority, None);
        client.write_all(b"GET /ssh HTTP/1.0\r\n\r\n").is_ok()
            && client.read(&mut [0; 100]).is_ok_and(|count| count > 0)
    };
    assert!(is_trusted(&old) && !is_trusted(&new));
    fs::write(&*certificate, "nonsense").unwrap();
    run.run.signal(Signal::HUP);
    eventually("the error", || {
        is_trusted(&old) && run.count_lines("the previous certificate stays in use") == 1
    });
    fs::write(&*certificate, file(&new)).unwrap();
    run.run.signal(Signal::HUP);
    eventually("the new certificate", || is_trusted(&new));
    assert!(!is_trusted(&old));
    run.stop(Signal::TERM);
}

#[test]
fn a_server_can_require_client_certificates() {
    let target = echo();
    let (authority, clients) = (Authority::new("Server Authority"), Authority::new("Client Authority"));
    let identity = authority.localhost();
    let files = [identity.certificate_file(), identity.key_file(), clients.file()];
    let [certificate, key, client_ca] =
        [&files[0], &files[1], &files[2]].map(|file| file.display().to_string());
    for (scheme, target) in [("https", String::new()), ("post+https", target.args())] {
        let path = if target.is_empty() { "" } else { "/ssh --open" };
        let run = listening(format!(
            "--listen {scheme}://127.0.0.1:0{path} --serve-cert {certificate} --serve-key {key} --serve-client-ca \
             {client_ca} {target}"
        ));
        let is_served = |client: Option<&Identity>| {
            let mut stream = tls(&run, &authority, client);
            let sent = stream.write_all(b"GET /ssh HTTP/1.0\r\nHost: h\r\n\r\n");
            sent.is_ok() && stream.read(&mut [0; 100]).is_ok_and(|count| count > 0)
        };
        let mine = clients.issue(&["jane"], CertificateKind::Client);
        let other = authority.issue(&["jane"], CertificateKind::Client);
        assert!(is_served(Some(&mine)), "{scheme}");
        assert!(!is_served(Some(&other)) && !is_served(None), "{scheme}");
        run.stop(Signal::TERM);
    }
}
