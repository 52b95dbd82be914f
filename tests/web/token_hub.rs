//! Hubs and origins of single cases, and the keys of hubs that check tokens.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::context::Context;
use crate::daemon::free_port;
use crate::kit::{Running, TIMEOUT};
use crate::sessions::wait_for_listener;

/// Time limit for a hub or an origin to run.
const LIMIT: Duration = Duration::from_secs(900);

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

    /// Starts a hub that accepts these tokens.
    pub(crate) fn hub(&self, args: &str) -> Hub {
        let keys = self.public.display();
        let args = format!("{args} --relay-name hub.example --token-keys {keys}");
        Hub::start(self.context, "127.0.0.1", free_port(), &args)
    }

    /// Starts an origin of the session `lab`, and waits until it is registered.
    pub(crate) fn origin(&self, hub: u16, target: u16) -> Running {
        let token = self.token("origin.token", "role=origin,session=lab,ttl=1h");
        origin(self.context, hub, target, &format!("--token-file {}", token.display()))
    }
}

/// A running hub.
pub(crate) struct Hub {
    address: String,
    pub(crate) port: u16,
    args: String,
    run: Running,
}

impl Hub {
    /// Starts a hub, and waits until it listens on its port.
    fn start(context: &Context, address: &str, port: u16, args: &str) -> Self {
        let run = context.connect(format!("--relay ws://{address}:{port} {args}")).limit(LIMIT).start();
        wait_for_listener(&run, port);
        Self { address: address.to_owned(), port, args: args.to_owned(), run }
    }

    /// Returns the text that the hub has logged.
    pub(crate) fn log(&self) -> String {
        self.run.stderr_so_far()
    }

    /// Kills the hub, and starts another one at its port.
    pub(crate) fn restart(&mut self, context: &Context) {
        self.run.signal(Signal::KILL);
        self.run.wait();
        *self = Self::start(context, &self.address, self.port, &self.args);
    }

    /// Starts a hub that needs no tokens.
    pub(crate) fn open(context: &Context) -> Self {
        Self::open_at(context, "127.0.0.1")
    }

    /// Starts a hub that needs no tokens, at this address.
    pub(crate) fn open_at(context: &Context, address: &str) -> Self {
        Self::start(context, address, free_port(), "--open")
    }
}

/// Starts an origin of the session `lab`, and waits until it is registered.
pub(crate) fn origin(context: &Context, hub: u16, target: u16, args: &str) -> Running {
    let url = format!("relay+ws://127.0.0.1:{hub}/lab");
    let run = context.connect(format!("--origin {url} {args} 127.0.0.1 {target}")).limit(LIMIT).start();
    run.wait_stdout_has("SOCKET_ID");
    run
}

/// Waits until the program has created this socket.
pub(crate) fn wait_for_socket(run: &Running, socket: &Path) {
    let begin = Instant::now();
    while !socket.exists() {
        assert!(run.is_running() && begin.elapsed() < TIMEOUT, "no socket: {}", run.stderr_so_far());
        sleep(Duration::from_millis(10));
    }
}
