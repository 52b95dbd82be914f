use super::*;

#[test]
fn an_upload_is_renamed_once_it_is_complete() {
    for size in [0, 1, 32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1, 5_000_000] {
        let memory = Memory::new(&[("old", Node::file(b"old content"))]);
        let data = pattern(size);
        let mut pair = Pair::new(&memory);
        let id = pair.put("old", &data);
        assert_eq!(pair.run(), [Event::Done(id)]);
        assert_eq!(memory.paths(), ["old"]);
        let node = memory.node("old").unwrap();
        assert_eq!((node.data, node.mode, node.is_synced), (data, 0o100_644, true));
        assert_eq!(*memory.open.borrow(), 0);
        assert!(pair.max_in_flight <= MAX_REQUESTS);
        assert!(pair.max_output < MAX_OUTPUT + 33 * 1024 + 64 * 100);
    }
}

#[test]
fn a_small_upload_takes_four_round_trips() {
    let memory = Memory::new(&[]);
    let mut pair = Pair::new(&memory);
    pair.put("file", b"content");
    pair.run();
    // Version, open (beside the limits), data to close, rename.
    assert_eq!(pair.round_trips, 4);
}

#[test]
fn an_upload_of_unknown_size_ends_with_its_source() {
    let memory = Memory::new(&[]);
    let mut pair = Pair::new(&memory);
    let data = pattern(3_000_000);
    let id = pair.put_file(put("file", None), &data, 0);
    assert_eq!(pair.run(), [Event::Done(id)]);
    assert_eq!(memory.node("file").unwrap().data, data);
}

#[test]
fn fsync_is_optional() {
    for sync in [false, true] {
        let memory = Memory::new(&[]);
        let mut pair = Pair::new(&memory);
        let id = pair.put_file(Put { sync, ..put("file", None) }, b"x", 0);
        assert_eq!(pair.run(), [Event::Done(id)]);
        assert_eq!(memory.node("file").unwrap().is_synced, sync);
    }
}

#[test]
fn permissions_and_times_are_kept() {
    let memory = Memory::new(&[]);
    let mut pair = Pair::new(&memory);
    let times = |access, modification| Some((access, modification));
    let file = |name, mode, times| Put { mode, times, ..put(name, Some(0)) };
    pair.put_file(file("a", 0o4751, times(1, 2)), b"", 0);
    pair.put_file(file("b", 0o100_600, times(-1, 1 << 33)), b"", 0);
    assert_eq!(pair.run().len(), 2);
    let (a, b) = (memory.node("a").unwrap(), memory.node("b").unwrap());
    assert_eq!((a.mode, a.times), (0o104_751, Some((1, 2))));
    assert_eq!((b.mode, b.times), (0o100_600, Some((0, u32::MAX))));
}

#[test]
fn a_partial_file_that_was_left_behind_is_replaced() {
    let memory = Memory::new(&[("d", Node::of_mode(0o040_755)), ("d/.file.part", Node::of_mode(0o120_777))]);
    let mut pair = Pair::new(&memory);
    let id = pair.put("d/file", b"new");
    assert_eq!(pair.run(), [Event::Done(id)]);
    assert_eq!(memory.paths(), ["d", "d/file"]);
    // A symbolic link in its place would still be one.
    let node = memory.node("d/file").unwrap();
    assert_eq!((node.data, node.mode), (b"new".to_vec(), 0o100_644));
}

#[test]
fn a_device_is_written_in_place() {
    let memory = Memory::new(&[("null", Node::of_mode(0o020_666))]);
    let mut pair = Pair::new(&memory);
    let id = pair.put_file(Put { is_in_place: true, ..put("null", None) }, b"data", 0);
    assert_eq!(pair.run(), [Event::Done(id)]);
    assert_eq!(memory.node("null").unwrap(), Node { data: b"data".into(), ..Node::of_mode(0o020_666) });
    // A failure does not remove it.
    let mut pair = Pair::new(&memory)
        .with_fault(|request| matches!(request, Request::Write { .. }).then_some(StatusCode::FAILURE));
    let id = pair.put_file(Put { is_in_place: true, ..put("null", None) }, b"data", 0);
    assert_eq!(pair.run(), [failed(id, StatusCode::FAILURE)]);
    assert_eq!(memory.paths(), ["null"]);
}

