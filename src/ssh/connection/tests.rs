#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "that is how a test fails")]

use super::*;
use crate::ssh::algorithms::Offer;
use crate::ssh::testing::connected;

/// Two connections, and a wire between them.
struct Pair {
    client: Connection,
    server: Connection,
}

impl Pair {
    fn new() -> Self {
        let (client, server) = connected(&Offer::default());
        Self { client: Connection::new(client), server: Connection::new(server) }
    }

    /// Passes bytes in pieces until nothing is left to do.
    fn run(&mut self) -> Result<(), Error> {
        loop {
            let before = self.client.transport.output().len() + self.server.transport.output().len();
            pass(&mut self.client, &mut self.server)?;
            pass(&mut self.server, &mut self.client)?;
            if before == 0 {
                return Ok(());
            }
        }
    }

    /// Opens a channel from the client.
    fn open(&mut self) -> (ChannelId, ChannelId) {
        let client = self.client.open("direct-tcpip", b"target").unwrap().unwrap();
        self.run().unwrap();
        let Some(Event::Asked(server, kind, data)) = self.server.next_event() else { panic!("no channel") };
        assert_eq!((kind.as_str(), data.as_slice()), ("direct-tcpip", &b"target"[..]));
        self.server.accept(server).unwrap();
        self.run().unwrap();
        assert_eq!(self.client.next_event(), Some(Event::Opened(client)));
        (client, server)
    }
}

/// Passes one piece.
fn pass(from: &mut Connection, to: &mut Connection) -> Result<(), Error> {
    let count = from.transport.output().len().min(5000);
    to.receive(&from.transport.output()[..count])?;
    from.sent(count);
    Ok(())
}

/// Reads everything that has arrived. Returns it, and whether EOF follows.
fn read(connection: &mut Connection, id: ChannelId, from: Source) -> (Vec<u8>, bool) {
    let (mut all, mut buffer) = (Vec::new(), [0; 7000]);
    loop {
        match connection.read(id, from, &mut buffer).unwrap() {
            None => return (all, false),
            Some(0) => return (all, true),
            Some(count) => all.extend_from_slice(&buffer[..count]),
        }
    }
}

#[test]
fn data_and_ends_arrive_in_both_directions() {
    let mut pair = Pair::new();
    let (client, server) = pair.open();
    assert_eq!(pair.client.write(client, b"question"), Ok(8));
    pair.client.send_eof(client).unwrap();
    pair.run().unwrap();
    assert_eq!(read(&mut pair.server, server, Source::Data), (b"question".to_vec(), true));
    assert_eq!(pair.client.write(client, b"more"), Ok(0));
    assert_eq!(pair.server.write(server, b"answer"), Ok(6));
    pair.server.send_eof(server).unwrap();
    pair.server.close(server).unwrap();
    pair.run().unwrap();
    assert!(!pair.client.is_gone(client));
    assert_eq!(read(&mut pair.client, client, Source::Data), (b"answer".to_vec(), true));
    pair.client.close(client).unwrap();
    pair.run().unwrap();
    assert!(pair.client.is_gone(client) && pair.server.is_gone(server));
}

#[test]
fn a_channel_that_nobody_reads_does_not_stop_another() {
    let mut pair = Pair::new();
    let channels: Vec<_> = (0..MAX_CHANNELS).map(|_| pair.open()).collect();
    assert_eq!(pair.client.open("session", b""), Ok(None));
    // Fill all windows to all channels but the last one.
    let mut total = 0;
    let data = vec![0x5a; 100_000];
    for (client, _) in &channels[..MAX_CHANNELS - 1] {
        while pair.client.write(*client, &data).unwrap() > 0 {
            pair.run().unwrap();
            total += 1;
        }
        assert!(!pair.client.is_writable(*client));
    }
    let queued: usize = pair.server.channels.values().map(|channel| channel.initial_window() as usize).sum();
    assert!(queued <= BUDGET as usize && total > 0, "{queued} bytes");
    let (client, server) = channels[MAX_CHANNELS - 1];
    for round in 0..200_u8 {
        assert_eq!(pair.client.write(client, &vec![round; 30_000]), Ok(30_000));
        pair.run().unwrap();
        assert_eq!(read(&mut pair.server, server, Source::Data), (vec![round; 30_000], false));
        pair.run().unwrap();
    }
}

