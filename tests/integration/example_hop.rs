//! A kind of hop that the program does not have, as an example of how to add one.
//!
//! In the program, the state machine is a file in `src/proto`, the rest is a file in `src/hops`,
//! and `hops::ALL` has a line for it. Nothing else changes: command line, `--check`, `-d`, routes,
//! logins, TLS and time limits work for any kind.

use std::sync::Arc;
use std::time::Duration;

use connect::addr::Endpoint;
use connect::error::Error;
use connect::hops::{HopKind, LoginParameters, Scheme, Settings, UseTls};
use connect::plan::{Hop, HopRequest, Login, Protocol, Resolve, Token};
use connect::proto::{
    self, Awaited, Credentials, HttpSettings, Limit, Negotiation, Socks5Method, Step, Wire,
};
use connect::secret::SharedKey;

use crate::kit::*;
use crate::library::{endpoint, first_bytes, open_tunnel, plan_through};

/// The protocol: `PLEASE host port` and a line break; the proxy answers `YES` and a line break. The
/// kind lists the schemes that select it, and builds hops.
#[derive(Debug)]
struct Polite;

impl HopKind for Polite {
    fn name(&self) -> &'static str {
        "polite"
    }

    fn schemes(&self) -> &'static [Scheme] {
        const PORT: connect::addr::Port = connect::addr::Port::MIN;
        const SCHEMES: [Scheme; 1] = [Scheme {
            name: "polite",
            default_port: PORT,
            tls: UseTls::WithSuffix,
            resolve: Resolve::Remote,
            has_path: false,
        }];
        &SCHEMES
    }

    /// A word in the URL, as in `polite://proxy?word=PRITHEE`.
    fn build(&self, _: &Scheme, settings: &mut dyn Settings) -> Result<Arc<dyn Protocol>, Error> {
        let word = settings.url_option("word").unwrap_or_else(|| "PLEASE".into());
        Ok(Arc::new(Proxy { word }))
    }
}

/// A hop is the settings for one proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Proxy {
    word: String,
}

impl Protocol for Proxy {
    fn name(&self) -> &'static str {
        Polite.name()
    }

    fn relay_method(&self) -> &'static str {
        "POLITE (5)"
    }

    fn bypass_parameters(&self) -> &'static [&'static str] {
        &["CONNECT_DIRECT"]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        vec![("word", self.word.clone())]
    }

    fn negotiation(&self, request: HopRequest<'_>) -> Box<dyn Negotiation> {
        let Endpoint { host, port } = &request.destination;
        let request = format!("{} {host} {port}\n", self.word);
        Box::new(Machine { request, is_sent: false, received: Vec::new() })
    }
}

/// The state machine sees no socket and no clock: the driver asks it for the next step, and passes
/// it the bytes that arrive.
struct Machine {
    request: String,
    is_sent: bool,
    received: Vec<u8>,
}

const ANSWER: &[u8] = b"YES\n";

impl Negotiation for Machine {
    fn restart(&mut self) {
        (self.is_sent, self.received) = (false, Vec::new());
    }

    fn step(&mut self) -> Result<Step, proto::Error> {
        if !std::mem::replace(&mut self.is_sent, true) {
            return Ok(Step::Send(Wire::public(self.request.clone().into_bytes())));
        }
        // Receive no more than the answer: the bytes after it belong to the tunnel.
        match ANSWER.len() - self.received.len() {
            0 => Ok(Step::Done),
            missing => Ok(Step::Receive(Limit::Bytes(missing))),
        }
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<usize, proto::Error> {
        self.received.extend_from_slice(bytes);
        if !ANSWER.starts_with(&self.received) {
            return Err(proto::Error::Closed(self.waiting_for()));
        }
        Ok(bytes.len())
    }

    fn closed(&mut self) -> Result<(), proto::Error> {
        Err(proto::Error::Closed(self.waiting_for()))
    }

    fn credentials(&mut self, _: Credentials) -> Result<(), proto::Error> {
        Ok(())
    }

    fn waiting_for(&self) -> Awaited {
        Awaited::Message("the answer to the polite request")
    }

    fn is_text(&self) -> bool {
        true
    }
}

/// In the program, `config` has these from the URL, the command line and the parameters.
struct FromUrl(Option<&'static str>);

impl Settings for FromUrl {
    fn url_option(&mut self, name: &'static str) -> Option<String> {
        self.0.take().filter(|_| name == "word").map(Into::into)
    }

    fn address(&self) -> Option<Endpoint> {
        None
    }

    fn path(&self) -> &'static str {
        ""
    }

    fn invalid(&self, what: String) -> Error {
        Error::Config(what)
    }

    fn login(&mut self, _: &LoginParameters) -> Result<Login, Error> {
        Ok(Login::default())
    }

    fn resolve(&mut self, _: &'static str, default: Resolve) -> Result<Resolve, Error> {
        Ok(default)
    }

    fn socks5_methods(&mut self) -> Result<Option<Vec<Socks5Method>>, Error> {
        Ok(None)
    }

    fn http(&mut self) -> Result<HttpSettings, Error> {
        Ok(HttpSettings::default())
    }

    fn token(&mut self) -> Result<Option<Token>, Error> {
        Ok(None)
    }

    fn resume(&self) -> Result<Duration, Error> {
        unreachable!()
    }

    fn keep_alive(&self) -> Result<Option<Duration>, Error> {
        Ok(None)
    }

    fn window(&self) -> Result<u32, Error> {
        unreachable!()
    }

    fn key(&mut self) -> Result<Option<SharedKey>, Error> {
        Ok(None)
    }

    fn telnet_command(&self) -> Option<String> {
        None
    }
}

#[test]
fn a_new_kind_of_hop_needs_nothing_but_its_own_file() {
    let proxy = script().expect("PRITHEE host.example 22\n").send("YE").send("S\nbanner").serve();
    let [scheme] = Polite.schemes() else { panic!("one scheme") };
    let protocol = Polite.build(scheme, &mut FromUrl(Some("PRITHEE"))).unwrap();
    assert_eq!(protocol.facts(), [("word", "PRITHEE".to_owned())]);
    let port = proxy.port().to_string();
    let hop = Hop { proxy: endpoint("127.0.0.1", &port), protocol, tls: None };
    let mut tunnel = open_tunnel(&plan_through(vec![hop]));
    assert_eq!(tunnel.peers.remote.protocol, Some("polite"));
    assert_eq!(first_bytes(&mut tunnel), b"banner");
}
