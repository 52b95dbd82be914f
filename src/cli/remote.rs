//! The options for work at an SSH server (`--ssh`).

use super::flags::Flag;

/// The options for work at an SSH server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option without a value")]
pub struct RemoteArgs {
    /// `--ssh`.
    pub server: Option<String>,
    /// The operands: the words of the command, or the files to copy. Without `--ssh`, empty.
    pub operands: Vec<String>,
    /// The value of each `--env`.
    pub env: Vec<String>,
    /// `--tty`.
    pub tty: Option<String>,
    /// `--subsystem`.
    pub subsystem: Option<String>,
    /// The value of each `--local-forward`.
    pub local_forwards: Vec<String>,
    /// The value of each `--remote-forward`.
    pub remote_forwards: Vec<String>,
    /// `--put`.
    pub put: bool,
    /// `--get`.
    pub get: bool,
    /// `--recursive`.
    pub recursive: bool,
    /// `--preserve`.
    pub preserve: bool,
    /// `--copy-by`.
    pub copy_by: Option<String>,
}

impl RemoteArgs {
    /// Stores the value of a flag from the group of flags for work at an SSH server.
    pub(super) fn take(&mut self, flag: Flag, value: String) {
        match flag {
            Flag::Ssh => self.server = Some(value),
            Flag::Env => self.env.push(value),
            Flag::Tty => self.tty = Some(value),
            Flag::Subsystem => self.subsystem = Some(value),
            Flag::LocalForward => self.local_forwards.push(value),
            Flag::RemoteForward => self.remote_forwards.push(value),
            Flag::Put => self.put = true,
            Flag::Get => self.get = true,
            Flag::Recursive => self.recursive = true,
            Flag::Preserve => self.preserve = true,
            Flag::CopyBy => self.copy_by = Some(value),
            _ => {}
        }
    }

    /// Returns the given options other than `--ssh`, which all require it.
    pub(crate) fn dependents(&self) -> impl Iterator<Item = &'static str> {
        let given = [
            ("--put", self.put),
            ("--get", self.get),
            ("--recursive", self.recursive),
            ("--preserve", self.preserve),
            ("--copy-by", self.copy_by.is_some()),
            ("--local-forward", !self.local_forwards.is_empty()),
            ("--remote-forward", !self.remote_forwards.is_empty()),
            ("--env", !self.env.is_empty()),
            ("--tty", self.tty.is_some()),
            ("--subsystem", self.subsystem.is_some()),
        ];
        given.into_iter().filter(|(_, is_given)| *is_given).map(|(option, _)| option)
    }
}
