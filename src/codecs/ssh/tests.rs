#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use super::*;
use crate::ssh::algorithms::Offer;
use crate::ssh::testing::connected_with;
use crate::ssh::transport::Limits;

/// The codec, and a server that the test drives.
struct Pair {
    codec: SshChannel,
    server: Connection,
    channel: ChannelId,
}

impl Pair {
    fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    fn with_limits(limits: Limits) -> Self {
        let (client, server) = connected_with(&Offer::default(), limits);
        let (mut client, mut server) = (Connection::new(client), Connection::new(server));
        let opening = client.open("direct-tcpip", b"").unwrap().unwrap();
        pass(&mut client, &mut server);
        let Some(Event::Asked(channel, ..)) = server.next_event() else { panic!("no channel was requested") };
        server.accept(channel).unwrap();
        pass(&mut server, &mut client);
        assert_eq!(client.next_event(), Some(Event::Opened(opening)));
        let codec = SshChannel::new(client, opening, "SSH server h:22".into());
        Self { codec, server, channel }
    }

    /// Passes bytes in both directions until neither side has any.
    fn run(&mut self) -> io::Result<()> {
        loop {
            let to_server = self.codec.pending_wire().to_vec();
            self.codec.wire_written(to_server.len());
            match self.server.receive(&to_server) {
                // The client ends the connection once both directions have ended.
                Err(Error::Disconnected { reason: 11, .. }) => return Ok(()),
                received => received.unwrap(),
            }
            let to_client = self.server.transport().output().to_vec();
            self.server.sent(to_client.len());
            if to_server.is_empty() && to_client.is_empty() {
                return Ok(());
            }
            assert_eq!(self.codec.read_wire(&to_client)?, to_client.len());
        }
    }

