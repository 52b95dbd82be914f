//! Work at an SSH server (`--ssh`), which is the last hop of each route.

use std::fmt;
use std::time::Duration;

use super::listen_address::ListenAddress;
use super::target::Target;

/// Work at an SSH server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// The task.
    pub task: Task,
    /// `--env`: variables for the program, as name and value.
    pub variables: Vec<(String, String)>,
    /// `--tty`: the program runs in a terminal.
    pub tty: Tty,
    /// The type of the terminal, from the variable `TERM`.
    pub terminal: Option<String>,
    /// `--local-forward`.
    pub local_forwards: Vec<LocalForward>,
    /// `--remote-forward`.
    pub remote_forwards: Vec<RemoteForward>,
    /// The time without input before a keepalive request; `None` for no such requests.
    pub keep_alive: Option<Duration>,
    /// `-q`: print no warnings and no progress.
    pub is_quiet: bool,
}

/// The task of a connection to an SSH server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Runs the user's shell.
    Shell,
    /// Runs a command line in the user's shell.
    Command(String),
    /// Starts a subsystem.
    Subsystem(String),
    /// Copies files.
    Copy(Copying),
    /// Only forwards connections.
    Forwards,
}

impl Task {
    /// Returns `true` for a program, whose exit status becomes that of this process.
    #[must_use]
    pub fn is_program(&self) -> bool {
        matches!(self, Self::Shell | Self::Command(_) | Self::Subsystem(_))
    }
}

/// The choice of a terminal for a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tty {
    /// A shell gets a terminal if standard input is one.
    #[default]
    Auto,
    /// A terminal.
    Yes,
    /// No terminal.
    No,
}

/// Copies of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copying {
    /// The direction.
    pub direction: Direction,
    /// The files to copy; at least one.
    pub files: Vec<String>,
    /// The destination.
    pub destination: String,
    /// `--recursive`: copy directories.
    pub recursive: bool,
    /// `--preserve`: keep times and modes.
    pub preserve: bool,
    /// `--copy-by`: the protocol; `None` for sftp, and scp if the server refuses that.
    pub protocol: Option<CopyProtocol>,
}

/// The direction of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `--put`: to the server.
    Put,
    /// `--get`: from the server.
    Get,
}

/// A protocol for copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyProtocol {
    /// SFTP.
    Sftp,
    /// The protocol of scp and rcp.
    Scp,
}

/// A local listener whose connections the server forwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalForward {
    /// The address to listen on.
    pub from: ListenAddress,
    /// The target, which the server connects to.
    pub to: Target,
}

/// A listener at the server, whose connections this machine forwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteForward {
    /// The address that the server listens on.
    pub from: RemoteListener,
    /// The target, which this machine connects to.
    pub to: Target,
    /// The address at the server, as the user wrote it.
    pub text: String,
}

/// An address that the server listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteListener {
    /// A TCP port; for port 0, the server chooses a free one.
    Tcp {
        /// The address.
        address: String,
        /// The port.
        port: u16,
    },
    /// A UNIX-domain socket at the server.
    Unix(String),
    /// A named queue at the server.
    Queue(String),
}

impl fmt::Display for RemoteListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { address, port } if address.contains(':') => write!(f, "[{address}]:{port}"),
            Self::Tcp { address, port } => write!(f, "{address}:{port}"),
            Self::Unix(path) => write!(f, "unix:{path}"),
            Self::Queue(name) => write!(f, "queue:{name}"),
        }
    }
}
