use super::*;

/// Both ends, and a wire between them.
struct Pair {
    sender: Sender,
    receiver: Receiver,
    /// The number of bytes that are passed at a time.
    piece: usize,
    log: Vec<String>,
    round_trips: usize,
}

impl Pair {
    fn new(receiver: Receiver, piece: usize) -> Self {
        Self { sender: Sender::new(), receiver, piece, log: Vec::new(), round_trips: 0 }
    }

    /// Passes all bytes until nothing is left to do. `answer` returns a reason to refuse.
    fn run(&mut self, answer: impl Fn(&str) -> Option<&'static str>) -> Result<(), Error> {
        while !(self.sender.output().is_empty() && self.receiver.output().is_empty()) {
            let output = self.receiver.output().to_vec();
            self.receiver.sent(output.len());
            for piece in output.chunks(self.piece) {
                self.sender.receive(piece);
                while let Some(event) = self.sender.next_event()? {
                    match event {
                        SenderEvent::Failed(_, text) => self.log.push(format!("failed: {}", cause(&text))),
                        SenderEvent::Warning(text) => self.log.push(format!("warning: {}", cause(&text))),
                        SenderEvent::Started(_) | SenderEvent::Done(_) => {}
                    }
                }
            }
            let output = self.sender.output().to_vec();
            self.sender.sent(output.len());
            self.round_trips += 1;
            for piece in output.chunks(self.piece) {
                self.receiver.receive(piece);
                self.take_events(&answer)?;
            }
        }
        Ok(())
    }

    fn take_events(&mut self, answer: impl Fn(&str) -> Option<&'static str>) -> Result<(), Error> {
        while let Some(event) = self.receiver.next_event()? {
            let (line, needs_answer) = match event {
                ReceiverEvent::File(entry, times) => (format!("{entry:?} {times:?}"), true),
                ReceiverEvent::Directory(entry, times) => (format!("dir {entry:?} {times:?}"), true),
                ReceiverEvent::Data(data) => {
                    let text = String::from_utf8_lossy(data).into_owned();
                    match self.log.last_mut().filter(|line| line.starts_with("data ")) {
                        Some(line) => line.push_str(&text),
                        None => self.log.push(format!("data {text}")),
                    }
                    continue;
                }
                ReceiverEvent::FileEnd => ("end of file".into(), true),
                ReceiverEvent::FileFailed(text) => (format!("bad file: {}", cause(&text)), true),
                ReceiverEvent::DirectoryEnd => ("end of directory".into(), false),
                ReceiverEvent::Warning(text) => (format!("warned: {}", cause(&text)), false),
            };
            match answer(&line).filter(|_| needs_answer) {
                Some(text) => self.receiver.refuse(text),
                None => self.receiver.accept(),
            }
            self.log.push(line);
        }
        Ok(())
    }

    /// Sends a tree: one directory with two files, and an empty file beside it.
    fn send_tree(&mut self, answer: impl Fn(&str) -> Option<&'static str> + Copy) -> Result<(), Error> {
        self.run(answer)?;
        let times = Some(Times { access: 1, modification: 2 });
        self.sender.directory(Entry { mode: 0o755, ..entry("d", 0) }, times).unwrap();
        self.run(answer)?;
        if !self.log.last().is_some_and(|line| line.starts_with("failed")) {
            for (name, data) in [("a", "content"), ("b", "more")] {
                self.sender.file(entry(name, data.len() as u64), times).unwrap();
                self.run(answer)?;
                if self.sender.wants_data().is_some() {
                    self.sender.provide(data.as_bytes());
                }
            }
            self.run(answer)?;
            self.sender.end_directory();
        }
        self.sender.file(entry("empty", 0), None).unwrap();
        self.run(answer)?;
        assert!(self.sender.is_idle());
        assert_eq!((self.sender.end_of_input(), self.receiver.end_of_input()), (Ok(()), Ok(())));
        Ok(())
    }
}

