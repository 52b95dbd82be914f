//! sshd as a hop with each algorithm, with certificates, and with an agent; `--check`; ssh-audit.

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::context::{Case, Context, Topic, expect_same, fed};
use crate::daemon::Daemon;
use crate::kit::{Outcome, Program, TIMEOUT, bytes};
use crate::peers::run;
use crate::servers::{Server, USER};
use crate::ssh_servers::{SSHD_ANY, ssh_audit};
use crate::ssh_target::UP;

const KEY_EXCHANGES: [&str; 5] = [
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
];

const CIPHERS: [&str; 5] = [
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes128-ctr",
];

const MACS: [&str; 4] =
    ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"];

/// The algorithms for which sshd has keys here.
const HOST_KEYS: [&str; 6] = [
    "ssh-ed25519",
    "ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "rsa-sha2-512",
    "rsa-sha2-256",
];

/// The findings of ssh-audit that are accepted: the algorithm, or its prefix, and the text. NIST
/// curves are for servers that have nothing else. Without strict key exchange, MACs that are not
/// encrypt-then-MAC are the safe ones (CVE-2023-48795).
const ACCEPTED_FINDINGS: [(&str, &str); 6] = [
    ("curve25519-sha256", "does not provide protection against post-quantum attacks"),
    ("ecdh-sha2-nistp", "does not provide protection against post-quantum attacks"),
    ("ecdh-sha2-nistp", NIST),
    ("ecdsa-sha2-nistp", NIST),
    ("ecdsa-sha2-nistp", "using weak random number generator could reveal the key"),
    ("hmac-sha2-", "using encrypt-and-MAC mode"),
];

const NIST: &str =
    "using elliptic curves that are suspected as being backdoored by the U.S. National Security Agency";

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("ssh-algorithms");
    topic.ours("sshd exchanges keys with every method in common", |context| {
        try_each(context, "kex", "KexAlgorithms", &KEY_EXCHANGES, "key exchange ", "key exchange");
    });
    topic.ours("sshd encrypts with every cipher in common", |context| {
        try_each(context, "cipher", "Ciphers", &CIPHERS, "cipher ", "cipher");
    });
    topic.ours("sshd uses every MAC in common", |context| {
        try_each(context, "mac", "MACs", &MACS, "cipher aes256-ctr with ", "MAC");
    });
    topic.ours("sshd and --ssh-compress compress both directions, also after key exchanges", compressed);
    for algorithm in HOST_KEYS {
        topic.ours(format!("sshd proves that it owns its key with {algorithm}"), move |context| {
            let out = try_one(context, &[&format!("HostKeyAlgorithms={algorithm}")]);
            expect_success(&out, &format!("host key algorithm {algorithm},"));
        });
    }
    for (name, shown) in
        [("ecdsa256", "ECDSA"), ("ecdsa384", "ECDSA"), ("rsa", "RSA"), ("certified", "ED25519-CERT")]
    {
        topic.ours(format!("sshd accepts the key {name}"), move |context| {
            let out = context.expect_banner(session(context, &format!("-d {}", key(context, name))));
            expect_success(&out, &format!("user {USER} accepted: publickey ({shown} SHA256:"));
        });
    }
    topic.ours("sshd accepts a key and a certificate from ssh-agent", agent);
    topic.ours("a host certificate of a trusted authority is accepted", host_certificate);
    topic.ours("--check reports each step of a login", check);
    topic.ours("--check reports a host key that has changed", changed_host_key);
    topic.ours("ssh-audit finds nothing unexpected in the client", audit);
    topic.into_cases()
}

/// Restricts sshd to each algorithm that it knows of a kind. Expects a session if `connect` has the
/// algorithm too, and an error that names it otherwise.
fn try_each(context: &Context, query: &str, option: &str, ours: &[&str], fact: &str, kind: &str) {
    let known = run(Command::new("ssh").args(["-Q", query])).unwrap();
    let known = String::from_utf8(known).unwrap();
    let mut common = 0;
    for name in known.lines() {
        let only = format!("{option}={name}");
        let mut options = vec![&*only];
        if query == "mac" {
            options.push("Ciphers=aes256-ctr");
        }
        let out = try_one(context, &options);
        if ours.contains(&name) {
            expect_success(&out, &format!("{fact}{name}"));
            common += 1;
        } else {
            context.expect_code(&out, 5);
            out.expect_stderr_has(&format!("no {kind} in common with SSH server 127.0.0.1"));
            out.expect_stderr_has(&format!("the server offers {name}"));
        }
    }
    assert!(common >= 4, "sshd has too few of these: {ours:?}");
}

