//! Passwords in the program's args, environment and memory, where other processes could read them.
//! Once the tunnel is established, no trace of the password may remain.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};

use crate::askpass::Asker;
use crate::kit::*;
use crate::listening::{Listening, read};
use crate::rcfile::home;
use crate::websocket::server::{WsServer, accept_fields, read_head};

/// A password of typical length that occurs in no other string of the program.
const PASSWORD: &str = "Rosebud-4711-xyzzy";
/// The password, percent-encoded for a URL.
const IN_URL: &str = "R%6Fsebud-4711-xyzzy";
/// The login `kane:PASSWORD` in base64.
const BASE64: &str = "a2FuZTpSb3NlYnVkLTQ3MTEteHl6enk=";
/// The value of an environment variable that is not secret. It must be found in memory, or else the
/// search is broken.
const MARK: &str = "an-unhidden-landmark";

/// Searches a process's writable memory for these strings. Read-only mappings are skipped: they
/// hold file contents, not data that the program has written.
fn find_in_memory(pid: u32, strings: &[&str]) -> io::Result<Vec<String>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let mut found = Vec::new();
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw")))
    {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        // Some special mappings of the kernel cannot be read.
        if memory.read_exact_at(&mut bytes, start).is_ok() {
            // `str::contains` is fast even in an unoptimized build.
            let text = String::from_utf8_lossy(&bytes);
            let is_contained = |string: &&str| text.contains(string);
            let place = line.split_whitespace().nth(5).unwrap_or("anonymous memory");
            found.extend(
                strings.iter().copied().filter(is_contained).map(|string| format!("{string} in {place}")),
            );
        }
    }
    Ok(found)
}

/// Returns all forms of the password to search for, including fragments.
fn forms() -> [&'static str; 5] {
    [PASSWORD, IN_URL, BASE64, &PASSWORD[8..], &BASE64[12..]]
}

/// Expects that other processes of the user can read the memory again, and that the password is
/// neither there nor in the args or the environment.
#[track_caller]
fn expect_forgotten(run: &Running) {
    let pid = run.pid();
    assert_ne!(find_in_memory(pid, &[MARK]).unwrap(), [""; 0], "the search is broken");
    assert_eq!(find_in_memory(pid, &forms()).unwrap(), [""; 0]);
    let shown = args_and_environment(pid);
    assert!(forms().iter().all(|form| !shown.contains(form)), "{shown}");
}

/// Returns the args and environment of a process.
fn args_and_environment(pid: u32) -> String {
    let read = |name| String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/{name}")).unwrap()).into_owned();
    (read("cmdline") + &read("environ")).replace('\0', " ")
}

/// Expects that only root can read the program's memory. As root, also checks that the password is
/// in it.
#[track_caller]
fn expect_protected(run: &Running) {
    let pid = run.pid();
    assert_eq!(fs::metadata(format!("/proc/{pid}/mem")).unwrap().uid(), 0);
    match find_in_memory(pid, &forms()) {
        Ok(found) if rustix::process::geteuid().is_root() => assert_ne!(found, [""; 0]),
        Ok(_) => panic!("another process of the user can read the memory"),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
    }
}

/// A proxy that pauses after it has received the password.
struct PausingProxy {
    received: Gate,
    resume: Gate,
}

impl PausingProxy {
    fn new() -> Self {
        Self { received: Gate::new(), resume: Gate::new() }
    }

    fn socks5(&self) -> Server {
        let login = [&b"\x01\x04kane\x12"[..], PASSWORD.as_bytes()].concat();
        let greeting = script().expect_bytes(1).then("methods", |session| {
            let count = usize::from(session.receive(1)?[0]);
            session.receive(count).map(drop)
        });
        let script =
            greeting.send([5, 2]).expect(login).open(&self.received).wait_for(&self.resume).send([1, 0]);
        let request = [&b"\x05\x01\x00\x03\x0chost.example"[..], &[0, 22]].concat();
        script.expect(request).send(SOCKS5_GRANTED).early("welcome").echo().serve()
    }

