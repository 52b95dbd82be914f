//! Detaching from the terminal and the parent process (`--background`).

use std::fs::File;
use std::io::{self, PipeWriter, Read, Write};
use std::process::exit;

use rustix::process::{Pid, WaitOptions, setsid, waitpid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

/// `true` if this system can run a process in the background.
pub const CAN_DETACH: bool = true;

/// Exit code of a parent whose child was killed by a signal, plus the number of the signal.
const KILLED: i32 = 128;

/// The process that will run in the background. It still has the terminal of its parent, so it can
/// prompt.
#[derive(Debug)]
pub struct Background {
    /// The parent exits successfully when it receives a byte.
    parent: PipeWriter,
}

impl Background {
    /// Continues in a child process. The parent exits once the child has detached, or with the exit
    /// code of a child that ends before that. Must be called before any thread is started, because
    /// the child has only the calling thread.
    ///
    /// # Errors
    /// The process could not be created.
    pub fn start() -> io::Result<Self> {
        let (mut child_state, parent) = io::pipe()?;
        // SAFETY: there is no other thread that could hold a lock, so the child can do everything
        // that the parent could.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => Ok(Self { parent }),
            child => {
                drop(parent);
                let has_detached = child_state.read_exact(&mut [0]).is_ok();
                exit(if has_detached { 0 } else { exit_code(child) })
            }
        }
    }

    /// Prints `text`, and detaches: the process becomes the leader of a session without a terminal,
    /// its standard descriptors become `/dev/null`, and its parent exits.
    ///
    /// # Errors
    /// The text could not be written, or a system call failed.
    pub fn detach(mut self, text: &[u8]) -> io::Result<()> {
        setsid()?;
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let mut out = io::stdout();
        out.write_all(text).and_then(|()| out.flush())?;
        dup2_stdin(&null)?;
        dup2_stdout(&null)?;
        dup2_stderr(&null)?;
        self.parent.write_all(b"D")
    }
}

/// Waits for a child, and returns its exit code.
fn exit_code(child: libc::pid_t) -> i32 {
    loop {
        match waitpid(Pid::from_raw(child), WaitOptions::empty()) {
            Ok(Some((_, status))) => {
                let code = status.exit_status();
                return code.or(status.terminating_signal().map(|it| KILLED + it)).unwrap_or(1);
            }
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return 1,
        }
    }
}
