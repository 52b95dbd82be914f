//! What others can see of a running program: its words, its environment, its memory. Once the tunnel stands, the password
//! is in none of them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};

use crate::askpass::Asker;
use crate::kit::*;
use crate::listening::{Listening, read};
use crate::rcfile::home;

/// In no other string of the program, and as long as passwords are.
const PASSWORD: &str = "Rosebud-4711-xyzzy";
/// The same as a URL may have it, and base64 of `kane:` and it.
const IN_URL: &str = "R%6Fsebud-4711-xyzzy";
const BASE64: &str = "a2FuZTpSb3NlYnVkLTQ3MTEteHl6enk=";
/// Something in the environment that is no secret.
const MARK: &str = "an-unhidden-landmark";

/// Where these strings stand in the memory of a process. What it cannot write to is what stands in files.
fn in_memory(pid: u32, strings: &[&str]) -> io::Result<Vec<String>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let mut found = Vec::new();
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw")))
    {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        // The kernel's own pages are not to be read.
        if memory.read_exact_at(&mut bytes, start).is_ok() {
            // A text can be searched fast also by a test that is not optimized.
            let text = String::from_utf8_lossy(&bytes);
            let is_there = |string: &&str| text.contains(string);
            let place = line.split_whitespace().nth(5).unwrap_or("anonymous memory");
            found.extend(
                strings.iter().copied().filter(is_there).map(|string| format!("{string} in {place}")),
            );
        }
    }
    Ok(found)
}

/// The password in all its forms, and pieces of them.
fn forms() -> [&'static str; 5] {
    [PASSWORD, IN_URL, BASE64, &PASSWORD[8..], &BASE64[12..]]
}

/// The memory is the user's to look at, and without a trace of the password, and so is what `ps` shows.
#[track_caller]
fn expect_forgotten(run: &Running) {
    let pid = run.pid();
    assert_ne!(in_memory(pid, &[MARK]).unwrap(), [""; 0], "the scanner is blind");
    assert_eq!(in_memory(pid, &forms()).unwrap(), [""; 0]);
    let shown = shown(pid);
    assert!(forms().iter().all(|form| !shown.contains(form)), "{shown}");
}

/// The words and the environment.
fn shown(pid: u32) -> String {
    let read = |name| String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/{name}")).unwrap()).into_owned();
    (read("cmdline") + &read("environ")).replace('\0', " ")
}

/// The password is in memory, and nobody but root can look at it.
#[track_caller]
fn expect_kept_from_others(run: &Running) {
    let pid = run.pid();
    assert_eq!(fs::metadata(format!("/proc/{pid}/mem")).unwrap().uid(), 0);
    match in_memory(pid, &forms()) {
        Ok(found) if rustix::process::geteuid().is_root() => assert_ne!(found, [""; 0]),
        Ok(_) => panic!("another process of the user can read the memory"),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
    }
}

/// Someone who has the password and has not been answered yet.
struct Asked {
    asked: Gate,
    answer: Gate,
}

impl Asked {
    fn new() -> Self {
        Self { asked: Gate::new(), answer: Gate::new() }
    }

    fn socks5(&self) -> Server {
        let login = [&b"\x01\x04kane\x12"[..], PASSWORD.as_bytes()].concat();
        let greeting = script().expect_bytes(1).then("methods", |session| {
            let count = usize::from(session.receive(1)?[0]);
            session.receive(count).map(drop)
        });
        let script =
            greeting.send([5, 2]).expect(login).open(&self.asked).wait_for(&self.answer).send([1, 0]);
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
        let proxy = proxy.expect_until(format!("{BASE64}\r\n\r\n")).open(&self.asked).wait_for(&self.answer);
        proxy.send("HTTP/1.1 200 OK\r\n\r\n").early("welcome").echo().serve()
    }

    fn digest(&self) -> Server {
        let challenge = "HTTP/1.1 407 No\r\nProxy-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\", \
            algorithm=SHA-512-256\r\nContent-Length: 0\r\n\r\n";
        let proxy = script().expect_until("\r\n\r\n").send(challenge).expect_until("qop=auth, response=");
        let proxy = proxy.expect_until("\r\n\r\n").open(&self.asked).wait_for(&self.answer);
        proxy.send("HTTP/1.1 200 OK\r\n\r\n").early("welcome").echo().serve()
    }