    fn http(&self, challenges: bool) -> Server {
        let mut proxy = script();
        if challenges {
            let challenge =
                "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n";
            proxy = proxy.expect_until("\r\n\r\n").send(challenge);
        }
        let proxy =
            proxy.expect_until(format!("{BASE64}\r\n\r\n")).open(&self.received).wait_for(&self.resume);
        proxy.send("HTTP/1.1 200 OK\r\n\r\n").early("welcome").echo().serve()
    }

    fn digest(&self) -> Server {
        let challenge = "HTTP/1.1 407 No\r\nProxy-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\", \
            algorithm=SHA-512-256\r\nContent-Length: 0\r\n\r\n";
        let proxy = script().expect_until("\r\n\r\n").send(challenge).expect_until("qop=auth, response=");
        let proxy = proxy.expect_until("\r\n\r\n").open(&self.received).wait_for(&self.resume);
        proxy.send("HTTP/1.1 200 OK\r\n\r\n").early("welcome").echo().serve()
    }

    /// Runs a session, and checks the memory both during and after the proxy's pause.
    #[track_caller]
    fn expect_forgotten(&self, proxy: Server, program: Program, type_password: impl FnOnce()) {
        let mut run = program.env("MARK", MARK).start();
        type_password();
        self.received.wait();
        expect_protected(&run);
        self.resume.open();
        run.wait_stdout_has("welcome");
        expect_forgotten(&run);
        // Relaying must not bring the password back into memory.
        run.send("to and fro");
        run.wait_stdout_has("to and fro");
        expect_forgotten(&run);
        run.finish().expect_success();
        proxy.finish();
    }
}

#[test]
fn a_password_in_the_args_is_erased() {
    for login in [format!("kane:{PASSWORD}"), format!("socks5://kane:{IN_URL}")] {
        for option in ["-S ", "-S", "-5S "] {
            let pausing = PausingProxy::new();
            let proxy = pausing.socks5();
            let program = connect(format!("{option}{login}@{proxy} host.example 22"));
            pausing.expect_forgotten(proxy, program, || {});
        }
    }
    let pausing = PausingProxy::new();
    let proxy = pausing.http(false);
    let program = connect(format!("-H http://kane:{IN_URL}@{proxy} host.example 22"));
    pausing.expect_forgotten(proxy, program, || {});
}

#[cfg(feature = "tls")]
#[test]
fn a_password_for_a_proxy_over_tls_is_erased() {
    let identity = Identity::self_signed(false);
    let file = identity.certificate_file();
    for url in ["https", "socks5h+tls"] {
        let pausing = PausingProxy::new();
        let proxy = if url == "https" { pausing.http(false) } else { pausing.socks5() };
        let front = TlsFront::new(&identity).in_front_of(&proxy);
        let program = connect("--tls-ca").arg(&*file);
        let args = format!("-x {url}://kane:{IN_URL}@localhost:{} host.example 22", front.port());
        pausing.expect_forgotten(proxy, program.args(args), || {});
    }
}

#[test]
fn a_password_in_the_environment_is_erased() {
    for name in ["SOCKS5_PASSWD", "SOCKS5_PASSWORD", "SOCKS_PASSWORD", "CONNECT_PASSWORD"] {
        let pausing = PausingProxy::new();
        let proxy = pausing.socks5();
        let program = connect(format!("-S kane@{proxy} host.example 22")).env(name, PASSWORD);
        pausing.expect_forgotten(proxy, program, || {});
    }
    let pausing = PausingProxy::new();
    let proxy = pausing.http(false);
    let program = connect(format!("-H {proxy} host.example 22"));
    let program = program.env("HTTP_PROXY_USER", "kane").env("HTTP_PROXY_PASSWORD", PASSWORD);
    pausing.expect_forgotten(proxy, program, || {});
}

