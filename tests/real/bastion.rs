//! sshd as a hop (`ssh://`), in front of sshd as the target.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::context::{Case, Context, Topic, expect_same, fed};
use crate::kit::Program;

const CIPHERS: [&str; 5] = [
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes128-ctr",
];

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("bastion");
    for cipher in CIPHERS {
        topic.ours(format!("ssh sends and fetches a file with {cipher}"), move |context| {
            let [up, _] = context.peers.big_files();
            let ssh = through(context, &format!("--ssh-ciphers {cipher}"), 1, &known_hosts(context));
            let out = fed(ssh.arg("cat; exit 3"), up).run();
            out.expect_code(3);
            expect_same(up, &out.stdout);
        });
    }
    topic.ours("two bastions form a chain", |context| {
        let [up, _] = context.peers.big_files();
        let out = fed(through(context, "", 2, &known_hosts(context)).arg("cat"), up).run();
        out.expect_success();
        expect_same(up, &out.stdout);
    });
    topic.ours("hashed host names are found", |context| {
        let file = known_hosts(context);
        let hashed = Command::new("ssh-keygen").args(["-H", "-f"]).arg(&file).output().unwrap();
        assert!(hashed.status.success(), "{hashed:?}");
        assert!(fs::read_to_string(&file).unwrap().starts_with("|1|"));
        let out = through(context, "--ssh-strict yes", 1, &file).arg("echo hello").run();
        out.expect_success().expect_stdout("hello\n");
    });
    topic.ours("ssh-keygen finds a host key that was added", |context| {
        let file = context.file("added", "");
        let out = through(context, "-q --ssh-strict accept-new", 1, &file).arg("echo hello").run();
        out.expect_success().expect_stdout("hello\n");
        let name = format!("[127.0.0.1]:{}", context.port());
        let found = Command::new("ssh-keygen").args(["-F", &name, "-f"]).arg(&file).output().unwrap();
        assert!(found.status.success() && !found.stdout.is_empty(), "{found:?}");
    });
    topic.into_cases()
}

/// Returns a file with the key of sshd under the name that the program looks up.
fn known_hosts(context: &Context) -> PathBuf {
    let folder = context.peers.ssh_config().parent().unwrap().to_owned();
    let key = fs::read_to_string(folder.join("host.pub")).unwrap();
    context.file("known_hosts", format!("[127.0.0.1]:{} {key}", context.port()))
}

/// Prepares a run of ssh through this many bastions.
fn through(context: &Context, options: &str, bastions: usize, known_hosts: &Path) -> Program {
    let key = context.peers.ssh_config().parent().unwrap().join("user");
    let url = format!("ssh://{}@127.0.0.1:{}", context.peers.login, context.port());
    let chain = vec![url; bastions].join(",");
    let args = format!(
        "{options} -x {chain} --ssh-agent off -i {} --ssh-known-hosts {} -R remote",
        key.display(),
        known_hosts.display()
    );
    let proxy_command = format!("{} {args} %h %p", context.peers.connect.display());
    let ssh = context.ssh_options(&proxy_command);
    crate::context::program("ssh", ssh).arg("-o").arg("HostName=127.0.0.1").arg("target")
}
