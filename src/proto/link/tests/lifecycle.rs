//! Pipes: HELLO, acknowledgements, resumption, time limits and the end.

use super::*;

/// Continues a link over a new pipe, and returns the events of dest and origin.
fn resume(dest: &mut Link, origin: &mut Link, now: Duration) -> [Vec<Seen>; 2] {
    assert!(dest.connect(now));
    let bytes = sent(dest, now);
    let mut input = bytes.as_slice();
    let hello = take_hello(&mut input);
    assert!(input.is_empty(), "the dest must wait for the origin's HELLO");
    origin.resume(&hello, now).unwrap();
    settle(dest, origin, now)
}

/// Both ends, with a connected stream.
fn connected() -> (Link, Link, StreamId) {
    let (mut dest, mut origin) = joined(settings(), settings());
    let stream = dest.open("", ms(0)).unwrap();
    settle(&mut dest, &mut origin, ms(0));
    origin.connected(stream);
    settle(&mut dest, &mut origin, ms(0));
    (dest, origin, stream)
}

#[test]
fn an_ack_follows_after_50_ms_or_64_kib_or_at_once_after_eof() {
    let (mut dest, mut origin, stream) = connected();
    settle(&mut dest, &mut origin, ms(100));
    send_all(&mut dest, stream, b"key");
    let bytes = sent(&mut dest, ms(1000));
    receive(&mut origin, &bytes, ms(1000)).unwrap();
    assert_eq!(origin.deadline(), Some(ms(1050)));
    // A PING measures the round trip.
    assert_eq!(sent(&mut origin, ms(1049))[0], Kind::Ping as u8);
    assert!(sent(&mut origin, ms(1049)).is_empty());
    let received = origin.decoder.received();
    let ack = frame(Kind::Ack, 0, &received.to_be_bytes());
    assert_eq!(sent(&mut origin, ms(1050)), ack);
    assert_eq!(origin.deadline(), None);
    receive(&mut dest, &ack, ms(1050)).unwrap();
    assert_eq!(dest.outbox.unacknowledged(), 0);

    dest.finish(stream);
    let bytes = sent(&mut dest, ms(2000));
    receive(&mut origin, &bytes, ms(2000)).unwrap();
    assert_eq!(origin.deadline(), Some(ms(2000)));
    assert_eq!(sent(&mut origin, ms(2000))[0], Kind::Ack as u8);

    send_all(&mut origin, stream, &vec![7; 65_536]);
    let bytes = sent(&mut origin, ms(3000));
    receive(&mut dest, &bytes, ms(3000)).unwrap();
    assert_eq!(dest.deadline(), Some(ms(3000)));
}

#[test]
fn a_pipe_that_breaks_at_any_byte_loses_nothing() {
    for cut in 0..=13 + 14 + 8 {
        let (mut dest, mut origin, stream) = connected();
        for part in [&b"first"[..], b"second"] {
            send_all(&mut dest, stream, part);
        }
        dest.finish(stream);
        let bytes = sent(&mut dest, ms(0));
        assert_eq!(bytes.len(), 13 + 14 + 8);
        let mut seen = receive(&mut origin, &bytes[..cut], ms(0)).unwrap();
        dest.broken(ms(10));
        assert!(dest.needs_pipe());
        let [established, rest] = resume(&mut dest, &mut origin, ms(20));
        assert_eq!(established[0], Seen::Established);
        seen.extend(rest);
        let data: Vec<u8> = seen
            .iter()
            .flat_map(|event| if let Seen::Data(1, data) = event { data.clone() } else { vec![] })
            .collect();
        assert_eq!(data, b"firstsecond", "cut after {cut} bytes");
        assert_eq!(seen.last(), Some(&Seen::Eof(1)));
        assert_eq!(dest.deadline(), None);
        settle(&mut dest, &mut origin, ms(100));
        assert_eq!(dest.outbox.unacknowledged(), 0);
    }
}

