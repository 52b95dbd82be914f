#![allow(clippy::unwrap_used, clippy::panic, reason = "that is how a test fails")]

use super::*;
use crate::ssh::algorithms::Offer;
use crate::ssh::connection::Source;
use crate::ssh::testing::connected;

/// A session, and a server that the test drives.
struct Pair {
    client: Connection,
    session: Session,
    server: Connection,
}

impl Pair {
    fn new(request: Request) -> Self {
        let (client, server) = connected(&Offer::default());
        let mut client = Connection::new(client);
        let session = Session::open(&mut client, request).unwrap();
        Self { session, client, server: Connection::new(server) }
    }

    /// Exchanges all messages, `size` bytes at a time. Returns the client's events about other
    /// channels.
    fn run_in_pieces(&mut self, size: usize) -> Result<Vec<Event>, Error> {
        let mut others = Vec::new();
        loop {
            let [to_server, to_client] =
                [&self.client, &self.server].map(|connection| connection.transport().output().to_vec());
            if to_server.is_empty() && to_client.is_empty() {
                return Ok(others);
            }
            self.client.sent(to_server.len());
            self.server.sent(to_client.len());
            for piece in to_server.chunks(size) {
                self.server.receive(piece)?;
            }
            for piece in to_client.chunks(size) {
                self.client.receive(piece)?;
                while let Some(event) = self.client.next_event() {
                    others.extend(self.session.process(&mut self.client, event)?);
                }
            }
        }
    }

    fn run(&mut self) -> Result<Vec<Event>, Error> {
        self.run_in_pieces(usize::MAX)
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.server.next_event()).collect()
    }

    /// Accepts the channel, and returns the requests for it.
    fn accept(&mut self) -> (ChannelId, Vec<(String, bool, Vec<u8>)>) {
        self.run().unwrap();
        let [Event::Asked(id, kind, data)] = &self.events()[..] else { panic!("no channel") };
        assert_eq!((kind.as_str(), data.as_slice()), ("session", &[][..]));
        let id = *id;
        self.server.accept(id).unwrap();
        self.run().unwrap();
        let request = |event| match event {
            Event::Request(_, name, wants_answer, data) => (name, wants_answer, data),
            other => panic!("{other:?}"),
        };
        (id, self.events().into_iter().map(request).collect())
    }
}

fn command(line: &str) -> Request {
    Request { program: Program::Command(line.into()), ..Request::default() }
}

#[test]
fn requests_are_sent_at_once_in_their_order() {
    let size = Size { columns: 80, rows: 24, width: 0, height: 0 };
    let terminal = Terminal { kind: "vt100".into(), size, modes: vec![(1, 3)] };
    let variables = vec![("LANG".into(), "C".into())];
    let mut pair = Pair::new(Request { program: Program::Shell, variables, terminal: Some(terminal) });
    let (id, requests) = pair.accept();
    let pty = b"\0\0\0\x05vt100\0\0\0\x50\0\0\0\x18\0\0\0\0\0\0\0\0\0\0\0\x06\x01\0\0\0\x03\0".to_vec();
    let expected = [
        ("pty-req".to_owned(), true, pty),
        ("env".to_owned(), false, b"\0\0\0\x04LANG\0\0\0\x01C".to_vec()),
        ("shell".to_owned(), true, Vec::new()),
    ];
    assert_eq!(requests, expected);
    assert!(!pair.session.is_running());
    pair.server.answer(id, true).unwrap();
    pair.run().unwrap();
    assert!(!pair.session.is_running(), "only the terminal is granted");
    pair.server.answer(id, true).unwrap();
    pair.run().unwrap();
    assert!(pair.session.is_running());
}

#[test]
fn output_and_exit_status_arrive_in_any_fragmentation() {
    for size in [1, 7, 64, usize::MAX] {
        let mut pair = Pair::new(command("ls"));
        let (id, requests) = pair.accept();
        assert_eq!(requests, [("exec".to_owned(), true, b"\0\0\0\x02ls".to_vec())]);
        pair.server.answer(id, true).unwrap();
        pair.server.write(id, b"first").unwrap();
        pair.server.request(id, "exit-status", false, &[0, 0, 0, 3]).unwrap();
        pair.server.write(id, b"last").unwrap();
        pair.server.send_eof(id).unwrap();
        pair.server.close(id).unwrap();
        pair.run_in_pieces(size).unwrap();
        assert_eq!(pair.session.exit(), Some(&Exit::Status(3)));
        let channel = pair.session.channel();
        assert!(pair.client.has_closed(channel));
        let mut buffer = [0; 20];
        assert_eq!(pair.client.read(channel, Source::Data, &mut buffer), Ok(Some(9)));
        assert_eq!(&buffer[..9], b"firstlast");
        assert_eq!(pair.client.read(channel, Source::Data, &mut buffer), Ok(Some(0)));
        assert_eq!(pair.client.read(channel, Source::Stderr, &mut buffer), Ok(Some(0)));
    }
}

