//! Real proxies: dante, microsocks and tinyproxy.

use std::net::{TcpListener, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use crate::kit::*;
use crate::listening::eventually;

const USER: &str = "alice";
/// A single word, because both the command line for microsocks and tinyproxy's configuration are
/// split at spaces.
const PASSWORD: &str = "S3cret-passw0rd";
const WRONG_PASSWORD: &str = "Wr0ng-passw0rd";

/// A server that runs in the foreground.
struct Proxy {
    run: Running,
    port: u16,
}

impl Proxy {
    /// Starts the server that `make` configures for a free port. Retries if another program takes
    /// that port first.
    #[track_caller]
    fn start(make: impl Fn(u16) -> (Program, Option<TempPath>)) -> Self {
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let (program, configuration) = make(port);
            // Longer than any test here takes.
            let mut run = program.limit(Duration::from_secs(300)).start();
            if let Some(path) = configuration {
                run.keep(path);
            }
            while run.is_running() {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Self { run, port };
                }
                sleep(Duration::from_millis(20));
            }
            eprintln!("the proxy has ended: {:?}", run.wait());
        }
        panic!("the proxy does not start");
    }

    fn microsocks() -> Self {
        Self::start(|port| {
            let words = format!("-i 127.0.0.1 -p {port} -u {USER} -P {PASSWORD}");
            (Program::new("microsocks").args(words), None)
        })
    }

    fn tinyproxy() -> Self {
        Self::start(|port| {
            let text = format!(
                "Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 600\nLogLevel Info\n\
                 BasicAuth {USER} {PASSWORD}\n"
            );
            let file = TempPath::file("tinyproxy.conf", text);
            (Program::new("tinyproxy").args("-d -c").arg(&*file), Some(file))
        })
    }

    fn dante() -> Self {
        Self::start(|port| {
            let users = if rustix::process::geteuid().is_root() {
                "user.privileged: root\nuser.notprivileged: nobody\n"
            } else {
                ""
            };
            let text = format!(
                "logoutput: stderr\ninternal: 127.0.0.1 port = {port}\nexternal: 127.0.0.1\nclientmethod: none\n\
                 socksmethod: none\n{users}client pass {{ from: 0/0 to: 0/0 }}\n\
                 socks pass {{\n from: 0/0 to: 0/0\n log: connect error\n}}\n"
            );
            let file = TempPath::file("danted.conf", text);
            (Program::new("danted").arg("-f").arg(&*file), Some(file))
        })
    }

    /// Returns `true` if the server has logged this text.
    fn has_logged(&self, text: &str) -> bool {
        let stdout = self.run.stdout_so_far();
        self.run.stderr_so_far().contains(text) || String::from_utf8_lossy(&stdout).contains(text)
    }
}

/// Expects a session through the proxy to succeed. Keeps stdin open, because microsocks ends a
/// session as soon as either side half-closes.
#[track_caller]
fn expect_session(proxy: &Proxy, options: &str) {
    let target = script().expect("ping\n").send("pong\n").close().serve();
    let mut run = connect(format!("{options} {}", target.args())).start();
    run.send("ping\n");
    run.wait().expect_success().expect_stdout("pong\n");
    let port = target.port().to_string();
    eventually("the proxy to log the target's port", || proxy.has_logged(&port));
    target.finish();
}

#[track_caller]
fn expect_rejected(proxy: &Proxy, option: &str) {
    let address = format!("127.0.0.1:{}", proxy.port);
    let out = connect(format!("{option} {USER}:{WRONG_PASSWORD}@{address} 127.0.0.1 22")).input("ping").run();
    out.expect_failure(6, &[&address]).expect_stdout("").expect_stderr_lacks(WRONG_PASSWORD);
}

#[test]
fn a_session_through_dante_with_socks4a() {
    let proxy = Proxy::dante();
    expect_session(&proxy, &format!("-4 -R remote -S 127.0.0.1:{}", proxy.port));
}

#[test]
fn a_session_through_microsocks_with_a_password() {
    let proxy = Proxy::microsocks();
    expect_session(&proxy, &format!("-S {USER}:{PASSWORD}@127.0.0.1:{}", proxy.port));
}

#[test]
fn microsocks_rejects_a_wrong_password() {
    expect_rejected(&Proxy::microsocks(), "-S");
}

#[test]
fn a_session_through_tinyproxy_with_basic_authentication() {
    let proxy = Proxy::tinyproxy();
    expect_session(&proxy, &format!("-H {USER}:{PASSWORD}@127.0.0.1:{}", proxy.port));
}

#[test]
fn tinyproxy_rejects_a_wrong_password() {
    expect_rejected(&Proxy::tinyproxy(), "-H");
}
