#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking"
)]

use super::super::message::Answer;
use super::failing::LAST_ATTEMPTS;
use super::*;

mod tokens;

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn new_client(resume: u64) -> Client {
    Client::new(Settings {
        sid: Sid::new([1; 16]),
        key: Key::new([2; 16]),
        token: Zeroizing::new(b"token".to_vec()),
        target: b"host:22".to_vec(),
        resume: secs(resume),
    })
}

/// Returns a client that is open. Its server holds POLLs for 25 seconds.
fn open_client() -> Client {
    let mut client = new_client(60);
    sent(&mut client, Direction::Up, secs(0));
    client.answered(Direction::Up, &answer(Answer { is_opened: true, ..Answer::default() }, b""), secs(0));
    assert!(client.is_open());
    client
}

/// Returns the body of the next request, and its hold.
fn sent(client: &mut Client, direction: Direction, now: Duration) -> (Vec<u8>, Duration) {
    match client.next(direction, now) {
        Next::Send { body, hold } => (body.to_vec(), hold),
        other => panic!("{other:?}"),
    }
}

fn response(status: u16, content_type: &str, body: &[u8]) -> Response {
    let content_type = Some(content_type).filter(|text| !text.is_empty()).map(Into::into);
    Response { status, reason: "Reason".into(), content_type, body: body.to_vec(), ..Response::default() }
}

fn answer(mut answer: Answer, data: &[u8]) -> Response {
    answer.wait = 250;
    let mut body = answer.encode().to_vec();
    body.extend_from_slice(data);
    response(200, "application/octet-stream", &body)
}

#[test]
fn the_first_request_opens_the_tunnel() {
    let mut client = new_client(60);
    assert_eq!(client.next(Direction::Down, secs(0)), Next::Wait(None));
    let (body, _) = sent(&mut client, Direction::Up, secs(0));
    let (request, data) = Request::decode(&body).unwrap();
    assert_eq!(request.opening, Some(Opening { token: b"token", target: b"host:22" }));
    assert!(data.is_empty() && !request.is_poll && !client.is_open());
}

const MALFORMED: Failure = Failure::Malformed { expects_tls: false };

#[test]
fn each_status_has_its_meaning() {
    let text = b"connect: token expired at TIME\nmore";
    for (status, for_open, later) in [
        (400, Some(MALFORMED), Some(MALFORMED)),
        (401, Some(Failure::Token("token expired at TIME".into())), None),
        (
            403,
            Some(Failure::Refused("token expired at TIME".into())),
            Some(Failure::Refused("token expired at TIME".into())),
        ),
        (404, Some(Failure::NotATunnel("HTTP status 404 Reason".into())), Some(Failure::SessionLost)),
        (410, Some(Failure::NotATunnel("HTTP status 410 Reason".into())), Some(Failure::SessionLost)),
        (405, Some(Failure::NotATunnel("HTTP status 405 Reason".into())), None),
        (413, Some(Failure::NotATunnel("HTTP status 413 Reason".into())), None),
        (200, Some(Failure::NotATunnel("content type text/plain".into())), None),
        (501, Some(Failure::NotATunnel("HTTP status 501 Reason".into())), None),
        (408, None, None),
        (429, None, None),
        (500, None, None),
        (502, None, None),
        (503, None, None),
        (504, None, None),
    ] {
        let response = response(status, "text/plain", text);
        let mut client = new_client(60);
        sent(&mut client, Direction::Up, secs(0));
        client.answered(Direction::Up, &response, secs(0));
        assert_eq!(client.failure(), for_open.as_ref(), "{status} for OPEN");
        let mut client = open_client();
        sent(&mut client, Direction::Down, secs(0));
        client.answered(Direction::Down, &response, secs(0));
        assert_eq!(client.failure(), later.as_ref(), "{status}");
        assert_eq!(client.is_done(), later.is_some(), "{status}");
    }
}

#[test]
fn a_connection_is_lost_until_the_server_answers_again() {
    let mut client = open_client();
    sent(&mut client, Direction::Down, secs(1));
    assert_eq!(client.lost_for(secs(2)), None);
    client.broken(Direction::Down, "reset", false, secs(2));
    assert_eq!(client.lost_for(secs(7)), Some(secs(5)));
    // The server must not hold the request that shows whether it is back.
    let (body, hold) = sent(&mut client, Direction::Down, secs(7));
    assert_eq!((Request::decode(&body).unwrap().0.wait, hold), (0, secs(0)));
    client.answered(Direction::Down, &answer(Answer::default(), b""), secs(7));
    assert_eq!(client.lost_for(secs(7)), None);
    let (_, hold) = sent(&mut client, Direction::Down, secs(7));
    assert!(hold > secs(0), "the next one is held, and sent at once");
}