#[test]
fn a_password_in_a_proxy_variable_is_erased_even_if_it_is_not_used() {
    let pausing = PausingProxy::new();
    let proxy = pausing.http(false);
    let program = connect("-h host.example 22").env("http_proxy", format!("http://kane:{IN_URL}@{proxy}"));
    pausing.expect_forgotten(proxy, program, || {});

    let target = script().send("welcome").expect_eof().serve();
    let run = connect(target.args()).env("MARK", MARK);
    let run =
        run.env("ALL_PROXY", format!("socks5://kane:{PASSWORD}@proxy")).env("SOCKS5_PASSWORD", PASSWORD);
    let run = run.start();
    run.wait_stdout_has("welcome");
    expect_forgotten(&run);
    run.finish().expect_success();
    target.finish();
}

#[test]
fn a_password_in_a_parameter_file_is_erased() {
    let home = home(format!("SOCKS5_PASSWORD = '{PASSWORD}'\nHTTP_PROXY = http://kane:{IN_URL}@proxy\n"));
    let pausing = PausingProxy::new();
    let proxy = pausing.socks5();
    let program = connect(format!("-S kane@{proxy} host.example 22")).env("HOME", &*home);
    pausing.expect_forgotten(proxy, program, || {});
}

#[test]
fn a_password_from_a_file_command_netrc_or_descriptor_is_erased() {
    let file = home(format!("{PASSWORD}\n"));
    let path = file.join(".connectrc");
    let path = path.display();
    let netrc = home(format!("machine 127.0.0.1 login kane password \"{PASSWORD}\"\n"));
    for options in [
        format!("--password-file {path}"),
        format!("--password-command cat<{path}"),
        format!("--netrc-file {}", netrc.join(".connectrc").display()),
    ] {
        let pausing = PausingProxy::new();
        let proxy = pausing.socks5();
        let program = connect(format!("{options} -S kane@{proxy} host.example 22"));
        pausing.expect_forgotten(proxy, program, || {});
        let pausing = PausingProxy::new();
        let proxy = pausing.http(options.contains("command"));
        let program = connect(format!("{options} -H kane@{proxy} host.example 22"));
        pausing.expect_forgotten(proxy, program, || {});
    }
    let pausing = PausingProxy::new();
    let proxy = pausing.socks5();
    let shell = format!("exec {} --password-fd 3 -S kane@{proxy} host.example 22 3<{path}", program_path());
    pausing.expect_forgotten(proxy, Program::new("sh").arg("-c").arg(shell), || {});
}

/// One variable contains several passwords.
#[test]
fn the_passwords_of_a_chain_are_erased() {
    let pausing = PausingProxy::new();
    let proxy = pausing.http(false);
    let chain =
        format!("http://kane:{IN_URL}@{proxy} | http://x:{PASSWORD}@127.0.0.1:1,socks5://y:{PASSWORD}@z");
    let program = connect("-A host.example 22").env("CONNECT_PROXY", chain);
    pausing.expect_forgotten(proxy, program, || {});
}

#[test]
fn a_password_typed_at_the_prompt_is_erased() {
    for challenged in [false, true] {
        let pty = Pty::new();
        let pausing = PausingProxy::new();
        let proxy = if challenged { pausing.http(true) } else { pausing.socks5() };
        let option = if challenged { "-H" } else { "-S" };
        let program = connect(format!("{option} kane@{proxy} host.example 22")).terminal(&pty);
        pausing.expect_forgotten(proxy, program, || {
            while pty.echoes() {
                std::thread::yield_now();
            }
            (&pty.master).write_all(format!("{PASSWORD}\n").as_bytes()).unwrap();
        });
    }
}

#[test]
fn a_password_from_an_askpass_program_is_erased() {
    let asker = Asker::new("askpass", &format!("echo {PASSWORD}"));
    let pausing = PausingProxy::new();
    let proxy = pausing.socks5();
    let program = asker.connect(format!("-S kane@{proxy} host.example 22"));
    pausing.expect_forgotten(proxy, program, || {});
}

