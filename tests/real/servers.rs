//! The servers: the programs that must be installed, and each server's configuration.

use std::fs;
use std::path::Path;

use md5::{Digest, Md5};

use crate::context::Context;
use crate::daemon::Daemon;
use crate::peers::{Endpoint, Peers, WORKERS, endpoint, has_ipv6, is_root, run, write};
use crate::ssh_servers::SAMPLE_SERVER;

/// Part of the working directory's name.
pub(crate) const SUITE: &str = "real";

pub(crate) const USER: &str = "alice";
/// A user of squid with Digest whose password nobody sends. squid keeps the result of the latest
/// login of a user for all requests of this user, so a wrong password for [`USER`] could be
/// accepted.
pub(crate) const LOCKED_USER: &str = "walter";
/// Contains a space and characters that are special in shells, URLs and Basic credentials.
pub(crate) const PASSWORD: &str = "S3cret p@ss:w0rd%";
/// For microsocks and tinyproxy. A single word, because tinyproxy accepts nothing else.
pub(crate) const PLAIN_PASSWORD: &str = "S3cret-passw0rd";
pub(crate) const WRONG_PASSWORD: &str = "Wr0ng-passw0rd";

/// The size of the files that cases transfer: larger than all buffers on the path combined.
pub(crate) const BIG: u64 = 20_000_000;

const NCSA_AUTH: &str = "/usr/lib/squid/basic_ncsa_auth";
const DIGEST_AUTH: &str = "/usr/lib/squid/digest_file_auth";

/// Programs and other files that must be installed, and the Debian packages that contain them.
pub(crate) const PROGRAMS: &[(&str, &str)] = &[
    ("apt-get", "apt"),
    ("bash", "bash"),
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("danted", "dante-server"),
    ("dnsmasq", "dnsmasq-base"),
    ("dropbear", "dropbear-bin"),
    ("gcc", "gcc"),
    ("git", "git"),
    ("haproxy", "haproxy"),
    ("ip", "iproute2"),
    ("make", "make"),
    ("microsocks", "microsocks"),
    ("openssl", "openssl"),
    ("proxychains4", "proxychains4"),
    ("ps", "procps"),
    ("rsync", "rsync"),
    ("sftp", "openssh-client"),
    ("squid", "squid"),
    ("ss", "iproute2"),
    ("ssh", "openssh-client"),
    ("sshd", "openssh-server"),
    ("stunnel4", "stunnel4"),
    ("tinyproxy", "tinyproxy"),
    ("tinysshd", "tinysshd"),
    ("unshare", "util-linux"),
    (NCSA_AUTH, "squid"),
    (DIGEST_AUTH, "squid"),
    ("/usr/lib/openssh/regress/netcat", "openssh-tests"),
    ("/usr/lib/openssh/sftp-server", "openssh-sftp-server"),
    ("/usr/lib/python3/dist-packages/asyncssh/__init__.py", "python3-asyncssh"),
    ("/usr/lib/python3/dist-packages/paramiko/__init__.py", "python3-paramiko"),
    ("/usr/include/libssh/server.h", "libssh-dev"),
    (SAMPLE_SERVER, "libssh-doc"),
    ("/etc/services", "netbase"),
];

/// A server in a particular configuration. Its ports are [`Endpoint`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// The target.
    Sshd,
    Microsocks,
    MicrosocksUser,
    Danted,
    DantedUser,
    Tinyproxy,
    TinyproxyUser,
    Squid,
    /// A squid that requires Digest.
    SquidDigest,
    /// A receiver of PROXY protocol headers in front of sshd.
    Haproxy,
    Stunnel,
    /// `ssh -D` as a SOCKS server.
    SshD,
    Dnsmasq,
    /// sshd with users of its own, who log in by password, by answers to questions, or by key.
    SshdUsers,
    Dropbear,
    Tinysshd,
    Asyncssh,
    Paramiko,
    /// The npm package ssh2.
    Ssh2,
}

impl Server {
    pub(crate) const ALL: [Self; 19] = [
        Self::Sshd,
        Self::Microsocks,
        Self::MicrosocksUser,
        Self::Danted,
        Self::DantedUser,
        Self::Tinyproxy,
        Self::TinyproxyUser,
        Self::Squid,
        Self::SquidDigest,
        Self::Haproxy,
        Self::Stunnel,
        Self::SshD,
        Self::Dnsmasq,
        Self::SshdUsers,
        Self::Dropbear,
        Self::Tinysshd,
        Self::Asyncssh,
        Self::Paramiko,
        Self::Ssh2,
    ];

