//! `~/.netrc`: an entry counts whatever follows it, nobody gets what is another's, and what is wrong is told without a
//! password.
#![no_main]

use connect::cli::{Args, ProxyArg};
use connect::plan::{Login, Protocol};
use connect::secret::Secret;
use connect_fuzz::{PASSWORD, USER, shown, sources};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let entry = format!("machine known.example login {USER} password {PASSWORD}\nmachine other.example\n");
    let login = login(&[entry.as_bytes(), input].concat(), "known.example");
    assert_eq!(login.user.as_deref(), Some(USER));
    assert_eq!(login.password.as_ref().map(Secret::expose), Some(PASSWORD.as_bytes()));

    let login = self::login(input, "nobody.example");
    // Backslashes may stand within a word.
    let text = String::from_utf8_lossy(input).to_lowercase().replace('\\', "");
    if !text.contains("default") && !text.contains("nobody.example") {
        assert_eq!(login, Login::default());
    }
});

/// What a netrc file says of a proxy.
fn login(content: &[u8], host: &str) -> Login {
    let proxy = ProxyArg::Http(host.into());
    let args = Args { proxy, host: "host.example".into(), port: Some("22".into()), ..Args::default() };
    let file = sources::file(content);
    let netrc = |name: &str| (name == "CONNECT_NETRC").then(|| file.clone().into_os_string());
    let (plan, told) = sources::plan(&args, &netrc, Vec::new());
    shown::check_password(&told.concat());
    let plan = plan.expect("a file is no reason to give up");
    shown::check_password(&format!("{plan:?}"));
    match &plan.routes[0].hops[0].protocol {
        Protocol::Http { login, .. } => login.clone(),
        other => panic!("another protocol: {other:?}"),
    }
}
