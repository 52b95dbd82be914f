#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};

use socket2::SockRef;

use super::*;
use crate::addr::{Endpoint, Host, Port};
use crate::plan::Target;

fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

/// An address that refuses, reserved as long as this lives.
struct Refusing(Socket);

impl Refusing {
    fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        Self(socket)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap().as_socket().unwrap()
    }
}

/// An address where connecting hangs: the queue of a listener that accepts nobody is full.
struct BlackHole {
    listener: Refusing,
    _queue: Vec<Socket>,
}

impl BlackHole {
    fn new() -> Self {
        let listener = Refusing::new();
        listener.0.listen(0).unwrap();
        let mut queue = Vec::new();
        for _ in 0..64 {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            if socket.connect_timeout(&listener.address().into(), Duration::from_millis(100)).is_err() {
                return Self { listener, _queue: queue };
            }
            queue.push(socket);
        }
        panic!("the queue of a listener has no end here");
    }

    fn address(&self) -> SocketAddr {
        self.listener.address()
    }
}

fn peer(address: SocketAddr) -> Peer {
    let port = Port::new(address.port()).unwrap();
    Peer::target(&Target::Tcp(Endpoint { host: Host::Ip(address.ip()), port }))
}

/// Races these addresses; the socket that won, if one did, how the race stood, and how long it took.
fn race(addresses: &[SocketAddr], limit: Duration) -> (Option<(SocketAddr, Socket)>, Dialling, Duration) {
    let start = Instant::now();
    let deadline = Deadline::start(Some(limit));
    let peer = peer(addresses[0]);
    let until = Wait::new(&peer, "the connection", &deadline);
    let mut dialling = Dialling { waiting: addresses.iter().copied().collect(), ..Dialling::default() };
    loop {
        let socket = dialling.round(&until).unwrap();
        if socket.is_some() || dialling.has_failed() || deadline.has_passed() {
            return (socket, dialling, start.elapsed());
        }
    }
}

/// The address that won, and after how long.
#[track_caller]
fn winner(addresses: &[SocketAddr]) -> (SocketAddr, Duration) {
    let (socket, _, time) = race(addresses, Duration::from_secs(10));
    let socket = socket.expect("no address was reached");
    (socket.0, time)
}

#[test]
fn the_families_take_turns_the_first_address_s_first() {
    let v4 = |n: u8| SocketAddr::from((Ipv4Addr::new(192, 0, 2, n), 22));
    let v6 = |n: u16| SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n), 22));
    for (addresses, expected) in [
        (vec![], vec![]),
        (vec![v4(1)], vec![v4(1)]),
        (vec![v6(1), v6(2), v4(1), v4(2)], vec![v6(1), v4(1), v6(2), v4(2)]),
        (vec![v4(1), v4(2), v6(1), v6(2)], vec![v4(1), v6(1), v4(2), v6(2)]),
        (vec![v6(1), v6(2), v6(3), v4(1)], vec![v6(1), v4(1), v6(2), v6(3)]),
        (vec![v6(1), v4(1), v4(2), v4(3)], vec![v6(1), v4(1), v4(2), v4(3)]),
        (vec![v4(1), v4(2), v4(3)], vec![v4(1), v4(2), v4(3)]),
        (vec![v4(1), v6(1), v4(2), v6(2)], vec![v4(1), v6(1), v4(2), v6(2)]),
    ] {
        assert_eq!(interleave(addresses.clone()), expected, "{addresses:?}");
    }
}

