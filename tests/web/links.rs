//! Links through a hub: ssh sessions that outlive their connections.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use crate::context::{Case, Context, Topic, expect_same, program};
use crate::cutting_relay::CuttingRelay;
use crate::kit::{MIB, Program};
use crate::routes::part_of_big_file;
use crate::servers::{BIG, Server};
use crate::token_hub::{Hub, Keys, origin};

/// Time limit for a transfer with cuts.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(600);

/// The connection that is cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leg {
    Client,
    Origin,
}

pub(crate) fn cases(full: bool) -> Vec<Case> {
    let mut topic = Topic::new("links");
    let (size, interval) = if full { (256 * MIB, 3000) } else { (BIG, 1000) };
    let what = format!("scp copies {} MiB both ways", size / MIB);
    for (leg, name) in [(Leg::Client, "client"), (Leg::Origin, "origin")] {
        topic.ours(
            format!("{what} while connections of the {name} are cut after {interval} ms"),
            move |context| copies_in_spite_of_cuts(context, leg, size, Duration::from_millis(interval)),
        );
    }
    topic.ours("scp continues when the hub is killed and started again", copies_with_another_hub);
    topic.ours("a token that is renewed in time keeps the session open", renewed_token);
    topic.into_cases()
}

/// Returns the `ProxyCommand` for the session `lab` at a hub.
pub(crate) fn proxy_command(context: &Context, hub: u16) -> String {
    format!("{} -x relay+ws://127.0.0.1:{hub}/lab %h %p", context.peers.connect.display())
}

/// Prepares a run of scp between a local file and one on the target.
fn scp(context: &Context, proxy_command: &str, from: &str, to: &str) -> Program {
    let scp = program("scp", ["-q", "-O"]).limit(TRANSFER_TIMEOUT);
    let scp = context.ssh_options(proxy_command).iter().fold(scp, Program::arg);
    scp.arg(from).arg(to)
}

/// Returns a file of random bytes of this size.
fn file(context: &Context, size: u64) -> PathBuf {
    if size == BIG {
        return context.peers.big_files()[0].clone();
    }
    assert!(size.is_multiple_of(BIG));
    let part = fs::read(part_of_big_file(context, BIG)).unwrap();
    context.file("big", part.repeat(usize::try_from(size / BIG).unwrap()))
}

/// Expects this number of connections to sshd since the case began.
fn expect_connections(context: &Context, count: usize) {
    let end = format!("on 127.0.0.1 port {} ", context.port());
    let news = context.news(Server::Sshd);
    let found =
        news.lines().filter(|line| line.starts_with("Connection from ") && line.contains(&end)).count();
    assert_eq!(found, count, "connections to sshd:\n{news}");
}

fn copies_in_spite_of_cuts(context: &Context, leg: Leg, size: u64, interval: Duration) {
    let hub = Hub::open(context);
    let relay = CuttingRelay::start(hub.port, interval);
    let port = |cut| if leg == cut { relay.port } else { hub.port };
    let _origin = origin(context, port(Leg::Origin), context.port(), "");
    let command = proxy_command(context, port(Leg::Client));
    let original = file(context, size);
    let [there, back] = ["there", "back"].map(|name| context.folder.join(name));
    let target = format!("target:{}", there.display());
    scp(context, &command, &original.display().to_string(), &target).run().expect_success();
    expect_same(&original, &fs::read(&there).unwrap());
    let cuts = relay.cuts();
    assert!(cuts >= 2, "only {cuts} connections were cut");
    scp(context, &command, &target, &back.display().to_string()).run().expect_success();
    expect_same(&original, &fs::read(&back).unwrap());
    assert!(relay.cuts() >= cuts + 2, "only {} connections were cut", relay.cuts());
    expect_connections(context, 2);
}

fn copies_with_another_hub(context: &Context) {
    let mut hub = Hub::open(context);
    // The relay never cuts, but makes the transfer last.
    let relay = CuttingRelay::start(hub.port, TRANSFER_TIMEOUT);
    let _origin = origin(context, hub.port, context.port(), "");
    let (original, there) = (file(context, BIG), context.folder.join("there"));
    let command = proxy_command(context, relay.port);
    let target = format!("target:{}", there.display());
    let mut copy = scp(context, &command, &original.display().to_string(), &target).start();
    for _ in 0..2 {
        sleep(Duration::from_secs(1));
        assert!(copy.is_running(), "the copy ended before the hub");
        hub.restart(context);
    }
    copy.wait().expect_success();
    expect_same(&original, &fs::read(&there).unwrap());
    expect_connections(context, 1);
}

fn renewed_token(context: &Context) {
    let keys = Keys::new(context);
    let hub = keys.hub("");
    let _origin = keys.origin(hub.port, context.port());
    let token = keys.token("client.token", "role=dest,session=lab,ttl=4,sub=jane");
    let command = format!("{} --token-file {}", proxy_command(context, hub.port), token.display());
    let command = command.replace(" %h %p", "");
    let session = program("ssh", context.ssh_options(&command)).arg("target");
    let session = session.arg("echo welcome; sleep 8; echo still here").start();
    session.wait_stdout_has("welcome\n");
    // Replaces the file at once, as `mv` would.
    let next = keys.token("next.token", "role=dest,session=lab,ttl=1h,sub=jane");
    fs::rename(next, token).unwrap();
    session.finish().expect_success().expect_stdout("welcome\nstill here\n");
    assert!(hub.log().contains("token expired at "), "the token did not expire: {}", hub.log());
    expect_connections(context, 1);
}
