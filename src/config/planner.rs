//! Plans for the sessions of listeners whose clients name the target.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroize;

use super::sources::{ReadOnce, Sources};
use crate::cli::{Args, PasswordSource, Verbosity};
use crate::parameters;
use crate::trace;

/// The variables that the configuration reads besides those in the table of parameters.
const OTHER_VARIABLES: [&str; 4] = ["DISPLAY", "HOME", "REQUEST_METHOD", "WAYLAND_DISPLAY"];

/// The arguments and variables of a run, for making a plan for each target that a client names.
/// Bypass lists, `no_proxy`, `Match` blocks and netrc depend on the target.
///
/// The planner owns both, because the originals are overwritten once the program has started. Files
/// are read again for each plan, so a change applies to the next client.
pub struct Planner {
    args: Box<Args>,
    variables: Variables,
    paths: Option<Vec<PathBuf>>,
    /// The secrets that may be readable only once.
    secrets: Mutex<ReadOnce>,
    /// Held by a plan that reads one of them.
    reading: Mutex<()>,
    /// The warnings so far. Each is printed once.
    warned: Mutex<BTreeSet<String>>,
}

/// A copy of the variables, zeroed when it is dropped.
struct Variables(Vec<(&'static str, OsString)>);

impl Drop for Variables {
    fn drop(&mut self) {
        for (_, value) in self.0.drain(..) {
            value.into_encoded_bytes().zeroize();
        }
    }
}

impl Planner {
    /// Creates a planner from the arguments and the sources of the run's plan. `warned` are the
    /// warnings that were already printed.
    #[must_use]
    pub fn new(args: Box<Args>, sources: &Sources<'_>, warned: BTreeSet<String>) -> Self {
        let names = parameters::ALL.iter().map(|parameter| parameter.name).chain(OTHER_VARIABLES);
        let variables = names.filter_map(|name| Some((name, sources.raw_variable(name)?))).collect();
        let (paths, secrets) = (sources.files(), Mutex::new(sources.secrets()));
        let (reading, warned) = (Mutex::default(), Mutex::new(warned));
        Self { args, variables: Variables(variables), paths, secrets, reading, warned }
    }

    /// Calls `make` with sources for one plan.
    pub(super) fn with_sources<T>(&self, make: impl FnOnce(&Args, &Sources<'_>) -> T) -> T {
        let _reading = self.must_read().then(|| lock(&self.reading));
        let variable = |name: &str| {
            self.variables.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
        };
        let warnings = RefCell::new(Vec::new());
        let warn = |line: &str| warnings.borrow_mut().push(line.to_owned());
        let sources = match &self.paths {
            None => Sources::new(&variable, &warn),
            Some(paths) => Sources::with_files(&variable, &warn, paths.clone()),
        };
        let sources = sources.with_secrets(lock(&self.secrets).clone());
        let result = make(&self.args, &sources);
        let ReadOnce { password, lines } = sources.secrets();
        let mut known = lock(&self.secrets);
        known.password = known.password.take().or(password);
        known.lines.extend(lines);
        drop(known);
        drop(sources);
        self.warn(warnings.into_inner());
        result
    }

    /// Returns `true` if a plan may have to read a secret to which an option refers.
    fn must_read(&self) -> bool {
        let known = lock(&self.secrets);
        let is_read_once =
            matches!(self.args.password, Some(PasswordSource::File(_) | PasswordSource::Descriptor(_)));
        let has_lines = self.args.token.is_some() || self.args.key.is_some();
        (is_read_once && known.password.is_none()) || (has_lines && known.lines.is_empty())
    }

    fn warn(&self, warnings: Vec<String>) {
        if self.args.verbosity == Verbosity::Quiet {
            return;
        }
        for line in warnings {
            if lock(&self.warned).insert(line.clone()) {
                trace::message(&line);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The variables and arguments may contain passwords.
impl fmt::Debug for Planner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Planner")
    }
}
