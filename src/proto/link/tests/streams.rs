//! Streams: opening, windows, turns, EOF and RESET.

use super::*;
use crate::proto::link::frame::reset_payload;

/// Both ends, with a stream whose target is connected.
fn connected() -> (Link, Link, StreamId) {
    let (mut dest, mut origin) = joined(settings(), settings());
    let stream = dest.open("localhost:22", ms(0)).unwrap();
    let [_, opened] = settle(&mut dest, &mut origin, ms(0));
    assert_eq!(opened, [Seen::Opened(1, "localhost:22".into())]);
    origin.connected(stream);
    let [seen, _] = settle(&mut dest, &mut origin, ms(0));
    assert_eq!(seen, [Seen::Connected(1)]);
    (dest, origin, stream)
}

fn data(stream: u32, events: &[Seen]) -> Vec<u8> {
    let of_stream = |event: &Seen| match event {
        Seen::Data(number, data) if *number == stream => data.clone(),
        _ => Vec::new(),
    };
    events.iter().flat_map(of_stream).collect()
}

/// Passes bytes to a link whose local sides accept nothing.
fn receive_unread(link: &mut Link, mut bytes: &[u8]) -> Result<(), Violation> {
    while let Some(event) = link.receive(&mut bytes, ms(0))? {
        if let Event::Data(stream, data) = event {
            link.accepted(stream, data, 0, ms(0));
        }
    }
    Ok(())
}

fn origin() -> Link {
    Link::origin(settings(), &HELLO, ms(0)).unwrap()
}

fn open(stream: u32) -> Vec<u8> {
    frame(Kind::Open, stream, &open_payload(65_536, ""))
}

#[test]
fn data_flows_in_both_directions_and_eof_follows_it() {
    let (mut dest, mut origin, stream) = connected();
    assert_eq!(send_all(&mut dest, stream, b"request"), 7);
    dest.finish(stream);
    let [_, seen] = settle(&mut dest, &mut origin, ms(1));
    assert_eq!(seen, [Seen::Data(1, b"request".to_vec()), Seen::Eof(1)]);
    assert_eq!(dest.send(stream, b"late"), 0);

    assert_eq!(send_all(&mut origin, stream, b"reply"), 5);
    origin.finish(stream);
    let [seen, _] = settle(&mut dest, &mut origin, ms(2));
    assert_eq!(seen, [Seen::Data(1, b"reply".to_vec()), Seen::Eof(1)]);
    assert!(!dest.has_stream(stream) && !origin.has_stream(stream));
}

#[test]
fn the_dest_sends_open_and_data_before_the_origin_answers() {
    let mut dest = Link::dest(settings(), ID);
    let stream = dest.open("a:1", ms(0)).unwrap();
    assert!(dest.connect(ms(0)));
    assert_eq!(send_all(&mut dest, stream, &vec![7; 100_000]), 64 * 1024 - 16 * 1024 - 8 - 17);
    let bytes = sent(&mut dest, ms(0));
    assert!(bytes.starts_with(&HELLO.encode()));
    assert_eq!(bytes.len(), 48 + 64 * 1024 - 16 * 1024);
}

#[test]
fn the_first_window_is_the_answer_even_after_eof() {
    let (mut dest, mut origin) = joined(settings(), settings());
    let stream = dest.open("", ms(0)).unwrap();
    dest.finish(stream);
    let [seen, opened] = settle(&mut dest, &mut origin, ms(0));
    assert_eq!((seen, opened), (vec![], vec![Seen::Opened(1, String::new()), Seen::Eof(1)]));
    origin.connected(stream);
    origin.finish(stream);
    let [seen, _] = settle(&mut dest, &mut origin, ms(0));
    assert_eq!(seen, [Seen::Connected(1), Seen::Eof(1)]);
}

