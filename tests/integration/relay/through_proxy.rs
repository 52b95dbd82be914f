//! Relay rules that must also hold through a proxy.

use super::connect;
use crate::kit::*;

#[test]
fn large_transfers_through_a_proxy_arrive_unchanged() {
    const SIZE: u64 = 10 * MIB;
    let target = script().exchange(1, SIZE).serve();
    let proxy = socks5_none().relay().serve();
    let (output, end) = pipe();
    let mut run = connect(format!("-S {proxy} {}", target.args())).stdout(end).start();
    run.feed(data(2, SIZE));
    assert_eq!(Digest::from_reader(output), Digest::from_reader(data(1, SIZE)));
    run.wait().expect_success();
    proxy.finish();
    assert_eq!(target.finish_one().digest, Some(Digest::from_reader(data(2, SIZE))));
}

#[test]
fn local_eof_is_passed_on_through_a_proxy() {
    let target = script().expect("request").expect_eof().send_data(1, MIB).serve();
    let proxy = socks5_none().relay().serve();
    let out = connect(format!("-S {proxy} {}", target.args())).input("request").run();
    out.expect_success().expect_stdout(bytes(1, 1 << 20));
    proxy.finish();
    target.finish();
}

#[test]
fn a_reset_by_a_proxy_is_reported() {
    let read = Gate::new();
    let proxy = socks5_none().send("banner").wait_for(&read).reset().serve();
    let mut run = connect(format!("-S {proxy} example.org 22")).start();
    run.wait_stdout_has("banner");
    read.open();
    run.wait().expect_failure(8, &["reset"]).expect_stdout("banner");
    proxy.finish();
}