/// Starts sshd with these options, and connects through it.
fn try_one(context: &Context, options: &[&str]) -> Outcome {
    let sshd = context.peers.start_sshd_with(options, &context.folder.join("log"));
    let _ = std::fs::remove_file(context.folder.join("known_hosts"));
    let login = &context.peers.login;
    let program = session_at(context, login, sshd.ports[0], &format!("-d {}", key(context, "user")));
    crate::context::run_with_open_input(program)
}

#[track_caller]
fn expect_success(out: &Outcome, fact: &str) {
    out.expect_code(0).expect_stderr_has(fact);
    assert!(out.stdout.starts_with(b"SSH-2.0-"), "{out:?}\n  expected: the banner of sshd");
}

/// Sends text and then random bytes through `cat` on sshd, which starts a key exchange after each
/// MiB. Both directions then start with an empty history.
fn compressed(context: &Context) {
    let log = context.folder.join("log");
    let sshd = context.peers.start_sshd_with(&["Compression=yes", "RekeyLimit=1M", "LogLevel=DEBUG1"], &log);
    let lines: Vec<_> = (0..400_000).map(|number| format!("line {number}")).collect();
    let text = lines.join("\n");
    let input = context.file("input", [text.as_bytes(), &bytes(UP, 4 << 20)].concat());
    let (login, port) = (&context.peers.login, sshd.ports[0]);
    let known = context.folder.join("known_hosts").display().to_string();
    let program = context.connect(format!(
        "-d --ssh-compress {} --ssh-known-hosts {known} --ssh-strict accept-new --ssh ssh://{login}@127.0.0.1:{port} cat",
        key(context, "user")
    ));
    let out = fed(program, &input).run();
    out.expect_code(0).expect_stderr_has(", compression zlib@openssh.com\n");
    expect_same(&input, &out.stdout);
    let log = std::fs::read_to_string(log).unwrap();
    let exchanges = log.matches("SSH2_MSG_NEWKEYS received").count();
    // The first one precedes the login.
    assert!(exchanges >= 4, "{exchanges} key exchanges: {log}");
}

/// Returns the option for a user's key.
fn key(context: &Context, name: &str) -> String {
    let folder = if name == "user" { context.peers.ssh_folder() } else { users_folder(context) };
    format!("--ssh-agent off -i {}", folder.join(name).display())
}

/// Returns the folder with the keys of the sshd that has users of its own.
fn users_folder(context: &Context) -> std::path::PathBuf {
    context.peers.daemon(Server::SshdUsers);
    context.peers.work.join(Server::SshdUsers.name())
}

/// Prepares a run through sshd to the target.
fn session(context: &Context, options: &str) -> Program {
    session_at(context, USER, context.peers.port(SSHD_ANY), options)
}

fn session_at(context: &Context, user: &str, port: u16, options: &str) -> Program {
    let known = context.folder.join("known_hosts").display().to_string();
    context.connect(format!(
        "-x ssh://{user}@127.0.0.1:{port} --ssh-known-hosts {known} --ssh-strict accept-new -R remote {options} \
         127.0.0.1 {}",
        context.port()
    ))
}

fn agent(context: &Context) {
    let socket = context.folder.join("agent").display().to_string();
    let command = context.peers.command("ssh-agent", &["-D", "-a", &socket]);
    let _agent = Daemon::spawn("ssh-agent", command, &context.folder.join("log"), Vec::new()).unwrap();
    let start = Instant::now();
    let add = |name: &str| {
        let mut add = context
            .peers
            .command("ssh-add", &["-q", &users_folder(context).join(name).display().to_string()]);
        run(add.env("SSH_AUTH_SOCK", &socket))
    };
    while let Err(error) = add("rsa") {
        assert!(start.elapsed() < TIMEOUT, "{error}");
        sleep(Duration::from_millis(10));
    }
    let log_in =
        |options: &str| context.expect_banner(session(context, options).env("SSH_AUTH_SOCK", &socket));
    expect_success(&log_in("-d"), &format!("user {USER} accepted: publickey (RSA SHA256:"));
    run(context.peers.command("ssh-add", &["-q", "-D"]).env("SSH_AUTH_SOCK", &socket)).unwrap();
    add("certified").unwrap();
    expect_success(&log_in("-d"), &format!("user {USER} accepted: publickey (ED25519-CERT SHA256:"));
}

fn host_certificate(context: &Context) {
    let authority = std::fs::read_to_string(users_folder(context).join("ca.pub")).unwrap();
    let name = format!("[127.0.0.1]:{}", context.peers.port(SSHD_ANY));
    context.file("known_hosts", format!("@cert-authority {name} {authority}"));
    let options = format!("-d --ssh-strict yes {}", key(context, "user"));
    let out = context.expect_banner(session(context, &options));
    expect_success(&out, "host key algorithm ssh-ed25519-cert-v01@openssh.com,");
    context.file("known_hosts", format!("@cert-authority other.example {authority}"));
    let out = session(context, &format!("--ssh-strict yes {}", key(context, "user"))).run();
    context.expect_failure(&out, 5, &["unknown host key of SSH server 127.0.0.1"]);
}