#[test]
fn no_window_is_sent_before_the_target_is_connected() {
    let (mut dest, mut origin) = joined(settings(), settings());
    let stream = dest.open("", ms(0)).unwrap();
    assert!(send_all(&mut dest, stream, &vec![7; 65_536]) > 40_000);
    let [seen, _] = settle(&mut dest, &mut origin, ms(0));
    assert_eq!(seen, [], "the origin's local side has accepted everything");
    origin.reset(stream, Reset { code: ResetCode::Unreachable, text: "refused".into() });
    let [seen, _] = settle(&mut dest, &mut origin, ms(0));
    assert_eq!(seen, [Seen::Reset(1, ResetCode::Unreachable, vec![])]);
    assert!(!dest.has_stream(stream) && !origin.has_stream(stream));
}

#[test]
fn a_reader_that_does_not_read_stops_only_its_own_stream() {
    let (mut dest, mut origin, slow) = connected();
    let fast = dest.open("", ms(0)).unwrap();
    let large = vec![7; 300_000];
    let mut slow_sent = 0;
    for _ in 0..100 {
        slow_sent += send_all(&mut dest, slow, &large[..16_000]);
        receive_unread(&mut origin, &sent(&mut dest, ms(0))).unwrap();
        receive(&mut dest, &sent(&mut origin, ms(50)), ms(50)).unwrap();
    }
    assert_eq!(slow_sent, 64 * 1024);
    assert_eq!(origin.streams[&slow.0].unread.len(), 64 * 1024);
    origin.connected(fast);
    let mut fast_received = 0;
    for step in 0..100 {
        let time = ms(50 * step);
        send_all(&mut dest, fast, &large[..16_000]);
        let [_, seen] = settle(&mut dest, &mut origin, time);
        fast_received += data(fast.0, &seen).len();
        origin.advance(time);
    }
    assert_eq!(fast_received, 1_600_000);

    // The held data is read, and the stream continues.
    while !origin.unread(slow).is_empty() {
        origin.read(slow, 1000, ms(9000));
    }
    assert_eq!(origin.streams[&slow.0].unread.capacity(), 0);
    settle(&mut dest, &mut origin, ms(9000));
    assert_eq!(send_all(&mut dest, slow, b"more"), 4);
}

#[test]
fn ready_streams_take_turns() {
    let (mut dest, mut origin) = joined(settings(), settings());
    let streams: Vec<StreamId> = (0..3).map(|_| dest.open("", ms(0)).unwrap()).collect();
    let mut totals = [0; 3];
    for step in 0..100 {
        let now = ms(100 * step);
        settle(&mut dest, &mut origin, now);
        for stream in &streams {
            if step == 0 {
                origin.connected(*stream);
            }
            dest.set_ready(*stream);
            dest.set_ready(*stream);
        }
        while let Some(turn) = dest.next_turn() {
            assert!(turn.room <= if dest.turns.is_empty() { MAX_PAYLOAD } else { TURN });
            let count = dest.send(turn.stream, &vec![1; turn.room]);
            assert_eq!(count, turn.room);
            totals[usize::try_from(turn.stream.number()).unwrap() / 2] += count;
            dest.set_ready(turn.stream);
        }
        assert!(dest.outbox.unsent() <= 64 * 1024 + 64);
    }
    assert!(totals.iter().all(|total| *total > 1_000_000), "{totals:?}");
    let (min, max) = (totals.iter().min().unwrap(), totals.iter().max().unwrap());
    assert!(max - min <= TURN, "{totals:?}");
}

#[test]
fn a_turn_that_is_not_used_blocks_nobody() {
    let (mut dest, mut origin, first) = connected();
    let second = dest.open("", ms(0)).unwrap();
    settle(&mut dest, &mut origin, ms(0));
    dest.set_ready(first);
    dest.set_ready(second);
    assert_eq!(dest.next_turn().map(|turn| turn.stream), Some(first));
    assert_eq!(dest.next_turn().map(|turn| turn.stream), Some(second));
    assert_eq!(dest.next_turn(), None);
}

