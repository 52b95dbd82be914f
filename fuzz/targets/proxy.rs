//! Proxy arguments, with a password that no error may show. The input's lines are the option, the
//! text before the password, the text after the password, and the text after the `@`.
#![no_main]

use connect::cli::ProxyArg;
use connect::plan::Target;
use connect::secret::UserName;
use connect_fuzz::{PASSWORD, display, planning};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut lines = text.splitn(4, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (option, before, after, address) = (line(), line(), line(), line());
    // Skip inputs that repeat the password: the program recognizes it only between `:` and `@`.
    if [before, after, address].iter().any(|part| part.contains(PASSWORD)) {
        return;
    }
    let value = format!("{before}:{PASSWORD}{after}@{address}");
    let make_plan = |value: String| {
        let proxy = match option {
            "-H" => ProxyArg::Http(value),
            "-T" => ProxyArg::Telnet(value),
            _ => ProxyArg::Socks(value),
        };
        planning::plan(&planning::args(proxy), &|_| None, Vec::new())
    };
    let plan = match make_plan(value.clone()).0 {
        Ok(plan) => plan,
        Err(error) => return display::check_password(&error.user_message()),
    };
    display::check_password(&format!("{plan:?}"));
    let Some(hop) = plan.hops().next() else { panic!("no hop for {value}") };
    // A displayed address parses back to the same address. The path of a socket may need encoding.
    if let Target::Tcp(proxy) = &hop.proxy {
        let again = make_plan(proxy.to_string()).0.expect("a displayed address is valid");
        assert_eq!(again.routes[0].hops[0].proxy, hop.proxy);
    }
    if let Some(login) = hop.protocol.login() {
        let given_user = login.user.as_ref().map(UserName::as_bytes);
        let password = login.password.as_ref().expect("the password is in the argument").expose();
        assert!(String::from_utf8_lossy(password).contains(PASSWORD), "{value}");
        let is_url = value.to_ascii_lowercase().starts_with("http://")
            || value.to_ascii_lowercase().starts_with("socks");
        if !is_url && !value.contains("://") {
            // Without a scheme, nothing is percent-decoded: the password is everything between the
            // first ':' and the last '@'. Blanks and line endings around the value are ignored.
            let trimmed = value.trim_matches([' ', '\t', '\r', '\n', '\x0c']);
            let (login, _) = trimmed.rsplit_once('@').expect("it contains one");
            let (user, expected) = login.split_once(':').expect("it contains one");
            assert_eq!((given_user, password), (Some(user.as_bytes()), expected.as_bytes()));
        }
    }
});