#[test]
fn data_that_arrives_while_there_is_no_pipe_is_sent_later() {
    let (mut dest, mut origin, stream) = connected();
    dest.broken(ms(0));
    origin.broken(ms(0));
    // The OPEN of 14 bytes is not acknowledged.
    assert_eq!(send_all(&mut dest, stream, &vec![1; 100_000]), 65_536 - 14);
    assert!(sent(&mut dest, ms(0)).is_empty());
    assert_eq!(send_all(&mut origin, stream, b"down"), 4);
    let [down, up] = resume(&mut dest, &mut origin, ms(1));
    assert_eq!(down, [Seen::Established, Seen::Data(1, b"down".to_vec())]);
    assert!(matches!(up.as_slice(), [Seen::Data(1, data)] if data.len() == 65_522));
}

#[test]
fn only_a_higher_epoch_replaces_a_pipe() {
    let (_, mut origin, _) = connected();
    let hello = Hello { resumes: true, epoch: 5, received: 0, ..HELLO };
    let position = |hello: &Hello, origin: &Link| Hello { received: origin.outbox.highest(), ..*hello };
    let refused = [
        (Hello { resumes: false, ..hello }, Violation::Hello),
        (Hello { id: LinkId([1; 16]), ..hello }, Violation::Hello),
        (Hello { window: 65_535, ..hello }, Violation::Hello),
        (Hello { epoch: 0, ..hello }, Violation::Epoch),
        (Hello { received: 1, ..hello }, Violation::Acknowledgement),
        (Hello { received: u64::MAX, ..hello }, Violation::Acknowledgement),
    ];
    for (hello, violation) in &refused {
        assert_eq!(origin.resume(hello, ms(0)), Err(*violation), "{hello:?}");
        assert!(!origin.needs_pipe(), "the earlier pipe continues");
    }
    assert_eq!(origin.resume(&position(&hello, &origin), ms(0)), Ok(()));
    assert_eq!(origin.resume(&position(&hello, &origin), ms(0)), Err(Violation::Epoch));
    assert!(Link::origin(settings(), &hello, ms(0)).is_err());
    assert!(Link::origin(settings(), &Hello { received: 1, ..HELLO }, ms(0)).is_err());
    assert!(Link::origin(settings(), &Hello { epoch: 1, ..HELLO }, ms(0)).is_err());
}

#[test]
fn the_dest_checks_the_hello_of_the_origin() {
    let cases = [
        Hello { id: LinkId([1; 16]), ..HELLO },
        Hello { epoch: 1, ..HELLO },
        Hello { resumes: true, ..HELLO },
        Hello { window: 1, ..HELLO },
        Hello { received: 5, ..HELLO },
    ];
    for hello in cases {
        let mut dest = Link::dest(settings(), ID);
        assert!(dest.connect(ms(0)));
        sent(&mut dest, ms(0));
        assert!(receive(&mut dest, &hello.encode(), ms(0)).is_err(), "{hello:?}");
        assert!(dest.has_ended() && !dest.connect(ms(0)));
    }
}

#[test]
fn a_pipe_without_hello_is_replaced() {
    let mut dest = Link::dest(settings(), ID);
    assert!(dest.needs_pipe() && dest.connect(ms(0)));
    assert_eq!(dest.deadline(), Some(HELLO_TIMEOUT));
    assert_eq!(dest.advance(ms(9_999)), None);
    assert!(!dest.needs_pipe());
    assert_eq!(dest.advance(ms(10_000)), None);
    assert!(dest.needs_pipe());
    assert_eq!(dest.deadline(), Some(ms(70_000)));
    // Further attempts do not extend the time.
    assert!(dest.connect(ms(60_000)));
    assert_eq!(dest.deadline(), Some(ms(70_000)));
    assert_eq!(dest.advance(ms(70_000)), Some(End::NotResumed));
    assert!(dest.has_ended() && dest.deadline().is_none());
}

#[test]
fn a_link_that_is_not_resumed_ends_after_its_time() {
    for resume in [0, 60] {
        let settings = Settings { resume: Duration::from_secs(resume), ..settings() };
        let (mut dest, mut origin) = joined(settings, settings);
        let stream = dest.open("", ms(0)).unwrap();
        settle(&mut dest, &mut origin, ms(0));
        for link in [&mut dest, &mut origin] {
            link.broken(ms(500));
            link.broken(ms(900));
            let end = ms(500) + settings.resume;
            assert_eq!(link.deadline(), Some(end));
            assert_eq!(link.advance(end.saturating_sub(ms(1))), None);
            assert!(link.has_stream(stream));
            assert_eq!(link.advance(end), Some(End::NotResumed));
            assert!(!link.has_stream(stream) && link.has_ended());
            assert!(sent(link, end).is_empty());
        }
        let hello = Hello { resumes: true, epoch: 1, ..HELLO };
        assert_eq!(origin.resume(&hello, ms(99_999)), Err(Violation::Hello));
    }
}

