//! The programs that the benchmark compares, and their command lines.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::baseline;
use crate::options::{self, Options};

/// The route to the target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Route {
    Direct,
    Socks5,
    Http,
    /// Direct, to a target that speaks TLS.
    Tls,
}

impl Route {
    /// Returns the name for titles and tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Socks5 => "SOCKS5",
            Self::Http => "HTTP",
            Self::Tls => "TLS",
        }
    }
}

/// The local end of the relay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LocalEnd {
    /// Pipes on standard input and output, as when ssh runs the program.
    Pipes,
    /// The first client of this local port.
    Port(u16),
    /// Every client of this local port.
    Listen(u16),
}

/// The kind of program, which determines the command-line syntax.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tool {
    Ours,
    /// The baseline with splice(2).
    Splice,
    /// The baseline with read(2) and write(2).
    Copy,
    ConnectProxy,
    Nc,
    Ncat,
    Socat,
    Corkscrew,
    Proxytunnel,
}

/// Buffer size of connect 1.106. Debian does not package that version, so a bare copy loop with
/// buffers of this size stands in for it.
const COPY: &str = "524288";

pub(crate) struct Competitor {
    pub(crate) name: String,
    pub(crate) tool: Tool,
    pub(crate) program: PathBuf,
    pub(crate) variable: Option<(String, String)>,
    pub(crate) version: String,
}

// Names of the competitors that serve as references for the others.
pub(crate) const OURS: &str = "connect";
pub(crate) const BASELINE: &str = "splice loop";
pub(crate) const COPIES: &str = "512 KiB copies";

impl Competitor {
    /// Returns `true` if the program supports this local end and this route.
    pub(crate) fn can(&self, local_end: LocalEnd, route: Route) -> bool {
        self.tool.command_line(local_end, route, "", 0).is_some()
    }

    /// Returns the arguments for a supported local end and route. `first` is the address of the
    /// proxy or, for a direct connection, of the target.
    pub(crate) fn args(&self, local_end: LocalEnd, route: Route, first: SocketAddr) -> Vec<String> {
        let host = first.ip().to_string();
        let args = self.tool.command_line(local_end, route, &host, first.port()).unwrap_or_default();
        args.split(' ').map(str::to_owned).collect()
    }
}

/// The target to request from a proxy. Nothing needs to listen there, because the benchmark's
/// proxies play the target themselves.
const TARGET: &str = "127.0.0.9 22";
const TARGET_COLON: &str = "127.0.0.9:22";
/// The certificate of a target that speaks TLS, in the relay's current directory.
pub(crate) const TARGET_CERTIFICATE: &str = "target.pem";

impl Tool {
    /// Returns `true` if the program starts a process for each client.
    pub(crate) fn starts_processes(self) -> bool {
        self == Self::Socat
    }

    fn command_line(self, local_end: LocalEnd, route: Route, host: &str, port: u16) -> Option<String> {
        match local_end {
            LocalEnd::Pipes => self.by_pipes(route, host, port),
            LocalEnd::Port(local) => self.by_port(route, local, host, port),
            LocalEnd::Listen(local) => self.by_listening(route, local, host, port),
        }
    }

    fn by_pipes(self, route: Route, host: &str, port: u16) -> Option<String> {
        Some(match (self, route) {
            (Self::Ours | Self::ConnectProxy, Route::Direct) => format!("{host} {port}"),
            (Self::Ours | Self::ConnectProxy, Route::Socks5) => format!("-S {host}:{port} {TARGET}"),
            (Self::Ours | Self::ConnectProxy, Route::Http) => format!("-H {host}:{port} {TARGET}"),
            (Self::Splice, Route::Direct) => format!("splice {host} {port}"),
            (Self::Copy, Route::Direct) => format!("copy {host} {port} {COPY}"),
            // Without -N, nc would not pass EOF on and would wait forever.
            (Self::Nc, Route::Direct) => format!("-N -n {host} {port}"),
            (Self::Nc, Route::Socks5) => format!("-N -n -X 5 -x {host}:{port} {TARGET}"),
            (Self::Nc, Route::Http) => format!("-N -n -X connect -x {host}:{port} {TARGET}"),
            (Self::Ncat, Route::Direct) => format!("-n {host} {port}"),
            (Self::Ncat, Route::Socks5) => format!("-n --proxy {host}:{port} --proxy-type socks5 {TARGET}"),
            (Self::Ncat, Route::Http) => format!("-n --proxy {host}:{port} --proxy-type http {TARGET}"),
            (Self::Socat, Route::Direct) => format!("STDIO TCP4:{host}:{port},nodelay"),
            (Self::Socat, Route::Http) => format!("STDIO PROXY:{host}:{TARGET_COLON},proxyport={port}"),
            (Self::Corkscrew, Route::Http) => format!("{host} {port} {TARGET}"),
            (Self::Proxytunnel, Route::Http) => format!("-q -p {host}:{port} -d {TARGET_COLON}"),
            // socat supports SOCKS5 only in version 1.8 and later. The others support only HTTP
            // proxies, or no proxies at all.
            _ => return None,
        })
    }