    /// One session: while the proxy thinks about the password, and after that.
    #[track_caller]
    fn expect_forgotten(&self, proxy: Server, program: Program, type_it: impl FnOnce()) {
        let mut run = program.env("MARK", MARK).start();
        type_it();
        self.asked.wait();
        expect_kept_from_others(&run);
        self.answer.open();
        run.wait_stdout_has("welcome");
        expect_forgotten(&run);
        // Nor does it come back.
        run.send("to and fro");
        run.wait_stdout_has("to and fro");
        expect_forgotten(&run);
        run.finish().expect_success();
        proxy.finish();
    }
}

#[test]
fn a_password_among_the_words_is_forgotten() {
    for login in [format!("kane:{PASSWORD}"), format!("socks5://kane:{IN_URL}")] {
        for option in ["-S ", "-S", "-5S "] {
            let asked = Asked::new();
            let proxy = asked.socks5();
            let program = connect(format!("{option}{login}@{proxy} host.example 22"));
            asked.expect_forgotten(proxy, program, || {});
        }
    }
    let asked = Asked::new();
    let proxy = asked.http(false);
    let program = connect(format!("-H http://kane:{IN_URL}@{proxy} host.example 22"));
    asked.expect_forgotten(proxy, program, || {});
}

#[cfg(feature = "tls")]
#[test]
fn a_password_for_a_proxy_with_tls_is_forgotten() {
    let identity = Identity::self_signed(false);
    let file = identity.certificate_file();
    for url in ["https", "socks5h+tls"] {
        let asked = Asked::new();
        let proxy = if url == "https" { asked.http(false) } else { asked.socks5() };
        let front = TlsFront::new(&identity).in_front_of(&proxy);
        let program = connect("--tls-ca").arg(&*file);
        let words = format!("-x {url}://kane:{IN_URL}@localhost:{} host.example 22", front.port());
        asked.expect_forgotten(proxy, program.args(words), || {});
    }
}

#[test]
fn a_password_in_the_environment_is_forgotten() {
    for name in ["SOCKS5_PASSWD", "SOCKS5_PASSWORD", "SOCKS_PASSWORD", "CONNECT_PASSWORD"] {
        let asked = Asked::new();
        let proxy = asked.socks5();
        let program = connect(format!("-S kane@{proxy} host.example 22")).env(name, PASSWORD);
        asked.expect_forgotten(proxy, program, || {});
    }
    let asked = Asked::new();
    let proxy = asked.http(false);
    let program = connect(format!("-H {proxy} host.example 22"));
    let program = program.env("HTTP_PROXY_USER", "kane").env("HTTP_PROXY_PASSWORD", PASSWORD);
    asked.expect_forgotten(proxy, program, || {});
}

