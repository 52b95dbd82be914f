//! Secrets in the first line of a file or of standard input: tokens and keys.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::descriptor;
use super::setting::{Setting, is_like_key, is_like_token};
use super::sources::Sources;
use crate::cli::Args;
use crate::error::{Error, os_message};
use crate::secret::{self, Secret, read_first_line};
use crate::sys;
use crate::text::printable;
use crate::trace::trace;

/// A kind of secret.
pub(super) struct SecretKind {
    /// The name after an article, such as "token".
    pub(super) name: &'static str,
    /// The option for a file descriptor.
    pub(super) descriptor_option: &'static str,
}

impl SecretKind {
    /// Returns the place of a secret among those that can be read only once.
    fn place(&self, value: &str) -> String {
        format!("{} {value}", self.name)
    }

    /// Reads a file, which may be a pipe; `-` is standard input. Returns the path of a file that
    /// can be read again.
    ///
    /// # Errors
    /// The file cannot be read, or standard input carries the session.
    pub(super) fn read_option(
        &self,
        path: &Setting,
        args: &Args,
        sources: &Sources<'_>,
    ) -> Result<(Secret, Option<PathBuf>), Error> {
        if path.value == "-" {
            return Ok((self.read_standard_input(path, args, sources)?, None));
        }
        self.read_file(path, sources)
    }

    /// Reads a file, which may be a pipe. Returns the path of a file that can be read again.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn read_file(
        &self,
        path: &Setting,
        sources: &Sources<'_>,
    ) -> Result<(Secret, Option<PathBuf>), Error> {
        let name = shown(path);
        let file = sources.path(&path.value);
        sources.protect_memory();
        trace!("reading the {} from {name}", self.name);
        let is_regular = file.metadata().is_ok_and(|metadata| metadata.is_file());
        let read =
            || self.read_path(&file, &name, sources).map_err(|error| self.cannot_read(path, &name, &error));
        // A pipe can be read only once, but a file may have a new secret.
        let value =
            if is_regular { read()? } else { sources.read_line_once(&self.place(&path.value), read)? };
        Ok((value, is_regular.then_some(file)))
    }

    /// Reads an inherited file descriptor.
    ///
    /// # Errors
    /// The value is not a number of at least 3, or the descriptor cannot be read.
    pub(super) fn read_descriptor(&self, number: &Setting, sources: &Sources<'_>) -> Result<Secret, Error> {
        sources.protect_memory();
        let read = || descriptor::read_first_line(number, &format!("the {}", self.name));
        sources.read_line_once(&self.place(&number.value), read)
    }

    fn read_path(&self, file: &Path, name: &str, sources: &Sources<'_>) -> io::Result<Secret> {
        let file = File::open(file)?;
        let metadata = file.metadata()?;
        if metadata.is_file() && sys::others_can_read(&metadata) {
            let kind = self.name;
            (sources.warn())(&format!("{kind} file '{name}' can be read by others; run chmod 600 {name}"));
        }
        Ok(read_first_line(file)?)
    }

    fn read_standard_input(
        &self,
        path: &Setting,
        args: &Args,
        sources: &Sources<'_>,
    ) -> Result<Secret, Error> {
        let is_free = !args.listen.is_empty()
            || args.origin.hub.is_some()
            || (args.local_port.is_some() && !args.keep_session);
        if !is_free {
            return Err(Error::Config(format!(
                "{}: cannot read the {} from standard input: it carries the session; use a file or {}",
                path.source(),
                self.name,
                self.descriptor_option
            )));
        }
        sources.protect_memory();
        let read = || {
            read_first_line(io::stdin().lock())
                .map_err(|error| self.cannot_read(path, "standard input", &error.into()))
        };
        sources.read_line_once(&self.place(&path.value), read)
    }

    fn cannot_read(&self, path: &Setting, name: &str, error: &io::Error) -> Error {
        let (source, kind) = (path.source(), self.name);
        Error::Config(format!("{source}: cannot read the {kind} from {name}: {}", os_message(error)))
    }
}

/// Returns the path of a file for a message. The value may be the secret itself.
fn shown(path: &Setting) -> String {
    if is_like_token(&path.value) || is_like_key(&path.value) {
        "the file it names".into()
    } else {
        printable(secret::masked_text(&path.value).as_bytes())
    }
}
