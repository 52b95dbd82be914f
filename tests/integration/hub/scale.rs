//! Many connections and slow peers at a hub.

use super::*;

/// Returns the resident memory of a process, in KiB.
#[cfg(target_os = "linux")]
fn memory(run: &Listening) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", run.run.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn idle_pairs_cost_at_most_4_kib_each() {
    const PAIRS: usize = 2000;
    connect::sys::raise_descriptor_limit();
    let hub = hub("--open");
    let address = hub.address();
    let mut pairs = Vec::new();
    let mut controls: Vec<_> = (0..2).map(|index| register(address, &format!("lab{index}"), "")).collect();
    // The first pairs also pay for what the hub allocates once.
    let mut make = |pairs: &mut Vec<_>, count: usize| {
        for index in 0..count {
            pairs.push(pair(address, &format!("lab{}", index % 2), &mut controls[index % 2]));
        }
    };
    make(&mut pairs, 20);
    let before = memory(&hub);
    make(&mut pairs, PAIRS - 20);
    let used = usize::try_from(memory(&hub) - before).unwrap();
    assert!(used <= 4 * (PAIRS - 20), "{used} KiB for {PAIRS} pairs");
    for (client, data) in pairs.iter_mut().step_by(199) {
        client.send(Message::binary(b"moves".to_vec())).unwrap();
        assert_eq!(message(data).into_data(), b"moves"[..]);
    }
    let (_, statistics) = page(address, "/v1/stats");
    assert!(statistics.contains(&format!(r#""pairs":{PAIRS}"#)), "{statistics}");
    drop(pairs);
    eventually("the end of the pairs", || page(address, "/v1/stats").1.contains(r#""pairs":0"#));
    eventually("closed descriptors", || hub.count_descriptors_and_threads().0 < 100);
    drop(controls);
    hub.close();
}

#[test]
#[cfg(target_os = "linux")]
fn a_client_that_does_not_read_stops_no_other_and_costs_little_memory() {
    let hub = hub("--open");
    let target = Server::repeat(|| script().fill());
    let slow_origin = origin(hub.address(), "slow", &target.args());
    let slow = open(hub.address(), "/v1/slow/dest", "");
    let stats = || page(hub.address(), "/v1/stats").1;
    let mut last = String::new();
    eventually("a full connection", || {
        std::thread::sleep(Duration::from_millis(200));
        let now = stats();
        std::mem::replace(&mut last, now.clone()) == now && !now.contains(r#""origin_to_dest":0"#)
    });
    let (up, down) = (bytes(1, 3_000_000), bytes(2, 4_000_000));
    let other = script().expect(&up).expect_eof().send(&down).serve();
    let fast_origin = origin(hub.address(), "fast", &other.args());
    let url = format!("ws://{}/v1/fast/dest", hub.address());
    connect(format!("-x {url}")).input(up).run().expect_success().expect_stdout(down);
    assert!(memory(&hub) < 40 * 1024, "{} KiB", memory(&hub));
    drop(slow);
    stop(slow_origin);
    stop(fast_origin);
    hub.close();
}
