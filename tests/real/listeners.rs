//! Programs that use the program as their proxy (`--listen` with a scheme): curl, git, apt,
//! proxychains and Chromium.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use crate::context::{Case, Context, Topic, expect_same, expect_secret_kept, program};
use crate::daemon::{free_port, has_listener};
use crate::kit::{Outcome, Program, Running};
use crate::peers::run;
use crate::routes::{HTTP_SQUID_USER, Route, SOCKS5_MICROSOCKS_USER};
use crate::servers::{PASSWORD, PLAIN_PASSWORD, SQUID_DIGEST_WEB, SQUID_USER, USER, WRONG_PASSWORD};

/// Time limit for the program to start listening.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(20);

const PAGE: &str = "<html><head><script src=\"/script.js\"></script></head><body><p>a page</p></body></html>";
/// Changes the page, so that the result shows that both files were loaded.
const SCRIPT: &str =
    "document.addEventListener('DOMContentLoaded', () => document.body.append('and its script'));";

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("listeners");
    for (scheme, options) in [
        ("http", "-x"),
        ("http", "-p -x"),
        ("socks5", "-x"),
        ("socks5h", "-x"),
        ("socks4", "-x"),
        ("socks4a", "-x"),
    ] {
        topic.ours(format!("curl {options} {scheme}:// loads and sends a file"), move |context| {
            curl_loads_and_sends(context, scheme, options);
        });
    }
    for route in [&HTTP_SQUID_USER, &SOCKS5_MICROSOCKS_USER] {
        topic.ours(
            format!("curl without a password uses a proxy that requires one: {}", route.name),
            move |context| uses_proxy_with_password(context, route),
        );
    }
    topic
        .ours("curl loads and sends files through a proxy that opens no tunnels", uses_proxy_without_tunnels);
    topic.ours("curl learns the reason of a failure", curl_learns_the_reason);
    topic.ours("curl logs in, and is rejected with a wrong password", curl_logs_in);
    topic.ours("curl uses the listener over TLS", curl_over_tls);
    for scheme in ["http", "socks5h"] {
        topic.ours(format!("git clones over HTTP through {scheme}://"), move |context| {
            git_clones(context, scheme);
        });
        topic.ours(format!("apt updates through {scheme}://"), move |context| apt_updates(context, scheme));
        topic.ours(
            format!("Chromium loads a page through {}://", &scheme[..scheme.len().min(6)]),
            move |context| {
                chromium_loads(context, &scheme[..scheme.len().min(6)]);
            },
        );
    }
    for kind in ["socks5", "socks4", "http"] {
        topic.ours(format!("proxychains sends curl through {kind}"), move |context| {
            proxychains(context, kind);
        });
    }
    topic.into_cases()
}

/// A run of the program that listens for SOCKS and HTTP clients.
struct Listener {
    run: Running,
    http: u16,
    socks: u16,
}

impl Listener {
    #[track_caller]
    fn start(context: &Context, args: &str) -> Self {
        Self::start_program(context.connect(args))
    }

    #[track_caller]
    fn start_program(program: Program) -> Self {
        let (http, socks) = (free_port(), free_port());
        let listen = format!("-d --listen http://127.0.0.1:{http} --listen socks5://127.0.0.1:{socks}");
        let run = program.args(listen).start();
        wait_for_listener(&run, socks);
        Self { run, http, socks }
    }

    /// Returns the URL of the listener for this scheme, as a client writes it.
    fn url(&self, scheme: &str) -> String {
        let port = if scheme == "http" { self.http } else { self.socks };
        format!("{scheme}://127.0.0.1:{port}")
    }

    /// Expects at least one request for the web server's address, by name or by number.
    #[track_caller]
    fn expect_request(&self, web: &Web) {
        let requests =
            |line: &str| line.contains(" requests ") && line.contains(&format!(":{} by ", web.port));
        let log = self.run.stderr_so_far();
        assert!(log.lines().any(requests), "no request for port {} in {log}", web.port);
    }
}

#[track_caller]
fn wait_for_listener(run: &Running, port: u16) {
    let start = Instant::now();
    while !has_listener(port) {
        assert!(start.elapsed() < LISTEN_TIMEOUT, "no listener: {}", run.stderr_so_far());
        sleep(Duration::from_millis(10));
    }
}