#[test]
fn a_server_with_tls_says_so_to_a_client_without() {
    let page = b"<title>400 The plain HTTP request was sent to HTTPS port</title>";
    let mut client = new_client(60);
    sent(&mut client, Direction::Up, secs(0));
    client.answered(Direction::Up, &response(400, "text/html", page), secs(0));
    assert_eq!(client.failure(), Some(&Failure::Malformed { expects_tls: true }));
}

#[test]
fn a_limit_that_lasts_refuses_the_tunnel() {
    let limit = response(429, "text/plain", b"connect: limit of 1 connection at a time with this token\n");
    let mut client = new_client(60);
    let mut now = secs(0);
    while client.failure().is_none() {
        assert!(now < OPEN_RETRY_TIME + secs(10));
        if let Next::Wait(Some(until)) = client.next(Direction::Up, now) {
            now = until;
            client.next(Direction::Up, now);
        }
        client.answered(Direction::Up, &limit, now);
    }
    assert!(now >= OPEN_RETRY_TIME);
    let why = "limit of 1 connection at a time with this token";
    assert_eq!(client.failure(), Some(&Failure::Refused(why.into())));
}

#[test]
fn a_login_page_or_a_redirect_is_no_tunnel() {
    let failure = |response: Response| {
        let mut client = new_client(60);
        sent(&mut client, Direction::Up, secs(0));
        client.answered(Direction::Up, &response, secs(0));
        client.failure().unwrap().to_string()
    };
    assert_eq!(failure(response(200, "text/html", b"")), "is not a POST tunnel: content type text/html");
    assert_eq!(failure(response(200, "", b"")), "is not a POST tunnel: no content type");
    let invalid = response(200, "application/octet-stream", b"x");
    assert_eq!(failure(invalid), "is not a POST tunnel: an invalid message");
    let redirect = Response { location: Some("https://h/login".into()), ..response(302, "", b"") };
    assert_eq!(failure(redirect), "is not a POST tunnel: HTTP status 302 Reason to https://h/login");
}

#[test]
fn a_request_is_repeated_until_the_time_is_up() {
    let mut client = open_client();
    client.push(b"abc", secs(0));
    let first = sent(&mut client, Direction::Up, secs(0)).0;
    client.broken(Direction::Up, "connection reset", false, secs(0));
    let Next::Wait(Some(at)) = client.next(Direction::Up, secs(0)) else { panic!("no delay") };
    assert!((50..=150).contains(&at.as_millis()), "{at:?}");
    assert_eq!(sent(&mut client, Direction::Up, at).0, first);
    client.broken(Direction::Up, "connection reset", false, secs(59));
    assert!(client.failure().is_none());
    sent(&mut client, Direction::Up, secs(65));
    client.broken(Direction::Up, "connection reset", false, secs(65));
    let expected = "did not answer for 60 seconds: connection reset";
    assert_eq!(client.failure().unwrap().to_string(), expected);
}

#[test]
fn retry_after_replaces_the_delay() {
    let mut client = open_client();
    sent(&mut client, Direction::Down, secs(0));
    let busy = Response { retry_after: Some(secs(7)), ..response(503, "", b"") };
    client.answered(Direction::Down, &busy, secs(0));
    assert_eq!(client.next(Direction::Down, secs(0)), Next::Wait(Some(secs(7))));
}

#[test]
fn a_kept_connection_that_was_closed_costs_no_delay() {
    let mut client = open_client();
    client.push(b"abc", secs(0));
    for _ in 0..3 {
        sent(&mut client, Direction::Up, secs(0));
        client.broken(Direction::Up, "closed", true, secs(0));
    }
    // A POLL that was held is another matter.
    sent(&mut client, Direction::Down, secs(0));
    client.broken(Direction::Down, "closed", true, secs(10));
    assert!(matches!(client.next(Direction::Down, secs(10)), Next::Wait(Some(_))));
}

#[test]
fn without_resumption_the_first_failure_is_final() {
    let mut client = new_client(0);
    sent(&mut client, Direction::Up, secs(0));
    client.broken(Direction::Up, "cut", false, secs(0));
    assert_eq!(client.failure(), Some(&Failure::NotOpened("cut".into())));
}

