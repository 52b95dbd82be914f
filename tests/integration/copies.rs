//! Copies (`--put`, `--get`) with the real program, by sftp and scp.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use connect::ssh::sftp::wire::{Open, Request, StatusCode};
use peers::{Fault, Step, scp, sftp};
use rustix::process::Signal;

use crate::kit::*;
use crate::listening::eventually;
use crate::ssh::host::{Host, Log, prints};
use crate::ssh::server::SshServer;

mod disk;
mod ends;
pub(crate) mod peers;

/// A server with sftp for a directory.
struct Server {
    ssh: SshServer,
    log: Log,
    root: TempPath,
}

impl Server {
    fn new() -> Self {
        Self::with_fault(|_| None)
    }

    fn with_fault(fault: Fault) -> Self {
        let root = TempPath::directory("root");
        let path = root.to_path_buf();
        let (setup, log) = Host::new(move |line| {
            assert_eq!(line, "subsystem sftp");
            Some(sftp(&path, fault))
        })
        .setup();
        Self { ssh: setup.start(), log, root }
    }

    /// A server without sftp, whose scp follows the scripts, one for each start.
    fn with_scp(scripts: &'static [(&'static str, &'static [Step], u32)]) -> Self {
        let mut scripts = scripts.iter();
        let (setup, log) = Host::new(move |line| {
            if line == "subsystem sftp" {
                return None;
            }
            let (command, script, status) = scripts.next().unwrap();
            assert_eq!(line, format!("exec {command}"));
            Some(scp(script, *status))
        })
        .setup();
        Self { ssh: setup.start(), log, root: TempPath::directory("root") }
    }

    fn run(&self, args: &[&str]) -> Program {
        let (port, known_hosts, key) =
            (self.ssh.port(), self.ssh.known_hosts.display(), self.ssh.key.display());
        let options = format!("--ssh-agent off --ssh-known-hosts {known_hosts} -i {key}");
        let server = format!("me@127.0.0.1:{port}");
        let run = connect(options).arg("--ssh").arg(server);
        args.iter().fold(run, Program::arg)
    }

    fn name(&self) -> String {
        format!("SSH server 127.0.0.1:{}", self.ssh.port())
    }

    /// Runs a copy that fails with this line, after "cannot get" or "cannot put".
    #[track_caller]
    fn expect(self, args: &[&str], code: i32, line: &str) -> (TempPath, Log) {
        let out = self.run(args).run();
        out.expect_code(code);
        assert_eq!(out.stderr_text(), format!("connect: {}\n", line.replace("SERVER", &self.name())));
        self.ssh.finish();
        (self.root, self.log)
    }
}

/// The content, permissions and time of each file below a directory.
fn tree(directory: &Path) -> BTreeMap<String, (Option<Vec<u8>>, u32, u64)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let data = fs::symlink_metadata(&path).unwrap();
        assert!(!data.is_symlink());
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let time = data.modified().unwrap().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mode = data.permissions().mode() & 0o7777;
        if data.is_dir() {
            let below = tree(&path).into_iter();
            found.extend(below.map(|(below, entry)| (format!("{name}/{below}"), entry)));
            found.insert(name, (None, mode, time));
        } else {
            found.insert(name, (Some(fs::read(&path).unwrap()), mode, time));
        }
    }
    found
}

/// Creates a tree with files of several sizes, permissions and times.
fn make_tree(root: &Path) {
    fs::create_dir_all(root.join("d/inner/empty")).unwrap();
    for (path, size, mode, time) in [
        ("d/big", 300_000, 0o640, 1_000_000_000),
        ("d/exact", 32 * 1024, 0o600, 981_173_106),
        ("d/inner/zero", 0, 0o444, 1),
        ("d/inner/a b'c\n", 5, 0o755, 2_000_000_000),
        ("d/inner/-r", 1, 0o644, 1_600_000_000),
    ] {
        let file = fs::File::create(root.join(path)).unwrap();
        (&file).write_all(&bytes(1, size)).unwrap();
        file.set_permissions(fs::Permissions::from_mode(mode)).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(time)).unwrap();
    }
    let inner = fs::File::open(root.join("d/inner")).unwrap();
    inner.set_modified(UNIX_EPOCH + Duration::from_secs(5000)).unwrap();
    inner.set_permissions(fs::Permissions::from_mode(0o555)).unwrap();
}