#[test]
fn the_first_address_that_answers_wins_and_no_other_is_tried() {
    let (first, second) = (listener(), listener());
    let (first_address, second_address) = (first.local_addr().unwrap(), second.local_addr().unwrap());
    assert_eq!(winner(&[first_address, second_address]).0, first_address);
    second.set_nonblocking(true).unwrap();
    assert_eq!(second.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn after_a_refusal_the_next_address_is_tried_at_once() {
    let (refusing, listener) = ([Refusing::new(), Refusing::new()], listener());
    let address = listener.local_addr().unwrap();
    let (won, time) = winner(&[refusing[0].address(), refusing[1].address(), address]);
    assert_eq!(won, address);
    assert!(time < CONNECTION_ATTEMPT_DELAY, "{time:?}");
}

#[test]
fn an_address_that_hangs_delays_the_next_one_by_the_stagger_and_no_more() {
    let (hole, listener) = (BlackHole::new(), listener());
    let address = listener.local_addr().unwrap();
    let (won, time) = winner(&[hole.address(), address]);
    assert_eq!(won, address);
    assert!((CONNECTION_ATTEMPT_DELAY..2 * CONNECTION_ATTEMPT_DELAY).contains(&time), "{time:?}");
}

#[test]
fn a_refusal_while_another_address_hangs_starts_the_next_one_at_once() {
    let (hole, refusing, listener) = (BlackHole::new(), Refusing::new(), listener());
    let address = listener.local_addr().unwrap();
    let (won, time) = winner(&[hole.address(), refusing.address(), address]);
    assert_eq!(won, address);
    assert!((CONNECTION_ATTEMPT_DELAY..2 * CONNECTION_ATTEMPT_DELAY).contains(&time), "{time:?}");
}

#[test]
fn when_all_refuse_each_is_named_in_the_order_of_trying() {
    let refusing = [Refusing::new(), Refusing::new(), Refusing::new()];
    let addresses = refusing.each_ref().map(Refusing::address);
    let (socket, dialling, _) = race(&addresses, Duration::from_secs(10));
    assert!(socket.is_none());
    let failed: Vec<_> =
        dialling.failed.iter().map(|(address, cause)| (address.clone(), cause.kind())).collect();
    assert_eq!(failed, addresses.map(|address| (address.to_string(), io::ErrorKind::ConnectionRefused)));
}

#[test]
fn a_refusal_waits_for_an_attempt_that_is_under_way() {
    let (hole, refusing) = (BlackHole::new(), Refusing::new());
    let limit = Duration::from_millis(600);
    let (socket, dialling, time) = race(&[hole.address(), refusing.address()], limit);
    assert!(socket.is_none() && !dialling.has_failed());
    assert!(time >= limit, "{time:?}");
    assert_eq!(dialling.in_flight(), hole.address().to_string());
}

#[test]
fn a_peer_that_refuses_is_an_error_with_its_address() {
    let refusing = Refusing::new();
    let peer = peer(refusing.address());
    match dial(&peer, None, &Deadline::start(None), &()) {
        Err(Error::Dial { peer: named, attempts }) => {
            assert_eq!(named, peer);
            assert_eq!(attempts.len(), 1);
            assert_eq!(attempts[0].0, refusing.address().to_string());
            assert_eq!(attempts[0].1.kind(), io::ErrorKind::ConnectionRefused);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_deadline_ends_an_attempt_that_hangs() {
    let hole = BlackHole::new();
    let (start, limit) = (Instant::now(), Duration::from_millis(300));
    match dial(&peer(hole.address()), None, &Deadline::start(Some(limit)), &()) {
        Err(Error::TimedOut { peer: named, limit: told, .. }) => {
            assert_eq!(named, peer(hole.address()));
            assert_eq!(told, limit);
        }
        other => panic!("{other:?}"),
    }
    let time = start.elapsed();
    assert!((limit..limit + Duration::from_millis(300)).contains(&time), "{time:?}");
}

#[test]
fn the_socket_sends_at_once_keeps_alive_and_does_not_block() {
    for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let connection =
            dial(&peer(listener.local_addr().unwrap()), None, &Deadline::start(None), &()).unwrap();
        let channel = connection.into_channel();
        assert!(SockRef::from(&channel).tcp_nodelay().unwrap());
        assert!(SockRef::from(&channel).keepalive().unwrap());
        let nothing_there = channel.peek(&mut [0]).unwrap_err();
        assert_eq!(nothing_there.kind(), io::ErrorKind::WouldBlock);
    }
}

#[test]
fn attempts_that_lose_are_closed() {
    use std::io::Read;
    let (first, second) = (listener(), listener());
    let peer = peer(first.local_addr().unwrap());
    let until = Wait::new(&peer, "the connection", &Deadline::start(Some(Duration::from_secs(10))));
    let mut dialling = Dialling::default();
    for listener in [&first, &second] {
        let address = listener.local_addr().unwrap();
        dialling.started.push((address, start(address).unwrap()));
    }
    let mut won = None;
    while won.is_none() {
        won = dialling.round(&until).unwrap();
    }
    drop(dialling);
    let address = won.as_ref().unwrap().0;
    let loser = if first.local_addr().unwrap() == address { &second } else { &first };
    let (mut accepted, _) = loser.accept().unwrap();
    accepted.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    // Its end comes at once, or a reset.
    assert!(matches!(accepted.read(&mut [0]), Ok(0)), "the attempt that lost is still open");
}