/// A web server for the files of a folder. A PUT writes a file.
struct Web {
    port: u16,
}

impl Web {
    fn serve(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let folder = folder.to_owned();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let folder = folder.clone();
                thread::spawn(move || answer(&client, &folder));
            }
        });
        Self { port }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }
}

/// Answers requests on a connection, which it keeps open unless the client asks to close it.
fn answer(client: &TcpStream, folder: &Path) -> Option<()> {
    let mut reader = BufReader::new(client);
    let mut writer = client;
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_owned());
        }
        let mut words = lines.first()?.split(' ');
        let (method, path) = (words.next()?, words.next()?);
        let path = path.split('?').next()?.trim_start_matches('/');
        let field = |name: &str| {
            let found = lines.iter().find(|line| line.to_ascii_lowercase().starts_with(name))?;
            Some(found[name.len()..].trim().to_owned())
        };
        if field("expect:").is_some() {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        let length = field("content-length:").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        if method == "PUT" {
            fs::write(folder.join(path), &body).ok()?;
        }
        let (status, content) = match fs::read(folder.join(path)) {
            Ok(content) => ("200 OK", content),
            Err(_) => ("404 Not Found", Vec::new()),
        };
        let kind = match path.rsplit('.').next() {
            Some("html") => "text/html",
            Some("js") => "text/javascript",
            _ => "application/octet-stream",
        };
        write!(
            writer,
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            content.len()
        )
        .ok()?;
        writer.write_all(&content).ok()?;
        if field("connection:").is_some_and(|value| value.contains("close")) {
            return None;
        }
    }
}

/// Returns a folder with a page, and a web server for it.
fn site(context: &Context) -> (PathBuf, Web) {
    let folder = context.folder.join("site");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("page.html"), PAGE).unwrap();
    fs::write(folder.join("script.js"), SCRIPT).unwrap();
    let web = Web::serve(&folder);
    (folder, web)
}

fn curl(args: &[&str]) -> Program {
    program("curl", ["-sS", "--noproxy", "", "-m", "60"]).args(args.join(" "))
}

fn curl_loads_and_sends(context: &Context, scheme: &str, options: &str) {
    let (folder, web) = site(context);
    let [big, _] = context.peers.big_files();
    std::os::unix::fs::symlink(big, folder.join("big")).unwrap();
    let listener = Listener::start(context, "");
    let proxy = listener.url(scheme);
    let out = curl(&[options, &proxy, &web.url("big")]).run();
    out.expect_code(0);
    expect_same(big, &out.stdout);
    curl(&[options, &proxy, "-T", &big.display().to_string(), &web.url("sent")]).run().expect_code(0);
    expect_same(big, &fs::read(folder.join("sent")).unwrap());
    // The connection to the listener is not used again, and curl must notice.
    let page = web.url("page.html");
    let out = curl(&[options, &proxy, &page, &page, &page]).run();
    assert_eq!(out.stdout_text(), PAGE.repeat(3));
    listener.expect_request(&web);
}

fn uses_proxy_with_password(context: &Context, route: &Route) {
    let (_, web) = site(context);
    let listener = Listener::start_program(route.with_credentials(context.connect(route.options(context))));
    for scheme in ["http", "socks5h"] {
        let out = curl(&["-x", &listener.url(scheme), &web.url("page.html")]).run();
        out.expect_success().expect_stdout(PAGE);
    }
    let log = listener.run.stderr_so_far();
    assert!(!log.contains(PASSWORD) && !log.contains(PLAIN_PASSWORD), "{log}");
}

/// With Digest, each request needs a nonce count, and POST a request without a body first.
fn uses_proxy_without_tunnels(context: &Context) {
    let (folder, web) = site(context);
    let connect = context.connect(format!("-a digest -H {}", context.address(SQUID_DIGEST_WEB)));
    let connect = connect.env("HTTP_PROXY_USER", USER).env("HTTP_PROXY_PASSWORD", PASSWORD);
    let listener = Listener::start_program(connect);
    let (proxy, page) = (listener.url("http"), web.url("page.html"));
    let upload = context.file("upload", "0123456789abcdef".repeat(10_000));
    for round in 0..2 {
        curl(&["-x", &proxy, &page, &page]).run().expect_success().expect_stdout(PAGE.repeat(2));
        let name = format!("sent{round}");
        let out = curl(&["-f", "-x", &proxy, "-T", &upload.display().to_string(), &web.url(&name)]).run();
        assert!(out.code == Some(0), "{out:?}\n{}", listener.run.stderr_so_far());
        expect_same(&upload, &fs::read(folder.join(name)).unwrap());
    }
    let log = listener.run.stderr_so_far();
    assert!(!log.contains(PASSWORD) && !log.contains("CONNECT "), "{log}");
}