/// The buffers used for hashing must be erased, too.
#[test]
fn a_password_for_digest_is_erased() {
    let pausing = PausingProxy::new();
    let proxy = pausing.digest();
    let program = connect(format!("-a digest -H http://kane:{IN_URL}@{proxy} host.example 22"));
    pausing.expect_forgotten(proxy, program, || {});

    let asker = Asker::new("askpass", &format!("echo {PASSWORD}"));
    let pausing = PausingProxy::new();
    let proxy = pausing.digest();
    let program = asker.connect(format!("-H kane@{proxy} host.example 22"));
    pausing.expect_forgotten(proxy, program, || {});
}

#[test]
fn a_header_is_erased_like_a_password() {
    let file = TempPath::private("headers", format!("X-Token: {PASSWORD}\n"));
    let in_file = format!("@{}", file.display());
    for (args, variable) in [
        (&["--header", &format!("Proxy-Authorization: Basic {BASE64}")][..], ""),
        (&[&format!("--header=X-Token:{PASSWORD}")], ""),
        (&["--header", &in_file], ""),
        (&[], &format!("X-Token: {PASSWORD}")),
    ] {
        let pausing = PausingProxy::new();
        let proxy = script().expect_until("\r\n\r\n").open(&pausing.received).wait_for(&pausing.resume);
        let proxy = proxy.send("HTTP/1.1 200 OK\r\n\r\n").early("welcome").echo().serve();
        let program = args.iter().fold(connect(""), Program::arg);
        let program = if variable.is_empty() { program } else { program.env("CONNECT_HEADER", variable) };
        let program = program.args(format!("-H {proxy} host.example 22"));
        pausing.expect_forgotten(proxy, program, || {});
    }
}

#[test]
fn a_header_in_the_url_of_a_proxy_is_erased_like_a_password() {
    for in_variable in [false, true] {
        let pausing = PausingProxy::new();
        let proxy = script().expect_until("\r\n\r\n").open(&pausing.received).wait_for(&pausing.resume);
        let proxy = proxy.send("HTTP/1.1 200 OK\r\n\r\n").early("welcome").echo().serve();
        let url = format!("http://{proxy}?header=X-Token:%20{IN_URL}|direct");
        let program = if in_variable {
            connect("-A host.example 22").env("CONNECT_PROXY", url)
        } else {
            connect(format!("-x {url} host.example 22"))
        };
        pausing.expect_forgotten(proxy, program, || {});
    }
}

/// An administrator may look for the user name in `ps`.
#[test]
fn only_the_password_is_masked() {
    let target = script().send("welcome").expect_eof().serve();
    let run =
        connect(format!("-S kane:pw@proxy -n {}", target.args())).env("HTTPS_PROXY", "http://kane:pw@proxy/");
    let run = run.start();
    run.wait_stdout_has("welcome");
    let shown = args_and_environment(run.pid());
    assert!(shown.contains(&format!(" -S kane:**@proxy -n {} ", target.args())), "{shown}");
    assert!(shown.contains("HTTPS_PROXY=http://kane:**@proxy/ "), "{shown}");
    run.finish().expect_success();
    target.finish();
}

/// A listener still needs the password for the next client.
#[test]
fn a_listener_keeps_the_password_and_protects_its_memory() {
    let pausing = PausingProxy::new();
    let proxy = pausing.socks5();
    let program = connect(format!("-d -S kane:{PASSWORD}@{proxy} --listen 127.0.0.1:0 host.example 22"));
    let listener = Listening::start(program.env("MARK", MARK));
    let mut client = listener.client();
    pausing.resume.open();
    assert_eq!(read(&mut client, 7), b"welcome");
    expect_protected(&listener.run);
    let args = fs::read(format!("/proc/{}/cmdline", listener.run.pid())).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&args).contains(PASSWORD));
    drop(client);
    listener.close();
    proxy.finish();
}

