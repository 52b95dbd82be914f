//! Unix system calls that `std` does not offer. The only unsafe code in the tests.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, PipeWriter, Read, Write};
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// The actions of a child between fork and exec.
#[derive(Default)]
pub(crate) struct Setup {
    /// Closes these standard descriptors.
    pub(crate) closed: [bool; 3],
    /// Makes this the controlling terminal.
    pub(crate) terminal: Option<OwnedFd>,
    /// Ignores these signals, which the program inherits.
    pub(crate) ignored: Vec<Signal>,
    /// Blocks these signals, which the program inherits.
    pub(crate) blocked: Vec<Signal>,
    /// Gives up the privileges of root, but not its user id.
    pub(crate) unprivileged: bool,
    /// Makes some system calls fail.
    #[cfg(target_os = "linux")]
    pub(crate) fault: Option<CallFault>,
}

/// System calls that fail.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy)]
pub(crate) enum CallFault {
    /// splice(2) does not support the descriptors (`EINVAL`).
    SpliceUnsupported,
    /// splice(2) lacks memory.
    SpliceLacksMemory,
    /// splice(2) lacks memory if it empties a pipe of the program itself: only then does it ask for
    /// less than 1 MiB.
    DrainLacksMemory,
    /// recv(2) lacks memory.
    ReceiveLacksMemory,
}

/// Makes the child call setsid(2), so that it has no controlling terminal and its process group can
/// be killed as a whole. Only the given signals are ignored in it, whatever the test's own process
/// ignores.
pub(crate) fn prepare(command: &mut Command, setup: Setup) {
    let before_exec = move || {
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
            // SAFETY: SIG_DFL is a valid disposition of these signals.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        for signal in &setup.ignored {
            // SAFETY: SIG_IGN is a valid disposition of the signals that tests use.
            unsafe { libc::signal(signal.as_raw(), libc::SIG_IGN) };
        }
        block(&setup.blocked);
        #[cfg(target_os = "linux")]
        if setup.unprivileged {
            drop_capabilities();
        }
        #[cfg(target_os = "linux")]
        if let Some(fault) = setup.fault {
            install_fault(fault)?;
        }
        rustix::process::setsid()?;
        if let Some(terminal) = &setup.terminal {
            rustix::process::ioctl_tiocsctty(terminal)?;
        }
        for (fd, _) in (0..).zip(setup.closed).filter(|(_, closed)| *closed) {
            // SAFETY: a plain system call; no Rust object in this process owns descriptors 0 to 2.
            unsafe { libc::close(fd) };
        }
        Ok(())
    };
    // SAFETY: the closure makes only system calls, which are async-signal-safe, and does not
    // allocate.
    unsafe { command.pre_exec(before_exec) };
}

/// Blocks signals in this thread.
fn block(signals: &[Signal]) {
    // SAFETY: sigset_t is plain data, which sigemptyset initializes. Both pointers are valid.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, signal.as_raw());
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
    }
}

