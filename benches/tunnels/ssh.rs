//! sshd as a hop, for our program and for `ssh -W`, with each cipher; and the files of ssh and
//! sshd.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use super::tunnel::{Command, Tunnel, find_peer};
use crate::competitors::{Competitor, Tool, in_path};
use crate::options::{Options, scratch_directory};

/// Names for the table, and names of the protocol.
const CIPHERS: [(&str, &str); 4] = [
    ("aes256-gcm", "aes256-gcm@openssh.com"),
    ("aes128-gcm", "aes128-gcm@openssh.com"),
    ("chacha20", "chacha20-poly1305@openssh.com"),
    ("aes256-ctr", "aes256-ctr"),
];

/// The end of `{a}` or `{slow}` at which the client connects.
type Entry = &'static str;

/// Returns the tunnels of our program with each cipher, if sshd is installed.
pub(super) fn ours(ours: &Competitor) -> Vec<Tunnel> {
    CIPHERS.iter().filter_map(|cipher| our_tunnel(ours, *cipher, "{a}")).collect()
}

/// Returns the tunnels of `ssh -W` with each cipher, and prints the names of programs that are not
/// installed.
pub(super) fn others(options: &Options) -> Vec<Tunnel> {
    let Some(programs) = find_ssh(options) else { return Vec::new() };
    CIPHERS.iter().map(|cipher| their_tunnel(&programs, *cipher, "{a}")).collect()
}

/// Returns tunnels with the first cipher and this entry, for the start.
pub(super) fn for_start(options: &Options, competitors: &[Competitor], entry: Entry) -> Vec<Tunnel> {
    let ours = competitors.iter().filter(|one| one.tool == Tool::Ours);
    let ours = ours.filter_map(|ours| our_tunnel(ours, CIPHERS[0], entry));
    let theirs = find_ssh(options).map(|programs| their_tunnel(&programs, CIPHERS[0], entry));
    ours.chain(theirs).collect()
}

fn our_tunnel(ours: &Competitor, (name, cipher): (&str, &str), entry: Entry) -> Option<Tunnel> {
    let sshd = find_sshd()?;
    let user = std::env::var("USER").unwrap_or_else(|_| "root".into());
    let args = format!(
        "-x ssh://{user}@127.0.0.1:{entry} --ssh-agent off -i {{ssh}}/user --ssh-strict yes \
         --ssh-known-hosts {{ssh}}/known_hosts --ssh-ciphers {cipher} -R remote 127.0.0.1 {{target}}"
    );
    let name = format!("{}, {name}", ours.name);
    Some(Tunnel::new(&name, vec![server(&sshd)], Command::ours(ours, &args)))
}

fn their_tunnel([sshd, ssh]: &[PathBuf; 2], (name, cipher): (&str, &str), entry: Entry) -> Tunnel {
    let args = format!("-F {{ssh}}/ssh_config -p {entry} -c {cipher} -W 127.0.0.1:{{target}} hub");
    Tunnel::new(&format!("ssh -W, {name}"), vec![server(sshd)], Command::new(ssh, &args))
}

fn server(sshd: &Path) -> Command {
    Command::new(sshd, "-D -f {ssh}/sshd_config")
}

/// Returns the paths of sshd and ssh.
pub(super) fn find_ssh(options: &Options) -> Option<[PathBuf; 2]> {
    let sshd = find_sshd();
    let ssh = find_peer("ssh", "ssh", options)?;
    if sshd.is_none() {
        println!("sshd: not installed");
    }
    Some([sshd?, ssh])
}

/// Writes the configurations of sshd and ssh, with a key for each, and returns their directory.
pub(super) fn files(ports: [u16; 2]) -> io::Result<String> {
    let folder = scratch_directory().join("bench-ssh");
    fs::create_dir_all(&folder)?;
    let path = |name: &str| folder.join(name).display().to_string();
    for key in ["host", "user"] {
        if !folder.join(key).is_file() {
            Process::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path(key)]).status()?;
        }
    }
    let port = ports[0];
    let host = fs::read_to_string(path("host.pub"))?;
    fs::write(path("known_hosts"), format!("bench,[127.0.0.1]:* {host}"))?;
    let (host, user, known_hosts) = (path("host"), path("user"), path("known_hosts"));
    let sshd = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {host}\nPidFile none\nAuthorizedKeysFile {user}.pub\n\
         StrictModes no\nUsePAM no\nPermitRootLogin yes\n"
    );
    fs::write(path("sshd_config"), sshd)?;
    let ssh = format!(
        "Host hub\nHostName 127.0.0.1\nPort {port}\nHostKeyAlias bench\nIdentityFile {user}\n\
         IdentitiesOnly yes\nUserKnownHostsFile {known_hosts}\nBatchMode yes\nExitOnForwardFailure yes\n"
    );
    fs::write(path("ssh_config"), ssh)?;
    if rustix::process::geteuid().is_root() {
        // sshd requires this directory, which its service would create.
        fs::create_dir_all("/run/sshd")?;
    }
    Ok(folder.display().to_string())
}

/// Returns the path of sshd, which is not in every user's PATH and must be started by its absolute
/// path.
fn find_sshd() -> Option<PathBuf> {
    in_path("sshd").or_else(|| Some(PathBuf::from("/usr/sbin/sshd")).filter(|path| path.is_file()))
}
