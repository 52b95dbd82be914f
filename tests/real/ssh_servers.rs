//! SSH servers that forward connections.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::daemon::Daemon;
use crate::peers::{Endpoint, Peers, endpoint, is_root, run, write};
use crate::servers::{PASSWORD, Server, USER};

/// The source of libssh's sample server for `direct-tcpip`.
pub(crate) const SAMPLE_SERVER: &str = "/usr/share/doc/libssh-dev/examples/sshd_direct-tcpip.c";

/// Accepts a key, a password, or the answer to a question.
pub(crate) const SSHD_ANY: Endpoint = endpoint(Server::SshdUsers, 0);
/// Accepts a password only.
pub(crate) const SSHD_PASSWORD: Endpoint = endpoint(Server::SshdUsers, 1);
/// Requires a key, and then a password.
pub(crate) const SSHD_BOTH: Endpoint = endpoint(Server::SshdUsers, 2);

/// Keys of sshd and of users.
const KEYS: [(&str, &[&str]); 5] = [
    ("ecdsa256", &["-t", "ecdsa", "-b", "256"]),
    ("ecdsa384", &["-t", "ecdsa", "-b", "384"]),
    ("rsa", &["-t", "rsa", "-b", "2048"]),
    ("ca", &["-t", "ed25519"]),
    ("certified", &["-t", "ed25519"]),
];

impl Peers {
    /// Returns the folder with sshd's host key, the key `user`, and `authorized_keys`.
    #[track_caller]
    pub(crate) fn ssh_folder(&self) -> PathBuf {
        self.ssh_config().parent().unwrap().to_owned()
    }

    /// Starts sshd with users of its own, several host keys, a certificate authority for users, and
    /// a key exchange after each MiB.
    pub(crate) fn start_sshd_users(&self, folder: &Path) -> Result<Daemon, String> {
        if !is_root() {
            return Err("sshd needs root to check passwords".into());
        }
        let path = |name: &str| folder.join(name).display().to_string();
        for (name, options) in KEYS {
            let mut command = self.command("ssh-keygen", &["-q", "-N", "", "-C", "", "-f", &path(name)]);
            run(command.args(options))?;
        }
        let sign = |args: &[&str]| {
            run(&mut self.command("ssh-keygen", &[&["-q", "-s", &path("ca")], args].concat()))
        };
        sign(&["-I", "user", "-n", USER, &path("certified.pub")])?;
        let ssh = self.ssh_folder();
        let host = folder.join("host");
        for (from, to) in [("host", "host"), ("host.pub", "host.pub")] {
            fs::copy(ssh.join(from), folder.join(to)).map_err(|error| format!("{to}: {error}"))?;
        }
        sign(&["-h", "-I", "host", "-n", "127.0.0.1", &path("host.pub")])?;
        self.add_user(folder, "/", "/bin/sh")?;
        let authorized =
            [ssh.join("user"), folder.join("ecdsa256"), folder.join("ecdsa384"), folder.join("rsa")];
        let line = |path: PathBuf| fs::read_to_string(path.with_extension("pub")).unwrap_or_default();
        let keys = write(folder, "authorized_keys", authorized.map(line).concat());
        self.serve(Server::SshdUsers, 3, |ports| {
            let listen: Vec<_> =
                ports.iter().map(|port| format!("ListenAddress 127.0.0.1:{port}\n")).collect();
            let config = format!(
                "{listen}
                HostKey {host}
                HostKey {ecdsa256}
                HostKey {ecdsa384}
                HostKey {rsa}
                HostCertificate {certificate}
                TrustedUserCAKeys {ca}
                AuthorizedKeysFile {keys}
                PidFile none
                StrictModes no
                UsePAM yes
                PasswordAuthentication yes
                KbdInteractiveAuthentication yes
                MaxStartups 100
                UseDNS no
                RekeyLimit 1M
                LogLevel DEBUG1
                Match LocalPort {password}
                    KbdInteractiveAuthentication no
                    PubkeyAuthentication no
                Match LocalPort {both}
                    KbdInteractiveAuthentication no
                    AuthenticationMethods publickey,password\n",
                listen = listen.concat(),
                host = host.display(),
                ecdsa256 = path("ecdsa256"),
                ecdsa384 = path("ecdsa384"),
                rsa = path("rsa"),
                certificate = path("host-cert.pub"),
                ca = path("ca.pub"),
                password = ports[1],
                both = ports[2],
            );
            self.with_users(folder, "sshd", &["-D", "-e", "-f", &write(folder, "config", config)])
        })
    }