#[test]
fn a_password_in_a_proxys_variable_is_forgotten_also_where_it_is_not_used() {
    let asked = Asked::new();
    let proxy = asked.http(false);
    let program = connect("-h host.example 22").env("http_proxy", format!("http://kane:{IN_URL}@{proxy}"));
    asked.expect_forgotten(proxy, program, || {});

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
fn a_password_in_a_file_is_forgotten() {
    let home = home(format!("SOCKS5_PASSWORD = '{PASSWORD}'\nHTTP_PROXY = http://kane:{IN_URL}@proxy\n"));
    let asked = Asked::new();
    let proxy = asked.socks5();
    let program = connect(format!("-S kane@{proxy} host.example 22")).env("HOME", &*home);
    asked.expect_forgotten(proxy, program, || {});
}

#[test]
fn a_password_of_another_source_is_forgotten() {
    let file = home(format!("{PASSWORD}\n"));
    let path = file.join(".connectrc");
    let path = path.display();
    let netrc = home(format!("machine 127.0.0.1 login kane password \"{PASSWORD}\"\n"));
    for options in [
        format!("--password-file {path}"),
        format!("--password-command cat<{path}"),
        format!("--netrc-file {}", netrc.join(".connectrc").display()),
    ] {
        let asked = Asked::new();
        let proxy = asked.socks5();
        let program = connect(format!("{options} -S kane@{proxy} host.example 22"));
        asked.expect_forgotten(proxy, program, || {});
        let asked = Asked::new();
        let proxy = asked.http(options.contains("command"));
        let program = connect(format!("{options} -H kane@{proxy} host.example 22"));
        asked.expect_forgotten(proxy, program, || {});
    }
    let asked = Asked::new();
    let proxy = asked.socks5();
    let shell = format!("exec {} --password-fd 3 -S kane@{proxy} host.example 22 3<{path}", program_path());
    asked.expect_forgotten(proxy, Program::new("sh").arg("-c").arg(shell), || {});
}

/// Several in one variable, of which each is hidden.
#[test]
fn the_passwords_of_a_chain_are_forgotten() {
    let asked = Asked::new();
    let proxy = asked.http(false);
    let chain =
        format!("http://kane:{IN_URL}@{proxy} | http://x:{PASSWORD}@127.0.0.1:1,socks5://y:{PASSWORD}@z");
    let program = connect("-A host.example 22").env("CONNECT_PROXY", chain);
    asked.expect_forgotten(proxy, program, || {});
}

#[test]
fn a_password_that_was_typed_is_forgotten() {
    for challenged in [false, true] {
        let pty = Pty::new();
        let asked = Asked::new();
        let proxy = if challenged { asked.http(true) } else { asked.socks5() };
        let option = if challenged { "-H" } else { "-S" };
        let program = connect(format!("{option} kane@{proxy} host.example 22")).terminal(&pty);
        asked.expect_forgotten(proxy, program, || {
            while pty.echoes() {
                std::thread::yield_now();
            }
            (&pty.master).write_all(format!("{PASSWORD}\n").as_bytes()).unwrap();
        });
    }
}

#[test]
fn a_password_of_an_askpass_program_is_forgotten() {
    let asker = Asker::new("askpass", &format!("echo {PASSWORD}"));
    let conversation = Asked::new();
    let proxy = conversation.socks5();
    let program = asker.connect(format!("-S kane@{proxy} host.example 22"));
    conversation.expect_forgotten(proxy, program, || {});
}

/// Nothing that it goes through on its way into a hash keeps it.
#[test]
fn a_password_that_was_proved_and_not_told_is_forgotten() {
    let conversation = Asked::new();
    let proxy = conversation.digest();
    let program = connect(format!("-a digest -H http://kane:{IN_URL}@{proxy} host.example 22"));
    conversation.expect_forgotten(proxy, program, || {});

    let asker = Asker::new("askpass", &format!("echo {PASSWORD}"));
    let conversation = Asked::new();
    let proxy = conversation.digest();
    let program = asker.connect(format!("-H kane@{proxy} host.example 22"));
    conversation.expect_forgotten(proxy, program, || {});
}

#[test]
fn a_header_is_a_secret_like_a_password() {
    let file = TempPath::file("headers", format!("X-Token: {PASSWORD}\n"));
    let in_file = format!("@{}", file.display());
    for (words, variable) in [
        (&["--header", &format!("Proxy-Authorization: Basic {BASE64}")][..], ""),
        (&[&format!("--header=X-Token:{PASSWORD}")], ""),
        (&["--header", &in_file], ""),
        (&[], &format!("X-Token: {PASSWORD}")),
    ] {
        let asked = Asked::new();
        let proxy = script().expect_until("\r\n\r\n").open(&asked.asked).wait_for(&asked.answer);
        let proxy = proxy.send("HTTP/1.1 200 OK\r\n\r\n").early("welcome").echo().serve();
        let program = words.iter().fold(connect(""), Program::arg);
        let program = if variable.is_empty() { program } else { program.env("CONNECT_HEADER", variable) };
        let program = program.args(format!("-H {proxy} host.example 22"));
        asked.expect_forgotten(proxy, program, || {});
    }
}

/// What is masked shows that there was something, and leaves the rest as it was: an administrator may look for the user.
#[test]
fn nothing_but_the_password_is_masked() {
    let target = script().send("welcome").expect_eof().serve();
    let run =
        connect(format!("-S kane:pw@proxy -n {}", target.args())).env("HTTPS_PROXY", "http://kane:pw@proxy/");
    let run = run.start();
    run.wait_stdout_has("welcome");
    let shown = shown(run.pid());
    assert!(shown.contains(&format!(" -S kane:**@proxy -n {} ", target.args())), "{shown}");
    assert!(shown.contains("HTTPS_PROXY=http://kane:**@proxy/ "), "{shown}");
    run.finish().expect_success();
    target.finish();
}

/// It needs the password for the next client, so its memory stays closed.
#[test]
fn a_listener_keeps_its_password_and_its_memory_closed() {
    let asked = Asked::new();
    let proxy = asked.socks5();
    let program = connect(format!("-d -S kane:{PASSWORD}@{proxy} --listen 127.0.0.1:0 host.example 22"));
    let listener = Listening::start(program.env("MARK", MARK));
    let mut client = listener.client();
    asked.answer.open();
    assert_eq!(read(&mut client, 7), b"welcome");
    expect_kept_from_others(&listener.run);
    let words = fs::read(format!("/proc/{}/cmdline", listener.run.pid())).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&words).contains(PASSWORD));
    drop(client);
    listener.close();
    proxy.finish();
}
