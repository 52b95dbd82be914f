//! Settings with their origin, for error messages and `--check`.

use std::fmt;

/// The place where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An option on the command line.
    Option(&'static str),
    /// An environment variable.
    Variable(&'static str),
    /// A line of a parameter file.
    File {
        /// The path, made printable.
        path: String,
        /// The line number, from 1.
        line: usize,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(option) => f.write_str(option),
            Self::Variable(name) => write!(f, "{name} in the environment"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
        }
    }
}

/// The value of an option or a parameter, with its origin.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting<T = String> {
    /// The name of the option or parameter.
    pub(super) name: &'static str,
    pub(super) value: T,
    pub(super) origin: Origin,
}

impl<T> Setting<T> {
    /// Returns the name for an error message, with file and line if the value comes from a file.
    pub(super) fn source(&self) -> String {
        match &self.origin {
            Origin::File { .. } => format!("{} ({})", self.name, self.origin),
            _ => self.name.to_owned(),
        }
    }
}

/// A setting that the plan depends on, as shown by `--check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingRecord {
    /// The name of the option or parameter.
    pub name: &'static str,
    /// The value, with passwords masked.
    pub value: String,
    /// The place where the value was set.
    pub origin: Origin,
}