    /// Returns the path of the server's session log, relative to the working directory.
    pub(crate) fn log(self) -> String {
        match self {
            Self::Squid | Self::SquidDigest => format!("{}/access.log", self.name()),
            _ => format!("log/{}", self.name()),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sshd => "sshd",
            Self::Microsocks => "microsocks",
            Self::MicrosocksUser => "microsocks-user",
            Self::Danted => "danted",
            Self::DantedUser => "danted-user",
            Self::Tinyproxy => "tinyproxy",
            Self::TinyproxyUser => "tinyproxy-user",
            Self::Squid => "squid",
            Self::SquidDigest => "squid-digest",
            Self::Haproxy => "haproxy",
            Self::Stunnel => "stunnel",
            Self::SshD => "ssh-D",
            Self::Dnsmasq => "dnsmasq",
            Self::SshdUsers => "sshd-users",
            Self::Dropbear => "dropbear",
            Self::Tinysshd => "tinysshd",
            Self::Asyncssh => "asyncssh",
            Self::Paramiko => "paramiko",
            Self::Ssh2 => "ssh2",
        }
    }
}

pub(crate) const MICROSOCKS: Endpoint = endpoint(Server::Microsocks, 0);
pub(crate) const MICROSOCKS_USER: Endpoint = endpoint(Server::MicrosocksUser, 0);
pub(crate) const DANTED: Endpoint = endpoint(Server::Danted, 0);
pub(crate) const DANTED_USER: Endpoint = endpoint(Server::DantedUser, 0);
pub(crate) const TINYPROXY: Endpoint = endpoint(Server::Tinyproxy, 0);
pub(crate) const TINYPROXY_USER: Endpoint = endpoint(Server::TinyproxyUser, 0);
pub(crate) const SQUID: Endpoint = endpoint(Server::Squid, 0);
/// Requires a password.
pub(crate) const SQUID_USER: Endpoint = endpoint(Server::Squid, 1);
/// Requires TLS.
pub(crate) const SQUID_TLS: Endpoint = endpoint(Server::Squid, 2);
pub(crate) const SQUID_DIGEST: Endpoint = endpoint(Server::SquidDigest, 0);
/// Opens no tunnels.
pub(crate) const SQUID_DIGEST_WEB: Endpoint = endpoint(Server::SquidDigest, 1);
pub(crate) const SSH_D: Endpoint = endpoint(Server::SshD, 0);
pub(crate) const DNSMASQ: Endpoint = endpoint(Server::Dnsmasq, 0);

// In the same order as SERVICES.
pub(crate) const STUNNEL_SOCKS: Endpoint = endpoint(Server::Stunnel, 0);
pub(crate) const STUNNEL: Endpoint = endpoint(Server::Stunnel, 1);
pub(crate) const STUNNEL_TLS12: Endpoint = endpoint(Server::Stunnel, 2);
pub(crate) const STUNNEL_TLS13: Endpoint = endpoint(Server::Stunnel, 3);
pub(crate) const STUNNEL_CLIENT: Endpoint = endpoint(Server::Stunnel, 4);
pub(crate) const STUNNEL_WRONG: Endpoint = endpoint(Server::Stunnel, 5);
pub(crate) const STUNNEL_EXPIRED: Endpoint = endpoint(Server::Stunnel, 6);
pub(crate) const STUNNEL_LONE: Endpoint = endpoint(Server::Stunnel, 7);
pub(crate) const STUNNEL_SELF: Endpoint = endpoint(Server::Stunnel, 8);
/// stunnel in front of sshd instead of a proxy.
pub(crate) const STUNNEL_SSHD: Endpoint = endpoint(Server::Stunnel, 9);

/// Requires TLS, and leads to sshd if the server name is `localhost`.
pub(crate) const HAPROXY_TLS: Endpoint = endpoint(Server::Haproxy, WORKERS);
/// Expects a PROXY protocol header, then behaves like [`HAPROXY_TLS`].
pub(crate) const HAPROXY_TLS_ANNOUNCED: Endpoint = endpoint(Server::Haproxy, WORKERS + 1);