#[test]
fn the_dest_finishes_after_everything_is_acknowledged() {
    let (mut dest, mut origin, stream) = connected();
    dest.finish(stream);
    origin.finish(stream);
    settle(&mut dest, &mut origin, ms(0));
    dest.go_away();
    assert_eq!(dest.open("", ms(0)), None);
    assert!(!dest.is_finished());
    let bytes = sent(&mut dest, ms(0));
    assert!(!dest.is_finished(), "GOAWAY is not acknowledged");
    assert_eq!(receive(&mut origin, &bytes, ms(0)), Ok(vec![Seen::GoAway]));
    receive(&mut dest, &sent(&mut origin, ms(0)), ms(0)).unwrap();
    assert!(dest.is_finished());
    assert_eq!(origin.closed(ms(0)), Some(End::Closed));
    assert!(origin.has_ended());
}

#[test]
fn a_close_without_goaway_breaks_the_pipe() {
    let (_, mut origin, stream) = connected();
    assert_eq!(origin.closed(ms(0)), None);
    assert!(origin.needs_pipe() && origin.has_stream(stream));
}

#[test]
fn a_close_after_goaway_keeps_data_that_is_unread() {
    let (mut dest, mut origin, stream) = connected();
    origin.finish(stream);
    send_all(&mut dest, stream, b"unread");
    dest.finish(stream);
    receive(&mut dest, &sent(&mut origin, ms(0)), ms(0)).unwrap();
    dest.go_away();
    let bytes = sent(&mut dest, ms(0));
    let mut input = bytes.as_slice();
    while let Some(event) = origin.receive(&mut input, ms(0)).unwrap() {
        if let Event::Data(stream, data) = event {
            origin.accepted(stream, data, 1, ms(0));
        }
    }
    assert_eq!(origin.closed(ms(0)), Some(End::Closed));
    assert_eq!(origin.unread(stream), b"nread");
    origin.read(stream, 5, ms(0));
    assert!(!origin.has_stream(stream));
}

#[test]
fn the_origin_can_go_away() {
    let (mut dest, mut origin, stream) = connected();
    origin.go_away();
    // An OPEN that crosses the GOAWAY is refused.
    let late = dest.open("", ms(0)).unwrap();
    let up = sent(&mut dest, ms(0));
    assert_eq!(receive(&mut origin, &up, ms(0)), Ok(vec![]));
    let [seen, _] = settle(&mut dest, &mut origin, ms(0));
    assert!(seen.contains(&Seen::GoAway));
    assert!(seen.contains(&Seen::Reset(late.number(), ResetCode::GoingAway, vec![])));
    assert_eq!(dest.open("", ms(0)), None);
    // The link ends with its last stream.
    dest.finish(stream);
    origin.finish(stream);
    let [_, seen] = settle(&mut dest, &mut origin, ms(0));
    assert!(seen.contains(&Seen::GoAway));
    assert!(dest.is_finished());
}

/// The ACK of GOAWAY is lost: the dest resumes the link to learn that everything has arrived.
#[test]
fn the_end_of_a_link_survives_a_broken_pipe() {
    let (mut dest, mut origin, stream) = connected();
    dest.reset(stream, Reset::new(ResetCode::CutOff));
    dest.go_away();
    receive(&mut origin, &sent(&mut dest, ms(0)), ms(0)).unwrap();
    dest.broken(ms(0));
    origin.broken(ms(0));
    assert!(!dest.is_finished());
    resume(&mut dest, &mut origin, ms(1));
    assert!(dest.is_finished());
}

#[test]
fn redials_are_delayed_more_with_each_failure() {
    let cases =
        [(0, 50, 150), (1, 100, 300), (2, 200, 600), (5, 1600, 4800), (6, 2500, 7500), (99, 2500, 7500)];
    for (failures, min, max) in cases {
        assert_eq!(redial_delay(failures, 0), ms(min), "{failures}");
        assert_eq!(redial_delay(failures, u32::MAX), ms(max), "{failures}");
    }
}
