//! The tunnels that take part, and the programs of other projects that several of them use.

use std::path::{Path, PathBuf};

use crate::competitors::{Competitor, in_path};
use crate::options::{Options, scratch_directory};

/// The path at which tests/web/run installs websocat, relative to Cargo's target directory.
const WEBSOCAT: &str = "websocat-1.13.0/bin/websocat";

/// A client, and the servers that lead from it to the target.
pub(crate) struct Tunnel {
    pub(crate) name: String,
    pub(crate) client: Command,
    /// In the order in which they start.
    pub(crate) servers: Vec<Command>,
    /// The port to which the client connects.
    pub(crate) entry: Port,
}

/// A port of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    A,
    B,
    /// A port that cannot be selected.
    Fixed(u16),
}

/// A command. In its arguments, `{a}` and `{b}` represent the ports of the servers, `{slow}` a link
/// to `{a}` with a long round-trip time, and `{target}` the target's port on 127.0.0.1.
pub(crate) struct Command {
    pub(crate) program: PathBuf,
    pub(crate) args: String,
    pub(crate) variable: Option<(String, String)>,
    /// Starts once a server listens on this port.
    pub(crate) after: Option<Port>,
}

impl Command {
    pub(super) fn new(program: &Path, args: &str) -> Self {
        Self { program: program.to_owned(), args: args.to_owned(), variable: None, after: None }
    }

    pub(super) fn after(self, port: Port) -> Self {
        Self { after: Some(port), ..self }
    }

    pub(super) fn ours(competitor: &Competitor, args: &str) -> Self {
        Self { variable: competitor.variable.clone(), ..Self::new(&competitor.program, args) }
    }
}

impl Tunnel {
    pub(super) fn new(name: &str, servers: Vec<Command>, client: Command) -> Self {
        Self { name: name.to_owned(), client, servers, entry: Port::A }
    }
}

pub(super) fn websocat_server(program: &Path) -> Command {
    Command::new(program, "--binary ws-l:127.0.0.1:{a} tcp:127.0.0.1:{target}")
}

pub(super) fn websocat_client(program: &Path) -> Command {
    Command::new(program, "--binary ws://127.0.0.1:{a}/")
}

pub(super) fn websocat(options: &Options) -> Option<PathBuf> {
    let installed = scratch_directory().with_file_name(WEBSOCAT);
    if is_selected("websocat", options) && installed.is_file() {
        return Some(installed);
    }
    find_peer("websocat", "websocat", options)
}

/// Returns the path of a peer's program. `None` if `--only` leaves the peer out, or if the program
/// is not installed.
pub(super) fn find_peer(peer: &str, program: &str, options: &Options) -> Option<PathBuf> {
    if !is_selected(peer, options) {
        return None;
    }
    let found = in_path(program);
    if found.is_none() {
        println!("{program}: not installed");
    }
    found
}

pub(super) fn is_selected(peer: &str, options: &Options) -> bool {
    options.only.is_empty() || options.only.iter().any(|only| only == peer)
}