/// stunnel's services: for each, the server that stunnel connects to, stunnel's certificate, and
/// further options. `{tls}` is a placeholder for the certificate folder.
const SERVICES: [(Endpoint, &str, &str); 10] = [
    (MICROSOCKS, "good", ""),
    (TINYPROXY, "good", ""),
    (TINYPROXY, "good", "sslVersionMax = TLSv1.2"),
    (TINYPROXY, "full", "sslVersionMin = TLSv1.3"),
    (TINYPROXY, "good", "verifyChain = yes\nCAfile = {tls}/clients.pem"),
    (TINYPROXY, "wrong", ""),
    (TINYPROXY, "expired", ""),
    (TINYPROXY, "lone", ""),
    (TINYPROXY, "self", ""),
    (endpoint(Server::Sshd, 0), "good", ""),
];

impl Endpoint {
    /// Returns [`USER`]'s password; `None` if the endpoint requires none.
    pub(crate) fn password(self) -> Option<&'static str> {
        match (self.server, self.index) {
            (Server::DantedUser | Server::SquidDigest, _) | (Server::Squid, 1) => Some(PASSWORD),
            (Server::MicrosocksUser | Server::TinyproxyUser, _) => Some(PLAIN_PASSWORD),
            _ => None,
        }
    }
}

impl Context<'_> {
    /// Returns `haproxy`'s port for this case. Each worker has its own, so that the port in a log
    /// line identifies the case.
    #[track_caller]
    pub(crate) fn haproxy_port(&self) -> u16 {
        self.peers.port(endpoint(Server::Haproxy, self.worker))
    }
}

impl Peers {
    /// Starts a server.
    pub(crate) fn start(&self, server: Server) -> Result<Daemon, String> {
        let folder = self.work.join(server.name());
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        match server {
            Server::Sshd => self.start_sshd(&folder),
            Server::Microsocks => self.serve(server, 1, |ports| {
                self.command("microsocks", &["-i", "127.0.0.1", "-p", &ports[0].to_string()])
            }),
            Server::MicrosocksUser => self.serve(server, 1, |ports| {
                let port = ports[0].to_string();
                let args = ["-i", "127.0.0.1", "-p", &port, "-u", USER, "-P", PLAIN_PASSWORD];
                self.command("microsocks", &args)
            }),
            Server::Danted => self.serve(server, 1, |ports| {
                let config = write(&folder, "config", danted_config(ports[0], "none"));
                self.command("danted", &["-f", &config])
            }),
            Server::DantedUser => self.start_danted_user(&folder),
            Server::Tinyproxy => self.serve(server, 1, |ports| {
                let config = write(&folder, "config", tinyproxy_config(&folder, ports[0]));
                self.command("tinyproxy", &["-d", "-c", &config])
            }),
            Server::TinyproxyUser => self.serve(server, 1, |ports| {
                let config = tinyproxy_config(&folder, ports[0]);
                let config = format!("{config}BasicAuth {USER} {PLAIN_PASSWORD}\n");
                self.command("tinyproxy", &["-d", "-c", &write(&folder, "config", config)])
            }),
            Server::Squid => self.start_squid(&folder),
            Server::SquidDigest => self.start_squid_digest(&folder),
            Server::Haproxy => self.start_haproxy(&folder),
            Server::Stunnel => self.start_stunnel(&folder),
            Server::SshD => {
                let (config, target) = (self.ssh_config(), self.sshd_port(0));
                self.serve(server, 1, |ports| {
                    let mut ssh = self.command("ssh", &["-vv", "-N", "-o", "ExitOnForwardFailure=yes", "-F"]);
                    ssh.arg(&config).arg("-D").arg(format!("127.0.0.1:{}", ports[0]));
                    ssh.arg("-p").arg(target.to_string()).arg("target");
                    ssh
                })
            }
            Server::Dnsmasq => self.start_dnsmasq(server.name()),
            Server::SshdUsers => self.start_sshd_users(&folder),
            Server::Dropbear => self.start_dropbear(&folder),
            Server::Tinysshd => self.start_tinysshd(&folder),
            Server::Asyncssh | Server::Paramiko => self.start_python_server(server),
            Server::Ssh2 => self.start_ssh2(server),
        }
    }

