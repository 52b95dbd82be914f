//! Programs that use ssh (git, rsync, sftp, and ssh through another host), and many sessions at
//! once.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::Command;

use crate::context::{Case, Context, Topic, expect_same, fed, program};
use crate::peers::run;
use crate::routes::{HTTP_SQUID_USER, HTTP_TINYPROXY, Route, SOCKS5_DANTED_USER, SOCKS5_MICROSOCKS};
use crate::servers::{MICROSOCKS, Server};

const SESSIONS: usize = 20;

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("tools");
    topic.both("20 sessions run at once through socks5-microsocks", |context| {
        many_sessions(context, &SOCKS5_MICROSOCKS);
    });
    topic.both("20 sessions run at once through http-squid-user", |context| {
        many_sessions(context, &HTTP_SQUID_USER);
    });
    topic.both("git clones a repository", git_clones);
    topic.both("rsync copies a tree in both directions", rsync_copies);
    topic.both("sftp runs a batch", sftp_runs_a_batch);
    // `ssh host1 connect host2 port`: on host1, sshd creates the program's stdin and stdout.
    topic.both("the banner arrives by way of another host", |context| {
        let config = context.peers.ssh_config();
        let ssh = program("ssh", ["-F"]).arg(config).arg("-p").arg(context.port().to_string());
        let connect = context.peers.connect.display();
        context.expect_banner(ssh.arg("target").arg(format!("{connect} 127.0.0.1 {}", context.port())));
    });
    topic.both("ssh runs a command by way of another host", |context| {
        let [up, _] = context.peers.big_files();
        let (config, connect) = (context.peers.ssh_config(), context.peers.connect.display());
        let hop = format!("ssh -F {} -p {} target {connect} %h %p", config.display(), context.port());
        let ssh = program("ssh", context.ssh_options(&hop)).arg("target").arg("cat; exit 4");
        let out = fed(ssh, up).run();
        out.expect_code(4);
        expect_same(up, &out.stdout);
    });
    topic.both("the program's name gives the port", |context| {
        let link = context.folder.join(format!("connect-{}", context.port()));
        std::os::unix::fs::symlink(&context.peers.connect, &link).unwrap();
        context.expect_banner(program(link, ["127.0.0.1"]));
    });
    topic.both("the program exits when the target closes, although stdin is open", |context| {
        let proxy = context.address(MICROSOCKS);
        let out = context.expect_banner(context.connect(format!("-S {proxy} 127.0.0.1 {}", context.port())));
        let has_all = out.stdout_text().contains("Invalid SSH identification");
        assert!(has_all, "{out:?}\n  expected: all that sshd sent");
        context.expect_log(Server::Microsocks, &[&format!("connected to 127.0.0.1:{}", context.port())]);
    });
    topic.both("the answer arrives although stdin is at EOF from the start", |context| {
        let out = context.connect(format!("-n 127.0.0.1 {}", context.port())).run();
        context.expect_code(&out, 0);
        assert!(out.stdout.starts_with(b"SSH-2.0-"), "{out:?}\n  expected: the banner of sshd");
    });
    topic.into_cases()
}

/// Returns the ssh command for a route as one line with quoted options, for git and rsync.
fn ssh_line(context: &Context, route: &Route) -> String {
    let options = route.ssh_options(context, "");
    options.iter().fold("ssh".to_owned(), |line, option| format!("{line} '{option}'"))
}

/// Copies the first `length` bytes of a big file to `path`.
fn part_of_big_file(context: &Context, path: &Path, length: u64) {
    let [up, _] = context.peers.big_files();
    let mut part = File::open(up).unwrap().take(length);
    std::io::copy(&mut part, &mut File::create(path).unwrap()).unwrap();
}

