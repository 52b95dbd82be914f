//! The servers of this suite: the programs that must be installed, the ports, and the process that
//! all web servers lead to.

use crate::daemon::Daemon;
use crate::peers::{Endpoint, Peers, endpoint};

/// Part of the working directory's name.
pub(crate) const SUITE: &str = "web";

/// The size of the files that cases transfer: larger than all buffers on the path combined.
pub(crate) const BIG: u64 = 64 * 1024 * 1024;

/// Programs and other files that must be installed, and the Debian packages that contain them.
pub(crate) const PROGRAMS: &[(&str, &str)] = &[
    ("apache2", "apache2-bin"),
    ("chromium", "chromium"),
    ("git", "git"),
    ("haproxy", "haproxy"),
    ("lighttpd", "lighttpd"),
    ("nginx", "nginx-light"),
    ("node", "nodejs"),
    ("openssl", "openssl"),
    ("prometheus", "prometheus"),
    ("promtool", "prometheus"),
    ("/usr/bin/python3", "python3"),
    ("squid", "squid"),
    ("ssh", "openssh-client"),
    ("sshd", "openssh-server"),
    ("stunnel4", "stunnel4"),
    ("top", "procps"),
    ("websockify", "websockify"),
    ("/usr/lib/apache2/modules/mod_proxy_scgi.so", "apache2-bin"),
    ("/usr/lib/python3/dist-packages/prometheus_client/__init__.py", "python3-prometheus-client"),
    ("/usr/lib/python3/dist-packages/websockets/__init__.py", "python3-websockets"),
    ("/usr/share/nodejs/ws/index.js", "node-ws"),
];

/// The port in lighttpd's configuration.
const LIGHTTPD_SCGI_PORT: u16 = 9001;

/// A server in a particular configuration. Its ports are [`Endpoint`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// The target.
    Sshd,
    /// The program under test with its listeners for POST tunnels, in front of sshd.
    PostListeners,
    /// The program under test with its listeners for WebSocket clients, in front of sshd.
    WebSocketListeners,
    /// The program under test as a hub.
    Hub,
    /// The program under test as an origin of that hub, in front of sshd.
    Origin,
    Lighttpd,
    ApacheEvent,
    ApachePrefork,
    Nginx,
    Haproxy,
    Squid,
    Stunnel,
    Websockify,
    Websocat,
    Python,
    Node,
    /// A node server that selects a subprotocol that the client did not offer.
    NodeSubprotocol,
}

impl Server {
    pub(crate) const ALL: [Self; 17] = [
        Self::Sshd,
        Self::PostListeners,
        Self::WebSocketListeners,
        Self::Hub,
        Self::Origin,
        Self::Lighttpd,
        Self::ApacheEvent,
        Self::ApachePrefork,
        Self::Nginx,
        Self::Haproxy,
        Self::Squid,
        Self::Stunnel,
        Self::Websockify,
        Self::Websocat,
        Self::Python,
        Self::Node,
        Self::NodeSubprotocol,
    ];

    /// Returns the path of the server's session log, relative to the working directory.
    pub(crate) fn log(self) -> String {
        match self {
            Self::Lighttpd | Self::ApacheEvent | Self::ApachePrefork | Self::Nginx | Self::Squid => {
                format!("{}/access.log", self.name())
            }
            _ => format!("log/{}", self.name()),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sshd => "sshd",
            Self::PostListeners => "post-listeners",
            Self::WebSocketListeners => "websocket-listeners",
            Self::Hub => "hub",
            Self::Origin => "origin",
            Self::Lighttpd => "lighttpd",
            Self::ApacheEvent => "apache-event",
            Self::ApachePrefork => "apache-prefork",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Squid => "squid",
            Self::Stunnel => "stunnel",
            Self::Websockify => "websockify",
            Self::Websocat => "websocat",
            Self::Python => "python",
            Self::Node => "node",
            Self::NodeSubprotocol => "node-subprotocol",
        }
    }
}

// Ports of the program under test. Each listener has the path `/tunnel`.
pub(crate) const SCGI: Endpoint = endpoint(Server::PostListeners, 0);
pub(crate) const POST: Endpoint = endpoint(Server::PostListeners, 1);
pub(crate) const POST_TLS: Endpoint = endpoint(Server::PostListeners, 2);
pub(crate) const WEBSOCKET: Endpoint = endpoint(Server::WebSocketListeners, 0);
pub(crate) const WEBSOCKET_TLS: Endpoint = endpoint(Server::WebSocketListeners, 1);
/// The origin offers sshd as the session `lab`.
pub(crate) const HUB: Endpoint = endpoint(Server::Hub, 0);
pub(crate) const HUB_TLS: Endpoint = endpoint(Server::Hub, 1);

