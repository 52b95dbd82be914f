//! A plan from words, variables and a parameter file, as the program makes it from its command line.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use connect::cli::Args;
use connect::config::{self, Sources};
use connect::error::Error;
use connect::plan::Plan;
use connect::text::escaped;

use crate::shown;

/// The plan, and what was told on the way to it, which is fit to be shown.
///
/// # Errors
/// What the program would say.
///
/// # Panics
/// What it says is not fit to be shown.
pub fn plan(
    typed: &Args,
    variable: &dyn Fn(&str) -> Option<OsString>,
    files: Vec<PathBuf>,
) -> (Result<Plan, Error>, Vec<String>) {
    let told = RefCell::new(Vec::new());
    let tell = |line: &str| told.borrow_mut().push(escaped(&format!("connect: {line}")));
    let plan = config::plan(typed, &Sources::with_files(variable, &tell, files));
    if let Err(error) = &plan {
        shown::check_error(error);
    }
    let told = told.into_inner();
    for line in &told {
        shown::check(line);
    }
    (plan, told)
}

/// A file with this content, until the next one is made. It has no name, and leaves nothing behind. Others may write to
/// it, so that none of its commands is run.
///
/// # Panics
/// The system gives us no file.
#[must_use]
pub fn file(content: &[u8]) -> PathBuf {
    static FILE: OnceLock<Mutex<File>> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("connect-fuzz-{}", std::process::id()));
        let file = File::create_new(&path).expect("a temporary file");
        fs::remove_file(path).expect("it is ours");
        file.set_permissions(Permissions::from_mode(0o666)).expect("it is ours");
        assert!(file.metadata().is_ok_and(|data| !connect::sys::is_trusted(&data)), "it would be obeyed");
        Mutex::new(file)
    });
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(content))
        .expect("room on the disk");
    PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&*file)))
}