fn git_clones(context: &Context) {
    let repository = context.folder.join("repository");
    let git = |args: &[&str]| {
        let mut git = context.peers.command("git", &["-C"]);
        git.arg(&context.folder).args(["-c", "user.name=a", "-c", "user.email=a@b"]);
        run(git.env("GIT_CONFIG_NOSYSTEM", "1").args(args)).unwrap()
    };
    git(&["init", "-q", "repository"]);
    part_of_big_file(context, &repository.join("big"), 5_000_000);
    git(&["-C", "repository", "add", "big"]);
    git(&["-C", "repository", "commit", "-qm", "a big file"]);
    fs::write(repository.join("small"), "more\n").unwrap();
    git(&["-C", "repository", "add", "small"]);
    git(&["-C", "repository", "commit", "-qm", "a small file"]);

    let clone = context.folder.join("clone");
    let pack = format!("/usr/bin/env PATH={} git-upload-pack", std::env::var("PATH").unwrap());
    let client = program("git", ["clone", "-q", "-u", &pack]).arg(format!("target:{}", repository.display()));
    let client = client.arg(&clone).env("GIT_SSH_COMMAND", ssh_line(context, &SOCKS5_MICROSOCKS));
    client.env("GIT_CONFIG_NOSYSTEM", "1").run().expect_success();
    expect_same(&repository.join("big"), &fs::read(clone.join("big")).unwrap());
    git(&["-C", "clone", "fsck", "--full"]);
    let heads = ["repository", "clone"].map(|folder| git(&["-C", folder, "rev-parse", "HEAD"]));
    assert_eq!(heads[0], heads[1], "another HEAD");
    SOCKS5_MICROSOCKS.expect_sessions(context, 1);
}

fn rsync_copies(context: &Context) {
    let [tree, there, back] = ["tree", "there", "back"].map(|name| context.folder.join(name));
    fs::create_dir_all(tree.join("deep/er")).unwrap();
    part_of_big_file(context, &tree.join("big"), 5_000_000);
    for number in 1..=50 {
        fs::write(tree.join("deep/er").join(number.to_string()), format!("file {number}\n")).unwrap();
    }
    let ssh = ssh_line(context, &HTTP_TINYPROXY);
    let rsync = |from: String, to: String| program("rsync", ["-a", "-e", &ssh, &from, &to]).run();
    rsync(format!("{}/", tree.display()), format!("target:{}/", there.display())).expect_success();
    rsync(format!("target:{}/", there.display()), format!("{}/", back.display())).expect_success();
    run(Command::new("diff").arg("-r").args([&tree, &back])).unwrap();
    HTTP_TINYPROXY.expect_sessions(context, 2);
}

fn sftp_runs_a_batch(context: &Context) {
    let [file, put, got] = ["file", "dir/put", "got"].map(|name| context.folder.join(name));
    part_of_big_file(context, &file, 5_000_000);
    let commands = format!(
        "mkdir {dir}\nput {file} {put}\nget {put} {got}\nrm {put}\n",
        dir = context.folder.join("dir").display(),
        file = file.display(),
        put = put.display(),
        got = got.display()
    );
    let batch = context.file("batch", commands).display().to_string();
    let options = SOCKS5_DANTED_USER.ssh_options(context, "");
    let sftp = program("sftp", ["-q", "-b", &batch]);
    let sftp = options.iter().fold(sftp, crate::kit::Program::arg).arg("target");
    let out = SOCKS5_DANTED_USER.with_credentials(sftp).run();
    out.expect_code(0);
    expect_same(&file, &fs::read(&got).unwrap());
    assert!(!put.exists(), "{out:?}\n  expected: the last command of the batch is carried out");
    SOCKS5_DANTED_USER.expect_sessions(context, 1);
}

fn many_sessions(context: &Context, route: &Route) {
    let part = context.folder.join("part");
    part_of_big_file(context, &part, 1_000_000);
    let start = |number| {
        let command = format!("cat && echo end of {number}");
        fed(route.client(context, "ssh", "", &["target", &command]), &part).start()
    };
    let sessions: Vec<_> = (0..SESSIONS).map(start).collect();
    let part = fs::read(&part).unwrap();
    for (number, mut session) in sessions.into_iter().enumerate() {
        let out = session.wait();
        out.expect_success();
        let expected = [&*part, format!("end of {number}\n").as_bytes()].concat();
        assert!(out.stdout == expected, "session {number} differs: {out:?}");
    }
    route.expect_sessions(context, SESSIONS);
}
