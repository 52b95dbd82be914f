//! Where passwords come from, in the order in which they count: what was typed says where,
//! variables and parameter files hold them or say where, and `~/.netrc` knows some.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::netrc;
use super::origin::{Found, Origin};
use super::rcfile;
use super::sources::Sources;
use crate::cli::{Args, NetrcSource, PasswordSource};
use crate::error::{Error, os_message};
use crate::plan::{Login, PasswordPrompt};
use crate::secret::{Secret, read_first_line};
use crate::sys;
use crate::text::{fill_in, printable};
use crate::trace::trace;

/// Standard input, output and error carry the session.
const FIRST_DESCRIPTOR: u32 = 3;

/// Completes what a specification says of user and password of the proxy on `host`. `names` are the
/// variables that may hold the password.
pub(super) fn complete(
    login: &mut Login,
    host: &str,
    names: &[&'static str],
    typed: &Args,
    sources: &Sources<'_>,
) -> Result<(), Error> {
    if login.password.is_none() {
        say_where(login, names, typed, sources)?;
    }
    let wants_password = login.password.is_none() && login.ask == PasswordPrompt::User;
    if login.user.is_none() || wants_password {
        let Some(entry) = in_netrc(host, login.user.as_deref(), typed, sources)? else { return Ok(()) };
        login.user = login.user.take().or(entry.login);
        login.password = login.password.take().or(entry.password.filter(|_| wants_password));
    }
    Ok(())
}

/// The password, or the command that says it, by options and parameters.
fn say_where(
    login: &mut Login,
    names: &[&'static str],
    typed: &Args,
    sources: &Sources<'_>,
) -> Result<(), Error> {
    match &typed.password {
        Some(PasswordSource::Command(line)) => {
            login.ask = command(&sources.typed("--password-command", line))?;
        }
        Some(PasswordSource::File(path)) => {
            let path = sources.typed("--password-file", path);
            login.password = Some(sources.read_once(|| in_file(&path, sources))?);
        }
        Some(PasswordSource::Descriptor(number)) => {
            let number = sources.typed("--password-fd", number);
            login.password = Some(sources.read_once(|| in_descriptor(&number))?);
        }
        None => {
            login.password = sources.secret(names);
            if login.password.is_none() {
                if let Some(path) = sources.first_filled(&["CONNECT_PASSWORD_FILE"])? {
                    login.password = Some(in_file(&path, sources)?);
                } else if let Some(line) = sources.command("CONNECT_PASSWORD_COMMAND")? {
                    login.ask = command(&line)?;
                }
            }
        }
    }
    Ok(())
}

fn command(line: &Found) -> Result<PasswordPrompt, Error> {
    // What is wrong with it is told now, and not when a proxy asks.
    fill_in(&line.value, &[('h', ""), ('p', ""), ('u', "")])
        .map_err(|what| Error::Config(format!("{}: {what}", line.source())))?;
    Ok(PasswordPrompt::Command { line: line.value.clone(), source: line.source() })
}

/// The first line of a file, which may be a pipe.
fn in_file(path: &Found, sources: &Sources<'_>) -> Result<Secret, Error> {
    if path.value == "-" {
        return Err(Error::Config(format!(
            "{}: standard input carries the session; use --password-fd, or a file",
            path.source()
        )));
    }
    let name = printable(path.value.as_bytes());
    let read = || -> io::Result<Secret> {
        let file = File::open(sources.path(&path.value))?;
        let data = file.metadata()?;
        if data.is_file() && sys::others_can_read(&data) {
            (sources.warn())(&format!(
                "{name} holds a password and others can read it; try: chmod 600 {name}"
            ));
        }
        Ok(read_first_line(file)?)
    };
    trace!("the password is in {name}");
    read().map_err(|error| {
        Error::Config(format!("{}: no password in {name}: {}", path.source(), os_message(&error)))
    })
}

/// The first line of what comes from a descriptor.
fn in_descriptor(number: &Found) -> Result<Secret, Error> {
    let complain =
        |what: &str| Error::Config(format!("--password-fd {}: {what}", printable(number.value.as_bytes())));
    let is_number = number.value.bytes().all(|byte| byte.is_ascii_digit());
    let descriptor = number.value.parse().ok().filter(|number| is_number && *number >= FIRST_DESCRIPTOR);
    let descriptor =
        descriptor.ok_or_else(|| complain("it takes a number from 3 on: 0, 1 and 2 carry the session"))?;
    trace!("the password is in descriptor {descriptor}");
    sys::read_inherited(descriptor)
        .and_then(|file| Ok(read_first_line(file)?))
        .map_err(|error| complain(&os_message(&error)))
}

/// What the user's netrc file says of a proxy, if it is to be looked at.
fn in_netrc(
    host: &str,
    user: Option<&str>,
    typed: &Args,
    sources: &Sources<'_>,
) -> Result<Option<netrc::Entry>, Error> {
    let named = match &typed.netrc {
        Some(NetrcSource::Home) => None,
        Some(NetrcSource::File(path)) => Some(sources.typed("--netrc-file", path)),
        None => match sources.first_filled(&["CONNECT_NETRC"])? {
            Some(found) if found.value.eq_ignore_ascii_case("yes") => None,
            Some(found) if !found.value.eq_ignore_ascii_case("no") => Some(found),
            _ => return Ok(None),
        },
    };
    let standard = || {
        let variable = sources.variable("NETRC").filter(|path| !path.is_empty()).map(PathBuf::from);
        variable.or_else(|| sources.home().map(|home| home.join(".netrc")))
    };
    let Some(path) = named.as_ref().map_or_else(standard, |found| Some(sources.path(&found.value))) else {
        return Ok(None);
    };
    let name = printable(path.to_string_lossy().as_bytes());
    if typed.netrc == Some(NetrcSource::Home) {
        sources.record("--netrc", &Origin::Option("--netrc"), || name.clone());
    }
    let (content, data) = match (rcfile::read(&path), &named) {
        (Ok(read), _) => read,
        (Err(error), Some(found)) => {
            let what = os_message(&error);
            return Err(Error::Config(format!("{}: cannot read {name}: {what}", found.source())));
        }
        // It need not be there, but for one that was named.
        (Err(error), None) => {
            trace!("{name}: {}", os_message(&error));
            return Ok(None);
        }
    };
    let (entry, broken) = netrc::find(&content, host, user);
    if let Some(line) = broken {
        (sources.warn())(&format!("{name}:{line}: a quote without its end; nothing is read from here on"));
    }
    trace!("{name} {} {host}", if entry.is_some() { "knows" } else { "says nothing of" });
    if entry.as_ref().is_some_and(|entry| entry.password.is_some()) && sys::others_can_read(&data) {
        (sources.warn())(&format!("{name} holds a password and others can read it; try: chmod 600 {name}"));
    }
    Ok(entry)
}
