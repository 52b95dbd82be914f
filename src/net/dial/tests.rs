#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};

use socket2::SockRef;

use super::*;
use crate::addr::{Endpoint, Host, Port};
use crate::plan::Target;

static RESOLVER: Resolver<'_> = Resolver { server: None, family: None, binding: &Binding::ANY };
static SETTINGS: SocketSettings =
    SocketSettings { keep_alive: Some(SocketSettings::KEEP_ALIVE_TIME), family: None, bind: None };

fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

/// An address that refuses connections, reserved until this is dropped.
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

/// An address where connecting hangs, because the backlog of a listener that never accepts is full.
struct BlackHole {
    listener: Refusing,
    _backlog: Vec<Socket>,
}

impl BlackHole {
    fn new() -> Self {
        let listener = Refusing::new();
        listener.0.listen(0).unwrap();
        let mut backlog = Vec::new();
        for _ in 0..64 {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            if socket.connect_timeout(&listener.address().into(), Duration::from_millis(100)).is_err() {
                return Self { listener, _backlog: backlog };
            }
            backlog.push(socket);
        }
        panic!("the backlog of a listener is unlimited here");
    }

    fn address(&self) -> SocketAddr {
        self.listener.address()
    }
}

fn peer(address: SocketAddr) -> Peer {
    let port = Port::new(address.port()).unwrap();
    Peer::target(&Target::Tcp(Endpoint { host: Host::Ip(address.ip()), port }))
}

/// Races these addresses. Returns the winning socket, if any, the final state, and the elapsed
/// time.
fn race(
    addresses: &[SocketAddr],
    limit: Duration,
) -> (Option<(SocketAddr, Socket)>, Dialling<'static>, Duration) {
    let start = Instant::now();
    let deadline = Deadline::start(Some(limit));
    let peer = peer(addresses[0]);
    let until = Wait::new(&peer, CONNECTION, &deadline);
    let mut dialling = Dialling::new(addresses.to_vec(), &SETTINGS, &Binding::ANY);
    loop {
        let socket = dialling.step(&until).unwrap();
        if socket.is_some() || dialling.has_failed() || deadline.has_passed() {
            return (socket, dialling, start.elapsed());
        }
    }
}

/// Returns the winning address and the time that the race took.
#[track_caller]
fn winner(addresses: &[SocketAddr]) -> (SocketAddr, Duration) {
    let (socket, _, time) = race(addresses, Duration::from_secs(10));
    let socket = socket.expect("every address failed");
    (socket.0, time)
}