fn curl_learns_the_reason(context: &Context) {
    let listener = Listener::start(context, "");
    let closed = context.peers.closed_port();
    let out = curl(&["-x", &listener.url("http"), &format!("http://127.0.0.1:{closed}/")]).run();
    out.expect_stdout(format!("connect: cannot connect to 127.0.0.1:{closed}: connection refused\n"));
    let out = curl(&["-x", &listener.url("socks5h"), &format!("http://127.0.0.1:{closed}/")]).run();
    // 97: a SOCKS proxy refused. The number in parentheses is the code of the reply.
    assert!(out.code == Some(97) && out.stderr_text().contains("(5)"), "{out:?}");
    let own = listener.http;
    let out = curl(&["-x", &listener.url("http"), &format!("http://localhost:{own}/")]).run();
    out.expect_stdout(format!("connect: cannot connect to localhost:{own}: not allowed\n"));
    let wrong = format!("-H {} 127.0.0.1", context.address(SQUID_USER));
    let upstream = context.connect(wrong.trim_end_matches(" 127.0.0.1"));
    let upstream = upstream.env("HTTP_PROXY_USER", USER).env("HTTP_PROXY_PASSWORD", WRONG_PASSWORD);
    let listener = Listener::start_program(upstream);
    let out = curl(&["-x", &listener.url("http"), "http://127.0.0.1:1/"]).run();
    out.expect_stdout("connect: cannot connect to 127.0.0.1:1: the next proxy requires other credentials\n");
}

fn curl_logs_in(context: &Context) {
    let (_, web) = site(context);
    let file = context.file("logins", format!("{USER}:{PLAIN_PASSWORD}\n"));
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let listener = Listener::start(context, &format!("--listen-password-file {}", file.display()));
    for scheme in ["http", "socks5h"] {
        let fetch = |password: &str| -> Outcome {
            let login = format!("{USER}:{password}");
            curl(&["-x", &listener.url(scheme), "-U", &login, &web.url("page.html")]).run()
        };
        fetch(PLAIN_PASSWORD).expect_success().expect_stdout(PAGE);
        assert_ne!(fetch(WRONG_PASSWORD).stdout_text(), PAGE, "{scheme}");
        let any = curl(&[
            "--proxy-anyauth",
            "-x",
            &listener.url(scheme),
            "-U",
            &format!("{USER}:{PLAIN_PASSWORD}"),
        ]);
        any.args(web.url("page.html")).run().expect_success().expect_stdout(PAGE);
        let without = curl(&["-x", &listener.url(scheme), &web.url("page.html")]).run();
        assert_ne!(without.stdout_text(), PAGE, "{scheme}");
        expect_secret_kept(&without, PLAIN_PASSWORD);
    }
    let log = listener.run.stderr_so_far();
    assert!(!log.contains(PLAIN_PASSWORD) && !log.contains(WRONG_PASSWORD), "{log}");
}

fn curl_over_tls(context: &Context) {
    let (_, web) = site(context);
    let certificates = context.peers.certificates();
    let [certificate, key, authority] = [("good", "pem"), ("good", "key"), ("ca", "pem")]
        .map(|(name, extension)| certificates.path(name, extension).display().to_string());
    let port = free_port();
    let args = format!("--listen https://127.0.0.1:{port} --serve-cert {certificate} --serve-key {key}");
    let run = context.connect(args).start();
    wait_for_listener(&run, port);
    for option in ["", "-p"] {
        let proxy = format!("https://localhost:{port}");
        let out = curl(&[option, "--proxy-cacert", &authority, "-x", &proxy, &web.url("page.html")]).run();
        out.expect_success().expect_stdout(PAGE);
    }
}