#[test]
fn two_uploads_to_one_path_do_not_overlap() {
    let memory = Memory::new(&[]);
    let mut pair = Pair::new(&memory);
    let ids = [pair.put("file", b"first"), pair.put("file", b"second")];
    assert_eq!(pair.run(), ids.map(Event::Done));
    assert_eq!(memory.node("file").unwrap().data, b"second");
}

#[test]
fn files_wait_for_their_directory() {
    let memory = Memory::new(&[]);
    let mut pair = Pair::new(&memory);
    pair.order = Order::Reversed;
    let outer = pair.client.make_directory(b"outer", 0o750, None);
    let inner = pair.client.make_directory(b"outer/inner", 0o40_700, Some(outer));
    let file = Put { parent: Some(inner), ..put("outer/inner/file", Some(1)) };
    let file = pair.put_file(file, b"x", 0);
    assert_eq!(pair.run(), [outer, inner, file].map(Event::Done));
    assert_eq!(memory.paths(), ["outer", "outer/inner", "outer/inner/file"]);
    assert_eq!(memory.node("outer").unwrap().mode, 0o040_750);
    assert_eq!(memory.node("outer/inner").unwrap().mode, 0o040_700);
}

#[test]
fn an_existing_directory_is_used() {
    let memory = Memory::new(&[("d", Node::of_mode(0o040_700)), ("f", Node::file(b""))]);
    let mut pair = Pair::new(&memory);
    let d = pair.client.make_directory(b"d", 0o755, None);
    let f = pair.client.make_directory(b"f", 0o755, None);
    let below = pair.client.make_directory(b"f/g", 0o755, Some(f));
    let file = pair.put_file(Put { parent: Some(below), ..put("f/g/h", Some(0)) }, b"", 0);
    let skipped = |id| Event::Failed(id, Failure::NoDirectory);
    let events = [Event::Done(d), failed(f, StatusCode::FAILURE), skipped(below), skipped(file)];
    assert_eq!(pair.run(), events);
    assert_eq!(memory.node("d").unwrap().mode, 0o040_700);
}

#[test]
fn attributes_are_read_and_set() {
    let memory = Memory::new(&[("d", Node::of_mode(0o040_700))]);
    let mut pair = Pair::new(&memory);
    let attributes = Attributes { mode: Some(0o555), times: Some((3, 4)), ..Attributes::default() };
    let set = pair.client.set_attributes(b"d", attributes);
    assert_eq!(pair.run(), [Event::Done(set)]);
    let (found, login, none) = (pair.client.stat(b"d"), pair.client.stat(b""), pair.client.stat(b"x"));
    let events = pair.run();
    let Event::Attributes(id, attributes) = events[0] else { panic!("{events:?}") };
    assert_eq!((id, attributes.mode, attributes.times), (found, Some(0o040_555), Some((3, 4))));
    assert!(matches!(&events[1], Event::Attributes(id, _) if *id == login));
    assert_eq!(events[2], failed(none, StatusCode::NO_SUCH_FILE));
}

#[test]
fn the_real_path_of_a_file_is_returned() {
    let memory = Memory::new(&[("d", Node::of_mode(0o040_700))]);
    let mut pair = Pair::new(&memory);
    let (path, login) = (pair.client.real_path(b"./d"), pair.client.real_path(b""));
    assert_eq!(pair.run(), [Event::Path(path, b"/d".into()), Event::Path(login, b"/".into())]);
    let mut pair = Pair::new(&memory).with_fault(|_| Some(StatusCode::PERMISSION_DENIED));
    let path = pair.client.real_path(b"d");
    assert_eq!(pair.run(), [failed(path, StatusCode::PERMISSION_DENIED)]);
}