#[test]
fn no_other_address_is_tried_once_the_first_has_connected() {
    let (first, second) = (listener(), listener());
    let (first_address, second_address) = (first.local_addr().unwrap(), second.local_addr().unwrap());
    assert_eq!(winner(&[first_address, second_address]).0, first_address);
    second.set_nonblocking(true).unwrap();
    assert_eq!(second.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn the_next_address_is_tried_immediately_after_a_refusal() {
    let (refusing, listener) = ([Refusing::new(), Refusing::new()], listener());
    let address = listener.local_addr().unwrap();
    let (won, time) = winner(&[refusing[0].address(), refusing[1].address(), address]);
    assert_eq!(won, address);
    assert!(time < CONNECTION_ATTEMPT_DELAY, "{time:?}");
}

#[test]
fn an_address_that_hangs_delays_the_next_by_the_connection_attempt_delay() {
    let (hole, listener) = (BlackHole::new(), listener());
    let address = listener.local_addr().unwrap();
    let (won, time) = winner(&[hole.address(), address]);
    assert_eq!(won, address);
    assert!((CONNECTION_ATTEMPT_DELAY..2 * CONNECTION_ATTEMPT_DELAY).contains(&time), "{time:?}");
}

#[test]
fn a_refusal_while_another_address_hangs_starts_the_next_immediately() {
    let (hole, refusing, listener) = (BlackHole::new(), Refusing::new(), listener());
    let address = listener.local_addr().unwrap();
    let (won, time) = winner(&[hole.address(), refusing.address(), address]);
    assert_eq!(won, address);
    assert!((CONNECTION_ATTEMPT_DELAY..2 * CONNECTION_ATTEMPT_DELAY).contains(&time), "{time:?}");
}

#[test]
fn when_all_refuse_the_errors_are_listed_in_the_order_of_the_attempts() {
    let refusing = [Refusing::new(), Refusing::new(), Refusing::new()];
    let addresses = refusing.each_ref().map(Refusing::address);
    let (socket, dialling, _) = race(&addresses, Duration::from_secs(10));
    assert!(socket.is_none());
    let failed: Vec<_> =
        dialling.failed.iter().map(|(address, cause)| (address.clone(), cause.kind())).collect();
    assert_eq!(failed, addresses.map(|address| (address.to_string(), io::ErrorKind::ConnectionRefused)));
}

#[test]
fn dialling_continues_after_a_refusal_while_another_attempt_is_in_progress() {
    let (hole, refusing) = (BlackHole::new(), Refusing::new());
    let limit = Duration::from_millis(600);
    let (socket, dialling, time) = race(&[hole.address(), refusing.address()], limit);
    assert!(socket.is_none() && !dialling.has_failed());
    assert!(time >= limit, "{time:?}");
    assert_eq!(dialling.in_flight(), hole.address().to_string());
}

#[test]
fn a_refusal_is_an_error_that_names_the_address() {
    let refusing = Refusing::new();
    let peer = peer(refusing.address());
    match dial(&peer, RESOLVER, &SETTINGS, &Deadline::start(None), None, &()) {
        Err(Error::Dial { peer: named, attempts, ignored: 0 }) => {
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
    match dial(&peer(hole.address()), RESOLVER, &SETTINGS, &Deadline::start(Some(limit)), None, &()) {
        Err(Error::TimedOut { peer: named, limit: reported, .. }) => {
            assert_eq!(named, peer(hole.address()));
            assert_eq!(reported, limit);
        }
        other => panic!("{other:?}"),
    }
    let time = start.elapsed();
    assert!((limit..limit + Duration::from_millis(300)).contains(&time), "{time:?}");
}

#[test]
fn the_socket_has_no_delay_and_keep_alive_and_is_non_blocking() {
    for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let connection = dial(
            &peer(listener.local_addr().unwrap()),
            RESOLVER,
            &SETTINGS,
            &Deadline::start(None),
            None,
            &(),
        )
        .unwrap();
        let stream = connection.into_stream();
        let channel = stream.as_channel().unwrap();
        assert!(SockRef::from(channel).tcp_nodelay().unwrap());
        assert!(SockRef::from(channel).keepalive().unwrap());
        let nothing_there = channel.peek(&mut [0]).unwrap_err();
        assert_eq!(nothing_there.kind(), io::ErrorKind::WouldBlock);
    }
}

/// A machine that vanished used to be noticed after two hours. On Windows, the times cannot be read
/// back.
#[cfg(unix)]
#[test]
fn keep_alive_had_the_times_of_the_system() {
    let listener = listener();
    for (keep_alive, expected) in [
        (Some(SocketSettings::KEEP_ALIVE_TIME), Some((60, 15, 5))),
        (Some(Duration::from_secs(10)), Some((10, 2, 5))),
        (Some(Duration::from_secs(1)), Some((1, 1, 5))),
        (None, None),
    ] {
        let socket = start(
            listener.local_addr().unwrap(),
            &SocketSettings { keep_alive, ..SETTINGS.clone() },
            &Binding::ANY,
        )
        .unwrap();
        assert_eq!(socket.keepalive().unwrap(), expected.is_some());
        if let Some((time, interval, probes)) = expected {
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(time));
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(interval));
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), probes);
        }
    }
}

/// Returns a `Dialling` with one attempt per address, each of which has already connected.
fn all_connected(addresses: &[SocketAddr]) -> Dialling<'static> {
    let mut dialling = Dialling::new([], &SETTINGS, &Binding::ANY);
    for &address in addresses {
        let socket = start(address, &SETTINGS, &Binding::ANY).unwrap();
        let connected = sys::poll(&mut [sys::watch(&socket, false, true)], Some(Duration::from_secs(10)));
        assert!(connected.unwrap());
        dialling.started.push((address, socket));
    }
    dialling
}

#[test]
fn of_two_sockets_that_connect_in_one_wake_up_the_preferred_address_wins() {
    let listeners = [listener(), listener(), listener()];
    let addresses = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
    let peer = peer(addresses[0]);
    let until = Wait::new(&peer, CONNECTION, &Deadline::start(Some(Duration::from_secs(10))));
    let mut dialling = all_connected(&addresses);
    assert_eq!(dialling.step(&until).unwrap().unwrap().0, addresses[0]);
    assert_eq!(dialling.in_flight(), format!("{}, {}", addresses[1], addresses[2]));
}

#[test]
fn attempts_that_lose_are_closed() {
    use std::io::Read;
    let (first, second) = (listener(), listener());
    let addresses = [&first, &second].map(|listener| listener.local_addr().unwrap());
    let peer = peer(addresses[0]);
    let until = Wait::new(&peer, CONNECTION, &Deadline::start(Some(Duration::from_secs(10))));
    let mut dialling = all_connected(&addresses);
    let _winner = dialling.step(&until).unwrap().unwrap();
    drop(dialling);
    let (mut accepted, _) = second.accept().unwrap();
    accepted.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert!(matches!(accepted.read(&mut [0]), Ok(0)), "the attempt that lost is still open");
}
