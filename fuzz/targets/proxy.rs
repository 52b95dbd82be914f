//! Where a proxy is and who we are to it, as typed or as a URL, with a password in it that no error may show. The lines
//! of the input: the option, and what stands before the password, behind it, and behind the `@`.
#![no_main]

use connect::cli::{Args, ProxyArg};
use connect::plan::Protocol;
use connect_fuzz::{PASSWORD, shown, sources};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut lines = text.splitn(4, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (option, before, behind, address) = (line(), line(), line(), line());
    // Where a password does not belong it is not known for one.
    if [before, behind, address].iter().any(|part| part.contains(PASSWORD)) {
        return;
    }
    let word = format!("{before}:{PASSWORD}{behind}@{address}");
    let plan_of = |word: String| {
        let proxy = match option {
            "-H" => ProxyArg::Http(word),
            "-T" => ProxyArg::Telnet(word),
            _ => ProxyArg::Socks(word),
        };
        let args = Args { proxy, host: "host.example".into(), port: Some("22".into()), ..Args::default() };
        sources::plan(&args, &|_| None, Vec::new()).0
    };
    let plan = match plan_of(word.clone()) {
        Ok(plan) => plan,
        Err(error) => return shown::check_password(&error.user_message()),
    };
    shown::check_password(&format!("{plan:?}"));
    let Some(hop) = plan.hops().next() else { panic!("no hop for {word}") };
    // Where it is, is read back from how it is shown.
    let again = plan_of(hop.proxy.to_string()).expect("it was one before");
    assert_eq!(again.routes[0].hops[0].proxy, hop.proxy);
    if let Protocol::Socks5 { login, .. } | Protocol::Http { login, .. } = &hop.protocol {
        let password = login.password.as_ref().expect("there is one").expose();
        assert!(String::from_utf8_lossy(password).contains(PASSWORD), "{word}");
        let is_url = word.to_ascii_lowercase().starts_with("http://")
            || word.to_ascii_lowercase().starts_with("socks");
        if !is_url && !word.contains("://") {
            // As it stands: all between the first ':' and the last '@'.
            let (name, _) = word.rsplit_once('@').expect("it has one");
            let (user, typed) = name.split_once(':').expect("it has one");
            assert_eq!((login.user.as_deref(), password), (Some(user), typed.as_bytes()));
        }
    }
});
