use super::*;

/// Downloads `file` and returns the data.
fn get(pair: &mut Pair, attributes: Option<Attributes>) -> Vec<u8> {
    let id = pair.client.get(b"file", attributes);
    let events = pair.run();
    assert!(matches!(&events[..], [Event::Opened(..), Event::Done(_)]), "{events:?}");
    pair.data.remove(&id).unwrap_or_default()
}

#[test]
fn a_download_is_complete_in_any_order_of_replies() {
    for size in [0, 1, 32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1, 3_000_000] {
        let data = pattern(size);
        let memory = Memory::new(&[("file", Node::file(&data))]);
        for order in [Order::Same, Order::Reversed, Order::Shuffled(1), Order::Shuffled(2)] {
            let mut pair = Pair::new(&memory);
            pair.order = order;
            assert!(get(&mut pair, None) == data, "{size} {order:?}");
            assert!(pair.max_in_flight <= MAX_REQUESTS);
            assert_eq!(*memory.open.borrow(), 0);
        }
    }
}

#[test]
fn short_reads_are_continued() {
    let data = pattern(200_000);
    for max_read in [100, 4096, 20_000] {
        let memory = Memory { max_read, ..Memory::new(&[("file", Node::file(&data))]) };
        for order in [Order::Same, Order::Reversed, Order::Shuffled(3)] {
            let mut pair = Pair::new(&memory);
            pair.order = order;
            assert!(get(&mut pair, None) == data, "{max_read} {order:?}");
        }
    }
}

#[test]
fn every_fragmentation_is_the_same() {
    let data = pattern(100_000);
    let memory = Memory::new(&[("file", Node::file(&data))]);
    for piece in (1..20).chain([4096, 32 * 1024 + 12, 32 * 1024 + 13, 32 * 1024 + 14]) {
        let mut pair = Pair::new(&memory);
        pair.piece = piece;
        assert!(get(&mut pair, None) == data, "{piece}");
    }
}

/// The file has another size than the server says, as in `/proc`, or because it changes.
#[test]
fn a_wrong_size_does_not_matter() {
    let data = pattern(6_000_000);
    let memory = Memory::new(&[("file", Node::file(&data))]);
    for size in [None, Some(0), Some(1), Some(5_999_999), Some(6_000_001), Some(1 << 40), Some(u64::MAX)] {
        for order in [Order::Same, Order::Reversed] {
            let mut pair = Pair::new(&memory);
            pair.order = order;
            assert!(get(&mut pair, Some(Attributes { size, ..Attributes::default() })) == data, "{size:?}");
            // Of 184 reads, at most 64 at a time.
            assert!(pair.round_trips < 20, "{}", pair.round_trips);
        }
    }
}

#[test]
fn a_small_download_takes_four_round_trips() {
    let memory = Memory::new(&[("file", Node::file(b"content"))]);
    let mut pair = Pair::new(&memory);
    let id = pair.client.get(b"file", None);
    pair.run();
    // Version, attributes (beside the limits), open, data and end, close.
    assert_eq!((pair.round_trips, pair.requests), (5, 7));
    assert_eq!(pair.data[&id], b"content");
}

#[test]
fn only_regular_files_are_opened() {
    let nodes = [("d", Node::of_mode(0o040_755)), ("fifo", Node::of_mode(0o010_644)), ("f", Node::file(b""))];
    let memory = Memory::new(&nodes);
    let mut pair = Pair::new(&memory).with_fault(|request| {
        assert!(!matches!(request, Request::Open { path, .. } if *path != b"f"));
        None
    });
    let ids = ["d", "fifo", "f", "none"].map(|path| pair.client.get(path.as_bytes(), None));
    let events = pair.run();
    let has = |event| assert!(events.contains(&event), "{event:?} {events:?}");
    assert!(events.iter().any(|event| matches!(event, Event::Directory(id, _) if *id == ids[0])));
    has(Event::Failed(ids[1], Failure::NotRegular));
    has(Event::Done(ids[2]));
    has(failed(ids[3], StatusCode::NO_SUCH_FILE));
}

#[test]
fn a_directory_is_listed_to_its_end() {
    let names: Vec<_> = (0..250).map(|i| format!("d/{i:03}")).collect();
    let mut nodes = vec![("d", Node::of_mode(0o040_755))];
    nodes.extend(names.iter().map(|name| (name.as_str(), Node::file(b"x"))));
    let memory = Memory::new(&nodes);
    let mut pair = Pair::new(&memory);
    let id = pair.client.list(b"d");
    let events = pair.run();
    assert_eq!(events.len(), 251);
    for (event, name) in events.iter().zip(&names) {
        let Event::Entry(_, found, attributes) = event else { panic!("{event:?}") };
        assert_eq!((found.as_slice(), attributes.size), (&name.as_bytes()[2..], Some(1)));
    }
    assert_eq!(events[250], Event::Done(id));
    let file = pair.client.list(b"d/000");
    assert_eq!(pair.run(), [failed(file, StatusCode::FAILURE)]);
}

/// A server that withholds the first data of each file makes the client keep few others, in all
/// files together.
#[test]
fn data_that_arrive_too_early_are_limited() {
    let data = pattern(64 * 32 * 1024);
    let names = ["a", "b", "c", "d", "e", "f"];
    let memory = Memory::new(&names.map(|name| (name, Node::file(&data))));
    let mut pair = Pair::new(&memory);
    let ids = names.map(|name| pair.client.get(name.as_bytes(), None));
    pair.take_events().unwrap();
    let mut withheld = Vec::new();
    for _ in 0..30 {
        let requests = pair.requests().unwrap();
        let is_first = |reply: &Vec<u8>| reply[4] == 103 && reply[13..21] == data[..8];
        let (first, others): (Vec<_>, Vec<_>) = pair.replies(&requests).into_iter().partition(is_first);
        withheld.extend(first);
        pair.client.receive(&others.concat());
        pair.take_events().unwrap();
        let kept: usize = pair.client.active.iter().map(|(_, job)| job.kept_replies()).sum();
        assert!(kept <= 2 * MAX_REQUESTS, "{kept}");
    }
    assert!(withheld.len() > 1 && pair.client.requests_in_flight() == withheld.len());
    pair.client.receive(&withheld.concat());
    pair.run();
    assert!(ids.iter().all(|id| pair.data[id] == data));
}
