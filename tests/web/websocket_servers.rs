//! WebSocket servers of other projects, each in front of sshd.

use std::path::{Path, PathBuf};

use crate::daemon::Daemon;
use crate::peers::Peers;
use crate::servers::Server;

/// Returns the path of a peer that is a script of this suite.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/web/peers")).join(name)
}

/// Returns the path of websocat, which `run` installs.
pub(crate) fn websocat() -> String {
    std::env::var("WEBSOCAT").expect("tests/web/run installs websocat and sets this variable")
}

impl Peers {
    pub(crate) fn start_websockify(&self) -> Result<Daemon, String> {
        let target = format!("127.0.0.1:{}", self.sshd_port(0));
        self.serve(Server::Websockify, 1, |ports| {
            self.command("websockify", &[&format!("127.0.0.1:{}", ports[0]), &target])
        })
    }

    pub(crate) fn start_websocat(&self) -> Result<Daemon, String> {
        let target = format!("tcp:127.0.0.1:{}", self.sshd_port(0));
        self.serve(Server::Websocat, 1, |ports| {
            self.command(&websocat(), &["--binary", "-v", &format!("ws-l:127.0.0.1:{}", ports[0]), &target])
        })
    }

    /// Starts a server that is a script of this suite. Its arguments are its port, sshd's port, and
    /// `option`.
    pub(crate) fn start_script(
        &self,
        server: Server,
        interpreter: &str,
        name: &str,
        option: &str,
    ) -> Result<Daemon, String> {
        let target = self.sshd_port(0).to_string();
        self.serve(server, 1, |ports| {
            let mut command = self.command(interpreter, &[]);
            command.arg(script(name)).args([&ports[0].to_string(), &target]);
            command.args(Some(option).filter(|option| !option.is_empty()));
            command
        })
    }
}
