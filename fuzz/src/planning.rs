//! Makes plans from arguments, variables and a parameter file, as the program does.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use connect::cli::{Args, ProxyArg};
use connect::config::{self, Sources};
use connect::error::Error;
use connect::plan::Plan;
use connect::text::escaped;

use crate::display;

/// Returns the arguments for a session with a fixed target through this proxy.
#[must_use]
pub fn args(proxy: ProxyArg) -> Args {
    Args { proxy, host: "host.example".into(), port: Some("22".into()), ..Args::default() }
}

/// Makes a plan. Returns the plan or its error, and the warnings.
///
/// # Panics
/// Panics if the error or a warning is not safe to display.
pub fn plan(
    args: &Args,
    variable: &dyn Fn(&str) -> Option<OsString>,
    files: Vec<PathBuf>,
) -> (Result<Plan, Error>, Vec<String>) {
    let warnings = RefCell::new(Vec::new());
    let warn = |line: &str| warnings.borrow_mut().push(escaped(&format!("connect: {line}")));
    let plan = config::plan(args, &Sources::with_files(variable, &warn, files));
    if let Err(error) = &plan {
        display::check_error(error);
    }
    let warnings = warnings.into_inner();
    for line in &warnings {
        display::check(line);
    }
    (plan, warnings)
}

/// Returns the path of a file with this content. The next call overwrites the file.
///
/// The file is already unlinked, so nothing is left behind. It is world-writable, so the program
/// does not trust it: it runs none of its commands and reads none of the files that it names.
///
/// # Panics
/// Panics if the file cannot be created or written.
#[must_use]
pub fn file(content: &[u8]) -> PathBuf {
    static FILE: OnceLock<Mutex<File>> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("connect-fuzz-{}", std::process::id()));
        let file = File::create_new(&path).expect("the directory for temporary files is writable");
        fs::remove_file(path).expect("the file is ours");
        file.set_permissions(Permissions::from_mode(0o666)).expect("the file is ours");
        assert!(
            file.metadata().is_ok_and(|data| !connect::sys::is_trusted(&data)),
            "the program would trust the file"
        );
        Mutex::new(file)
    });
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(content))
        .expect("there is space on the disk");
    PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&*file)))
}