    /// Starts a danted that requires a password, and looks it up in the system's user database.
    fn start_danted_user(&self, folder: &Path) -> Result<Daemon, String> {
        self.add_user(folder, "/nonexistent", "/usr/sbin/nologin")?;
        self.serve(Server::DantedUser, 1, |ports| {
            let config = write(folder, "config", danted_config(ports[0], "username"));
            self.with_users(folder, "danted", &["-f", &config])
        })
    }

    /// Starts one squid with three ports: the second requires a password, and the third TLS.
    fn start_squid(&self, folder: &Path) -> Result<Daemon, String> {
        let tls = self.certificates().folder.display();
        let mut hash = self.command("openssl", &["passwd", "-apr1", PASSWORD]);
        let hash = String::from_utf8_lossy(&run(&mut hash)?).trim().to_owned();
        let users = write(folder, "users", format!("{USER}:{hash}\n"));
        self.serve_squid(Server::Squid, 3, folder, |ports| {
            let [plain, user, encrypted] = [ports[0], ports[1], ports[2]];
            format!(
                "http_port 127.0.0.1:{plain}
                http_port 127.0.0.1:{user} name=guarded
                https_port 127.0.0.1:{encrypted} tls-cert={tls}/good.pem tls-key={tls}/good.key
                auth_param basic program {NCSA_AUTH} {users}
                auth_param basic children 2 startup=1
                auth_param basic realm real
                acl guarded myportname guarded
                acl known proxy_auth REQUIRED
                http_access allow !guarded
                http_access allow guarded known
                http_access deny all
                access_log stdio:{}/access.log\n",
                folder.display()
            )
        })
    }

    /// Starts a squid that requires Digest. It also offers Basic, but rejects all Basic
    /// credentials.
    fn start_squid_digest(&self, folder: &Path) -> Result<Daemon, String> {
        let user = |name: &str| {
            let ha1 = Md5::digest(format!("{name}:real:{PASSWORD}"));
            let ha1 = ha1.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
            format!("{name}:real:{ha1}\n")
        };
        let users = write(folder, "users", user(USER) + &user(LOCKED_USER));
        let nobody = write(folder, "nobody", "");
        self.serve_squid(Server::SquidDigest, 2, folder, |ports| {
            format!(
                "http_port 127.0.0.1:{}
                http_port 127.0.0.1:{} name=web
                acl web myportname web
                acl CONNECT method CONNECT
                http_access deny web CONNECT
                auth_param digest program {DIGEST_AUTH} -c {users}
                auth_param digest children 2 startup=1
                auth_param digest realm real
                auth_param basic program {NCSA_AUTH} {nobody}
                auth_param basic children 2 startup=1
                auth_param basic realm real
                acl known proxy_auth REQUIRED
                http_access allow known
                http_access deny all
                logformat brief %Ss/%03>Hs %rm %ru %un %>rv %{{User-Agent}}>h %{{X-Probe}}>h
                access_log stdio:{}/access.log brief\n",
                ports[0],
                ports[1],
                folder.display()
            )
        })
    }

    fn serve_squid(
        &self,
        server: Server,
        ports: usize,
        folder: &Path,
        config: impl Fn(&[u16]) -> String,
    ) -> Result<Daemon, String> {
        write(folder, "access.log", "");
        // When started by root, squid switches to the user `proxy`, which must be able to write
        // here.
        if is_root() {
            run(self.command("chown", &["-R", "proxy:"]).arg(folder))?;
        }
        self.serve(server, ports, |ports| {
            let config = format!(
                "{}visible_hostname squid.test
                cache_log stdio:/dev/stderr
                pid_filename none
                coredump_dir {}
                cache deny all
                cache_mem 8 MB
                max_filedescriptors 1024
                pinger_enable off
                netdb_filename none
                shutdown_lifetime 0 seconds\n",
                config(ports),
                folder.display()
            );
            // -N: one process, in the foreground. -C: no handlers for fatal signals.
            self.command("squid", &["-N", "-C", "-d", "1", "-f", &write(folder, "config", config)])
        })
    }

