//! Where values come from, so that an error can say it.

use std::fmt;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was typed.
    Option(&'static str),
    /// A variable of the environment.
    Variable(&'static str),
    /// A line of a parameter file.
    File {
        /// The file, fit to be shown.
        path: String,
        /// The line, from 1.
        line: usize,
    },
    /// Nobody has said it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(option) => f.write_str(option),
            Self::Variable(name) => write!(f, "{name} in the environment"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value that was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found<T = String> {
    /// The parameter or the option.
    pub(super) name: &'static str,
    pub(super) value: T,
    pub(super) origin: Origin,
}

impl<T> Found<T> {
    /// The same with what its value means.
    pub(super) fn map<U>(self, meaning: impl FnOnce(T) -> U) -> Found<U> {
        Found { name: self.name, value: meaning(self.value), origin: self.origin }
    }

    /// Where it was found, for an error about it.
    pub(super) fn source(&self) -> String {
        match &self.origin {
            Origin::File { .. } => format!("{} ({})", self.name, self.origin),
            _ => self.name.to_owned(),
        }
    }
}

/// A value that mattered to a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The parameter or the option.
    pub name: &'static str,
    /// Without a password in it.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}