#[test]
fn a_window_lets_a_blocked_stream_continue() {
    let (mut dest, mut origin, stream) = connected();
    for _ in 0..5 {
        send_all(&mut dest, stream, &[7; 16_384]);
        receive_unread(&mut origin, &sent(&mut dest, ms(0))).unwrap();
        receive(&mut dest, &sent(&mut origin, ms(50)), ms(50)).unwrap();
    }
    dest.set_ready(stream);
    assert_eq!(dest.next_turn(), None);
    origin.read(stream, 40_000, ms(50));
    receive(&mut dest, &sent(&mut origin, ms(50)), ms(50)).unwrap();
    assert_eq!(dest.next_turn(), Some(Turn { stream, room: 40_000 }));
    assert_eq!(dest.next_turn(), None);
}

/// DATA fills its share of the limit while the peer acknowledges nothing; other frames pass.
#[test]
fn other_frames_do_not_wait_for_data() {
    let (mut dest, mut origin, stream) = connected();
    let other = dest.open("", ms(0)).unwrap();
    let raised = frame(Kind::Window, stream.0, &u64::MAX.to_be_bytes());
    receive(&mut dest, &raised, ms(0)).unwrap();
    let mut held = Vec::new();
    loop {
        let count = send_all(&mut dest, stream, &[7; 16_384]);
        held.extend(sent(&mut dest, ms(0)));
        if count < 16_384 {
            break;
        }
    }
    let unacknowledged = dest.outbox.unacknowledged();
    assert!((1_000_000..=1024 * 1024 - 16 * 1024).contains(&unacknowledged), "{unacknowledged}");
    assert_eq!(send_all(&mut dest, other, b"x"), 0);

    dest.finish(stream);
    dest.reset(other, Reset::new(ResetCode::CutOff));
    let opened = dest.open("late:1", ms(0)).unwrap();
    let bytes = sent(&mut dest, ms(0));
    let reset = reset_payload(&Reset::new(ResetCode::CutOff));
    let expected = [
        frame(Kind::Eof, stream.0, &[]),
        frame(Kind::Reset, other.0, &reset),
        frame(Kind::Open, opened.0, &open_payload(65_536, "late:1")),
    ];
    assert_eq!(bytes, expected.concat());

    // Once the origin acknowledges, data continues.
    origin.streams.get_mut(&stream.0).unwrap().window.consume(2_000_000, ms(0), None);
    origin.streams.get_mut(&stream.0).unwrap().window.announce();
    receive(&mut origin, &held, ms(0)).unwrap();
    receive(&mut dest, &sent(&mut origin, ms(0)), ms(0)).unwrap();
    assert_eq!(send_all(&mut dest, opened, b"x"), 1);
}

#[test]
fn a_window_grows_while_it_limits_the_sender() {
    // Round trips of 10 ms: a window of 64 KiB is used in each.
    let (mut dest, mut origin, stream) = connected();
    let mut sizes = Vec::new();
    let mut now = ms(100);
    for _ in 0..60 {
        let mut bytes = Vec::new();
        while send_all(&mut dest, stream, &[7; 16_384]) > 0 {
            bytes.extend(sent(&mut dest, now));
        }
        now += ms(5);
        receive(&mut origin, &bytes, now).unwrap();
        let answer = sent(&mut origin, now);
        now += ms(5);
        receive(&mut dest, &answer, now).unwrap();
        sizes.push(bytes.len() / 1024);
    }
    assert!(sizes[0] <= 65, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size <= 1024), "{sizes:?}");
    assert!(sizes[59] > 900, "{sizes:?}");
}

#[test]
fn a_window_does_not_grow_for_a_slow_sender() {
    let (mut dest, mut origin, stream) = connected();
    for step in 1..200 {
        let now = ms(40 * step);
        send_all(&mut dest, stream, &[7; 16_384]);
        receive(&mut origin, &sent(&mut dest, now), now + ms(5)).unwrap();
        receive(&mut dest, &sent(&mut origin, now + ms(5)), now + ms(10)).unwrap();
    }
    let window = &mut origin.streams.get_mut(&1).unwrap().window;
    assert_eq!(window.announce(), 199 * 16_384 + 64 * 1024);
}