/// Lets a directory be removed.
fn unlock(root: &Path) {
    fs::set_permissions(root.join("d/inner"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_tree_returns_unchanged() {
    let (source, target) = (TempPath::directory("source"), TempPath::directory("target"));
    make_tree(&source);
    let server = Server::new();
    let from = source.join("d");
    server
        .run(&["--recursive", "--preserve", "--put", from.to_str().unwrap(), "."])
        .run()
        .expect_success()
        .expect_stderr("");
    assert_eq!(tree(&server.root), tree(&source));
    server.ssh.finish();

    let server = Server { root: server.root, ..Server::new() };
    let path = server.root.to_path_buf();
    let (setup, _) = Host::new(move |_| Some(sftp(&path, |_| None))).setup();
    let server = Server { ssh: setup.start(), ..server };
    server
        .run(&["--recursive", "--preserve", "--get", "d", target.to_str().unwrap()])
        .run()
        .expect_success()
        .expect_stderr("");
    assert_eq!(tree(&target), tree(&source));
    server.ssh.finish();
    [&*source, &*target, &*server.root].into_iter().for_each(unlock);
}

#[test]
fn the_destination_is_a_directory_or_the_name_of_the_copy() {
    let local = TempPath::directory("local");
    let path = |name: &str| local.join(name).to_str().unwrap().to_owned();
    fs::write(path("a"), "content").unwrap();
    fs::write(path("b"), "other").unwrap();
    for (files, destination, expected) in [
        (vec!["a"], "d", "d/a"),
        (vec!["a"], "new", "new"),
        (vec!["a", "b"], "d/", "d/b"),
        (vec!["a"], "d/old", "d/old"),
    ] {
        let server = Server::new();
        fs::create_dir(server.root.join("d")).unwrap();
        fs::write(server.root.join("d/old"), "old").unwrap();
        let files: Vec<String> = files.iter().map(|name| path(name)).collect();
        let mut args = vec!["--put"];
        args.extend(files.iter().map(String::as_str));
        args.push(destination);
        server.run(&args).run().expect_success();
        assert!(server.root.join(expected).is_file(), "{destination}");
        server.ssh.finish();
    }
    for (files, destination) in [("a b", "new"), ("a", "new/"), ("a", "d/old/")] {
        let server = Server::new();
        fs::create_dir(server.root.join("d")).unwrap();
        fs::write(server.root.join("d/old"), "old").unwrap();
        let files: Vec<String> = files.split(' ').map(path).collect();
        let mut args = vec!["--put"];
        args.extend(files.iter().map(String::as_str));
        args.push(destination);
        server.run(&args).run().expect_code(5);
        assert!(!server.root.join("new").exists());
        server.ssh.finish();
    }
}

#[test]
fn standard_input_and_output_are_files() {
    let server = Server::new();
    let data = bytes(3, 200_000);
    server.run(&["--put", "-", "in"]).input(data.clone()).run().expect_success();
    assert_eq!(fs::read(server.root.join("in")).unwrap(), data);
    server.ssh.finish();

    let server = Server::new();
    fs::write(server.root.join("out"), &data).unwrap();
    server.run(&["--get", "out", "-"]).run().expect_success().expect_stdout(data);
    server.ssh.finish();
}

#[test]
fn a_failed_file_is_one_line_and_the_others_are_copied() {
    let server = Server::new();
    let local = TempPath::directory("local");
    fs::write(server.root.join("there"), "x").unwrap();
    let args = ["--get", "missing", "there", local.to_str().unwrap()];
    server.expect(&args, 5, "cannot get \"missing\" from SERVER: no such file");
    assert_eq!(fs::read(local.join("there")).unwrap(), b"x");

    let server = Server::new();
    let (missing, there) = (local.join("missing"), local.join("there"));
    let args = ["--put", missing.to_str().unwrap(), there.to_str().unwrap(), "."];
    let line = format!("cannot read \"{}\": No such file or directory", missing.display());
    let (root, _) = server.expect(&args, 1, &line);
    assert_eq!(fs::read(root.join("there")).unwrap(), b"x");
}

#[test]
fn directories_need_an_option() {
    let server = Server::new();
    fs::create_dir(server.root.join("d")).unwrap();
    let local = TempPath::directory("local");
    let args = ["--get", "d", local.to_str().unwrap()];
    server.expect(&args, 1, "cannot get \"d\" from SERVER: is a directory; use --recursive");
}

#[test]
fn links_are_followed_and_loops_end() {
    let source = TempPath::directory("source");
    fs::create_dir_all(source.join("d/e")).unwrap();
    fs::write(source.join("d/file"), "x").unwrap();
    symlink("../file", source.join("d/e/link")).unwrap();
    symlink("..", source.join("d/e/loop")).unwrap();
    let from = source.join("d").to_str().unwrap().to_owned();
    let server = Server::new();
    let line =
        format!("cannot put \"{from}/e/loop\" to SERVER: the symbolic link leads to a directory above it");
    let (root, _) = server.expect(&["--recursive", "--put", &from, "."], 1, &line);
    let copied: Vec<_> = tree(&root).into_keys().collect();
    assert_eq!(copied, ["d", "d/e", "d/e/link", "d/file"]);

    let target = TempPath::directory("target");
    let path = source.to_path_buf();
    let (setup, log) = Host::new(move |_| Some(sftp(&path, |_| None))).setup();
    let server = Server { ssh: setup.start(), log, root };
    let line = "cannot get \"d/e/loop\" from SERVER: too many levels of directories or symbolic links";
    server.expect(&["--recursive", "--get", "d", target.to_str().unwrap()], 1, line);
    let copied: Vec<_> = tree(&target).into_keys().collect();
    assert_eq!(copied, ["d", "d/e", "d/e/link", "d/file"]);
}

#[test]
fn a_refused_write_leaves_the_old_file_and_no_partial_one() {
    let local = TempPath::file("new", bytes(5, 100_000));
    let refuse: [Fault; 4] = [
        |request| matches!(request, Request::Write { offset: 32_768.., .. }).then_some(StatusCode(14)),
        |request| matches!(request, Request::Fsync { .. }).then_some(StatusCode(14)),
        |request| matches!(request, Request::PosixRename { .. }).then_some(StatusCode(14)),
        |request| {
            matches!(request, Request::Open { flags, .. } if flags.has(Open::CREATE))
                .then_some(StatusCode(14))
        },
    ];
    for fault in refuse {
        let server = Server::with_fault(fault);
        fs::write(server.root.join("file"), "old").unwrap();
        let args = ["--put", local.to_str().unwrap(), "file"];
        let line = format!("cannot put \"{}\" to SERVER: no space left", local.display());
        let (root, _) = server.expect(&args, 5, &line);
        assert_eq!(tree(&root).into_keys().collect::<Vec<_>>(), ["file"]);
        assert_eq!(fs::read(root.join("file")).unwrap(), b"old");
    }
}

#[test]
fn a_failed_read_leaves_no_partial_file() {
    let server = Server::with_fault(|request| {
        matches!(request, Request::Read { offset: 32_768.., .. }).then_some(StatusCode::FAILURE)
    });
    fs::write(server.root.join("file"), bytes(6, 100_000)).unwrap();
    let local = TempPath::directory("local");
    let args = ["--get", "file", local.to_str().unwrap()];
    server.expect(&args, 5, "cannot get \"file\" from SERVER: failure");
    assert!(tree(&local).is_empty());
}

#[test]
fn a_full_local_disk_leaves_no_partial_file() {
    let server = Server::new();
    fs::write(server.root.join("file"), bytes(7, 100_000)).unwrap();
    let local = TempPath::directory("local");
    let target = local.join("file");
    // In blocks of 512 or 1024 bytes.
    let limited = "ulimit -f 50; exec \"$@\"";
    let run = server.run(&["--get", "file", target.to_str().unwrap()]);
    let out = run.through(["sh", "-c", limited, "sh"]).run();
    out.expect_code(1);
    let line = format!("connect: cannot write \"{}\": File too large\n", target.display());
    assert_eq!(out.stderr_text(), line);
    assert!(tree(&local).is_empty());
    server.ssh.finish();

    let server = Server::new();
    fs::write(server.root.join("file"), "x").unwrap();
    let line = "cannot write \"/dev/full\": No space left on device";
    server.expect(&["--get", "file", "/dev/full"], 1, line);
}

#[test]
fn a_signal_removes_partial_files_at_both_ends() {
    let server = Server::new();
    let mut run = server.run(&["--put", "-", "file"]).start();
    run.send("some");
    let partial = server.root.join(".file.part");
    eventually("the partial file", || fs::read(&partial).is_ok_and(|data| data == b"some"));
    run.signal(Signal::TERM);
    let out = run.wait();
    out.expect_code(1).expect_stderr("connect: stopped by SIGTERM; the copy is incomplete\n");
    server.ssh.finish();
    assert!(tree(&server.root).is_empty());
}

#[test]
fn scp_is_used_if_the_server_refuses_sftp() {
    let local = TempPath::directory("local");
    let file = local.join("it's");
    fs::write(&file, "data").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let server = Server::with_scp(&[(
        "scp -t './-x y'",
        &[(b"", b"\0"), (b"C0640 4 it's\n", b"\0"), (b"data\0", b"\0")],
        0,
    )]);
    let log = server.log.clone();
    server.run(&["--put", file.to_str().unwrap(), "-x y"]).run().expect_success().expect_stderr("");
    assert_eq!(log.lines(), ["subsystem sftp", "exec scp -t './-x y'"]);
    server.ssh.finish();

    let server = Server::with_scp(&[
        (
            "scp -f -p 'a'",
            &[(b"\0", b"T5 0 6 0\n"), (b"\0", b"C0600 3 a\n"), (b"\0", b"one\0"), (b"\0", b"")],
            0,
        ),
        ("scp -f -p '/b'", &[(b"\0", b"\x01scp: /b: No such file or directory\n")], 1),
    ]);
    let line = "cannot get \"/b\" from SERVER: no such file";
    server.expect(&["--preserve", "--get", "a", "/b", local.to_str().unwrap()], 5, line);
    let data = fs::metadata(local.join("a")).unwrap();
    assert_eq!(data.modified().unwrap(), UNIX_EPOCH + Duration::from_secs(5));
    assert_eq!(
        (fs::read(local.join("a")).unwrap(), data.permissions().mode() & 0o777),
        (b"one".to_vec(), 0o600)
    );
}

#[test]
fn only_requested_names_are_written() {
    let scripts: [&'static [(&str, &[Step], u32)]; 3] = [
        &[("scp -f -r 'a'", &[(b"\0", b"C0644 1 b\n")], 0)],
        &[("scp -f -r 'a'", &[(b"\0", b"D0755 0 a\n"), (b"\0", b"C0644 1 ..\n")], 0)],
        &[("scp -f -r 'a'", &[(b"\0", b"C0644 1 ../a\n")], 0)],
    ];
    for (script, name) in scripts.into_iter().zip(["b", "..", "../a"]) {
        let server = Server::with_scp(script);
        let local = TempPath::directory("local");
        let line = format!("SERVER violated the protocol: scp record with the invalid name \"{name}\"");
        let target = local.join("sub");
        fs::create_dir(&target).unwrap();
        server.expect(&["--recursive", "--get", "a", target.to_str().unwrap()], 8, &line);
        assert!(tree(&local).values().all(|(content, ..)| content.is_none()));
    }
}

#[test]
fn a_server_without_either_protocol_is_named() {
    let (setup, log) = Host::new(|_| None).setup();
    let server = Server { ssh: setup.start(), log, root: TempPath::directory("root") };
    server.expect(&["--get", "a", "/tmp"], 5, "SERVER refused to run scp");

    let (setup, log) = Host::new(|_| None).setup();
    let server = Server { ssh: setup.start(), log, root: TempPath::directory("root") };
    let args = ["--copy-by", "sftp", "--get", "a", "/tmp"];
    server.expect(&args, 5, "SERVER refused to start sftp; use --copy-by scp");

    // Some servers accept the subsystem, and then do not find its program.
    let (setup, log) = Host::new(|line| {
        let is_sftp = line.starts_with("subsystem");
        Some(if is_sftp { prints("", "", 127) } else { prints("", "sh: scp: not found\n", 127) })
    })
    .setup();
    let server = Server { ssh: setup.start(), log, root: TempPath::directory("root") };
    let args = ["--get", "a", "/tmp"];
    let (_, log) = server.expect(&args, 5, "SERVER ended the copy: \"sh: scp: not found\"");
    assert_eq!(log.lines(), ["subsystem sftp", "exec scp -f 'a'"]);
}