    fn start_haproxy(&self, folder: &Path) -> Result<Daemon, String> {
        let target = self.sshd_port(0);
        let read =
            |extension| fs::read_to_string(self.certificates().path("good", extension)).unwrap_or_default();
        let identity = write(folder, "identity.pem", ["pem", "key"].map(read).concat());
        self.serve(Server::Haproxy, WORKERS + 2, |ports| {
            let (announced, named) = ports.split_at(WORKERS);
            let binds = announced.iter().map(|port| format!("    bind 127.0.0.1:{port} accept-proxy\n"));
            let binds: String = binds.collect();
            let config = format!(
                "global
                    log stderr format raw local0
                defaults
                    mode tcp
                    timeout connect 10s
                    timeout client 60s
                    timeout server 60s
                    log global
                    log-format \"%ci:%cp to %fi:%fp\"
                frontend announced\n{binds}
                    default_backend sshd
                frontend named
                    bind 127.0.0.1:{plain} ssl crt {identity}
                    bind 127.0.0.1:{with_header} accept-proxy ssl crt {identity}
                    use_backend sshd if {{ ssl_fc_sni localhost }}
                    default_backend nobody
                backend nobody
                backend sshd
                    server sshd 127.0.0.1:{target}\n",
                plain = named[0],
                with_header = named[1],
            );
            self.command("haproxy", &["-db", "-f", &write(folder, "config", config)])
        })
    }

    fn start_stunnel(&self, folder: &Path) -> Result<Daemon, String> {
        let tls = self.certificates().folder.display().to_string();
        let targets = SERVICES.map(|(server, ..)| self.port(server));
        self.serve(Server::Stunnel, SERVICES.len(), |ports| {
            let mut config = String::from("foreground = yes\npid =\nsyslog = no\ndebug = 5\n");
            config.extend(ports.iter().zip(targets).zip(SERVICES).map(
                |((port, to), (_, certificate, more))| {
                    let more = more.replace("{tls}", &tls);
                    format!(
                        "[{port}]\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{to}\n\
                    cert = {tls}/{certificate}.pem\nkey = {tls}/{certificate}.key\n{more}\n"
                    )
                },
            ));
            self.command("stunnel4", &[&write(folder, "config", config)])
        })
    }

    /// Starts a name server that knows the names under `real.test`, refuses all other names, and
    /// forwards no queries.
    pub(crate) fn start_dnsmasq(&self, name: &str) -> Result<Daemon, String> {
        let folder = self.work.join(name);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let refusing = (1..=60).map(|last| format!("127.0.1.{last}"));
        let addresses: Vec<String> = refusing.chain(["127.0.0.1".into()]).collect();
        let many = write(&folder, "many", addresses.join(" many.real.test\n") + " many.real.test\n");
        let listen = if has_ipv6() { "127.0.0.1,::1" } else { "127.0.0.1" };
        Daemon::start(name, 1, &self.work.join("log").join(name), |ports| {
            let mut command =
                self.command("dnsmasq", &["--keep-in-foreground", "--conf-file=/dev/null", "--pid-file="]);
            command.args(["--no-resolv", "--no-hosts", "--bind-interfaces", "--log-queries"]);
            command.args(["--log-facility=-", "--local=/real.test/"]);
            command.arg(format!("--user={}", self.login)).arg(format!("--port={}", ports[0]));
            command.arg(format!("--listen-address={listen}")).arg(format!("--addn-hosts={many}"));
            // One name per case, so that each case recognizes its queries in the log.
            for host in ["host", "ipv4", "ipv6", "search"] {
                command.arg(format!("--host-record={host}.real.test,127.0.0.1"));
            }
            command.args(["--host-record=six.real.test,::1", "--cname=alias.real.test,host.real.test"]);
            command.arg("--txt-record=only-text.real.test,text");
            command
        })
    }
}

fn danted_config(port: u16, method: &str) -> String {
    let ipv6 = if has_ipv6() { "external: ::1\n" } else { "" };
    let users = if is_root() { "user.privileged: root\nuser.notprivileged: nobody\n" } else { "" };
    format!(
        "logoutput: stderr\ninternal: 127.0.0.1 port = {port}\nexternal: 127.0.0.1\n{ipv6}\
        clientmethod: none\nsocksmethod: {method}\n{users}\
        client pass {{ from: 0/0 to: 0/0 }}\nsocks pass {{\n from: 0/0 to: 0/0\n log: connect error\n}}\n"
    )
}

fn tinyproxy_config(folder: &Path, port: u16) -> String {
    format!(
        "Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 600\nMaxClients 100\n\
        LogLevel Info\nPidFile \"{}/pid\"\n",
        folder.display()
    )
}
