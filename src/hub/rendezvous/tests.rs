#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

fn now() -> Duration {
    Duration::from_secs(1000)
}

/// A hub with a source of offers.
#[derive(Default)]
struct Hub {
    rendezvous: Rendezvous,
    offers: u8,
}

fn offer(number: u8) -> Id {
    Id([number; 16])
}

fn client(session: &str) -> Client {
    let from = "192.0.2.1".parse().unwrap();
    Client { session: session.into(), from, subject: "carol".into(), mode: Mode::Raw, resume: None }
}

impl Hub {
    fn register(
        &mut self,
        connection: ConnectionId,
        session: &str,
        identity: &str,
        now: Duration,
    ) -> Result<(), u16> {
        let random = || {
            self.offers += 1;
            Some(offer(self.offers))
        };
        self.rendezvous.register(connection, session, identity, now, random).map_err(|it| it.status)
    }

    fn add(&mut self, connection: ConnectionId, session: &str, now: Duration) -> Result<(), u16> {
        let random = || {
            self.offers += 1;
            Some(offer(self.offers))
        };
        self.rendezvous.add_client(connection, client(session), now, random).map_err(|it| it.status)
    }

    fn accept(&mut self, session: &str, id: Id, identity: &str) -> Result<ConnectionId, u16> {
        self.rendezvous.accept(session, id, identity).map_err(|it| it.status)
    }

    /// Returns the actions in short form.
    fn acts(&mut self) -> Vec<String> {
        let shown = |act| match act {
            Act::Send(to, FromHub::Ready) => format!("{to}: ready"),
            Act::Send(to, FromHub::Offer { id, subject, .. }) => format!("{to}: offer {} {subject}", id.0[0]),
            Act::Send(to, FromHub::Withdrawn(id)) => format!("{to}: withdrawn {}", id.0[0]),
            Act::Send(to, FromHub::Drain(seconds)) => format!("{to}: drain {seconds}"),
            Act::Refuse(to, refusal) => format!("{to}: {} {}", refusal.status, refusal.label.name()),
            Act::Replace(to) => format!("{to}: replaced"),
        };
        self.rendezvous.take_acts().into_iter().map(shown).collect()
    }
}

/// Returns the last moment before the end of a timeout.
fn before(timeout: Duration) -> Duration {
    timeout.saturating_sub(Duration::from_millis(1))
}

fn refusal(id: Id, status: u16) -> ToHub {
    ToHub { id, status, why: "why\u{1b}".into() }
}

#[test]
fn an_offer_is_accepted_once_by_the_origin_that_it_was_made_to() {
    let mut hub = Hub::default();
    hub.register(1, "lab", "alice", now()).unwrap();
    hub.add(2, "lab", now()).unwrap();
    assert_eq!(hub.acts(), ["1: ready", "1: offer 1 carol"]);
    assert_eq!(hub.accept("lab", offer(2), "alice"), Err(404));
    assert_eq!(hub.accept("lab", offer(1), "bob"), Err(404));
    assert_eq!(hub.accept("other", offer(1), "alice"), Err(404));
    assert_eq!(hub.accept("lab", offer(1), "alice"), Ok(2));
    assert_eq!(hub.accept("lab", offer(1), "alice"), Err(404));
    hub.rendezvous.client_left(2);
    hub.rendezvous.tick(now() + Duration::from_secs(3600));
    assert_eq!(hub.acts(), [""; 0]);
}

#[test]
fn a_client_waits_five_seconds_for_an_origin_and_fifteen_for_its_answer() {
    let mut hub = Hub::default();
    hub.add(2, "lab", now()).unwrap();
    hub.rendezvous.tick(now() + before(ABSENT_TIMEOUT));
    assert_eq!(hub.acts(), [""; 0]);
    hub.rendezvous.tick(now() + ABSENT_TIMEOUT);
    assert_eq!(hub.acts(), ["2: 404 absent"]);
    hub.add(3, "lab", now()).unwrap();
    let registered = now() + Duration::from_secs(4);
    hub.register(1, "lab", "", registered).unwrap();
    assert_eq!(hub.acts(), ["1: ready", "1: offer 1 carol"]);
    hub.rendezvous.tick(registered + before(OFFER_TIMEOUT));
    assert_eq!(hub.acts(), [""; 0]);
    hub.rendezvous.tick(registered + OFFER_TIMEOUT);
    assert_eq!(hub.acts(), ["1: withdrawn 1", "3: 504 timeout"]);
    assert_eq!(hub.accept("lab", offer(1), ""), Err(404));
}

#[test]
fn the_origin_refuses_a_client_with_a_status() {
    for (status, expected) in
        [(403, "2: 403 origin"), (429, "2: 429 origin"), (410, "2: 410 unknown"), (502, "2: 502 target")]
    {
        let mut hub = Hub::default();
        hub.register(1, "lab", "", now()).unwrap();
        hub.register(9, "other", "", now()).unwrap();
        hub.add(2, "lab", now()).unwrap();
        hub.acts();
        hub.rendezvous.refuse(9, &refusal(offer(1), status));
        hub.rendezvous.refuse(1, &refusal(offer(7), status));
        assert_eq!(hub.acts(), [""; 0]);
        hub.rendezvous.refuse(1, &refusal(offer(1), status));
        hub.rendezvous.refuse(1, &refusal(offer(1), status));
        assert_eq!(hub.acts(), [expected]);
        assert!(hub.rendezvous.is_quiet());
    }
}

