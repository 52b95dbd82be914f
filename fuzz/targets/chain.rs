//! Chains of proxy URLs, one of which contains a password that must not appear in an error or in
//! the plan's `Debug` output. The input's lines are the text before the password, the text after
//! the password, and the text after the `@`.
#![no_main]

use connect::cli::ProxyArg;
use connect_fuzz::{PASSWORD, display, planning};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (before, after, rest) = (line(), line(), line());
    // Skip inputs that repeat the password: the program recognizes it only between `:` and `@`.
    if [before, after, rest].iter().any(|part| part.contains(PASSWORD)) {
        return;
    }
    let urls = format!("{before}:{PASSWORD}{after}@{rest}");
    let proxy = ProxyArg::Proxies(vec![urls.clone()]);
    let plan = match planning::plan(&planning::args(proxy), &|_| None, Vec::new()).0 {
        Ok(plan) => plan,
        Err(error) => return display::check_password(&error.user_message()),
    };
    display::check_password(&format!("{plan:?}"));
    assert_eq!(plan.routes.len(), urls.split('|').count());
    for (route, urls) in plan.routes.iter().zip(urls.split('|')) {
        assert!(
            route.hops.len() <= 16 && (route.hops.is_empty() || route.hops.len() == urls.split(',').count())
        );
    }
});