/// A local proxy needs the passwords for all targets that its clients may name.
#[test]
fn a_local_proxy_keeps_the_password_and_protects_its_memory() {
    let proxy = Server::repeat(|| socks5_userpass("kane", PASSWORD).echo());
    for (args, variables) in [
        (format!("-S kane:{PASSWORD}@{proxy}"), vec![]),
        (format!("-S kane@{proxy}"), vec![("SOCKS5_PASSWORD", PASSWORD)]),
    ] {
        let program = connect(format!("-d --listen socks5://127.0.0.1:0 {args}")).env("MARK", MARK);
        let program = variables.iter().fold(program, |program, (name, value)| program.env(name, value));
        let listener = Listening::start(program);
        for _ in 0..2 {
            let mut client = listener.client();
            client.write_all(b"\x05\x01\0\x05\x01\0\x03\x0chost.example\0\x16hello").unwrap();
            assert_eq!(&read(&mut client, 17)[12..], b"hello");
            expect_protected(&listener.run);
        }
        let pid = listener.run.pid();
        // Only root can read the environment of a protected process.
        let is_root = rustix::process::geteuid().is_root();
        for name in ["cmdline", "environ"].iter().take(1 + usize::from(is_root)) {
            let shown = fs::read(format!("/proc/{pid}/{name}")).unwrap();
            assert!(!String::from_utf8_lossy(&shown).contains(PASSWORD), "{name}");
        }
        assert_eq!(listener.close(), [""; 0]);
    }
}

/// A local proxy keeps only hashes of its clients' passwords.
#[test]
fn the_passwords_of_clients_are_erased() {
    let target = Server::repeat(|| script().echo());
    let file = TempPath::file("logins", format!("kane:{PASSWORD}\n"));
    fs::set_permissions(&*file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let args = format!("-d --listen http://127.0.0.1:0 --listen-password-file {}", file.display());
    let listener = Listening::start(connect(args).env("MARK", MARK));
    let mut client = listener.client();
    let request =
        format!("CONNECT {target} HTTP/1.1\r\nHost: h\r\nProxy-Authorization: Basic {BASE64}\r\n\r\nhello");
    client.write_all(request.as_bytes()).unwrap();
    assert!(String::from_utf8(read(&mut client, 44)).unwrap().ends_with("hello"));
    // The memory is protected, because a password for a proxy could be in it. Only root can read
    // it.
    if rustix::process::geteuid().is_root() {
        let found = || find_in_memory(listener.run.pid(), &forms()).unwrap();
        crate::listening::eventually("the passwords to be erased", || found().is_empty());
        assert_ne!(find_in_memory(listener.run.pid(), &[MARK]).unwrap(), [""; 0], "the search is broken");
    }
    assert_eq!(listener.close(), [""; 0]);
}

/// The token is the password of the other tests, because the searches are for its forms.
#[test]
fn a_token_is_erased() {
    let file = TempPath::private("token", format!("{PASSWORD}\n"));
    for source in ["variable", "file"] {
        let (received, resume) = (Gate::new(), Gate::new());
        let (opens, waits) = (received.clone(), resume.clone());
        let server = WsServer::raw(move |mut stream| {
            let head = read_head(&mut stream);
            opens.open();
            waits.wait();
            let fields = accept_fields(&head);
            write!(stream, "HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n").unwrap();
            stream.write_all(b"\x82\x07welcome").unwrap();
            let _ = io::Read::read_to_end(&mut stream, &mut Vec::new());
            head
        });
        let program = connect(format!("-x ws://127.0.0.1:{}/ host.example 22", server.port()));
        let program = match source {
            "variable" => program.env("CONNECT_TOKEN", PASSWORD),
            _ => program.env("CONNECT_TOKEN_FILE", &*file),
        };
        let run = program.env("MARK", MARK).start();
        received.wait();
        expect_protected(&run);
        resume.open();
        run.wait_stdout_has("welcome");
        expect_forgotten(&run);
        drop(run);
        assert!(server.finish().contains(&format!("Authorization: Bearer {PASSWORD}\r\n")), "{source}");
    }
}