// Ports of web servers. `/tunnel` leads to the SCGI listener, `/ssh` to the WebSocket listener, and
// `/post` to the POST listener, where the server can do that.
pub(crate) const LIGHTTPD: Endpoint = endpoint(Server::Lighttpd, 0);
pub(crate) const APACHE_EVENT: Endpoint = endpoint(Server::ApacheEvent, 0);
pub(crate) const APACHE_EVENT_TLS: Endpoint = endpoint(Server::ApacheEvent, 1);
pub(crate) const APACHE_PREFORK: Endpoint = endpoint(Server::ApachePrefork, 0);
pub(crate) const NGINX: Endpoint = endpoint(Server::Nginx, 0);
pub(crate) const NGINX_TLS: Endpoint = endpoint(Server::Nginx, 1);
pub(crate) const HAPROXY: Endpoint = endpoint(Server::Haproxy, 0);
/// A forward proxy.
pub(crate) const SQUID: Endpoint = endpoint(Server::Squid, 0);
/// An accelerator in front of nginx.
pub(crate) const SQUID_ACCELERATOR: Endpoint = endpoint(Server::Squid, 1);
/// TLS in front of lighttpd.
pub(crate) const STUNNEL_LIGHTTPD: Endpoint = endpoint(Server::Stunnel, 0);
/// TLS in front of websockify.
pub(crate) const STUNNEL_WEBSOCKIFY: Endpoint = endpoint(Server::Stunnel, 1);

// WebSocket servers in front of sshd.
pub(crate) const WEBSOCKIFY: Endpoint = endpoint(Server::Websockify, 0);
pub(crate) const WEBSOCAT: Endpoint = endpoint(Server::Websocat, 0);
pub(crate) const PYTHON: Endpoint = endpoint(Server::Python, 0);
pub(crate) const NODE: Endpoint = endpoint(Server::Node, 0);
pub(crate) const NODE_SUBPROTOCOL: Endpoint = endpoint(Server::NodeSubprotocol, 0);

impl Peers {
    /// Starts a server.
    pub(crate) fn start(&self, server: Server) -> Result<Daemon, String> {
        let folder = self.work.join(server.name());
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        match server {
            Server::Sshd => self.start_sshd(&folder),
            Server::PostListeners => {
                let scgi = folder.join("scgi");
                let more = [
                    format!("scgi:unix:{}?path=/unix", scgi.display()),
                    format!("scgi://127.0.0.1:{LIGHTTPD_SCGI_PORT}/tunnel"),
                ];
                self.start_listeners(server, &["scgi", "post+http", "post+https"], &more)
            }
            Server::WebSocketListeners => self.start_listeners(server, &["ws", "wss"], &[]),
            Server::Hub => self.start_hub(),
            Server::Origin => self.start_origin(),
            Server::Lighttpd => self.start_lighttpd(&folder),
            Server::ApacheEvent => self.start_apache(server, "event", &folder),
            Server::ApachePrefork => self.start_apache(server, "prefork", &folder),
            Server::Nginx => self.start_nginx(&folder),
            Server::Haproxy => self.start_haproxy(&folder),
            Server::Squid => self.start_squid(&folder),
            Server::Stunnel => self.start_stunnel(&folder),
            Server::Websockify => self.start_websockify(),
            Server::Websocat => self.start_websocat(),
            Server::Python => self.start_script(server, "/usr/bin/python3", "server.py", ""),
            Server::Node => self.start_script(server, "node", "server.js", ""),
            Server::NodeSubprotocol => self.start_script(server, "node", "server.js", "other.v1"),
        }
    }

    fn start_hub(&self) -> Result<Daemon, String> {
        let [certificate, key] = ["pem", "key"].map(|extension| self.certificates().path("good", extension));
        self.serve(Server::Hub, 2, |ports| {
            let mut command = self.command(&self.connect.display().to_string(), &["-d", "--open"]);
            for (scheme, port) in ["ws", "wss"].iter().zip(ports) {
                command.arg("--relay").arg(format!("{scheme}://127.0.0.1:{port}"));
            }
            command.arg("--serve-cert").arg(&certificate).arg("--serve-key").arg(&key);
            command
        })
    }

    /// Starts an origin. The hub lets clients wait until it is registered.
    fn start_origin(&self) -> Result<Daemon, String> {
        let (hub, target) = (self.port(HUB), self.sshd_port(0).to_string());
        self.serve(Server::Origin, 0, |_| {
            let mut command = self.command(&self.connect.display().to_string(), &["-d", "--origin"]);
            command.arg(format!("relay+ws://127.0.0.1:{hub}/lab")).args(["127.0.0.1", &target]);
            command
        })
    }

    /// Starts the program under test with a listener for each scheme, and with more listeners.
    fn start_listeners(&self, server: Server, schemes: &[&str], more: &[String]) -> Result<Daemon, String> {
        let target = self.sshd_port(0).to_string();
        let [certificate, key] = ["pem", "key"].map(|extension| self.certificates().path("good", extension));
        self.serve(server, schemes.len(), |ports| {
            let mut command = self.command(&self.connect.display().to_string(), &["--open"]);
            let addresses = schemes.iter().zip(ports);
            let urls = addresses.map(|(scheme, port)| format!("{scheme}://127.0.0.1:{port}/tunnel"));
            for url in urls.chain(more.iter().cloned()) {
                command.arg("--listen").arg(url);
            }
            command.arg("--serve-cert").arg(&certificate).arg("--serve-key").arg(&key);
            command.args(["-d", "127.0.0.1", &target]);
            command
        })
    }
}
