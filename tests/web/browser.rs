//! A page in Chromium that opens a WebSocket.

use std::process::Command;

use rustix::process::Signal;

use crate::context::{Case, Context, Topic};
use crate::daemon::{Daemon, free_port};
use crate::devtools::chromium;
use crate::servers::{NGINX, Server};

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("browser");
    topic.ours("a page of another origin is refused", |context| {
        expect_result(context, "", "refused");
    });
    topic.ours("a page of an allowed origin reads sshd's banner", |context| {
        let origin = format!("--allow-origin http://{}", context.address(NGINX));
        expect_result(context, &origin, "opened SSH-2.0-");
    });
    topic.into_cases()
}

/// Starts a WebSocket listener and a browser. Expects the page to report this result.
fn expect_result(context: &Context, options: &str, result: &str) {
    let nginx = context.address(NGINX);
    let log = context.folder.join("listener");
    let target = context.port();
    let listener = Daemon::start("listener", 1, &log, |ports| {
        let mut command = Command::new(&context.peers.connect);
        command.args(options.split_whitespace());
        command.arg("--listen").arg(format!("ws://127.0.0.1:{}/tunnel", ports[0]));
        command.args(["--open", "127.0.0.1", &target.to_string()]);
        command
    })
    .unwrap();
    let url = format!("http://{nginx}/page.html#ws://127.0.0.1:{}/tunnel", listener.ports[0]);
    let chromium = chromium(&context.folder.join("profile"), free_port());
    let mut chromium = chromium.arg(url).start();
    context.expect_log(Server::Nginx, &[&format!("GET /result/{}", result.replace(' ', "%20"))]);
    chromium.signal(Signal::TERM);
    chromium.wait();
}
