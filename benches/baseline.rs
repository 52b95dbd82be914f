//! The baseline: a minimal relay in C.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `baseline.c` into this directory and returns the program's path. If the compiler fails,
/// returns its output.
pub(crate) fn compile(directory: &Path) -> Result<PathBuf, String> {
    let program = directory.join("baseline");
    fs::create_dir_all(directory).map_err(|error| error.to_string())?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/baseline.c");
    let compiled =
        Command::new("cc").args(["-O2", "-Wall", "-Wextra", "-o"]).arg(&program).arg(source).output();
    match compiled {
        Ok(output) if output.status.success() => Ok(program),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(format!("cc: {error}")),
    }
}