    fn by_port(self, route: Route, local: u16, host: &str, port: u16) -> Option<String> {
        Some(match (self, route) {
            (Self::Ours | Self::ConnectProxy, Route::Direct) => format!("-p {local} {host} {port}"),
            (Self::Splice, Route::Direct) => format!("listen {host} {port} {local}"),
            (Self::Socat, Route::Direct) => {
                format!("TCP4-LISTEN:{local},bind=127.0.0.1,nodelay TCP4:{host}:{port},nodelay")
            }
            _ => return None,
        })
    }

    fn by_listening(self, route: Route, local: u16, host: &str, port: u16) -> Option<String> {
        Some(match (self, route) {
            (Self::Ours, Route::Direct) => format!("--listen 127.0.0.1:{local} {host} {port}"),
            (Self::Ours, Route::Tls) => {
                format!("--listen 127.0.0.1:{local} --tls-target --tls-ca {TARGET_CERTIFICATE} {host} {port}")
            }
            (Self::Socat, Route::Direct) => {
                format!("{} TCP4:{host}:{port},nodelay", socat_listen(local))
            }
            (Self::Socat, Route::Tls) => {
                format!("{} OPENSSL:{host}:{port},cafile={TARGET_CERTIFICATE},nodelay", socat_listen(local))
            }
            _ => return None,
        })
    }
}

fn socat_listen(port: u16) -> String {
    format!("TCP4-LISTEN:{port},bind=127.0.0.1,fork,backlog=1024,nodelay")
}

/// Copies a program, as an installation would, and returns the path of the copy. A file fresh from
/// the linker starts more slowly.
fn installed(program: &Path) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let copy = options::scratch_directory().join(format!("connect-{number}"));
    let _ = fs::create_dir_all(options::scratch_directory());
    let _ = fs::remove_file(&copy);
    fs::copy(program, &copy).unwrap_or_else(|error| panic!("cannot copy {}: {error}", program.display()));
    copy
}

/// Returns the selected competitors, and prints the names of those that are not installed.
pub(crate) fn find_all(options: &Options) -> Vec<Competitor> {
    let ours = installed(Path::new(env!("CARGO_BIN_EXE_connect")));
    let mut all = Vec::new();
    let mut add = |name: &str, tool, program: PathBuf, variable, version: String| {
        all.push(Competitor { name: name.to_owned(), tool, program, variable, version });
    };
    match baseline::compile(&options::scratch_directory()) {
        Ok(program) => {
            add(
                BASELINE,
                Tool::Splice,
                program.clone(),
                None,
                "benches/baseline.c: the least a relay can do".into(),
            );
            let version =
                "benches/baseline.c: read and write like connect 1.106, which Debian does not package";
            add(COPIES, Tool::Copy, program, None, version.into());
        }
        Err(error) => println!("no baseline: cannot compile benches/baseline.c: {error}"),
    }
    let version = version_of(&ours, &["-V"]).unwrap_or_default();
    add(OURS, Tool::Ours, ours.clone(), None, version);
    for variant in &options.variants {
        let program = variant.program.as_deref().map_or_else(|| ours.clone(), installed);
        let version = match &variant.variable {
            Some((name, value)) => format!("ours with {name}={value}"),
            None => program.display().to_string(),
        };
        add(&variant.name, Tool::Ours, program, variant.variable.clone(), version);
    }
    for (name, tool, commands, version_args) in PEERS {
        if !options.only.is_empty() && !options.only.iter().any(|only| only == name) {
            continue;
        }
        let found = commands.iter().find_map(|command| {
            let program = in_path(command)?;
            let version = version_of(&program, version_args)?;
            // Several programs are named nc. Accept only the one from OpenBSD.
            (*tool != Tool::Nc || version.contains("OpenBSD")).then_some((program, version))
        });
        match found {
            Some((program, version)) => add(name, *tool, program, None, version),
            None => println!("{name}: not installed"),
        }
    }
    all
}

type Peer = (&'static str, Tool, &'static [&'static str], &'static [&'static str]);

/// Name, tool, possible command names, and the arguments that print the version.
const PEERS: &[Peer] = &[
    ("connect-proxy", Tool::ConnectProxy, &["connect-proxy"], &["-V"]),
    ("nc", Tool::Nc, &["nc.openbsd", "nc"], &["-h"]),
    ("ncat", Tool::Ncat, &["ncat"], &["--version"]),
    ("socat", Tool::Socat, &["socat"], &["-V"]),
    ("corkscrew", Tool::Corkscrew, &["corkscrew"], &[]),
    ("proxytunnel", Tool::Proxytunnel, &["proxytunnel"], &["-V"]),
];

/// Returns the program names that `--only` accepts.
pub(crate) fn peer_names() -> impl Iterator<Item = &'static str> {
    PEERS.iter().map(|(name, ..)| *name)
}

/// Returns the path of a program.
pub(crate) fn in_path(command: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|directory| directory.join(command))
        .find(|path| path.is_file())
}

/// Runs the program and returns its first line of output that contains a digit, because some
/// programs print a title before the version. If no line does, returns the first line.
fn version_of(program: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default().to_owned();
    let line = std::iter::once(first.as_str())
        .chain(lines)
        .find(|line| line.bytes().any(|byte| byte.is_ascii_digit()));
    Some(line.unwrap_or(&first).to_owned())
}
