//! The sources of settings: the login name, the profile directory, environment variables, the
//! program's own name, and askpass programs.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::kit::*;
use crate::{programs, windows_path};

const USER: &str = "alice";
const PASSWORD: &str = "S3cret-passw0rd";

/// Returns a proxy that requires a login as `alice` and whose target sends a greeting.
fn proxy() -> Server {
    socks5_userpass(USER, PASSWORD).send("hello").serve()
}

/// Sets an askpass program, which prints `PASSWORD` and records the prompt.
fn with_askpass(program: Program, name: &str) -> Program {
    let askpass = windows_path(&programs().join(name));
    program.env("DISPLAY", "none").env("SSH_ASKPASS", askpass).env("ASKPASS_PASSWORD", PASSWORD)
}

/// The askpass program's path has forward slashes, as in the shells of Git for Windows.
#[test]
fn an_askpass_program_is_asked_for_the_password() {
    let prompt = TempPath::new("prompt");
    let proxy = proxy();
    let run = connect(format!("-S {USER}@{proxy} host.example 22"));
    let run = with_askpass(run, "askpass.exe").env("ASKPASS_PROMPT_FILE", windows_path(&prompt));
    run.start().wait().expect_success().expect_stdout("hello");
    proxy.finish();
    assert_eq!(fs::read_to_string(&*prompt).unwrap(), "Enter SOCKS5 password for alice@127.0.0.1: ");
}

/// The process in the background holds the pipe from which `connect` reads the password.
#[test]
fn a_password_command_was_awaited_until_its_background_process_ended() {
    let proxy = proxy();
    let line = format!("start /b cmd /c \"ping -n 90 127.0.0.1 >nul\"& echo {PASSWORD}");
    let run = connect("--password-command").arg(line).args(format!("-S {USER}@{proxy} host.example 22"));
    run.run().expect_success().expect_stdout("hello");
    proxy.finish();
}

#[test]
fn a_missing_askpass_program_is_named() {
    let proxy = script().expect([5, 1, 2]).send([5, 2]).expect_eof().serve();
    let run = connect(format!("-a userpass -S {USER}@{proxy} host.example 22"));
    with_askpass(run, "no-askpass.exe").run().expect_failure(6, &["no-askpass"]);
    proxy.finish();
}

/// Returns the system's login name, which wine takes from `USER`. `setup.sh` sets that variable.
fn login_name() -> String {
    std::env::var("USER").expect("tests/windows/run sets USER")
}

#[test]
fn socks4_sends_the_login_name_of_the_system() {
    let request = [&b"\x04\x01\x00\x16\xc0\x00\x02\x01"[..], login_name().as_bytes(), b"\0"].concat();
    let proxy = script().expect(request).send(SOCKS4_GRANTED).serve();
    let run = connect(format!("-4 -S {proxy} 192.0.2.1 22"));
    run.env("USERNAME", "somebody-else").run().expect_success();
    proxy.finish();
}

/// Held by tests that write a parameter file in the profile directory, or that expect none there.
/// All tests share that directory.
static PROFILE: Mutex<()> = Mutex::new(());

fn lock_profile() -> MutexGuard<'static, ()> {
    PROFILE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes a file when it goes out of scope.
struct RemoveAtEnd(PathBuf);

impl Drop for RemoveAtEnd {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn the_parameter_file_is_in_the_profile_directory() {
    let _lock = lock_profile();
    let prefix = PathBuf::from(std::env::var_os("WINEPREFIX").unwrap());
    let profile = prefix.join("drive_c/users").join(login_name());
    assert!(profile.is_dir(), "wine has no profile directory {}", profile.display());
    let proxy = proxy();
    let file = RemoveAtEnd(profile.join(".connectrc"));
    fs::write(&file.0, format!("SOCKS5_SERVER = {proxy}\r\n")).unwrap();
    let run = || connect("-s host.example 22").env("SOCKS5_USER", USER);
    let out = run().env("SOCKS5_PASSWORD", PASSWORD).start().wait();
    out.expect_success().expect_stdout("hello");
    proxy.finish();
    drop(file);
    run().run().expect_code(2);
}

/// The shells of Git for Windows set `HOME`. wine does not pass that variable on, so `launch.exe`
/// sets it.
#[test]
fn the_parameter_file_in_home_comes_first() {
    let proxy = proxy();
    let home = TempPath::directory("home");
    fs::write(home.join(".connectrc"), format!("SOCKS5_SERVER = {proxy}")).unwrap();
    let launch = Program::new(programs().join("launch")).arg(format!("HOME={}", windows_path(&home)));
    let run = launch.arg("pipes").arg(programs().join("connect.exe")).args("-s host.example 22");
    let out = run.env("SOCKS5_USER", USER).env("SOCKS5_PASSWORD", PASSWORD).start().wait();
    out.expect_success().expect_stdout("hello");
    proxy.finish();
}

/// On Windows, any user may create directories in the root of the system drive. With a system-wide
/// parameter file there, any user could set everyone's proxy. The test checks the file names in the
/// output of `-d`, because wine hides `/etc`.
#[test]
fn no_parameter_file_is_shared_by_all_users() {
    let _lock = lock_profile();
    let out = connect("-d -s 127.0.0.1 22").run();
    out.expect_code(2).expect_stderr_has(".connectrc: ").expect_stderr_lacks("etc");
}

/// Under CGI, a client's `Proxy` header arrives as the environment variable `HTTP_PROXY`, and
/// Windows ignores the case of variable names.
#[test]
fn under_cgi_the_proxy_variable_is_ignored_in_every_spelling() {
    let refusing = RefusingPort::new();
    let proxy = format!("127.0.0.1:{}", refusing.port());
    let run = || connect("-w 2 -h 127.0.0.1 22");
    for name in ["HTTP_PROXY", "http_proxy", "Http_Proxy"] {
        run().env(name, &proxy).run().expect_code(4);
        let out = run().env("REQUEST_METHOD", "GET").env(name, &proxy).run();
        out.expect_failure(2, &["HTTP_PROXY is not set"]);
    }
    let out = run().env("REQUEST_METHOD", "GET").env("Https_Proxy", &proxy).run();
    out.expect_failure(4, &[&format!("HTTP proxy {proxy}")]);
}

#[test]
fn the_name_of_the_program_gives_the_port() {
    let target = script().send("hello").serve();
    let name = format!("connect-{}", target.port());
    connect("127.0.0.1").named(&name).start().wait().expect_code(0).expect_stdout("hello");
    target.finish();

    let refusing = RefusingPort::new();
    let out =
        connect(format!("-d -w 2 -H 127.0.0.1:{} 127.0.0.1", refusing.port())).named("connect-25").run();
    out.expect_code(4).expect_stderr_has("DEBUG: dest_port=25\n");
}

#[test]
fn a_port_can_be_a_service_name() {
    let refusing = RefusingPort::new();
    let out = connect(format!("-d -w 2 -H 127.0.0.1:{} host.example imaps", refusing.port())).run();
    out.expect_code(4).expect_stderr_has("DEBUG: dest_port=993\n");
}
