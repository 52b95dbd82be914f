#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "that is how a test fails")]

use super::*;
use crate::ssh::sftp::Error;
use crate::ssh::wire::Write;

const ALL: Attributes = Attributes {
    size: Some(1 << 40),
    owner: Some((1, 2)),
    mode: Some(0o100_644),
    times: Some((3, u32::MAX)),
};

fn requests() -> Vec<Request<'static>> {
    let (handle, path, attributes) = (&b"handle"[..], &b"path"[..], ALL);
    let (from, to) = (path, &b"to"[..]);
    vec![
        Request::Open { path, flags: Open(Open::WRITE | Open::CREATE), attributes },
        Request::Close { handle },
        Request::Read { handle, offset: u64::MAX, length: 7 },
        Request::Write { handle, offset: 1 << 33, data: b"data" },
        Request::Lstat { path },
        Request::Fstat { handle },
        Request::Setstat { path, attributes },
        Request::Fsetstat { handle, attributes: Attributes::default() },
        Request::Opendir { path },
        Request::Readdir { handle },
        Request::Remove { path },
        Request::Mkdir { path, attributes },
        Request::Rmdir { path },
        Request::Realpath { path },
        Request::Stat { path },
        Request::Rename { from, to },
        Request::Readlink { path },
        Request::Symlink { target: path, link: to },
        Request::PosixRename { from, to },
        Request::Hardlink { from, to },
        Request::Statvfs { path },
        Request::Fstatvfs { handle },
        Request::Fsync { handle },
        Request::Lsetstat { path, attributes },
        Request::Limits,
        Request::ExpandPath { path },
        Request::CopyData { from, from_offset: 1, length: 2, to, to_offset: 3 },
        Request::UsersGroups { users: vec![0, 1000], groups: vec![u32::MAX] },
    ]
}

fn replies() -> Vec<Reply<'static>> {
    let name = |name: &str| Name { name: name.into(), long_name: b"-rw".into(), attributes: ALL };
    vec![
        Reply::ok(),
        Reply::status(StatusCode::NO_SUCH_FILE),
        Reply::Handle(b"\0\0\0\x01"),
        Reply::Data(b"data"),
        Reply::Names(vec![]),
        Reply::Names(vec![name("a"), name("b")]),
        Reply::Attributes(ALL),
        Reply::Extended(b"content"),
    ]
}

#[test]
fn requests_are_decoded_as_they_were_encoded() {
    for request in requests() {
        let mut packet = Vec::new();
        request.encode(0x0102_0304, &mut packet);
        assert_eq!(usize::try_from(u32::from_be_bytes(*packet.first_chunk().unwrap())), Ok(packet.len() - 4));
        let packet = &packet[4..];
        assert_eq!(Received::parse(packet), Ok(Received::Request(0x0102_0304, request.clone())));
        for length in 5..packet.len() {
            let received = Received::parse(&packet[..length]).unwrap();
            assert_eq!(received, Received::MalformedRequest(0x0102_0304), "{request:?} {length}");
        }
        let longer = [packet, b"x"].concat();
        assert_eq!(Received::parse(&longer), Ok(Received::MalformedRequest(0x0102_0304)), "{request:?}");
    }
    assert_eq!(Received::parse(b"\x01\0\0\0\x06\0\0\0\x01ext"), Ok(Received::Init(6)));
    assert_eq!(Received::parse(b"\x63\0\0\0\x06anything"), Ok(Received::Request(6, Request::Unknown)));
    assert_eq!(Received::parse(b"\xc8\0\0\0\x06\0\0\0\x01?any"), Ok(Received::Request(6, Request::Unknown)));
    assert_eq!(Received::parse(b"\x03\0\0\0"), Err(Error::Malformed(3)));
    assert_eq!(Received::parse(b""), Err(Error::PacketLength(0)));
}

#[test]
fn replies_are_decoded_as_they_were_encoded() {
    for reply in replies() {
        let mut packet = Vec::new();
        reply.encode(9, &mut packet);
        let packet = &packet[4..];
        assert_eq!(Reply::parse(packet), Ok((9, reply.clone())));
        for length in 1..packet.len() {
            let parsed = Reply::parse(&packet[..length]);
            // A status may lack text and language, and an extension's content has any length.
            let is_valid = matches!(reply, Reply::Status(_)) && length >= 9
                || matches!(reply, Reply::Extended(_)) && length >= 5;
            assert!(is_valid || parsed == Err(Error::Malformed(reply.kind())), "{reply:?} {length}");
        }
    }
    assert_eq!(Reply::parse(b"\x68\0\0\0\x01\xff\xff\xff\xff"), Err(Error::Malformed(104)));
    assert_eq!(Reply::parse(b"\x01\0\0\0\x03"), Err(Error::Unexpected(1)));
    let status = |text: &[u8]| Reply::Status(Status { code: StatusCode(4), text: text.into() });
    assert_eq!(Reply::parse(b"\x65\0\0\0\x01\0\0\0\x04"), Ok((1, status(b""))));
    assert_eq!(Reply::parse(b"\x65\0\0\0\x01\0\0\0\x04\0\0\0\x01x"), Ok((1, status(b"x"))));
}