    /// Reads everything that the codec has. Returns it, and whether EOF follows.
    fn read(&mut self) -> (Vec<u8>, bool) {
        let (mut all, mut buffer) = (Vec::new(), [0; 5000]);
        loop {
            match self.codec.read_plain(&mut buffer) {
                Ok(0) => return (all, true),
                Ok(count) => all.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return (all, false),
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn server_read(&mut self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 100_000];
        let count = self.server.read(self.channel, Source::Data, &mut buffer).unwrap()?;
        buffer.truncate(count);
        Some(buffer)
    }
}

fn pass(from: &mut Connection, to: &mut Connection) {
    let bytes = from.transport().output().to_vec();
    from.sent(bytes.len());
    to.receive(&bytes).unwrap();
}

#[test]
fn a_half_close_leaves_the_other_direction_open() {
    let mut pair = Pair::new();
    assert_eq!(pair.codec.write_plain(b"question").unwrap(), 8);
    pair.codec.close();
    pair.run().unwrap();
    assert_eq!(pair.server_read(), Some(b"question".to_vec()));
    assert_eq!(pair.server_read(), Some(Vec::new()), "no EOF");
    assert_eq!(pair.read(), (Vec::new(), false));
    pair.server.write(pair.channel, b"answer").unwrap();
    pair.server.send_eof(pair.channel).unwrap();
    pair.run().unwrap();
    assert!(pair.codec.has_plain());
    assert_eq!(pair.read(), (b"answer".to_vec(), true));
    assert!(pair.server.has_closed(pair.channel), "the client has not closed the channel");
}

#[test]
fn data_before_the_servers_close_is_delivered() {
    let mut pair = Pair::new();
    pair.server.write(pair.channel, b"last words").unwrap();
    pair.server.close(pair.channel).unwrap();
    pair.run().unwrap();
    assert_eq!(pair.read(), (b"last words".to_vec(), true));
    assert_eq!(pair.codec.write_plain(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

/// The server does not read, so its window closes. Its own data still arrives.
#[test]
fn a_full_window_stops_one_direction_only() {
    let mut pair = Pair::new();
    let data = vec![7; 60_000];
    let mut written = 0;
    while pair.codec.accepts_plain() {
        written += pair.codec.write_plain(&data).unwrap();
        pair.run().unwrap();
    }
    assert_eq!(written, 2 * 1024 * 1024);
    assert_eq!(pair.codec.write_plain(b"x").unwrap_err().kind(), io::ErrorKind::WouldBlock);
    pair.server.write(pair.channel, b"still here").unwrap();
    pair.run().unwrap();
    assert_eq!(pair.read(), (b"still here".to_vec(), false));
    let mut taken = 0;
    while !pair.codec.accepts_plain() {
        taken += pair.server_read().unwrap().len();
        pair.run().unwrap();
    }
    assert!(taken >= written / 2, "{taken} bytes");
}

/// The codec reported a key exchange of its own as a failed write, which ended the session.
#[test]
fn keys_that_are_used_up_are_replaced_during_an_upload_and_a_download() {
    let limits = Limits { bytes: 100_000, ..Limits::default() };
    let mut pair = Pair::with_limits(limits);
    let mut exchanges = 0;
    for round in 0..40_u8 {
        assert!(pair.codec.accepts_plain());
        assert_eq!(pair.codec.write_plain(&vec![round; 20_000]).unwrap(), 20_000);
        exchanges += u32::from(!pair.codec.accepts_plain());
        pair.run().unwrap();
        assert_eq!(pair.server_read(), Some(vec![round; 20_000]));
    }
    assert!(exchanges >= 5, "{exchanges} key exchanges");
    for round in 0..40_u8 {
        pair.server.write(pair.channel, &vec![round; 20_000]).unwrap();
        let to_client = pair.server.transport().output().to_vec();
        pair.server.sent(to_client.len());
        pair.codec.read_wire(&to_client).unwrap();
        exchanges += u32::from(!pair.codec.accepts_plain());
        pair.run().unwrap();
        assert_eq!(pair.read(), (vec![round; 20_000], false));
    }
    assert!(exchanges >= 10, "{exchanges} key exchanges");
}

#[test]
fn a_connection_that_ends_without_eof_is_an_error_with_the_servers_name() {
    let pair = Pair::new();
    let error = pair.codec.truncated();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert!(error.to_string().contains("SSH server h:22"), "{error}");
}

#[test]
fn a_disconnect_shows_its_text() {
    let mut pair = Pair::new();
    pair.server.disconnect_with(2, "too many requests");
    let error = pair.run().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    assert!(error.to_string().contains("too many requests"), "{error}");
}

#[test]
fn a_corrupt_packet_is_reported_to_the_server() {
    let mut pair = Pair::new();
    pair.server.write(pair.channel, b"data").unwrap();
    let mut bytes = pair.server.transport().output().to_vec();
    pair.server.sent(bytes.len());
    if let Some(byte) = bytes.last_mut() {
        *byte ^= 1;
    }
    let error = pair.codec.read_wire(&bytes).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let answer = pair.codec.pending_wire().to_vec();
    let received =
        pair.server.receive(&answer).and_then(|()| pair.server.fault().cloned().map_or(Ok(()), Err));
    assert!(matches!(received, Err(Error::Disconnected { .. })), "{received:?}");
}

#[test]
fn requests_of_the_server_are_answered_and_its_channels_refused() {
    let mut pair = Pair::new();
    let refused = pair.server.open("forwarded-tcpip", b"").unwrap().unwrap();
    pair.server.global_request("keepalive@openssh.com", true, b"").unwrap();
    pair.server.request(pair.channel, "unknown", true, b"").unwrap();
    pair.run().unwrap();
    let events: Vec<_> = std::iter::from_fn(|| pair.server.next_event()).collect();
    assert!(matches!(&events[0], Event::Refused(id, PROHIBITED, _) if *id == refused), "{events:?}");
    assert_eq!(events[1..], [Event::GlobalAnswer(None), Event::Answer(pair.channel, false)]);
    assert!(pair.codec.ping());
    pair.run().unwrap();
    assert!(matches!(pair.server.next_event(), Some(Event::GlobalRequest(_, true, _))));
}
