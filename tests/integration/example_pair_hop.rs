//! A kind of hop whose tunnel needs a second connection, as an example of how to open it.

use std::any::Any;
use std::io;
use std::sync::Arc;

use connect::hops::http;
use connect::plan::{Dial, Hop, HopRequest, Login, Protocol};
use connect::proto::{self, Awaited, Credentials, Negotiation, Step, Wire};
use connect::stream::{Events, Interest, PollSet, Stream};
use connect::sys::Ready;

use crate::kit::*;
use crate::library::{endpoint, first_bytes, open_tunnel, plan_through};

/// The protocol: the client sends `DOWN` and a line break on a first connection, on which it then
/// receives, and `UP` and a line break on a second one, on which it then sends.
#[derive(Debug, PartialEq, Eq)]
struct Pair;

impl Protocol for Pair {
    fn name(&self) -> &'static str {
        "pair"
    }

    fn relay_method(&self) -> &'static str {
        "PAIR (6)"
    }

    fn bypass_parameters(&self) -> &'static [&'static str] {
        &[]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn negotiation(&self, _: HopRequest<'_>) -> Box<dyn Negotiation> {
        Box::new(Request { is_sent: false })
    }

    fn opens_connections(&self) -> bool {
        true
    }

    fn establish(
        &self,
        negotiation: &mut dyn Negotiation,
        connection: Box<dyn Stream>,
        dial: &dyn Fn() -> Arc<dyn Dial>,
    ) -> Box<dyn Stream> {
        let request = (negotiation as &mut dyn Any).downcast_ref::<Request>().unwrap();
        assert!(request.is_sent);
        let mut up = dial().dial().unwrap();
        assert_eq!(up.write(b"UP\n").unwrap(), 3);
        Box::new(Tunnel { down: connection, up })
    }
}

struct Request {
    is_sent: bool,
}

impl Negotiation for Request {
    fn restart(&mut self) {
        self.is_sent = false;
    }

    fn step(&mut self) -> Result<Step, proto::Error> {
        if std::mem::replace(&mut self.is_sent, true) {
            return Ok(Step::Done);
        }
        Ok(Step::Send(Wire::public(b"DOWN\n".to_vec())))
    }

    fn receive(&mut self, _: &[u8]) -> Result<usize, proto::Error> {
        unreachable!("the state machine requests no bytes")
    }

    fn closed(&mut self) -> Result<(), proto::Error> {
        Err(proto::Error::Closed(self.waiting_for()))
    }

    fn credentials(&mut self, _: Credentials) -> Result<(), proto::Error> {
        Ok(())
    }

    fn waiting_for(&self) -> Awaited {
        Awaited::Message("nothing")
    }
}

/// Receives on one connection and sends on the other.
#[derive(Debug)]
struct Tunnel {
    down: Box<dyn Stream>,
    up: Box<dyn Stream>,
}

impl Stream for Tunnel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.down.read(buffer)
    }

    fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.down.peek(buffer)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.up.write(bytes)
    }

    fn shut_down_writing(&mut self) -> io::Result<()> {
        self.up.shut_down_writing()
    }

    fn reset_on_close(&mut self) {
        self.down.reset_on_close();
        self.up.reset_on_close();
    }

    fn set_reset_on_exit(&mut self, reset: bool) {
        self.down.set_reset_on_exit(reset);
        self.up.set_reset_on_exit(reset);
    }

    fn undelivered(&self) -> usize {
        self.up.undelivered()
    }

    fn register<'a>(&'a self, want: Interest, polls: &mut PollSet<'a>) {
        self.down.register(Interest { write: false, ..want }, polls);
        self.up.register(Interest { write: want.write, ..Interest::default() }, polls);
    }

    fn ready(&self, want: Interest, events: &mut Events) -> Ready {
        let down = self.down.ready(Interest { write: false, ..want }, events);
        let up = self.up.ready(Interest { write: want.write, ..Interest::default() }, events);
        Ready { write: up.write, ..down }
    }
}

/// The second connection goes through the same proxy. It uses the authentication that the proxy has
/// accepted on the first one.
#[test]
fn a_hop_opens_a_second_connection_through_the_hops_before_it() {
    let server =
        Server::each([script().expect("DOWN\n").send("banner"), script().expect("UP\nhello").expect_eof()]);
    let proxy = HttpDigest::new("me", "secret");
    let request = format!("CONNECT {server} ");
    let (script, target) = (proxy.clone(), server.to_string());
    let listener = Server::repeat(move || script.script().relay_to(&target));
    let login = Login { user: Some("me".into()), password: Some("secret".into()), ..Login::default() };
    let http: Arc<dyn Protocol> = Arc::new(http::Proxy { login, ..http::Proxy::default() });
    let hop =
        |port: u16, protocol| Hop { proxy: endpoint("127.0.0.1", &port.to_string()), protocol, tls: None };
    let plan = plan_through(vec![hop(listener.port(), http), hop(server.port(), Arc::new(Pair))]);

    let mut tunnel = open_tunnel(&plan);
    assert_eq!(first_bytes(&mut tunnel), b"banner");
    assert_eq!(tunnel.stream.write(b"hello").unwrap(), 5);
    tunnel.stream.shut_down_writing().unwrap();
    server.finish();
    let heads = proxy.heads();
    assert!(heads.iter().all(|head| head.starts_with(&request)), "{heads:?}");
    let counts: Vec<_> = heads.iter().map(|head| head.split("nc=").nth(1).map(|rest| &rest[..8])).collect();
    assert_eq!(counts, [None, Some("00000001"), Some("00000002")], "one challenge for both connections");
}