fn tree() -> Vec<String> {
    let (a, b, times) = (entry("a", 7), entry("b", 4), Some(Times { access: 1, modification: 2 }));
    let d = Entry { mode: 0o755, ..entry("d", 0) };
    let (empty, none) = (entry("empty", 0), None::<Times>);
    let end = "end of file".to_owned();
    [
        format!("dir {d:?} {times:?}"),
        format!("{a:?} {times:?}"),
        "data content".into(),
        end.clone(),
        format!("{b:?} {times:?}"),
        "data more".into(),
        end.clone(),
        "end of directory".into(),
        format!("{empty:?} {none:?}"),
        end,
    ]
    .into()
}

#[test]
fn a_tree_arrives_in_every_fragmentation() {
    for piece in 1..40 {
        let mut pair = Pair::new(Receiver::new(None, true), piece);
        pair.send_tree(|_| None).unwrap();
        assert_eq!(pair.log, tree(), "{piece}");
    }
}

#[test]
fn refused_entries_are_skipped() {
    let mut pair = Pair::new(Receiver::new(None, true), 3);
    pair.send_tree(|line| line.contains("name: [97],").then_some("a: Permission denied")).unwrap();
    assert!(!pair.log.contains(&"data content".into()) && pair.log.contains(&"data more".into()));
    assert!(pair.log.contains(&"failed: permission denied".into()), "{:?}", pair.log);

    let mut pair = Pair::new(Receiver::new(None, true), 3);
    let is_dir = |line: &str| line.starts_with("dir").then_some("d: exists");
    pair.send_tree(is_dir).unwrap();
    assert_eq!((pair.log[1].as_str(), pair.log.len()), ("failed: d: exists", 4));

    let mut pair = Pair::new(Receiver::new(None, true), 3);
    pair.send_tree(|line| (line == "end of file").then_some("No space left on device")).unwrap();
    assert_eq!(pair.log.iter().filter(|line| *line == "failed: no space left").count(), 3);
}

#[test]
fn a_file_costs_one_round_trip() {
    let mut pair = Pair::new(Receiver::new(None, false), usize::MAX);
    pair.run(|_| None).unwrap();
    let start = pair.round_trips;
    for _ in 0..100 {
        pair.sender.file(entry("f", 1), Some(Times { access: 0, modification: 0 })).unwrap();
        while pair.sender.wants_data().is_none() {
            pair.run(|_| None).unwrap();
        }
        pair.sender.provide(b"x");
    }
    assert!(pair.round_trips - start <= 2 * 100, "{}", pair.round_trips - start);
}

#[test]
fn a_file_that_shrinks_is_filled_and_reported() {
    for piece in [1, usize::MAX] {
        let mut pair = Pair::new(Receiver::new(None, false), piece);
        pair.run(|_| None).unwrap();
        pair.sender.file(entry("f", 10), None).unwrap();
        pair.run(|_| None).unwrap();
        pair.sender.provide(b"12345");
        pair.sender.fail("f: file\nchanged");
        pair.run(|_| None).unwrap();
        assert_eq!(pair.log[1..], ["data 12345\0\0\0\0\0".to_owned(), "bad file: f: file changed".into()]);
        // A file that grows is cut.
        pair.sender.file(entry("g", 2), None).unwrap();
        pair.run(|_| None).unwrap();
        pair.sender.provide(b"12345");
        pair.run(|_| None).unwrap();
        assert_eq!(pair.log[4..], ["data 12".to_owned(), "end of file".into()]);
    }
}

#[test]
fn padding_of_a_huge_file_takes_little_memory() {
    let mut sender = Sender::new();
    sender.receive(b"\0");
    assert_eq!(sender.next_event(), Ok(None));
    let id = sender.file(entry("f", 1 << 40), None).unwrap();
    sender.receive(b"\0");
    assert_eq!(sender.next_event(), Ok(Some(SenderEvent::Started(id))));
    sender.fail("f: gone");
    for _ in 0..10 {
        let length = sender.output().len();
        assert!((1..=256 * 1024).contains(&length));
        sender.sent(length);
    }
}