#[test]
fn the_text_of_an_origin_is_made_printable() {
    let mut hub = Hub::default();
    hub.register(1, "lab", "", now()).unwrap();
    hub.add(2, "lab", now()).unwrap();
    hub.acts();
    hub.rendezvous.refuse(1, &refusal(offer(1), 502));
    let acts = hub.rendezvous.take_acts();
    assert!(matches!(&acts[..], [Act::Refuse(2, it)] if !it.why.contains('\u{1b}')), "{acts:?}");
}

#[test]
fn a_client_that_leaves_withdraws_its_offer() {
    let mut hub = Hub::default();
    hub.register(1, "lab", "", now()).unwrap();
    hub.add(2, "lab", now()).unwrap();
    hub.acts();
    hub.rendezvous.client_left(2);
    assert_eq!(hub.acts(), ["1: withdrawn 1"]);
    assert_eq!(hub.accept("lab", offer(1), ""), Err(404));
}

#[test]
fn an_origin_of_the_same_identity_takes_over_and_may_accept_earlier_offers() {
    let mut hub = Hub::default();
    hub.register(1, "lab", "alice", now()).unwrap();
    hub.add(2, "lab", now()).unwrap();
    hub.acts();
    assert_eq!(hub.register(3, "lab", "bob", now()), Err(409));
    assert_eq!(hub.acts(), [""; 0]);
    hub.register(3, "lab", "alice", now()).unwrap();
    assert_eq!(hub.acts(), ["1: replaced", "3: ready"]);
    // The end of the replaced connection changes nothing.
    hub.rendezvous.origin_left(1, "lab");
    hub.add(4, "lab", now()).unwrap();
    assert_eq!(hub.acts(), ["3: offer 2 carol"]);
    assert_eq!(hub.accept("lab", offer(1), "alice"), Ok(2));
}

#[test]
fn a_session_without_an_origin_is_free_for_another_identity() {
    let mut hub = Hub::default();
    hub.register(1, "lab", "alice", now()).unwrap();
    hub.rendezvous.origin_left(1, "lab");
    assert_eq!(hub.rendezvous.session_count(), 0);
    hub.register(2, "lab", "bob", now()).unwrap();
    assert_eq!(hub.rendezvous.session_count(), 1);
}

#[test]
fn waiting_clients_and_pairs_of_a_session_are_limited() {
    let mut hub = Hub::default();
    for connection in 0..MAX_WAITING {
        hub.add(connection, "lab", now()).unwrap();
    }
    assert_eq!(hub.add(999, "lab", now()), Err(429));
    hub.add(999, "other", now()).unwrap();
    hub.rendezvous.client_left(0);
    hub.add(0, "lab", now()).unwrap();

    let mut hub = Hub::default();
    hub.rendezvous.sessions.entry("lab".into()).or_default().pairs = MAX_PAIRS;
    assert_eq!(hub.add(1, "lab", now()), Err(429));
    hub.rendezvous.pair_ended("lab");
    hub.add(1, "lab", now()).unwrap();
}

#[test]
fn a_hub_that_drains_refuses_new_sessions_but_completes_open_offers() {
    let mut hub = Hub::default();
    hub.register(1, "lab", "", now()).unwrap();
    hub.add(2, "lab", now()).unwrap();
    hub.add(3, "other", now()).unwrap();
    hub.acts();
    hub.rendezvous.drain(30);
    assert_eq!(hub.acts(), ["1: drain 30", "3: 503 draining"]);
    assert_eq!((hub.register(4, "new", "", now()), hub.add(5, "lab", now())), (Err(503), Err(503)));
    assert!(!hub.rendezvous.is_quiet());
    assert_eq!(hub.accept("lab", offer(1), ""), Ok(2));
    assert!(hub.rendezvous.is_quiet());
}

/// Ends of connections in every order leave nothing behind.
#[test]
fn a_session_is_forgotten_with_its_last_connection() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut hub = Hub::default();
        hub.register(1, "lab", "", now()).unwrap();
        hub.add(2, "lab", now()).unwrap();
        hub.accept("lab", offer(1), "").unwrap();
        hub.add(3, "lab", now()).unwrap();
        for end in order {
            assert!(!hub.rendezvous.sessions.is_empty());
            match end {
                0 => hub.rendezvous.origin_left(1, "lab"),
                1 => hub.rendezvous.pair_ended("lab"),
                _ => hub.rendezvous.client_left(3),
            }
        }
        let Rendezvous { sessions, waiting, offers, .. } = &hub.rendezvous;
        assert!(sessions.is_empty() && waiting.is_empty() && offers.is_empty());
    }
}
