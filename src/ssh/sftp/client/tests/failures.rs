use super::*;

const CODES: [StatusCode; 4] =
    [StatusCode::NO_SUCH_FILE, StatusCode::PERMISSION_DENIED, StatusCode::FAILURE, StatusCode(4711)];

/// Runs a copy once for each request that it sends, and refuses that request.
fn refuse_each(start: impl Fn(&mut Pair) -> JobId, check: impl Fn(usize, &Memory, &[Event], JobId)) {
    for code in CODES {
        for refused in 0.. {
            let memory = Memory::new(&[("old", Node::file(&pattern(100_000)))]);
            let (mut count, mut was_refused) = (0, false);
            let mut pair = Pair::new(&memory).with_fault(|request| {
                let is_refused = count == refused && *request != Request::Limits;
                count += usize::from(*request != Request::Limits);
                was_refused |= is_refused;
                is_refused.then_some(code)
            });
            let id = start(&mut pair);
            let events = pair.run();
            drop(pair);
            if !was_refused {
                assert!(refused > 3);
                break;
            }
            check(refused, &memory, &events, id);
        }
    }
}

#[test]
fn an_upload_that_fails_leaves_the_old_file_and_no_partial_one() {
    let is_old = |memory: &Memory| memory.node("old").unwrap().data == pattern(100_000);
    refuse_each(
        |pair| pair.put_file(Put { times: Some((1, 2)), ..put("old", None) }, &pattern(70_000), 0),
        |refused, memory, events, id| {
            assert_eq!(memory.paths(), ["old"], "{refused}");
            match events {
                [Event::Done(done)] => assert!(*done == id && !is_old(memory)),
                [Event::Failed(failed, Failure::Status(status))] => {
                    assert!(*failed == id && is_old(memory) && CODES.contains(&status.code));
                }
                _ => panic!("{events:?}"),
            }
            // Only a stale partial file lets an upload succeed.
            assert_ne!(is_old(memory), events == [Event::Done(id)]);
        },
    );
}

#[test]
fn a_download_that_fails_returns_the_reason_once() {
    refuse_each(
        |pair| pair.client.get(b"old", None),
        |refused, _, events, id| {
            let failures = events.iter().filter(|event| matches!(event, Event::Failed(..))).count();
            // Stat, open, four reads, the end, close.
            let close = 7;
            assert_eq!(failures, usize::from(refused != close), "{refused} {events:?}");
            let is_last =
                matches!(events.last(), Some(Event::Failed(last, _) | Event::Done(last)) if *last == id);
            assert!(is_last, "{events:?}");
        },
    );
}

#[test]
fn aborted_copies_clean_up() {
    for steps in 0..8 {
        let memory = Memory::new(&[("old", Node::file(&pattern(5_000_000)))]);
        let mut pair = Pair::new(&memory);
        let ids = [pair.put_file(put("new", None), b"", 1 << 30), pair.client.get(b"old", None)];
        let listing = pair.client.list(b".");
        pair.take_events().unwrap();
        for _ in 0..steps {
            pair.round_trip().unwrap();
        }
        for id in [ids[0], ids[1], listing, listing] {
            pair.client.abort(id);
        }
        let events = pair.run();
        for id in ids {
            let failed = Event::Failed(id, Failure::Aborted);
            let ends = events.iter().filter(|event| **event == failed || **event == Event::Done(id));
            assert_eq!(ends.count(), 1, "{steps} {events:?}");
        }
        assert_eq!((memory.paths(), *memory.open.borrow()), (vec!["old".to_owned()], 0), "{steps}");
    }
}

#[test]
fn without_posix_rename_the_old_file_is_removed_first() {
    for refused in 0..4 {
        let memory = Memory::new(&[("old", Node::file(b"old"))]);
        let (mut renames, mut removals) = (0, 0);
        let mut pair = Pair::new(&memory).with_fault(|request| match request {
            Request::Rename { .. } => {
                renames += 1;
                (refused == renames).then_some(StatusCode::PERMISSION_DENIED)
            }
            Request::Remove { path: b"old" } => {
                removals += 1;
                (refused == 3).then_some(StatusCode::PERMISSION_DENIED)
            }
            Request::PosixRename { .. } | Request::Fsync { .. } => panic!("{request:?}"),
            _ => None,
        });
        // The server announces nothing.
        pair.client.receive(b"\0\0\0\x05\x02\0\0\0\x03");
        pair.server.handle(b"\x01\0\0\0\x03", &mut Vec::new()).unwrap();
        pair.client.sent(pair.client.output().len());
        let id = pair.put("old", b"new");
        let events = pair.run();
        drop(pair);
        let content = memory.node("old").map(|node| node.data);
        match refused {
            0 => assert_eq!((events, content), (vec![Event::Done(id)], Some(b"new".to_vec()))),
            1 => {
                assert_eq!(events, [failed(id, StatusCode::PERMISSION_DENIED)]);
                assert_eq!((content, memory.paths().len()), (Some(b"old".to_vec()), 1));
            }
            // The old file is gone, and the new one stays where it is.
            2 => {
                assert_eq!(events, [failed(id, StatusCode::PERMISSION_DENIED)]);
                assert_eq!(memory.paths(), [".old.part"]);
            }
            _ => {
                assert_eq!(events, [failed(id, StatusCode::FAILURE)]);
                assert_eq!((content, memory.paths().len()), (Some(b"old".to_vec()), 1));
            }
        }
    }
}

/// For example, because the target is a directory.
#[test]
fn after_posix_rename_has_failed_the_target_stays() {
    let memory = Memory::new(&[("old", Node::file(b"old"))]);
    let mut pair = Pair::new(&memory)
        .with_fault(|request| matches!(request, Request::PosixRename { .. }).then_some(StatusCode::FAILURE));
    let id = pair.put("old", b"new");
    assert_eq!(pair.run(), [failed(id, StatusCode::FAILURE)]);
    assert_eq!((memory.paths(), memory.node("old").unwrap().data), (vec!["old".into()], b"old".to_vec()));
}

#[test]
fn names_that_leave_the_directory_are_errors() {
    for name in ["", "a/b", "/etc/passwd", "../x", "a\0b"] {
        let mut client = Client::new();
        client.receive(b"\0\0\0\x05\x02\0\0\0\x03");
        let id = client.list(b"d");
        assert_eq!(client.next_event(), Ok(None));
        let mut replies = Vec::new();
        Reply::Handle(b"h").encode(0, &mut replies);
        client.receive(&replies);
        assert_eq!(client.next_event(), Ok(None));
        let entry = |name: &str| crate::ssh::sftp::wire::Name { name: name.into(), ..Default::default() };
        let names = vec![entry("."), entry("good"), entry(".."), entry(name), entry("late")];
        let mut replies = Vec::new();
        Reply::Names(names).encode(1, &mut replies);
        client.receive(&replies);
        assert_eq!(client.next_event(), Ok(Some(Event::Entry(id, b"good".to_vec(), Attributes::default()))));
        let failure = Failure::InvalidName(name.into());
        assert_eq!(client.next_event(), Ok(Some(Event::Failed(id, failure))));
        assert_eq!(client.next_event(), Ok(None));
        assert!(client.is_idle());
    }
}