#[test]
fn a_reset_drops_what_it_overtakes_and_is_never_eof() {
    let (mut dest, mut origin, stream) = connected();
    send_all(&mut dest, stream, b"unread");
    receive_unread(&mut origin, &sent(&mut dest, ms(0))).unwrap();
    send_all(&mut origin, stream, b"dropped");
    receive_unread(&mut dest, &sent(&mut origin, ms(0))).unwrap();
    assert_eq!(dest.unread(stream), b"dropped");
    dest.finish(stream);
    dest.reset(stream, Reset::new(ResetCode::CutOff));
    assert!(!dest.has_stream(stream) && dest.unread(stream).is_empty());
    let [_, seen] = settle(&mut dest, &mut origin, ms(0));
    assert_eq!(seen, [Seen::Reset(1, ResetCode::CutOff, b"unread".to_vec())]);
    // Frames that were under way in the other direction are ignored.
    let late = [frame(Kind::Data, 1, b"late"), frame(Kind::Eof, 1, &[]), frame(Kind::Window, 1, &[9; 8])];
    assert_eq!(receive(&mut dest, &late.concat(), ms(0)), Ok(vec![]));
}

#[test]
fn streams_beyond_the_limit_are_refused() {
    let few = Settings { max_streams: 2, ..settings() };
    let (mut dest, mut origin) = joined(settings(), few);
    let streams: Vec<StreamId> = (0..4).map(|_| dest.open("", ms(0)).unwrap()).collect();
    let [seen, opened] = settle(&mut dest, &mut origin, ms(0));
    assert_eq!(opened.len(), 2);
    assert_eq!(seen, [5, 7].map(|stream| Seen::Reset(stream, ResetCode::TooMany, vec![])));
    dest.reset(streams[0], Reset::new(ResetCode::CutOff));
    let next = dest.open("", ms(0)).unwrap();
    let [_, opened] = settle(&mut dest, &mut origin, ms(0));
    assert_eq!(opened[1], Seen::Opened(next.0, String::new()));
}

#[test]
fn a_flood_of_streams_ends_the_link() {
    let few = Settings { max_streams: 2, ..settings() };
    let mut origin = Link::origin(few, &HELLO, ms(0)).unwrap();
    // The refusals wait, because the peer acknowledges nothing.
    origin.max_unacknowledged = 0;
    let flood: Vec<u8> = (0..5).flat_map(|index| open(2 * index + 1)).collect();
    assert_eq!(receive(&mut origin, &flood, ms(0)), Err(Violation::TooManyStreams));
    assert!(origin.has_ended() && origin.streams.is_empty());
}