/// Makes exec(2) grant no capability, even to root. Other users have none anyway.
#[cfg(target_os = "linux")]
fn drop_capabilities() {
    for capability in 0..64 {
        // SAFETY: removes a bit from a set of this process, or fails.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
}

/// Makes system calls fail in this process, with a seccomp filter.
#[cfg(target_os = "linux")]
fn install_fault(fault: CallFault) -> io::Result<()> {
    use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};
    /// The offset in `seccomp_data` of the low half of the fifth argument, the length of splice(2).
    const LENGTH: u32 = 16 + 4 * 8 + if cfg!(target_endian = "big") { 4 } else { 0 };
    /// A length that no call has.
    const NONE: u32 = u32::MAX;
    let instruction = |code: u32, jt, jf, k| libc::sock_filter { code: code.try_into().unwrap(), jt, jf, k };
    // A call of the allowed length succeeds.
    let (call, errno, allowed_length) = match fault {
        CallFault::SpliceUnsupported => (libc::SYS_splice, libc::EINVAL, NONE),
        CallFault::SpliceLacksMemory => (libc::SYS_splice, libc::ENOMEM, NONE),
        CallFault::DrainLacksMemory => (libc::SYS_splice, libc::ENOMEM, 1 << 20),
        CallFault::ReceiveLacksMemory => (libc::SYS_recvfrom, libc::ENOMEM, NONE),
    };
    let call = u32::try_from(call).unwrap();
    let mut program = [
        // The system call number is the first field of seccomp_data.
        instruction(BPF_LD | BPF_W | BPF_ABS, 0, 0, 0),
        instruction(BPF_JMP | BPF_JEQ | BPF_K, 0, 3, call),
        instruction(BPF_LD | BPF_W | BPF_ABS, 0, 0, LENGTH),
        instruction(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, allowed_length),
        instruction(BPF_RET | BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()),
        instruction(BPF_RET | BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let length = program.len().try_into().unwrap();
    let filter = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    // SAFETY: only sets a process flag.
    let mut result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    if result == 0 {
        // SAFETY: the filter and its program outlive the call.
        result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    }
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reaps the child if it has exited. Returns its status and its CPU time, or `None` if it is still
/// running.
pub(crate) fn reap(child: &Child) -> Option<(ExitStatus, Duration)> {
    let pid = libc::pid_t::try_from(child.id()).unwrap();
    let mut status = 0;
    // SAFETY: the all-zero bit pattern is a valid `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers point to live values of the right types.
    let reaped = unsafe { libc::wait4(pid, &raw mut status, libc::WNOHANG, &raw mut usage) };
    assert!(reaped >= 0, "wait4: {}", io::Error::last_os_error());
    let time = |t: libc::timeval| {
        Duration::from_secs(u64::try_from(t.tv_sec).unwrap())
            + Duration::from_micros(u64::try_from(t.tv_usec).unwrap())
    };
    let cpu = time(usage.ru_utime) + time(usage.ru_stime);
    (reaped == pid).then(|| (ExitStatus::from_raw(status), cpu))
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed()).unwrap()
}

/// Kills the process group of a child that has not been reaped.
pub(crate) fn kill_group(child: &Child) {
    let _ = rustix::process::kill_process_group(pid(child), Signal::KILL);
}

/// Sends a signal to a child that has not been reaped.
pub(crate) fn signal(child: &Child, signal: Signal) {
    rustix::process::kill_process(pid(child), signal).unwrap();
}

/// Returns `true` if `O_NONBLOCK` is set on the open file description, which all duplicates share.
pub(crate) fn is_nonblocking(fd: impl AsFd) -> bool {
    fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK)
}

/// Sets or clears `O_NONBLOCK` on the open file description.
pub(crate) fn set_nonblocking(fd: impl AsFd, on: bool) {
    let mut flags = fcntl_getfl(&fd).unwrap();
    flags.set(OFlags::NONBLOCK, on);
    fcntl_setfl(&fd, flags).unwrap();
}

/// Fills a pipe, enlarged to 1 MiB on Linux, with the start of [`data`](super::data)`(seed, …)`.
/// Keeps refilling it for `time`, then returns the number of bytes written.
pub(crate) fn fill(pipe: &mut PipeWriter, seed: u64, time: Duration) -> u64 {
    #[cfg(target_os = "linux")]
    rustix::pipe::fcntl_setpipe_size(&pipe, 1024 * 1024).unwrap();
    set_nonblocking(&pipe, true);
    let mut source = super::data(seed, u64::MAX);
    let start = Instant::now();
    let mut filled = 0;
    // A write of 512 bytes is atomic on every Unix (PIPE_BUF).
    let mut block = [0; 512];
    source.read_exact(&mut block).unwrap();
    loop {
        match pipe.write(&block) {
            Ok(length) => {
                assert_eq!(length, block.len(), "a block was split");
                filled += block.len() as u64;
                source.read_exact(&mut block).unwrap();
            }
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => panic!("filling a pipe: {error}"),
            Err(_) if start.elapsed() >= time => break,
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    set_nonblocking(pipe, false);
    filled
}

/// Creates a TUN device in the network namespace of the calling thread. Each read and write
/// transfers one IP packet. The device disappears when the file is closed.
#[cfg(target_os = "linux")]
pub(crate) fn open_tun(name: &str) -> io::Result<File> {
    let file = File::options().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: the all-zero bit pattern is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The kernel needs a terminating NUL.
    assert!(name.len() < request.ifr_name.len(), "{name}: too long for an interface name");
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_TUN | libc::IFF_NO_PI).unwrap();
    // SAFETY: TUNSETIFF reads and writes an ifreq, which outlives the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    if result == 0 { Ok(file) } else { Err(io::Error::last_os_error()) }
}

/// A pseudo-terminal. The test writes keystrokes to `master` and reads output from `&Pty`. The
/// program is passed [`Pty::slave`].
pub(crate) struct Pty {
    pub(crate) master: File,
    slave: OwnedFd,
}

impl Pty {
    /// Returns a terminal in its default mode, with echo, line editing, and signals (Ctrl-C).
    pub(crate) fn new() -> Self {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        rustix::io::fcntl_setfd(&master, rustix::io::FdFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).unwrap();
        Self { master: master.into(), slave }
    }

    /// Returns a terminal in raw mode.
    pub(crate) fn raw() -> Self {
        let pty = Self::new();
        let mut settings = tcgetattr(&pty.slave).unwrap();
        settings.make_raw();
        tcsetattr(&pty.slave, OptionalActions::Now, &settings).unwrap();
        pty
    }

    /// Returns a terminal with this many columns.
    pub(crate) fn with_columns(columns: u16) -> Self {
        let pty = Self::new();
        let mut size = rustix::termios::tcgetwinsize(&pty.slave).unwrap();
        size.ws_col = columns;
        rustix::termios::tcsetwinsize(&pty.slave, size).unwrap();
        pty
    }

    /// Returns a new descriptor for the program's side.
    pub(crate) fn slave(&self) -> OwnedFd {
        self.slave.try_clone().unwrap()
    }

    /// Returns `true` if typed characters are echoed.
    pub(crate) fn echoes(&self) -> bool {
        tcgetattr(&self.slave).unwrap().local_modes.contains(rustix::termios::LocalModes::ECHO)
    }
}

/// Reads the program's output. Fails after 20 seconds without output.
impl Read for &Pty {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let limit = Timespec { tv_sec: 20, tv_nsec: 0 };
        if poll(&mut [PollFd::new(&self.master, PollFlags::IN)], Some(&limit))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        (&self.master).read(buffer)
    }
}
