//! Options for the TCP sockets of a run.

use std::net::SocketAddr;

use crate::kit::*;
use crate::listening::*;

/// Returns the time until TCP probes the peer of the connection from `local` to `remote`, in
/// seconds. `None` if the socket has no keep-alive timer.
fn keep_alive_timer(local: SocketAddr, remote: SocketAddr) -> Option<u64> {
    /// `TIMER_KEEPALIVE` in the kernel's `inet_diag.h`, or none, as shown in /proc/net/tcp.
    const KEEP_ALIVE: u64 = 2;
    const NONE: u64 = 0;
    // `USER_HZ`, which is 100 on all common platforms.
    const TICKS: u64 = 100;
    let hexadecimal = |address: SocketAddr| {
        let SocketAddr::V4(address) = address else { panic!("{address} is not IPv4") };
        format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
    };
    let (local, remote) = (hexadecimal(local), hexadecimal(remote));
    let mut found = None;
    // Another timer may be active until the peer has acknowledged all data.
    eventually("a socket without unacknowledged data", || {
        let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let mut rows = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let Some(row) = rows.find(|row| row[1] == local && row[2] == remote) else { return false };
        let (timer, ticks) = row[5].split_once(':').unwrap();
        let [timer, ticks] = [timer, ticks].map(|number| u64::from_str_radix(number, 16).unwrap());
        found = (timer == KEEP_ALIVE).then(|| ticks.div_ceil(TICKS));
        [KEEP_ALIVE, NONE].contains(&timer)
    });
    found
}

/// Expects the keep-alive timers of both connections of a run with `-p`.
#[track_caller]
fn expect_timers(options: &str, is_expected: impl Fn(Option<u64>) -> bool) {
    let target = script()
        .then("send the address of the client", |session| {
            let client = session.stream().peer_addr().unwrap();
            session.send(format!("{client}\n").as_bytes())
        })
        .echo()
        .serve();
    let run = listening(format!("{options} -p 127.0.0.1:0 {}", target.args()));
    let client = run.client();
    let mut ours = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(&client), &mut ours).unwrap();
    let dialled = keep_alive_timer(ours.trim().parse().unwrap(), target.to_string().parse().unwrap());
    let accepted = keep_alive_timer(run.address(), client.local_addr().unwrap());
    for timer in [dialled, accepted] {
        assert!(is_expected(timer), "{options}: {dialled:?} {accepted:?}");
    }
}

#[test]
fn keep_alive_probes_a_silent_peer_after_the_given_time() {
    expect_timers("", |timer| timer.is_some_and(|seconds| seconds <= 60));
    expect_timers("--tcp-keepalive 5000", |timer| {
        timer.is_some_and(|seconds| (4000..=5000).contains(&seconds))
    });
    expect_timers("--tcp-keepalive 0", |timer| timer.is_none());
}
