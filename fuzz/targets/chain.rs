//! Proxies by their URLs, with a password in one of them that no error may show. The lines of the input: what stands
//! before the password, behind it, and behind the `@`.
#![no_main]

use connect::cli::{Args, ProxyArg};
use connect_fuzz::{PASSWORD, shown, sources};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (before, behind, rest) = (line(), line(), line());
    // Where a password does not belong it is not known for one.
    if [before, behind, rest].iter().any(|part| part.contains(PASSWORD)) {
        return;
    }
    let words = format!("{before}:{PASSWORD}{behind}@{rest}");
    let proxy = ProxyArg::Proxies(vec![words.clone()]);
    let args = Args { proxy, host: "host.example".into(), port: Some("22".into()), ..Args::default() };
    let plan = match sources::plan(&args, &|_| None, Vec::new()).0 {
        Ok(plan) => plan,
        Err(error) => return shown::check_password(&error.user_message()),
    };
    shown::check_password(&format!("{plan:?}"));
    assert_eq!(plan.routes.len(), words.split('|').count());
    for (route, words) in plan.routes.iter().zip(words.split('|')) {
        assert!(
            route.hops.len() <= 16 && (route.hops.is_empty() || route.hops.len() == words.split(',').count())
        );
    }
});
