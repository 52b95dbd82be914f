//! Links between `connect` and an origin.

use super::*;

mod balancer;
mod breaks;
mod keys;
mod shared;

fn dest(hub: SocketAddr, args: &str) -> Program {
    connect(format!("-x relay+ws://{hub}/lab {args}"))
}

#[test]
fn data_and_eof_pass_in_both_directions() {
    let hub = hub("--open");
    let target = script().send("banner").expect("request").expect_eof().send("reply").serve();
    let run = origin(hub.address(), "lab", &target.args());
    let mut client = dest(hub.address(), "").start();
    client.send("request");
    client.close_stdin();
    client.wait().expect_code(0).expect_stdout("bannerreply");
    target.finish();
    stop(run);
    hub.close();
}

#[test]
fn a_target_that_is_reset_ends_the_client_with_an_error() {
    let hub = hub("--open");
    let target = script().send("data").expect("go").reset().serve();
    let run = origin(hub.address(), "lab", &target.args());
    let mut client = dest(hub.address(), "").start();
    client.wait_stdout_has("data");
    client.send("go");
    client.wait().expect_failure(8, &["the target of 'lab' cut the connection off"]);
    target.finish();
    stop(run);
    hub.close();
}

#[test]
fn the_target_of_a_killed_client_is_reset_after_the_time_for_resumption() {
    let hub = hub("--open");
    let target = script().expect("data").expect_reset().serve();
    let run = origin(hub.address(), "lab", &format!("--resume 1 {}", target.args()));
    let mut client = dest(hub.address(), "").start();
    client.send("data");
    eventually("a pair", || page(hub.address(), "/v1/stats").1.contains(r#""pairs":1"#));
    std::thread::sleep(Duration::from_millis(200));
    client.signal(Signal::KILL);
    target.finish();
    stop(run);
    hub.close();
}

#[test]
fn a_client_is_told_why_the_link_is_refused() {
    let nobody = RefusingPort::new();
    let hub = hub("--open");
    let at = hub.address().to_string();
    dest(hub.address(), "")
        .input("")
        .run()
        .expect_failure(4, &[&format!("no origin offers 'lab' at {at}"), "start connect --origin"]);
    let run = origin(hub.address(), "lab", &format!("127.0.0.1 {}", nobody.port()));
    let why = format!("the origin of 'lab' cannot reach 127.0.0.1:{}: connection refused", nobody.port());
    dest(hub.address(), "").input("").run().expect_failure(4, &[&why]);
    stop(run);
    let target = Server::repeat(|| script().send("banner").expect_disconnect());
    let run = origin(hub.address(), "lab", &format!("--max-at-once 1 {}", target.args()));
    let mut first = dest(hub.address(), "").start();
    first.wait_stdout_has("banner");
    let why = "refused session 'lab': limit of 1 connection at a time";
    dest(hub.address(), "").input("").run().expect_failure(5, &[&at, why]);
    first.close_stdin();
    first.wait().expect_code(0);
    run.wait_for_line("the link has ended");
    eventually("the end of the link", || run.count_lines("client 127.0.0.1: the link has ended") > 0);
    dest(hub.address(), "").input("").run().expect_code(0).expect_stdout("banner");
    stop(run);
    drop(target);
    hub.close();
}

#[test]
fn a_server_that_is_no_hub_is_an_error() {
    // The client may be gone before the target could send anything.
    let target = script().drain().serve();
    let server = listening(format!("--listen ws://127.0.0.1:0/v1/lab/dest --open {}", target.args()));
    dest(server.address(), "").input("").run().expect_failure(5, &["Sec-WebSocket-Protocol"]);
    server.close();
    drop(target);
}