#[test]
fn the_name_of_a_signal_is_printable() {
    let mut pair = Pair::new(command("kill"));
    let (id, _) = pair.accept();
    pair.server.answer(id, true).unwrap();
    let mut data = Vec::new();
    data.put_string("TE\x1bRM").put_bool(false).put_string("").put_string("");
    pair.server.request(id, "exit-signal", false, &data).unwrap();
    pair.run().unwrap();
    let Some(Exit::Signal(name)) = pair.session.exit() else { panic!("{:?}", pair.session.exit()) };
    assert!(!name.contains('\x1b') && name.contains("TE"), "{name}");
}

#[test]
fn a_refused_request_is_an_error() {
    let terminal = Terminal { kind: "vt100".into(), size: Size::default(), modes: Vec::new() };
    for (request, what) in [
        (command("ls"), "the command"),
        (Request::default(), "a shell"),
        (Request { program: Program::Subsystem("sftp".into()), ..Request::default() }, "the subsystem"),
        (Request { terminal: Some(terminal), ..Request::default() }, "a terminal"),
    ] {
        let mut pair = Pair::new(request);
        let (id, _) = pair.accept();
        pair.server.answer(id, false).unwrap();
        assert_eq!(pair.run(), Err(Error::RequestRefused(what)));
    }
}

#[test]
fn a_refused_channel_is_an_error() {
    let mut pair = Pair::new(command("ls"));
    pair.run().unwrap();
    let [Event::Asked(id, ..)] = pair.events()[..] else { panic!("no channel") };
    pair.server.refuse(id, 1, "no sessions").unwrap();
    assert_eq!(pair.run(), Err(Error::ChannelRefused { reason: 1, text: "no sessions".into() }));
}

#[test]
fn requests_of_the_server_are_answered() {
    let mut pair = Pair::new(command("x"));
    let (id, _) = pair.accept();
    pair.server.answer(id, true).unwrap();
    for (name, data) in [("keepalive@openssh.com", &[][..]), ("unknown", &[]), ("xon-xoff", &[1])] {
        pair.server.request(id, name, true, data).unwrap();
    }
    pair.run().unwrap();
    let expected = [true, false, true].map(|known| Event::Answer(id, known));
    assert_eq!(pair.events(), expected);
    assert_eq!(pair.session.take_flow_control(), Some(true));
    assert_eq!(pair.session.take_flow_control(), None);
    pair.server.request(id, "exit-status", false, &[0]).unwrap();
    assert_eq!(pair.run(), Err(Error::Malformed(message::CHANNEL_REQUEST)));
}

#[test]
fn events_of_other_channels_are_returned() {
    let mut pair = Pair::new(command("x"));
    pair.accept();
    pair.server.open("forwarded-tcpip", b"data").unwrap();
    pair.server.global_request("hostkeys-00@openssh.com", false, &[]).unwrap();
    let others = pair.run().unwrap();
    assert!(matches!(&others[..], [Event::Asked(..), Event::GlobalRequest(..)]), "{others:?}");
}

#[test]
fn signals_and_sizes_are_sent() {
    let mut pair = Pair::new(command("x"));
    let (id, _) = pair.accept();
    pair.server.answer(id, true).unwrap();
    pair.run().unwrap();
    pair.session.send_signal(&mut pair.client, "INT").unwrap();
    pair.session.send_size(&mut pair.client, Size { columns: 1, rows: 2, width: 3, height: 4 }).unwrap();
    pair.run().unwrap();
    let size = b"\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04".to_vec();
    let expected = [
        Event::Request(id, "signal".into(), false, b"\0\0\0\x03INT".to_vec()),
        Event::Request(id, "window-change".into(), false, size),
    ];
    assert_eq!(pair.events(), expected);
}