#[test]
fn the_window_grows_only_as_the_reader_takes_data() {
    let mut pair = Pair::new();
    let (client, server) = pair.open();
    let data = vec![1; 32 * 1024];
    let mut sent = 0;
    loop {
        let count = pair.client.write(client, &data).unwrap();
        pair.run().unwrap();
        sent += count;
        if count == 0 {
            break;
        }
    }
    assert_eq!(sent, LARGE_WINDOW as usize);
    let (mut taken, mut buffer) = (0, vec![0; 32 * 1024]);
    while taken < sent / 2 {
        assert!(!pair.client.is_writable(client));
        taken += pair.server.read(server, Source::Data, &mut buffer).unwrap().unwrap();
        pair.run().unwrap();
    }
    assert!(pair.client.is_writable(client));
}

#[test]
fn stderr_is_apart_and_unknown_extended_data_is_credited() {
    let mut pair = Pair::new();
    let (client, server) = pair.open();
    let peer = pair.server.channels[&server.0].peer();
    for (kind, text) in [(1, "error"), (2, "unknown")] {
        let mut data = vec![message::CHANNEL_EXTENDED_DATA];
        data.put_u32(peer).put_u32(kind).put_string(text);
        pair.server.transport.send(&[&data]).unwrap();
    }
    pair.server.write(server, b"output").unwrap();
    pair.run().unwrap();
    assert_eq!(read(&mut pair.client, client, Source::Stderr), (b"error".to_vec(), false));
    assert_eq!(read(&mut pair.client, client, Source::Data), (b"output".to_vec(), false));
    assert_eq!(pair.client.channels[&client.0].window(), LARGE_WINDOW - 18);
}

#[test]
fn a_channel_that_is_abandoned_while_it_opens_is_closed_later() {
    let mut pair = Pair::new();
    let client = pair.client.open("direct-tcpip", b"").unwrap().unwrap();
    pair.client.close(client).unwrap();
    pair.run().unwrap();
    let Some(Event::Asked(server, ..)) = pair.server.next_event() else { panic!("no channel") };
    pair.server.accept(server).unwrap();
    pair.run().unwrap();
    assert_eq!(pair.client.next_event(), None);
    assert_eq!(read(&mut pair.server, server, Source::Data), (Vec::new(), true));
    pair.server.close(server).unwrap();
    pair.run().unwrap();
    assert!(pair.client.is_gone(client) && pair.server.is_gone(server));
}

#[test]
fn data_that_arrived_before_both_sides_closed_can_still_be_read() {
    let mut pair = Pair::new();
    let (client, server) = pair.open();
    pair.server.write(server, b"the end").unwrap();
    pair.server.send_eof(server).unwrap();
    pair.run().unwrap();
    pair.client.close_sending(client).unwrap();
    pair.server.close_sending(server).unwrap();
    pair.run().unwrap();
    assert!(pair.server.is_gone(server) && !pair.client.is_gone(client));
    assert_eq!(read(&mut pair.client, client, Source::Data), (b"the end".to_vec(), true));
    assert!(pair.client.is_gone(client));
}

#[test]
fn a_refusal_has_a_reason() {
    let mut pair = Pair::new();
    let client = pair.client.open("direct-tcpip", b"").unwrap().unwrap();
    pair.run().unwrap();
    let Some(Event::Asked(server, ..)) = pair.server.next_event() else { panic!("no channel") };
    pair.server.refuse(server, 2, "connection refused").unwrap();
    pair.run().unwrap();
    assert_eq!(pair.client.next_event(), Some(Event::Refused(client, 2, "connection refused".into())));
    assert!(pair.client.is_gone(client) && pair.server.is_gone(server));
}