fn git_clones(context: &Context, scheme: &str) {
    let folder = context.folder.join("site");
    fs::create_dir(&folder).unwrap();
    let git = |args: &[&str]| {
        let mut git = context.peers.command("git", &["-C"]);
        git.arg(&folder).args(["-c", "user.name=a", "-c", "user.email=a@b"]);
        run(git.env("GIT_CONFIG_NOSYSTEM", "1").args(args)).unwrap()
    };
    git(&["init", "-q", "repository"]);
    let [big, _] = context.peers.big_files();
    fs::copy(big, folder.join("repository/big")).unwrap();
    git(&["-C", "repository", "add", "big"]);
    git(&["-C", "repository", "commit", "-qm", "a big file"]);
    git(&["-C", "repository", "update-server-info"]);
    let web = Web::serve(&folder);
    let listener = Listener::start(context, "");
    let clone = context.folder.join("clone");
    let client = program("git", ["-c", &format!("http.proxy={}", listener.url(scheme)), "clone", "-q"]);
    let client = client.arg(web.url("repository/.git")).arg(&clone).env("GIT_CONFIG_NOSYSTEM", "1");
    client.env("no_proxy", "").run().expect_success();
    expect_same(big, &fs::read(clone.join("big")).unwrap());
    listener.expect_request(&web);
}

/// apt sends several requests at once on one connection.
fn apt_updates(context: &Context, scheme: &str) {
    let (folder, web) = site(context);
    let package = "Package: probe\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: probe\n\
                   Filename: ./probe.deb\nSize: 0\nSHA256: 0\n";
    fs::write(folder.join("Packages"), package).unwrap();
    let sum = run(Command::new("sha256sum").arg(folder.join("Packages"))).unwrap();
    let sum = String::from_utf8(sum).unwrap().split(' ').next().unwrap().to_owned();
    let release =
        format!("Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {sum} {} Packages\n", package.len());
    fs::write(folder.join("Release"), release).unwrap();
    let apt = context.folder.join("apt");
    for name in ["etc/preferences.d", "etc/apt.conf.d", "lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(apt.join(name)).unwrap();
    }
    let source = format!("deb [trusted=yes] http://127.0.0.1:{} ./\n", web.port);
    fs::write(apt.join("etc/sources.list"), source).unwrap();
    let listener = Listener::start(context, "");
    let options = [
        format!("Dir::Etc={}", apt.join("etc").display()),
        format!("Dir::State::Lists={}", apt.join("lists").display()),
        format!("Dir::Cache={}", apt.join("cache").display()),
        "Dir::State::status=/dev/null".into(),
        "APT::Sandbox::User=".into(),
        format!("Acquire::http::Proxy={}", listener.url(scheme)),
    ];
    let client =
        options.iter().fold(program("apt-get", ["update"]), |client, option| client.arg("-o").arg(option));
    let out = client.run();
    out.expect_code(0);
    // The file may be compressed.
    let mut names = fs::read_dir(apt.join("lists")).unwrap().flatten().map(|entry| entry.file_name());
    let found = names.any(|name| name.to_string_lossy().contains("_Packages"));
    assert!(found, "{out:?}\n  expected: the list of packages");
    listener.expect_request(&web);
}

fn proxychains(context: &Context, kind: &str) {
    let (_, web) = site(context);
    let listener = Listener::start(context, "");
    let port = if kind == "http" { listener.http } else { listener.socks };
    let configuration = format!("strict_chain\nproxy_dns\n[ProxyList]\n{kind} 127.0.0.1 {port}\n");
    let file = context.file("proxychains.conf", configuration);
    let client = program("proxychains4", ["-q", "-f"]).arg(file).arg("curl").args("-sS --noproxy *");
    client.arg(web.url("page.html")).run().expect_success().expect_stdout(PAGE);
    listener.expect_request(&web);
}

fn chromium_loads(context: &Context, scheme: &str) {
    let (_, web) = site(context);
    let listener = Listener::start(context, "");
    let profile = context.folder.join("profile");
    let out = run(Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
        ])
        // Chromium uses no proxy for loopback addresses otherwise.
        .arg("--proxy-bypass-list=<-loopback>")
        .arg(format!("--proxy-server={}", listener.url(scheme)))
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(["--virtual-time-budget=10000", "--dump-dom", &web.url("page.html")])
        .env("HOME", &context.folder))
    .unwrap();
    let page = String::from_utf8_lossy(&out);
    assert!(page.contains("a page") && page.contains("and its script"), "{page}");
    listener.expect_request(&web);
}