    /// Starts sshd for one case and for the user running the tests, with further options and the
    /// keys of [`Self::start_sshd_users`].
    pub(crate) fn start_sshd_with(&self, options: &[&str], log: &Path) -> Daemon {
        self.daemon(Server::SshdUsers);
        let config = self.work.join(Server::SshdUsers.name()).join("config");
        let settings = fs::read_to_string(config).unwrap();
        let is_shared = |line: &&str| !line.starts_with("ListenAddress ") && !line.starts_with("UsePAM ");
        let settings = settings.lines().take_while(|line| !line.starts_with("Match ")).filter(is_shared);
        let settings = settings.collect::<Vec<_>>().join("\n");
        let folder = log.parent().unwrap();
        let started = Daemon::start("sshd", 1, log, |ports| {
            let address = format!("ListenAddress=127.0.0.1:{}", ports[0]);
            let further = ["PermitRootLogin=yes", &address];
            let mut sshd = self.command("sshd", &["-D", "-e", "-f", &write(folder, "config", &settings)]);
            for option in options.iter().copied().chain(further) {
                sshd.arg("-o").arg(option);
            }
            sshd
        });
        started.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Creates the home directory of [`USER`], who may log in with the key `user`.
    fn make_home(&self, folder: &Path) -> Result<(), String> {
        let home = folder.join("home");
        let ssh = home.join(".ssh");
        let made = fs::create_dir_all(&ssh)
            .and_then(|()| fs::copy(self.ssh_folder().join("authorized_keys"), ssh.join("authorized_keys")))
            .and_then(|_| fs::set_permissions(folder, Permissions::from_mode(0o755)));
        made.map_err(|error| format!("{}: {error}", home.display()))?;
        self.add_user(folder, "/root", "/bin/sh")
    }

    pub(crate) fn start_dropbear(&self, folder: &Path) -> Result<Daemon, String> {
        self.make_home(folder)?;
        let key = folder.join("key").display().to_string();
        run(&mut self.command("dropbearkey", &["-t", "ed25519", "-f", &key]))?;
        self.serve(Server::Dropbear, 1, |ports| {
            let address = format!("127.0.0.1:{}", ports[0]);
            self.with_users(folder, "dropbear", &["-F", "-E", "-r", &key, "-p", &address])
        })
    }

    /// Starts tinysshd, which has neither passwords nor forwarding.
    pub(crate) fn start_tinysshd(&self, folder: &Path) -> Result<Daemon, String> {
        self.make_home(folder)?;
        let keys = folder.join("keys").display().to_string();
        run(&mut self.command("tinysshd-makekey", &["-q", &keys]))?;
        self.serve(Server::Tinysshd, 1, |ports| {
            let port = ports[0].to_string();
            let args = [&*script("ssh_servers.py"), "exec", &port, "/usr/sbin/tinysshd", "-v", &keys];
            self.with_users(folder, "/usr/bin/python3", &args)
        })
    }

    /// Starts a server of a Python library.
    pub(crate) fn start_python_server(&self, server: Server) -> Result<Daemon, String> {
        let folder = self.ssh_folder().display().to_string();
        self.serve(server, 1, |ports| {
            let port = ports[0].to_string();
            let args = [&*script("ssh_servers.py"), server.name(), &port, &folder, USER, PASSWORD];
            self.command("/usr/bin/python3", &args)
        })
    }

    pub(crate) fn start_ssh2(&self, server: Server) -> Result<Daemon, String> {
        let modules = std::env::var("CONNECT_TEST_NODE_PATH").map_err(|error| error.to_string())?;
        let folder = self.ssh_folder().display().to_string();
        self.serve(server, 1, |ports| {
            let port = ports[0].to_string();
            let mut node = self.command("node", &[&script("ssh2/server.js"), &port, &folder, USER, PASSWORD]);
            node.env("NODE_PATH", &modules);
            node
        })
    }

    /// Compiles libssh's sample server in `folder` and starts it. It serves one connection, of the
    /// user `user` with the password `pwd`.
    pub(crate) fn start_sample_server(&self, folder: &Path) -> Daemon {
        fs::write(folder.join("config.h"), "").unwrap();
        let program = folder.join("sshd");
        let mut compiler =
            self.command("gcc", &["-DHAVE_ARGP_H", "-I", ".", "-o", "sshd", SAMPLE_SERVER, "-lssh"]);
        run(compiler.current_dir(folder)).unwrap();
        let key = self.ssh_folder().join("host").display().to_string();
        let started = Daemon::start("libssh", 1, &folder.join("log"), |ports| {
            self.command(
                &program.display().to_string(),
                &["-k", &key, "-p", &ports[0].to_string(), "127.0.0.1"],
            )
        });
        started.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Returns the path of a server's script.
fn script(name: &str) -> String {
    format!("{}/tests/real/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Returns the command that runs ssh-audit.
pub(crate) fn ssh_audit(peers: &Peers) -> Command {
    let mut command = peers.command("/usr/bin/python3", &["-m", "ssh_audit.ssh_audit"]);
    command.env("PYTHONPATH", std::env::var_os("CONNECT_TEST_SSH_AUDIT").unwrap_or_default());
    command
}