#[test]
fn violations_end_the_link_with_a_reset_of_stream_0() {
    let data = |stream, length| frame(Kind::Data, stream, &vec![0; length]);
    let eof = frame(Kind::Eof, 1, &[]);
    let cases: Vec<(Vec<Vec<u8>>, Violation)> = vec![
        (vec![open(2)], Violation::Open),
        (vec![open(1), open(1)], Violation::Open),
        (vec![open(3), open(1)], Violation::Open),
        (vec![frame(Kind::GoAway, 0, &[0, 6]), open(1)], Violation::Open),
        (vec![data(1, 1)], Violation::UnknownStream),
        (vec![open(3), data(2, 1)], Violation::UnknownStream),
        (vec![open(1), frame(Kind::Reset, 3, &[0, 4])], Violation::UnknownStream),
        (vec![open(1), frame(Kind::Window, 3, &[0; 8])], Violation::UnknownStream),
        (vec![frame(Kind::Eof, 1, &[])], Violation::UnknownStream),
        (vec![open(1), data(1, 65_536), data(1, 1)], Violation::Window),
        (vec![open(1), eof.clone(), data(1, 1)], Violation::AfterEof),
        (vec![open(1), eof.clone(), eof.clone()], Violation::AfterEof),
        (vec![frame(Kind::Ack, 0, &1_u64.to_be_bytes())], Violation::Acknowledgement),
        (vec![HELLO.encode()], Violation::Malformed(Malformed::SecondHello)),
        (vec![vec![99, 0, 0, 0, 0, 0, 0, 0]], Violation::Malformed(Malformed::Type(99))),
    ];
    for (frames, violation) in cases {
        for size in [1, 7, usize::MAX] {
            let mut origin = origin();
            sent(&mut origin, ms(0));
            let mut result = Ok(vec![]);
            for part in frames.concat().chunks(size) {
                result = result.and_then(|_| receive_unread(&mut origin, part).map(|()| vec![]));
            }
            assert_eq!(result, Err::<Vec<Seen>, _>(violation), "{frames:?}");
            let code = [0, 5];
            let text = violation.to_string();
            let reset = frame(Kind::Reset, 0, &[&code, text.as_bytes()].concat());
            let bytes = sent(&mut origin, ms(0));
            assert!(bytes.ends_with(&reset), "{bytes:?}");
            assert!(origin.has_ended() && origin.streams.is_empty());
            // Nothing after the violation is parsed.
            assert_eq!(receive(&mut origin, &open(9), ms(0)), Ok(vec![]));
        }
    }
}

/// RESET of stream 0 follows the frame that the pipe has begun, and replaces the others.
#[test]
fn the_last_reset_follows_the_frame_that_was_begun() {
    let (mut dest, mut origin, stream) = connected();
    assert_eq!(send_all(&mut dest, stream, &vec![7; 20_000]), 20_000);
    assert_eq!(send_all(&mut dest, stream, &vec![8; 20_000]), 20_000);
    let mut bytes = dest.pending(ms(0))[..100].to_vec();
    dest.written(100);
    dest.abort(&Reset::new(ResetCode::GoingAway));
    bytes.extend(sent(&mut dest, ms(0)));
    let seen = receive(&mut origin, &bytes, ms(0)).unwrap();
    assert_eq!(seen, [Seen::Data(1, vec![7; 20_000]), Seen::Ended(ResetCode::GoingAway)]);
    assert!(origin.has_ended() && !origin.has_stream(stream));
}

#[test]
fn the_dest_refuses_streams_of_the_origin() {
    let (mut dest, _) = joined(settings(), settings());
    assert_eq!(receive(&mut dest, &open(1), ms(0)), Err(Violation::Open));
    let mut origin = origin();
    assert_eq!(origin.open("", ms(0)), None);
}

#[test]
fn pings_get_the_latest_pong_between_frames() {
    let (mut dest, mut origin, stream) = connected();
    assert_eq!(send_all(&mut origin, stream, &vec![7; 20_000]), 20_000);
    assert_eq!(send_all(&mut origin, stream, &[8; 9]), 9);
    let mut bytes = origin.pending(ms(0))[..100].to_vec();
    origin.written(100);
    let pings = [frame(Kind::Ping, 0, b"first..."), frame(Kind::Ping, 0, b"second..")];
    receive(&mut origin, &pings.concat(), ms(0)).unwrap();
    bytes.extend(sent(&mut origin, ms(0)));
    let pong = frame(Kind::Pong, 0, b"second..");
    assert_eq!(bytes[20_008..20_024], pong);
    let seen = receive(&mut dest, &bytes, ms(0)).unwrap();
    assert_eq!(data(1, &seen).len(), 20_009);
}

#[test]
fn an_idle_stream_uses_little_memory() {
    let (dest, origin, _) = connected();
    for link in [&dest, &origin] {
        let stream = &link.streams[&1];
        assert!(size_of_val(stream) <= 256, "{}", size_of_val(stream));
        assert_eq!((stream.unread.capacity(), stream.due.open.is_some()), (0, false));
    }
}
