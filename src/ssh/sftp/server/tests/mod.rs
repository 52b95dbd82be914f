#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "that is how a test fails")]

use super::*;
use crate::ssh::sftp::testing::{Memory, Node};
use crate::ssh::sftp::wire::{Attributes, FileSystem, Open, Packets};

/// A server that was started.
struct Server(Service<Memory>);

impl Server {
    fn new(memory: &Memory) -> Self {
        let mut service = Service::new(memory.clone());
        let mut output = Vec::new();
        service.handle(b"\x01\0\0\0\x03", &mut output).unwrap();
        let version = Version::parse(&output[4..]).unwrap();
        assert_eq!((version.version, version.extensions.len()), (3, 10));
        Self(service)
    }

    /// Returns the packet with the reply to a request.
    fn packet(&mut self, request: &Request) -> Vec<u8> {
        let mut bytes = Vec::new();
        request.encode(5, &mut bytes);
        let mut output = Vec::new();
        self.0.handle(&bytes[4..], &mut output).unwrap();
        let mut packets = Packets::default();
        packets.receive(&output);
        let packet = packets.next_packet().unwrap().unwrap().to_vec();
        assert!(!packets.is_incomplete());
        packet
    }

    /// Returns the code of the status reply to a request.
    fn code(&mut self, request: &Request) -> StatusCode {
        let packet = self.packet(request);
        match Reply::parse(&packet).unwrap() {
            (5, Reply::Status(status)) => status.code,
            reply => panic!("{request:?}: {reply:?}"),
        }
    }

    fn open(&mut self, path: &str, flags: u32) -> Vec<u8> {
        let (path, attributes) = (path.as_bytes(), Attributes::default());
        let packet = self.packet(&Request::Open { path, flags: Open(flags), attributes });
        let (5, Reply::Handle(handle)) = Reply::parse(&packet).unwrap() else { panic!("{packet:?}") };
        handle.to_vec()
    }

    /// Returns the data, or the code of a failure.
    fn read(&mut self, handle: &[u8], offset: u64, length: u32) -> Result<Vec<u8>, StatusCode> {
        let packet = self.packet(&Request::Read { handle, offset, length });
        match Reply::parse(&packet).unwrap() {
            (5, Reply::Data(data)) => Ok(data.to_vec()),
            (5, Reply::Status(status)) => Err(status.code),
            reply => panic!("{reply:?}"),
        }
    }
}

#[test]
fn files_are_read_and_written() {
    let memory = Memory::new(&[("f", Node::file(b"0123456789"))]);
    let mut server = Server::new(&memory);
    let handle = server.open("f", Open::READ);
    assert_eq!(server.read(&handle, 3, 4), Ok(b"3456".to_vec()));
    assert_eq!(server.read(&handle, 8, u32::MAX), Ok(b"89".to_vec()));
    assert_eq!(server.read(&handle, 10, 1), Err(StatusCode::EOF));
    assert_eq!(server.read(&handle, u64::MAX, 1), Err(StatusCode::EOF));
    assert_eq!(server.read(b"none", 0, 1), Err(StatusCode::FAILURE));
    let target = server.open("g", Open::WRITE | Open::CREATE);
    assert_eq!(server.code(&Request::Write { handle: &target, offset: 2, data: b"ab" }), StatusCode::OK);
    let copy = |to, length| Request::CopyData { from: &handle, from_offset: 5, length, to, to_offset: 3 };
    assert_eq!(server.code(&copy(&target, 0)), StatusCode::OK);
    assert_eq!(memory.node("g").unwrap().data, b"\0\0a56789");
    assert_eq!(server.code(&copy(&handle, 1)), StatusCode::FAILURE);
    assert_eq!(server.code(&copy(b"none", 1)), StatusCode::FAILURE);
    assert_eq!(server.read(&handle, 0, 1), Ok(b"0".to_vec()));
    assert_eq!(server.code(&Request::Fsync { handle: &target }), StatusCode::OK);
    let attributes = Attributes { mode: Some(0o600), times: Some((1, 2)), ..Attributes::default() };
    assert_eq!(server.code(&Request::Fsetstat { handle: &target, attributes }), StatusCode::OK);
    let packet = server.packet(&Request::Fstat { handle: &target });
    let (5, Reply::Attributes(found)) = Reply::parse(&packet).unwrap() else { panic!("{packet:?}") };
    assert_eq!((found.size, found.mode, found.times), (Some(8), Some(0o100_600), Some((1, 2))));
    for handle in [handle, target] {
        assert_eq!(server.code(&Request::Close { handle: &handle }), StatusCode::OK);
        assert_eq!(server.code(&Request::Close { handle: &handle }), StatusCode::FAILURE);
    }
    assert_eq!(*memory.open.borrow(), 0);
}

#[test]
fn a_copy_of_a_file_to_its_own_end_ends() {
    let memory = Memory::new(&[("f", Node::file(&vec![7; 100_000]))]);
    let mut server = Server::new(&memory);
    let (from, to) = (server.open("f", Open::READ), server.open("f", Open::WRITE));
    let request = Request::CopyData { from: &from, from_offset: 0, length: 0, to: &to, to_offset: 100_000 };
    assert_eq!(server.code(&request), StatusCode::OK);
    assert_eq!(memory.node("f").unwrap().data.len(), 200_000);
}