/// Returns the first error for these bytes. All entries are accepted.
fn receive(mut receiver: Receiver, bytes: &[u8]) -> Option<Error> {
    receiver.receive(bytes);
    loop {
        match receiver.next_event() {
            Err(error) => return Some(error),
            Ok(Some(ReceiverEvent::Data(_) | ReceiverEvent::Warning(_) | ReceiverEvent::DirectoryEnd)) => {}
            Ok(Some(_)) => receiver.accept(),
            Ok(None) => return receiver.end_of_input().err(),
        }
    }
}

#[test]
fn only_the_requested_name_is_accepted() {
    let file = || Receiver::new(Some(b"f".to_vec()), false);
    assert_eq!(receive(file(), b"C0644 1 f\nx\0"), None);
    assert_eq!(receive(file(), b"C0644 1 .bashrc\nx\0"), Some(Error::Name(b".bashrc".into())));
    assert_eq!(receive(file(), b"D0755 0 f\n"), Some(Error::Unexpected('D')));
    let tree = || Receiver::new(Some(b"d".to_vec()), true);
    assert_eq!(receive(tree(), b"D0755 0 d\nC0644 0 any\n\0E\n"), None);
    assert_eq!(receive(tree(), b"D0755 0 e\n"), Some(Error::Name(b"e".into())));
    assert_eq!(receive(tree(), b"D0755 0 d\nE\nC0644 0 any\n"), Some(Error::Name(b"any".into())));
    assert_eq!(receive(tree(), b"D0755 0 d\nC0644 0 ..\n"), Some(Error::Name(b"..".into())));
}

#[test]
fn violations_are_errors() {
    let any = || Receiver::new(None, true);
    for (bytes, error) in [
        (&b"E\n"[..], Error::Unexpected('E')),
        (b"T0 0 0 0\nT0 0 0 0\n", Error::Unexpected('T')),
        (b"\0", Error::Unexpected('\0')),
        (b"\x02scp: gone\n", Error::Fatal(b"scp: gone".into())),
        (b"Welcome!\n", Error::NotScp(b"Welcome!".into())),
        (b"C0644 2 f\nx", Error::Incomplete),
        (b"C0644 1 f\nx", Error::Incomplete),
        (b"C0644 1 f\nxy\n", Error::NotScp(b"y".into())),
        (b"D0755 0 d\n", Error::Incomplete),
        (b"C0644", Error::Incomplete),
        (b"\x01warning\n", Error::Incomplete),
    ] {
        let expected = if bytes == b"\x01warning\n" { None } else { Some(error) };
        assert_eq!(receive(any(), bytes), expected, "{bytes:?}");
    }
    assert_eq!(receive(any(), &[b'C'; 16 * 1024]), Some(Error::TooLong));
    assert_eq!(receive(any(), &b"D0755 0 d\n".repeat(65)), Some(Error::Unexpected('D')));
}

#[test]
fn the_sender_checks_the_answers() {
    let next = |bytes: &[u8]| {
        let mut sender = Sender::new();
        sender.receive(bytes);
        sender.next_event()
    };
    assert_eq!(next(b"\0"), Ok(None));
    assert_eq!(next(b"\x01scp: d: not a dir"), Ok(None));
    assert_eq!(next(b"\x01scp: d\n"), Err(Error::Fatal(b"scp: d".into())));
    assert_eq!(next(b"\0\x01odd\n"), Ok(Some(SenderEvent::Warning(b"odd".into()))));
    assert_eq!(next(b"\0\x02scp: x\n"), Err(Error::Fatal(b"scp: x".into())));
    assert_eq!(next(b"\0\0"), Err(Error::Unexpected('\0')));
    assert_eq!(next(b"sh: scp: not found\n"), Err(Error::NotScp(b"sh: scp: not found".into())));
    assert_eq!(Sender::new().end_of_input(), Err(Error::Incomplete));
}