#[test]
fn a_poll_that_ends_early_shortens_the_hold() {
    let mut client = open_client();
    client.settings.resume = secs(600);
    let mut now = secs(0);
    let mut holds = Vec::new();
    for index in 0..7 {
        let (body, hold) = sent(&mut client, Direction::Down, now);
        assert_eq!(u64::from(Request::decode(&body).unwrap().0.wait), hold.as_secs() * 10);
        holds.push(hold.as_secs());
        now += secs(2);
        if index % 2 == 0 {
            client.answered(Direction::Down, &response(504, "", b""), now);
        } else {
            client.broken(Direction::Down, "reset", false, now);
        }
        now += secs(10);
        // The next one is not held, to find out whether the server is back.
        assert_eq!(sent(&mut client, Direction::Down, now).1, secs(0));
        client.answered(Direction::Down, &answer(Answer::default(), b""), now);
        now += secs(10);
    }
    assert_eq!(holds, [25, 12, 6, 3, 1, 0, 0]);
    // One that fails at once was not held.
    let mut client = open_client();
    for now in [0, 10] {
        assert_eq!(sent(&mut client, Direction::Down, secs(now)).1, secs(25));
        client.broken(Direction::Down, "reset", false, secs(now));
        sent(&mut client, Direction::Down, secs(now + 5));
        client.answered(Direction::Down, &answer(Answer::default(), b""), secs(now + 5));
    }
}

#[test]
fn polls_that_are_not_held_slow_down_until_a_byte_moves() {
    let mut client = open_client();
    client.max_hold = Some(secs(0));
    let mut now = secs(0);
    let empty = |client: &mut Client, now| {
        assert_eq!(sent(client, Direction::Down, now).1, secs(0));
        let mut response = answer(Answer::default(), b"");
        response.body[2..4].fill(0);
        client.answered(Direction::Down, &response, now);
        let Next::Wait(Some(at)) = client.next(Direction::Down, now) else { panic!("no delay") };
        at.saturating_sub(now).as_millis()
    };
    let delays: Vec<_> = (0..9)
        .map(|_| {
            let delay = empty(&mut client, now);
            now += secs(20);
            delay
        })
        .collect();
    assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    let now = now.saturating_sub(secs(20));
    client.push(b"x", now);
    assert_eq!(client.next(Direction::Down, now), Next::Wait(Some(now + Duration::from_millis(100))));
}

#[test]
fn bodies_grow_with_each_full_one_and_shrink_after_413() {
    let mut client = open_client();
    let length = |client: &mut Client| {
        client.push(&vec![0; client.room()], secs(0));
        let (body, _) = sent(client, Direction::Up, secs(0));
        Request::decode(&body).unwrap().1.len()
    };
    let mut up = 0;
    let mut lengths = Vec::new();
    for _ in 0..5 {
        let count = length(&mut client);
        up += count as u64;
        client.answered(Direction::Up, &answer(Answer { up, ..Answer::default() }, b""), secs(0));
        lengths.push(count / 1024);
    }
    assert_eq!(lengths, [64, 128, 256, 512, 512]);
    let mut lengths = Vec::new();
    for _ in 0..10 {
        lengths.push(length(&mut client));
        client.answered(Direction::Up, &response(413, "", b""), secs(0));
    }
    assert_eq!((lengths[0], lengths[1], lengths[9]), (512 * 1024, 256 * 1024, 1024));
    assert!(
        matches!(client.next(Direction::Up, secs(0)), Next::Wait(Some(_))),
        "a body of 1 KiB is too long"
    );
}

#[test]
fn bytes_without_room_are_sent_again_later() {
    let mut client = open_client();
    client.push(b"abc", secs(0));
    sent(&mut client, Direction::Up, secs(0));
    client.answered(Direction::Up, &answer(Answer::default(), b""), secs(0));
    assert_eq!(client.next(Direction::Up, secs(0)), Next::Wait(Some(Duration::from_millis(100))));
}

#[test]
fn an_answer_that_cannot_be_one_is_ignored() {
    for bad in [Answer { up: 4, ..Answer::default() }, Answer { down: 1, ..Answer::default() }] {
        let mut client = open_client();
        client.push(b"abc", secs(0));
        sent(&mut client, Direction::Down, secs(0));
        assert_eq!(client.answered(Direction::Down, &answer(bad, b"x"), secs(0)), b"");
        assert!(client.failure().is_none());
        assert!(matches!(client.next(Direction::Down, secs(0)), Next::Wait(Some(_))));
        let (body, _) = sent(&mut client, Direction::Down, secs(1));
        let request = Request::decode(&body).unwrap().0;
        assert_eq!((request.up, request.down), (0, 0));
    }
}

