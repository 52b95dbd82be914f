use super::*;

/// Small files overlap: they take about as many round trips as the requests in flight allow.
#[test]
fn two_thousand_small_files_take_few_round_trips() {
    let memory = Memory::new(&[]);
    let mut pair = Pair::new(&memory);
    let content = pattern(1024);
    let mut queued = 0;
    pair.take_events().unwrap();
    while queued < 2000 || !pair.client.is_idle() {
        while queued < 2000 && pair.client.can_queue() {
            pair.put(&format!("{queued}"), &content);
            queued += 1;
        }
        pair.take_events().unwrap();
        pair.round_trip().unwrap();
    }
    assert_eq!(pair.events.len(), 2000);
    assert!(memory.tree.borrow().values().filter(|node| node.data == content).count() == 2000);
    // Open, write, sync, close and rename, 64 at a time, after the start.
    assert_eq!(pair.requests, 2000 * 5 + 2);
    assert!(pair.round_trips < 2000 * 5 / 64 + 20, "{}", pair.round_trips);
    assert!(pair.max_in_flight <= 64);

    let mut pair = Pair::new(&memory);
    let listing = pair.client.list(b"");
    pair.take_events().unwrap();
    let mut max_waiting = 0;
    while !pair.client.is_idle() {
        for event in std::mem::take(&mut pair.events) {
            if let Event::Entry(_, name, attributes) = event {
                pair.client.get(&name, Some(attributes));
            }
        }
        max_waiting = max_waiting.max(pair.client.waiting.len());
        pair.take_events().unwrap();
        if !pair.client.output().is_empty() {
            pair.round_trip().unwrap();
        }
    }
    assert!(pair.data.values().all(|data| *data == content));
    assert_eq!((pair.data.len(), pair.data.contains_key(&listing)), (2000, false));
    // Open, two reads and close, 64 at a time, and the first listings.
    assert!(pair.round_trips < 2000 * 4 / 64 + 45, "{}", pair.round_trips);
    // The listing pauses while many files wait. This caller queues files late.
    assert!(max_waiting <= 64 + 200, "{max_waiting}");
}

#[test]
fn a_gibibyte_takes_as_many_round_trips_as_the_window_allows() {
    const SIZE: u64 = 1 << 30;
    let memory = Memory::new(&[("big", Node { zeros: SIZE, ..Node::file(b"") })]);
    let mut pair = Pair::new(&memory);
    let id = pair.client.get(b"big", None);
    pair.run();
    assert_eq!(pair.counts[&id], SIZE);
    assert!(pair.round_trips < 32 * 1024 / 64 + 10, "{}", pair.round_trips);
    assert_eq!(pair.requests, 32 * 1024 + 6);

    let mut pair = Pair::new(&memory);
    let id = pair.put_file(put("copy", Some(SIZE)), b"", SIZE);
    assert_eq!(pair.run(), [Event::Done(id)]);
    assert_eq!(memory.node("copy").unwrap().size(), SIZE);
    assert_eq!(pair.requests, 32 * 1024 + 6);
    assert!(pair.round_trips < 32 * 1024 / 64 + 10, "{}", pair.round_trips);
}

/// The next file does not wait for the end of the previous one.
#[test]
fn large_files_follow_each_other_without_a_pause() {
    let memory = Memory::new(&[]);
    let files = 5;
    for file in 0..files {
        memory.tree.borrow_mut().insert(format!("{file}").into(), Node { zeros: 8 << 20, ..Node::file(b"") });
    }
    let mut pair = Pair::new(&memory);
    for file in 0..files {
        pair.client.get(format!("{file}").as_bytes(), None);
    }
    pair.run();
    assert!(pair.round_trips <= files * 4 + 6, "{}", pair.round_trips);
}

#[test]
fn sizes_beyond_32_bits_work() {
    let size = (5 << 30) + 3;
    let memory = Memory::new(&[("big", Node { zeros: size, ..Node::file(b"") })]);
    let mut client = Client::new();
    let id = client.get(b"big", Some(Attributes { size: Some(size), ..Attributes::default() }));
    // Only the last part is transferred.
    let mut pair = Pair { client, ..Pair::new(&memory) };
    pair.take_events().unwrap();
    pair.round_trip().unwrap();
    pair.round_trip().unwrap();
    let Some((_, Job::Download(download))) = pair.client.active.first_mut() else { panic!("not active") };
    download.skip_to(size - 100_000);
    pair.run();
    assert_eq!(pair.counts[&id], 100_000);
}
