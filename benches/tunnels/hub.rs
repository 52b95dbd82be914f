//! Relay hubs, and other programs that reach a target which only dials out.
//!
//! The servers are the hub and the program beside the target, which dials the hub.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::ssh::find_ssh;
use super::tunnel::{
    Command, Port, Tunnel, find_peer, is_selected, websocat, websocat_client, websocat_server,
};
use crate::competitors::{BASELINE, Competitor};
use crate::options::{Options, scratch_directory};

/// The directory of programs that `cargo install --root target/tools` installs, relative to Cargo's
/// target directory.
const TOOLS: &str = "tools/bin";

/// The control port of bore's server.
const BORE_PORT: u16 = 7835;

/// The path of a session at a hub, for a client that is any WebSocket client.
pub(super) const SESSION: &str = "/v1/lab/dest";

/// Returns the tunnels of our program: with a client that is any WebSocket client, with a link, and
/// with a link that is encrypted from end to end.
pub(super) fn ours(ours: &Competitor) -> Vec<Tunnel> {
    let link = "relay+ws://127.0.0.1:{a}/lab";
    let any = format!("ws://127.0.0.1:{{a}}{SESSION}");
    [("", &*any, ""), (", link", link, ""), (", key", link, " --key-file {key}")]
        .map(|(kind, url, key)| {
            let hub = Command::ours(ours, "--relay ws://127.0.0.1:{a} --open");
            let origin = Command::ours(ours, &format!("--origin {link}{key} 127.0.0.1 {{target}}"));
            let client = Command::ours(ours, &format!("-x {url}{key}"));
            Tunnel::new(&format!("{}{kind}", ours.name), vec![hub, origin.after(Port::A)], client)
        })
        .into()
}

/// Writes a key for both ends, and returns the path of its file.
pub(super) fn key_file() -> io::Result<String> {
    let path = scratch_directory().join("bench.key");
    fs::write(&path, "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n")?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(path.display().to_string())
}

/// Returns the tunnels of other programs, and prints the names of those that are not installed. If
/// a program opens a port for clients, the client is the baseline.
pub(super) fn others(options: &Options, competitors: &[Competitor]) -> Vec<Tunnel> {
    let baseline = competitors.iter().find(|one| one.name == BASELINE);
    let client = |port: &str| Some(Command::ours(baseline?, &format!("splice 127.0.0.1 {port}")));
    let mut tunnels = Vec::new();
    if let (Some([sshd, ssh]), Some(client)) = (find_ssh(options), client("{b}")) {
        let sshd = Command::new(&sshd, "-D -f {ssh}/sshd_config");
        let forward = "-F {ssh}/ssh_config -N -R 127.0.0.1:{b}:127.0.0.1:{target} hub";
        let servers = vec![sshd, Command::new(&ssh, forward).after(Port::A)];
        tunnels.push(Tunnel { entry: Port::B, ..Tunnel::new("ssh -R", servers, client) });
    }
    if let (Some(bore), Some(client)) = (find_bore(options), client("{b}")) {
        let server = Command::new(&bore, "server");
        let local = Command::new(&bore, "local {target} --to 127.0.0.1 --port {b}");
        let servers = vec![server, local.after(Port::Fixed(BORE_PORT))];
        tunnels.push(Tunnel { entry: Port::B, ..Tunnel::new("bore", servers, client) });
    }
    if let Some(websocat) = websocat(options) {
        let servers = vec![websocat_server(&websocat)];
        tunnels.push(Tunnel::new("websocat, no hub", servers, websocat_client(&websocat)));
    }
    tunnels
}

fn find_bore(options: &Options) -> Option<PathBuf> {
    let installed = scratch_directory().with_file_name(TOOLS).join("bore");
    if is_selected("bore", options) && installed.is_file() {
        return Some(installed);
    }
    find_peer("bore", "bore", options)
}