#[test]
fn data_that_a_poll_has_acknowledged_does_not_slow_the_next_data_down() {
    let mut client = open_client();
    let mut lengths = Vec::new();
    for up in 0..5 {
        client.push(&vec![0; client.room()], secs(0));
        let (body, _) = sent(&mut client, Direction::Up, secs(0));
        let (request, data) = Request::decode(&body).unwrap();
        let end = request.up + data.len() as u64;
        lengths.push(data.len());
        sent(&mut client, Direction::Down, secs(0));
        // The echo arrives before the answer to the request with the data.
        for direction in [Direction::Down, Direction::Up] {
            let echo = if direction == Direction::Down { "!" } else { "" };
            let answer = answer(Answer { up: end, down: up, ..Answer::default() }, echo.as_bytes());
            client.answered(direction, &answer, secs(0));
        }
    }
    // Each request was sent at once, and was larger than the one before.
    assert_eq!(lengths, [64, 128, 256, 512, 512].map(|kib| kib * 1024));
}

#[test]
fn a_body_that_may_be_truncated_is_not_used() {
    let mut client = open_client();
    sent(&mut client, Direction::Down, secs(0));
    let eof = Answer { is_eof: true, ..Answer::default() };
    let truncated = Response { ends_at_eof: true, ..answer(eof, b"ab") };
    assert_eq!(client.answered(Direction::Down, &truncated, secs(0)), b"");
    assert!(!client.has_down_ended());
}

#[test]
fn both_ends_of_a_tunnel_are_acknowledged() {
    let mut client = open_client();
    sent(&mut client, Direction::Down, secs(0));
    let eof = Answer { is_eof: true, ..Answer::default() };
    assert_eq!(client.answered(Direction::Down, &answer(eof, b"bye"), secs(0)), b"bye");
    assert!(client.has_down_ended() && client.next(Direction::Down, secs(0)) == Next::Done);
    client.close();
    let (body, _) = sent(&mut client, Direction::Up, secs(0));
    let (request, _) = Request::decode(&body).unwrap();
    assert!(request.is_eof && request.down == 4);
    client.answered(Direction::Up, &answer(Answer { up: 1, down: 4, ..Answer::default() }, b""), secs(0));
    assert!(client.is_done() && client.failure().is_none());
}

#[test]
fn eof_is_repeated_until_the_server_has_it() {
    let mut client = open_client();
    sent(&mut client, Direction::Down, secs(0));
    client.answered(Direction::Down, &answer(Answer { is_eof: true, ..Answer::default() }, b""), secs(0));
    client.close();
    for attempt in 0..8 {
        let (body, _) = sent(&mut client, Direction::Up, secs(attempt * 7));
        assert!(Request::decode(&body).unwrap().0.is_eof);
        client.broken(Direction::Up, "refused", false, secs(attempt * 7));
    }
}

#[test]
fn the_last_request_is_not_repeated_forever() {
    let mut client = open_client();
    sent(&mut client, Direction::Down, secs(0));
    client.answered(Direction::Down, &answer(Answer { is_eof: true, ..Answer::default() }, b""), secs(0));
    for attempt in 0..u64::from(LAST_ATTEMPTS) {
        assert!(!client.is_done());
        sent(&mut client, Direction::Up, secs(attempt * 3));
        client.broken(Direction::Up, "refused", false, secs(attempt * 3));
    }
    assert!(client.is_done() && client.failure().is_none(), "all data has arrived");
}

#[test]
fn an_aborted_tunnel_sends_a_reset() {
    let mut client = open_client();
    client.push(b"abc", secs(0));
    sent(&mut client, Direction::Up, secs(0));
    sent(&mut client, Direction::Down, secs(0));
    client.abort();
    let (body, _) = sent(&mut client, Direction::Up, secs(0));
    let (request, data) = Request::decode(&body).unwrap();
    assert!(request.is_reset);
    assert_eq!(Reset::decode(data).code, ResetCode::CutOff);
    client.answered(Direction::Up, &answer(Answer::default(), b""), secs(0));
    assert!(client.is_done() && client.failure().is_none());
    let mut client = new_client(60);
    client.abort();
    assert!(client.is_done(), "the server knows of no tunnel");
}

/// A user had to wait for the whole time of `--resume` to learn that the server does not run.
#[test]
fn a_web_server_without_the_server_behind_it_is_soon_reported() {
    let mut client = new_client(60);
    let mut now = Duration::ZERO;
    while client.failure().is_none() {
        assert!(now < secs(10), "not reported");
        now = match client.next(Direction::Up, now) {
            Next::Wait(Some(until)) => until,
            Next::Send { .. } => {
                client.answered(Direction::Up, &response(502, "text/html", b""), now);
                now
            }
            other => panic!("{other:?}"),
        };
    }
    assert!(now >= OPEN_RETRY_TIME);
    assert!(matches!(client.failure(), Some(Failure::NotOpened(_))));
}
