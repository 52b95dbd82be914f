//! Hubs that check tokens, and their keys.

use std::path::PathBuf;

use crate::context::Context;
use crate::daemon::free_port;
use crate::kit::Running;
use crate::sessions::wait_for_listener;

/// A key that signs tokens, in the folder of the case.
pub(crate) struct Keys<'a> {
    context: &'a Context<'a>,
    key: PathBuf,
    /// The file with the public key.
    public: PathBuf,
}

impl<'a> Keys<'a> {
    /// Creates a key.
    pub(crate) fn new(context: &'a Context<'a>) -> Self {
        let key = context.folder.join("hub.key");
        let out = context.connect("--mint-signing-key").arg(&key).run();
        out.expect_success();
        Self { context, key, public: context.file("hub.keys", &out.stdout) }
    }

    /// Creates a token with these claims, and returns its file.
    pub(crate) fn token(&self, file: &str, claims: &str) -> PathBuf {
        let claims = format!("{claims},aud=hub.example");
        let out = self.context.connect("--mint-token").arg(claims).arg("--signing-key").arg(&self.key).run();
        out.expect_success();
        let path = self.context.file(file, &out.stdout);
        // Others must not be able to read it, or the program would warn.
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        path
    }

    /// Starts a hub that accepts these tokens, and waits until it listens on its port.
    pub(crate) fn hub(&self, args: &str) -> (u16, Running) {
        let port = free_port();
        let hub =
            self.context.connect(format!("{args} --relay ws://127.0.0.1:{port} --relay-name hub.example"));
        let run = hub.arg("--token-keys").arg(&self.public).start();
        wait_for_listener(&run, port);
        (port, run)
    }

    /// Starts an origin of the session `lab`, and waits until it is registered.
    pub(crate) fn origin(&self, hub: u16, target: u16) -> Running {
        let token = self.token("origin.token", "role=origin,session=lab,ttl=1h");
        let origin = self.context.connect(format!("--origin relay+ws://127.0.0.1:{hub}/lab --token-file"));
        let run = origin.arg(token).arg("127.0.0.1").arg(target.to_string()).start();
        run.wait_stdout_has("SOCKET_ID");
        run
    }
}
