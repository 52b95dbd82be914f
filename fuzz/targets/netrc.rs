//! `~/.netrc`: an entry applies regardless of what follows it, a login is never used for another
//! host, and no warning shows a password.
#![no_main]

use connect::cli::ProxyArg;
use connect::plan::Login;
use connect::secret::Secret;
use connect_fuzz::{PASSWORD, USER, display, planning};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let entry = format!("machine known.example login {USER} password {PASSWORD}\nmachine other.example\n");
    let login = login(&[entry.as_bytes(), input].concat(), "known.example");
    assert_eq!(login.user, Some(USER.into()));
    assert_eq!(login.password.as_ref().map(Secret::expose), Some(PASSWORD.as_bytes()));

    let login = self::login(input, "nobody.example");
    // Remove backslashes, because words in the file may contain escapes. Skip names that are not
    // ASCII, because their ASCII form may be the host.
    let text = String::from_utf8_lossy(input).to_lowercase().replace('\\', "");
    if text.is_ascii() && !text.contains("default") && !text.contains("nobody.example") {
        assert_eq!(login, Login::default());
    }
});

/// Returns the login that a netrc file gives for a proxy.
fn login(content: &[u8], host: &str) -> Login {
    let proxy = ProxyArg::Http(host.into());
    let file = planning::file(content);
    let netrc = |name: &str| (name == "CONNECT_NETRC").then(|| file.clone().into_os_string());
    let (plan, warnings) = planning::plan(&planning::args(proxy), &netrc, Vec::new());
    display::check_password(&warnings.concat());
    if content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff") {
        let error = plan.expect_err("a file in UTF-16 is an error");
        assert!(error.to_string().contains("UTF-16"), "{error}");
        return Login::default();
    }
    let plan = plan.expect("a netrc file never makes the plan fail");
    display::check_password(&format!("{plan:?}"));
    plan.routes[0].hops[0].protocol.login().expect("HTTP has logins").clone()
}