/// An example from `sftp-server`'s debug output.
#[test]
fn a_request_has_the_layout_of_the_draft() {
    let mut packet = Vec::new();
    Request::Read { handle: b"\0\0\0\0", offset: 0x1_0000_0000, length: 0x8000 }.encode(2, &mut packet);
    assert_eq!(packet, b"\0\0\0\x19\x05\0\0\0\x02\0\0\0\x04\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\x80\0");
    let mut init = Vec::new();
    Request::encode_init(&mut init);
    assert_eq!(init, b"\0\0\0\x05\x01\0\0\0\x03");
}

#[test]
fn packets_are_found_in_every_fragmentation() {
    let mut bytes = Vec::new();
    for reply in replies() {
        reply.encode(1, &mut bytes);
    }
    for piece in 1..bytes.len() {
        let (mut packets, mut found) = (Packets::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            packets.receive(piece);
            while let Some(packet) = packets.next_packet().unwrap() {
                found.push(Reply::parse(packet).map(|(_, reply)| reply.kind()).unwrap());
            }
        }
        assert!(!packets.is_incomplete());
        assert_eq!(found, replies().iter().map(Reply::kind).collect::<Vec<_>>());
    }
}

#[test]
fn packets_have_a_limit() {
    for (length, is_valid) in
        [(0, false), (1, true), (256 * 1024, true), (256 * 1024 + 1, false), (u32::MAX, false)]
    {
        let mut packets = Packets::default();
        packets.receive(&length.to_be_bytes());
        let expected = if is_valid { Ok(None) } else { Err(Error::PacketLength(length)) };
        assert_eq!(packets.next_packet(), expected);
    }
}

#[test]
fn extended_attributes_are_skipped() {
    let mut packet = b"\x69\0\0\0\x01\x80\0\0\x04".to_vec();
    packet.put_u32(0o644).put_u32(1).put_string("type").put_string("data");
    let attributes = Attributes { mode: Some(0o644), ..Attributes::default() };
    assert_eq!(Reply::parse(&packet), Ok((1, Reply::Attributes(attributes))));
    packet.truncate(packet.len() - 1);
    assert_eq!(Reply::parse(&packet), Err(Error::Malformed(105)));
}

#[test]
fn each_status_has_words() {
    let shown = |code, text: &[u8]| Status { code: StatusCode(code), text: text.into() }.to_string();
    assert_eq!(shown(1, b"End of file"), "unexpected end of file");
    assert_eq!(shown(2, b"No such file"), "no such file");
    assert_eq!(shown(3, b"Permission denied"), "permission denied");
    assert_eq!(shown(4, b"Failure"), "failure");
    assert_eq!(shown(4, b"Disk is \x1b[31mfull"), "failure: Disk is \\x1b[31mfull");
    assert_eq!(shown(8, b""), "operation not supported");
    assert_eq!(shown(99, b""), "status 99");
    assert_eq!(shown(99, b"odd"), "status 99: odd");
    for code in 0..16 {
        assert!(StatusCode(code).words().is_some());
    }
}

#[test]
fn contents_of_extensions_are_checked() {
    let mut content = Vec::new();
    let names = UserNames { users: vec![b"root".into(), b"".into()], groups: vec![] };
    names.write(&mut content);
    assert_eq!(UserNames::parse(&content), Ok(names));
    for length in 0..content.len() {
        assert!(UserNames::parse(&content[..length]).is_err());
    }
    let limits = Limits { packet: 1, read: 2, write: 3, handles: 4 };
    let mut content = Vec::new();
    limits.write(&mut content);
    assert_eq!((Limits::parse(&content), Limits::parse(&content[1..]).is_err()), (Ok(limits), true));
    let state = FileSystem { block_size: 1, free_blocks: 4, max_name: 11, ..FileSystem::default() };
    let mut content = Vec::new();
    state.write(&mut content);
    assert_eq!((FileSystem::parse(&content), FileSystem::parse(&content[1..]).is_err()), (Ok(state), true));
}