fn check(context: &Context) {
    let host_key = std::fs::read_to_string(context.peers.ssh_folder().join("host.pub")).unwrap();
    let name = format!("[127.0.0.1]:{}", context.peers.port(SSHD_ANY));
    let known = context.file("known_hosts", format!("# keys\n{name} {host_key}"));
    let fingerprint = |path: &std::path::Path| {
        let line = run(Command::new("ssh-keygen").arg("-l").arg("-f").arg(path)).unwrap();
        String::from_utf8(line).unwrap().split(' ').nth(1).unwrap().to_owned()
    };
    let user = context.peers.ssh_folder().join("user");
    let facts = [
        format!(
            "host key ED25519 {}: known ({}:2)",
            fingerprint(&context.peers.ssh_folder().join("host")),
            known.display()
        ),
        "key exchange ".to_owned(),
        "host key algorithm ssh-ed25519, cipher aes256-gcm@openssh.com".to_owned(),
        "the server accepts publickey, password, keyboard-interactive".to_owned(),
        format!("user {USER} accepted: publickey (ED25519 {}, {})", fingerprint(&user), user.display()),
    ];
    let options = |check: &str| format!("{check} --ssh-strict yes {}", key(context, "user"));
    let text = session(context, &options("--check")).run();
    text.expect_success();
    let text = text.stdout_text();
    let json = session(context, &options("--check=json")).run();
    json.expect_success();
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    let steps = report["steps"].as_array().unwrap();
    for fact in facts {
        let line = text.lines().find(|line| line.contains(&fact)).unwrap_or_else(|| panic!("{fact}: {text}"));
        assert!(line.contains(" ms  hop "), "{line}");
        let step = steps.iter().find(|step| step["text"].as_str().unwrap().contains(&fact));
        let step = step.unwrap_or_else(|| panic!("{fact}: {report:#}"));
        assert!(step["milliseconds"].is_number() && step["verdict"] == "good", "{step}");
    }
}

fn changed_host_key(context: &Context) {
    let other = std::fs::read_to_string(context.peers.ssh_folder().join("user.pub")).unwrap();
    let name = format!("[127.0.0.1]:{}", context.peers.port(SSHD_ANY));
    let known = context.file("known_hosts", format!("{name} {other}"));
    let out = session(context, &format!("--check {}", key(context, "user"))).run();
    context.expect_code(&out, 5);
    let (report, expected) = (out.stdout_text(), format!("has changed: {}:1 has SHA256:", known.display()));
    assert!(report.contains(&expected), "{out:?}\n  expected: {expected}");
}

/// Lets ssh-audit examine what the client offers.
fn audit(context: &Context) {
    let log = context.folder.join("log");
    let audit = Daemon::start("ssh-audit", 1, &log, |ports| {
        let mut command = ssh_audit(context.peers);
        command.args(["--client-audit", "--json", "--port", &ports[0].to_string()]);
        command
    });
    let audit = audit.unwrap_or_else(|error| panic!("{error}"));
    session_at(context, USER, audit.ports[0], &key(context, "user")).run().expect_code(5);
    let start = Instant::now();
    while !audit.has_exited() {
        assert!(start.elapsed() < TIMEOUT, "ssh-audit does not end");
        sleep(Duration::from_millis(10));
    }
    let report = std::fs::read_to_string(log).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap_or_else(|error| panic!("{error}: {report}"));
    assert_eq!(report["cves"].as_array().map(Vec::len), Some(0), "{report:#}");
    let mut names = Vec::new();
    for algorithm in ["kex", "key", "enc", "mac"].iter().flat_map(|kind| report[kind].as_array().unwrap()) {
        let name = algorithm["algorithm"].as_str().unwrap();
        let findings =
            ["fail", "warn"].iter().filter_map(|level| algorithm["notes"][level].as_array()).flatten();
        for finding in findings {
            let is_accepted = |(prefix, text): &(&str, &str)| name.starts_with(prefix) && finding == text;
            assert!(ACCEPTED_FINDINGS.iter().any(is_accepted), "{name}: {finding}");
        }
        names.push(name);
    }
    for expected in ["kex-strict-c-v00@openssh.com", "mlkem768x25519-sha256", "aes256-gcm@openssh.com"] {
        assert!(names.contains(&expected), "{expected}: {names:?}");
    }
}