#[test]
fn requests_and_answers_arrive_in_order() {
    let mut pair = Pair::new();
    let (client, server) = pair.open();
    pair.client.request(client, "exec", true, b"\0\0\0\x02ls").unwrap();
    pair.client.request(client, "env", false, b"").unwrap();
    pair.client.global_request("keepalive@openssh.com", true, b"").unwrap();
    pair.run().unwrap();
    let expected = [
        Event::Request(server, "exec".into(), true, b"\0\0\0\x02ls".to_vec()),
        Event::Request(server, "env".into(), false, Vec::new()),
        Event::GlobalRequest("keepalive@openssh.com".into(), true, Vec::new()),
    ];
    assert_eq!(std::iter::from_fn(|| pair.server.next_event()).collect::<Vec<_>>(), expected);
    pair.server.answer(server, true).unwrap();
    pair.server.answer_global(None).unwrap();
    pair.server.answer_global(Some(b"data")).unwrap();
    pair.run().unwrap();
    let expected =
        [Event::Answer(client, true), Event::GlobalAnswer(None), Event::GlobalAnswer(Some(b"data".to_vec()))];
    assert_eq!(std::iter::from_fn(|| pair.client.next_event()).collect::<Vec<_>>(), expected);
}

#[test]
fn an_unknown_message_is_answered() {
    let mut pair = Pair::new();
    pair.client.transport.send(&[&[200, 1, 2]]).unwrap();
    pair.client.transport.send(&[&[message::UNIMPLEMENTED, 0, 0, 0, 1]]).unwrap();
    pair.run().unwrap();
    let (client, server) = pair.open();
    pair.client.write(client, b"x").unwrap();
    pair.run().unwrap();
    assert_eq!(read(&mut pair.server, server, Source::Data), (b"x".to_vec(), false));
}

/// Each message that breaks a rule, sent by the client.
#[test]
fn a_message_that_breaks_a_rule_is_an_error() {
    let data = |id: u32, data: &[u8]| {
        let mut message = vec![message::CHANNEL_DATA];
        message.put_u32(id).put_string(data);
        message
    };
    let about = |number: u8, id: u32| {
        let mut message = vec![number];
        message.put_u32(id);
        message
    };
    let mut adjust = about(message::CHANNEL_WINDOW_ADJUST, 0);
    adjust.put_u32(u32::MAX);
    let mut no_data = vec![message::CHANNEL_OPEN];
    no_data.put_string("session").put_u32(9).put_u32(1).put_u32(0);
    for messages in [
        vec![data(0, &[0; 32 * 1024 + 1])],
        vec![data(1, b"unknown channel")],
        vec![about(message::CHANNEL_EOF, 0), data(0, b"after EOF")],
        vec![about(message::CHANNEL_CLOSE, 0), data(0, b"after CLOSE")],
        vec![adjust.clone(), adjust],
        vec![about(message::CHANNEL_OPEN_CONFIRMATION, 0)],
        vec![about(message::CHANNEL_OPEN_FAILURE, 0)],
        vec![about(message::CHANNEL_WINDOW_ADJUST, 0)],
        vec![vec![message::CHANNEL_EOF]],
        vec![vec![message::CHANNEL_OPEN, 0, 0, 0, 9, b'x']],
        vec![no_data],
        vec![data(0, &vec![0; 32 * 1024]); 65],
    ] {
        let mut pair = Pair::new();
        pair.open();
        for message in &messages {
            pair.client.transport.send(&[message]).unwrap();
        }
        let result = pair.run();
        let is_rejected =
            matches!(result, Err(Error::Violation(_) | Error::Malformed(_) | Error::Unexpected(_)));
        assert!(is_rejected, "{:?}: {result:?}", messages[0].first_chunk::<5>());
    }
}
