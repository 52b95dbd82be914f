//! The limits of a hub, which protect it from its clients.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use rustix::net::{AddressFamily, SocketType, bind, connect as connect_socket, socket};

use super::tokens::{Files, bearer};
use super::*;

/// Returns the number of refusals for each reason.
fn refusals(hub: SocketAddr) -> BTreeMap<String, u64> {
    let statistics: serde_json::Value = serde_json::from_str(&page(hub, "/v1/stats").1).unwrap();
    let refused = statistics["refused"].as_object().unwrap();
    refused.iter().map(|(label, count)| (label.clone(), count.as_u64().unwrap())).collect()
}

/// Connects from this address of the loopback interface.
fn connect_from(from: Ipv4Addr, hub: SocketAddr) -> TcpStream {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::from((from, 0))).unwrap();
    connect_socket(&socket, &hub).unwrap();
    socket.into()
}

/// Sends the head of a client's request, and returns the connection without reading the answer.
fn ask_only(hub: SocketAddr, session: &str, fields: &str) -> TcpStream {
    let mut client = connect_to(hub);
    client.write_all(request(&format!("/v1/{session}/dest"), fields).as_bytes()).unwrap();
    client
}

#[test]
fn a_session_has_at_most_64_waiting_clients() {
    let hub = hub("--open");
    let mut control = register(hub.address(), "lab", "");
    let waiting: Vec<_> = (0..64)
        .map(|_| {
            let client = ask_only(hub.address(), "lab", "");
            offer(&mut control);
            client
        })
        .collect();
    let refusal = (429, "too many waiting clients of 'lab'\n".to_owned());
    assert_eq!(refused(hub.address(), "/v1/lab/dest", ""), refusal);
    // Other sessions have limits of their own, and a client that leaves makes room.
    let mut other = register(hub.address(), "other", "");
    drop(pair(hub.address(), "other", &mut other));
    drop(waiting);
    for _ in 0..64 {
        assert!(text(&mut control).contains(r#""t":"withdrawn""#));
    }
    drop(pair(hub.address(), "lab", &mut control));
    close(hub, [control, other]);
}

#[test]
fn a_token_limits_its_connections() {
    let files = Files::new();
    let hub = files.hub();
    let origin = files.token("role=origin,session=lab,ttl=60");
    let mut control = register(hub.address(), "lab", &bearer(&origin));
    let fields = bearer(&files.token("role=dest,session=lab,ttl=60,max=2"));
    let first = ask_only(hub.address(), "lab", &fields);
    let second = ask_only(hub.address(), "lab", &fields);
    for _ in 0..2 {
        offer(&mut control);
    }
    let (status, text) = refused(hub.address(), "/v1/lab/dest", &fields);
    assert!(status == 429 && text.contains('2'), "{status} {text}");
    drop(first);
    eventually("room for another connection", || {
        // The hub answers nothing to a client that waits.
        let mut client = ask_only(hub.address(), "lab", &fields);
        client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        client.read(&mut [0]).is_err()
    });
    drop(second);
    close(hub, [control]);
}

#[test]
fn failing_tokens_are_answered_with_429_when_there_are_many() {
    let files = Files::new();
    let hub = files.hub();
    let fields = bearer("not.a.token");
    // The first 100 of each second get 401. A slow machine may need several bursts.
    eventually("429 for a token that would get 401", || {
        let clients: Vec<_> = (0..200).map(|_| ask_only(hub.address(), "lab", &fields)).collect();
        let statuses = clients.into_iter().map(|mut client| read_head(&mut client)[9..12].to_owned());
        let statuses: Vec<_> = statuses.collect();
        assert!(statuses.iter().all(|status| status == "401" || status == "429"), "{statuses:?}");
        statuses.iter().filter(|status| *status == "401").count() >= 100 && statuses.contains(&"429".into())
    });
    hub.close();
}

#[test]
fn ten_refusals_per_second_are_logged() {
    const COUNT: usize = 300;
    let hub = hub("--open");
    let started = Instant::now();
    for _ in 0..COUNT {
        let mut client = connect_to(hub.address());
        client.write_all(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert!(read_head(&mut client).starts_with("HTTP/1.1 404 "));
    }
    let seconds = usize::try_from(started.elapsed().as_secs()).unwrap() + 1;
    // Debug lines show the others.
    hub.wait_for_lines(": 404 absent: unknown path", COUNT);
    let lines = hub.close().into_iter().filter(|line| line.contains("404 absent")).count();
    assert!((10..=10 * (seconds + 1)).contains(&lines), "{lines} lines in {seconds} s");
}

#[test]
fn incomplete_requests_do_not_stop_the_hub() {
    let hub = hub("--open");
    // 300 slow heads, half of them garbage, of which the hub keeps 256.
    let slow: Vec<_> = (0..300_usize)
        .map(|index| {
            let mut client = connect_from(Ipv4Addr::new(127, 0, 0, 2), hub.address());
            let garbage = bytes(index as u64, index % 50);
            let _ =
                client.write_all(if index % 2 == 0 { b"GET /v1/lab/dest HTTP/1.1\r\n" } else { &garbage });
            client
        })
        .collect();
    assert_eq!(page(hub.address(), "/v1/health"), (200, "ok\n".into()));
    hub.wait_for_line("closing the oldest connection without a request");
    drop(slow);
    // Connections that send nothing, from several addresses.
    let idle: Vec<_> = (0..1_300)
        .map(|index| {
            connect_from(Ipv4Addr::new(127, 0, 1, u8::try_from(index / 200).unwrap()), hub.address())
        })
        .collect();
    assert_eq!(page(hub.address(), "/v1/health"), (200, "ok\n".into()));
    let evicted = refusals(hub.address())["limit"];
    assert!(evicted >= 1_300 - 1_024, "{evicted}");
    // The newest are still open, and the oldest were closed.
    let is_open = |mut client: &TcpStream| {
        client.set_nonblocking(true).unwrap();
        client.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    };
    eventually("the end of the oldest", || !is_open(&idle[0]));
    assert!(is_open(&idle[1_299]));
    assert_eq!(page(hub.address(), "/v1/health"), (200, "ok\n".into()));
    drop(idle);
    hub.close();
}

#[test]
fn the_descriptor_limit_is_raised() {
    let hub = Listening::start(with_ulimit("-Sn 64", "-d --relay ws://127.0.0.1:0 --open"));
    hub.wait_for_line("limit of open files: ");
    let clients: Vec<_> = (0..200).map(|_| ask_only(hub.address(), "lab", "")).collect();
    let (_, refusal) = refused(hub.address(), "/v1/lab/dest", "");
    assert_eq!(refusal, "too many waiting clients of 'lab'\n");
    drop(clients);
    hub.close();
}
