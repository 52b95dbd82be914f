//! The peers of a suite: processes, logs and shared files. Also sshd, which every suite has as its
//! target. The module `servers` lists the other servers of the suite.
//!
//! A server starts when the first case asks for one of its ports. All cases share it, and it stops
//! at the end of the run.

use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::net::{Ipv6Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use rustix::process::Signal;

use crate::certificates::Certificates;
use crate::daemon::{Daemon, kill_children};
use crate::kit::RefusingPort;
use crate::servers::{BIG, PROGRAMS, SUITE, Server};

/// The number of cases that run in parallel. Each worker has its own sshd port, so that a port in a
/// proxy's log identifies the case. sshd listens on at most 16 sockets, and each worker takes two
/// of them: one per address family.
pub(crate) const WORKERS: usize = 8;

/// Returns a line for each program that is not installed.
pub(crate) fn missing_programs() -> Vec<String> {
    let missing = PROGRAMS.iter().filter(|(program, _)| find_program(program).is_none());
    missing
        .map(|(program, package)| format!("{program}: not installed; install the Debian package {package}"))
        .collect()
}

/// Returns the path of a program; `None` if it is not installed. Servers are often in `/usr/sbin`,
/// which is not in every user's `PATH`.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Returns `true` if the loopback interface has the address `::1`.
pub(crate) fn has_ipv6() -> bool {
    static HAS_IPV6: OnceLock<bool> = OnceLock::new();
    *HAS_IPV6.get_or_init(|| TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok())
}

/// Returns `true` if the process runs as root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// One of a server's ports.
#[derive(Clone, Copy)]
pub(crate) struct Endpoint {
    pub(crate) server: Server,
    pub(crate) index: usize,
}

pub(crate) const fn endpoint(server: Server, index: usize) -> Endpoint {
    Endpoint { server, index }
}

/// All servers in a run, and the files that cases share.
pub(crate) struct Peers {
    /// The working directory. Servers that drop root can traverse it to reach their own folders,
    /// but cannot list it.
    pub(crate) work: PathBuf,
    /// A symlink to the program under test. Its path needs no quoting in shells, and its name,
    /// unlike `connect-22`, does not set a port.
    pub(crate) connect: PathBuf,
    /// The login name of the user running the tests. sshd lets this user log in.
    pub(crate) login: String,
    daemons: [OnceLock<Result<Daemon, String>>; Server::ALL.len()],
    certificates: OnceLock<Result<Certificates, String>>,
    big_files: OnceLock<[PathBuf; 2]>,
    refusing: RefusingPort,
    /// Processes that run beside the cases, or the reason why they cannot run on this machine.
    pub(crate) background: OnceLock<Result<Vec<Daemon>, String>>,
    is_stopping: AtomicBool,
}

impl Peers {
    /// Creates the working directory. No server starts yet.
    pub(crate) fn new(program: &Path) -> Result<Self, String> {
        if Path::new("/etc/connectrc").exists() {
            return Err("/etc/connectrc exists, and the program would read it; move it away".into());
        }
        let program = fs::canonicalize(program)
            .map_err(|error| format!("{}: {error}; run 'cargo build --release'", program.display()))?;
        let (login, shell) = login()?;
        if shell.ends_with("/nologin") || shell.ends_with("/false") {
            return Err(format!("'{login}' cannot log in (shell '{shell}'); run the suite as another user"));
        }
        // Process IDs repeat, in PID namespaces for example.
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let work = format!("/tmp/connect-{SUITE}.{}.{}", std::process::id(), time.as_micros());
        let work = PathBuf::from(work);
        let peers = Self {
            connect: work.join("bin/connect"),
            login,
            daemons: [const { OnceLock::new() }; Server::ALL.len()],
            certificates: OnceLock::new(),
            big_files: OnceLock::new(),
            refusing: RefusingPort::new(),
            background: OnceLock::new(),
            is_stopping: AtomicBool::new(false),
            work,
        };
        peers.make_folders(&program).map_err(|error| format!("{}: {error}", peers.work.display()))?;
        Ok(peers)
    }

    fn make_folders(&self, program: &Path) -> io::Result<()> {
        fs::create_dir(&self.work)?;
        fs::set_permissions(&self.work, Permissions::from_mode(0o711))?;
        for folder in ["bin", "case", "home", "log", "tmp"] {
            fs::create_dir(self.work.join(folder))?;
            fs::set_permissions(self.work.join(folder), Permissions::from_mode(0o755))?;
        }
        fs::set_permissions(self.work.join("tmp"), Permissions::from_mode(0o1777))?;
        std::os::unix::fs::symlink(program, &self.connect)
    }

    /// Returns the port of an endpoint. Starts its server first if necessary.
    #[track_caller]
    pub(crate) fn port(&self, endpoint: Endpoint) -> u16 {
        self.daemon(endpoint.server).ports[endpoint.index]
    }

    /// Returns the address of an endpoint as `127.0.0.1:PORT`. Starts its server if necessary.
    #[track_caller]
    pub(crate) fn address(&self, endpoint: Endpoint) -> String {
        format!("127.0.0.1:{}", self.port(endpoint))
    }

    /// Returns a worker's sshd port.
    #[track_caller]
    pub(crate) fn sshd_port(&self, worker: usize) -> u16 {
        self.port(endpoint(Server::Sshd, worker))
    }

    /// Returns a loopback port that refuses connections.
    pub(crate) fn closed_port(&self) -> u16 {
        self.refusing.port()
    }

    /// Returns the path of the file in which a server logs its sessions.
    pub(crate) fn log(&self, server: Server) -> PathBuf {
        self.work.join(server.log())
    }

    /// Returns the path of the file that receives a server's standard output and standard error.
    fn output(&self, server: Server) -> PathBuf {
        self.work.join("log").join(server.name())
    }

    /// Returns the folder with the certificates and keys.
    #[track_caller]
    pub(crate) fn certificates(&self) -> &Certificates {
        let made = self.certificates.get_or_init(|| Certificates::make(&self.work.join("tls")));
        made.as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Returns the paths of two files of random bytes.
    pub(crate) fn big_files(&self) -> &[PathBuf; 2] {
        self.big_files.get_or_init(|| {
            ["up", "down"].map(|name| {
                let path = self.work.join(name);
                let mut bytes = File::open("/dev/urandom").unwrap().take(BIG);
                io::copy(&mut bytes, &mut File::create(&path).unwrap()).unwrap();
                path
            })
        })
    }

    /// Returns the path of an ssh client configuration with the target's host key and a user key.
    /// It does not set the port.
    #[track_caller]
    pub(crate) fn ssh_config(&self) -> PathBuf {
        self.daemon(Server::Sshd);
        self.work.join("sshd/ssh_config")
    }

    #[track_caller]
    pub(crate) fn daemon(&self, server: Server) -> &Daemon {
        let cell = &self.daemons[server as usize];
        let started = cell.get_or_init(|| self.start(server));
        started.as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Kills all child processes and removes the working directory when a signal ends the run.
    pub(crate) fn abort(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        kill_children();
        self.remove_work();
    }

    /// Returns `true` if a signal is ending the run. Running cases then fail, and are not reported.
    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// Stops all servers and removes the working directory.
    pub(crate) fn stop(&self) {
        let background = || self.background.get().into_iter().flatten().flatten();
        // Process 1 of a PID namespace ignores SIGTERM.
        background().for_each(|daemon| daemon.signal(Signal::KILL));
        let daemons: Vec<_> = self.daemons.iter().filter_map(OnceLock::get).flatten().collect();
        // Signal all servers first, so that they exit in parallel.
        for daemon in &daemons {
            daemon.signal(Signal::TERM);
        }
        for daemon in &daemons {
            daemon.stop();
        }
        background().for_each(Daemon::stop);
        self.remove_work();
    }

    fn remove_work(&self) {
        if std::env::var_os("REAL_KEEP").is_some() {
            println!("kept {}", self.work.display());
        } else if let Err(error) = fs::remove_dir_all(&self.work) {
            eprintln!("{}: {error}", self.work.display());
        }
    }

    // Servers

    /// Starts a server whose output goes to its file in `log`.
    pub(crate) fn serve(
        &self,
        server: Server,
        ports: usize,
        prepare: impl Fn(&[u16]) -> Command,
    ) -> Result<Daemon, String> {
        Daemon::start(server.name(), ports, &self.output(server), prepare)
    }

    /// Returns a command with a clean environment, so that the user's proxies, agents and locale
    /// have no effect.
    pub(crate) fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(find_program(program).unwrap_or_else(|| program.into()));
        let path = std::env::var("PATH").unwrap_or_default();
        command.args(args).env_clear();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin")).env("LC_ALL", "C");
        command.env("HOME", self.work.join("home")).env("TMPDIR", self.work.join("tmp"));
        command
    }

    pub(crate) fn start_sshd(&self, folder: &Path) -> Result<Daemon, String> {
        // When started by root, sshd requires this directory, which the package's service would
        // create.
        if is_root() {
            fs::create_dir_all("/run/sshd").map_err(|error| format!("/run/sshd: {error}"))?;
        }
        let path = |name: &str| folder.join(name).display().to_string();
        for key in ["host", "user"] {
            let args = ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &path(key)];
            run(&mut self.command("ssh-keygen", &args))?;
        }
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        write(folder, "authorized_keys", read("user.pub"));
        write(folder, "known_hosts", format!("real-target {}", read("host.pub")));
        let (login, key, known) = (&self.login, path("user"), path("known_hosts"));
        let client = format!(
            "Host target
                HostName 127.0.0.1
                User {login}
                HostKeyAlias real-target
                IdentityFile {key}
                IdentitiesOnly yes
                IdentityAgent none
                UserKnownHostsFile {known}
                GlobalKnownHostsFile /dev/null
                StrictHostKeyChecking yes
                UpdateHostKeys no
                BatchMode yes
                ControlMaster no
                ConnectTimeout 20
                LogLevel ERROR\n"
        );
        write(folder, "ssh_config", client);
        self.serve(Server::Sshd, WORKERS, |ports| {
            let (host, pid, keys) = (path("host"), path("pid"), path("authorized_keys"));
            // When sshd runs a command, bash reads ~/.bashrc, unless SHLVL shows that another shell
            // started it. That file may be slow, or print something.
            let mut config = format!(
                "HostKey {host}
                PidFile {pid}
                AuthorizedKeysFile {keys}
                StrictModes no
                UsePAM no
                PubkeyAuthentication yes
                PasswordAuthentication no
                KbdInteractiveAuthentication no
                PermitRootLogin yes
                MaxStartups 100
                MaxSessions 100
                UseDNS no
                LogLevel VERBOSE
                SetEnv SHLVL=1
                Subsystem sftp internal-sftp\n"
            );
            let hosts: &[&str] = if has_ipv6() { &["127.0.0.1", "[::1]"] } else { &["127.0.0.1"] };
            let addresses =
                ports.iter().flat_map(|port| hosts.iter().map(move |host| format!("{host}:{port}")));
            config.extend(addresses.map(|address| format!("ListenAddress {address}\n")));
            // Newer versions of sshd block a client address after connections that only read the
            // banner, and many cases make such connections.
            let newer = write(folder, "config", format!("{config}PerSourcePenalties no\n"));
            if run(&mut self.command("sshd", &["-t", "-f", &newer])).is_err() {
                write(folder, "config", config);
            }
            self.command("sshd", &["-D", "-e", "-f", &path("config")])
        })
    }

    /// Returns the servers that have been started.
    pub(crate) fn started(&self) -> impl Iterator<Item = Server> {
        let is_started = |server: &Server| matches!(self.daemons[*server as usize].get(), Some(Ok(_)));
        Server::ALL.into_iter().filter(is_started)
    }
}

/// Writes `contents` to a file with the indentation removed from each line. Returns the file's
/// path.
pub(crate) fn write(folder: &Path, name: &str, contents: impl AsRef<str>) -> String {
    let path = folder.join(name);
    let lines = contents.as_ref().lines().map(|line| line.trim_start().to_owned() + "\n");
    fs::write(&path, lines.collect::<String>()).unwrap();
    path.display().to_string()
}

/// Runs a command to completion and returns its standard output.
pub(crate) fn run(command: &mut Command) -> Result<Vec<u8>, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("{name}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}

/// Returns the name and the login shell of the user running the tests.
fn login() -> Result<(String, String), String> {
    let id = rustix::process::geteuid().as_raw().to_string();
    let passwd = run(Command::new("getent").args(["passwd", &id]))?;
    let passwd = String::from_utf8_lossy(&passwd).trim().to_owned();
    let fields: Vec<&str> = passwd.split(':').collect();
    match fields[..] {
        [name, _, _, _, _, _, shell] => Ok((name.to_owned(), shell.to_owned())),
        _ => Err(format!("unknown user ID {id}")),
    }
}