#[test]
fn paths_are_changed() {
    let memory = Memory::new(&[("f", Node::file(b"x")), ("g", Node::file(b"y"))]);
    let mut server = Server::new(&memory);
    let (from, to, attributes) = (&b"f"[..], &b"g"[..], Attributes::default());
    for (request, code) in [
        (Request::Rename { from, to }, StatusCode::FAILURE),
        (Request::PosixRename { from, to }, StatusCode::OK),
        (Request::Hardlink { from: b"g", to: b"h" }, StatusCode::OK),
        (Request::Symlink { target: b"h", link: b"l" }, StatusCode::OK),
        (Request::Mkdir { path: b"d", attributes }, StatusCode::OK),
        (Request::Mkdir { path: b"d", attributes }, StatusCode::FAILURE),
        (Request::Rmdir { path: b"d" }, StatusCode::OK),
        (Request::Remove { path: b"f" }, StatusCode::NO_SUCH_FILE),
        (Request::Remove { path: b"a\0b" }, StatusCode::NO_SUCH_FILE),
        (Request::Setstat { path: b"h", attributes }, StatusCode::OK),
        (Request::Lsetstat { path: b"l", attributes }, StatusCode::OK),
        (Request::Unknown, StatusCode::UNSUPPORTED),
    ] {
        assert_eq!(server.code(&request), code, "{request:?}");
    }
    assert_eq!(memory.paths(), ["g", "h", "l"]);
    for (request, path) in [
        (Request::Realpath { path: b"" }, &b"/"[..]),
        (Request::Realpath { path: b"./x//y" }, b"/x/y"),
        (Request::ExpandPath { path: b"~/x" }, b"/x"),
        (Request::Readlink { path: b"l" }, b"h"),
    ] {
        let packet = server.packet(&request);
        let (5, Reply::Names(names)) = Reply::parse(&packet).unwrap() else { panic!("{packet:?}") };
        assert_eq!((names.len(), names[0].name.as_slice()), (1, path));
    }
}

#[test]
fn extensions_are_answered() {
    let mut server = Server::new(&Memory::new(&[("f", Node::file(b""))]));
    let handle = server.open("f", Open::READ);
    let mut content = |request| {
        let packet = server.packet(&request);
        let (5, Reply::Extended(content)) = Reply::parse(&packet).unwrap() else { panic!("{packet:?}") };
        content.to_vec()
    };
    let limits = super::super::wire::Limits { packet: 262_144, read: 261_120, write: 261_120, handles: 256 };
    assert_eq!(super::super::wire::Limits::parse(&content(Request::Limits)), Ok(limits));
    let state = FileSystem { block_size: 4096, max_name: 255, ..FileSystem::default() };
    assert_eq!(FileSystem::parse(&content(Request::Statvfs { path: b"f" })), Ok(state));
    assert_eq!(FileSystem::parse(&content(Request::Fstatvfs { handle: &handle })), Ok(state));
    let names = content(Request::UsersGroups { users: vec![1, 7], groups: vec![2] });
    let expected = UserNames { users: vec![b"me".into(), b"".into()], groups: vec![b"us".into()] };
    assert_eq!(UserNames::parse(&names), Ok(expected));
}

#[test]
fn handles_have_a_limit() {
    let mut server = Server::new(&Memory::new(&[("f", Node::file(b""))]));
    let handles: Vec<_> = (0..MAX_HANDLES).map(|_| server.open("f", Open::READ)).collect();
    let open = Request::Open { path: b"f", flags: Open(Open::READ), attributes: Attributes::default() };
    assert_eq!(server.code(&open), StatusCode::FAILURE);
    assert_eq!(server.code(&Request::Opendir { path: b"." }), StatusCode::FAILURE);
    assert_eq!(server.code(&Request::Close { handle: &handles[9] }), StatusCode::OK);
    let last = server.open("f", Open::READ);
    assert!(!handles.contains(&last));
    assert_eq!(server.code(&Request::Readdir { handle: &last }), StatusCode::FAILURE);
}

#[test]
fn requests_before_the_version_and_malformed_ones_are_refused() {
    let memory = Memory::new(&[]);
    let mut output = Vec::new();
    let stat = b"\x11\0\0\0\x05\0\0\0\x01f";
    assert_eq!(Service::new(memory.clone()).handle(stat, &mut output), Err(Error::Unexpected(17)));
    let mut server = Server::new(&memory).0;
    assert_eq!(server.handle(b"\x01\0\0\0\x03", &mut output), Err(Error::Unexpected(1)));
    assert_eq!(server.handle(b"\x11\0\0", &mut output), Err(Error::Malformed(17)));
    assert_eq!(output, b"");
    server.handle(&stat[..9], &mut output).unwrap();
    let (5, Reply::Status(status)) = Reply::parse(&output[4..]).unwrap() else { panic!("{output:?}") };
    assert_eq!(status.code, StatusCode::BAD_MESSAGE);
}

#[test]
fn long_names_look_like_those_of_ls() {
    let attributes = |mode, time| Attributes {
        size: Some(1234),
        owner: Some((1000, 100)),
        mode: Some(mode),
        times: Some((0, time)),
    };
    let shown = |attributes: Attributes, user: &[u8]| {
        let (now, group, utc_offset) = (1_700_000_000, &b"users"[..], 3600);
        let name = LongName { name: b"a b", attributes: &attributes, links: 2, user, group, now, utc_offset };
        String::from_utf8(name.format()).unwrap()
    };
    let recent = "-rw-r--r--   2 me       users        1234 Nov 14 23:13 a b";
    assert_eq!(shown(attributes(0o100_644, 1_700_000_000), b"me"), recent);
    let old = "drwsr-S--T   2 1000     users        1234 Jan  1  1970 a b";
    assert_eq!(shown(attributes(0o047_740, 0), b""), old);
}
