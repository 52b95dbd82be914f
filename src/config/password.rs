//! Finds a proxy's password: options first, then parameters, then `~/.netrc`.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::descriptor;
use super::netrc;
use super::rcfile;
use super::setting::{self, Origin, Setting};
use super::sources::Sources;
use crate::cli::{Args, NetrcSource, PasswordSource};
use crate::error::{Error, os_message};
use crate::plan::{Login, PasswordPrompt};
use crate::secret::{self, Secret, UserName, read_first_line};
use crate::sys;
use crate::text::{fill_in, printable};
use crate::trace::trace;

/// Fills in the parts of `login` that the URL did not specify: the password, or the command that
/// prints it, and the user name from netrc. `parameters` lists the parameters that can hold the
/// password, and `host` is the proxy's host, to look up in netrc.
pub(super) fn complete(
    login: &mut Login,
    host: &str,
    parameters: &[&'static str],
    args: &Args,
    sources: &Sources<'_>,
) -> Result<(), Error> {
    if login.password.is_none() {
        find_password(login, parameters, args, sources)?;
    }
    let needs_password = login.password.is_none() && login.ask == PasswordPrompt::User;
    if login.user.is_none() || needs_password {
        let Some(entry) = netrc_entry(host, login.user.as_ref(), args, sources)? else { return Ok(()) };
        login.user = login.user.take().or(entry.login);
        login.password = login.password.take().or(entry.password.filter(|_| needs_password));
    }
    Ok(())
}

/// Sets the password, or the command that prints it, from options and parameters.
fn find_password(
    login: &mut Login,
    parameters: &[&'static str],
    args: &Args,
    sources: &Sources<'_>,
) -> Result<(), Error> {
    match &args.password {
        Some(PasswordSource::Command(command)) => {
            login.ask = prompt_command(&sources.option("--password-command", command))?;
        }
        Some(PasswordSource::File(path)) => {
            let path = sources.option("--password-file", path);
            login.password = Some(sources.read_once(|| read_file(&path, sources))?);
        }
        Some(PasswordSource::Descriptor(number)) => {
            let number = sources.option("--password-fd", number);
            sources.protect_memory();
            let read = || descriptor::read_first_line(&number, "the password");
            login.password = Some(sources.read_once(read)?);
        }
        None => {
            login.password = sources.secret(parameters);
            // These parameters are for proxies, as CONNECT_PASSWORD is.
            if login.password.is_none() && parameters.contains(&"CONNECT_PASSWORD") {
                if let Some(path) = sources.first_nonempty(&["CONNECT_PASSWORD_FILE"])? {
                    login.password = Some(read_file(&path, sources)?);
                } else if let Some(command) = sources.first_nonempty(&["CONNECT_PASSWORD_COMMAND"])? {
                    login.ask = prompt_command(&command)?;
                }
            }
        }
    }
    Ok(())
}

fn prompt_command(command: &Setting) -> Result<PasswordPrompt, Error> {
    // Report an unknown placeholder now rather than when a proxy requires the password.
    fill_in(&command.value, &[('h', ""), ('p', ""), ('u', "")])
        .map_err(|error| Error::Config(format!("{}: {error}", command.source())))?;
    Ok(PasswordPrompt::Command { line: command.value.clone(), source: command.source() })
}

/// Reads the first line of a file, which may be a pipe.
fn read_file(path: &Setting, sources: &Sources<'_>) -> Result<Secret, Error> {
    if path.value == "-" {
        return Err(Error::Config(format!(
            "{}: cannot read the password from standard input: it carries the session; use a file or --password-fd",
            path.source()
        )));
    }
    // Without a slash, the value may be the password itself.
    let name =
        if setting::is_path(&path.value) { shown_path(&path.value) } else { "the file it names".into() };
    let read = || -> io::Result<Secret> {
        let file = File::open(sources.path(&path.value))?;
        let metadata = file.metadata()?;
        if metadata.is_file() && sys::others_can_read(&metadata) {
            (sources.warn())(&rcfile::readable_secret(&printable(path.value.as_bytes()), "a password"));
        }
        Ok(read_first_line(file)?)
    };
    sources.protect_memory();
    trace!("reading the password from {name}");
    read().map_err(|error| {
        Error::Config(format!(
            "{}: cannot read the password from {name}: {}",
            path.source(),
            os_message(&error)
        ))
    })
}

/// Makes a path fit for a message.
fn shown_path(path: &str) -> String {
    printable(secret::masked_text(path).as_bytes())
}

/// Returns a proxy's entry in the netrc file; `None` if netrc is not enabled or has no such entry.
fn netrc_entry(
    host: &str,
    user: Option<&UserName>,
    args: &Args,
    sources: &Sources<'_>,
) -> Result<Option<netrc::Entry>, Error> {
    let named = match &args.netrc {
        Some(NetrcSource::Home) => None,
        Some(NetrcSource::File(path)) => Some(sources.option("--netrc-file", path)),
        None => match sources.first_nonempty(&["CONNECT_NETRC"])? {
            Some(setting) if setting.value.eq_ignore_ascii_case("yes") => None,
            Some(setting) if !setting.value.eq_ignore_ascii_case("no") => Some(setting),
            _ => return Ok(None),
        },
    };
    let default = || {
        let variable = sources.variable("NETRC").filter(|path| !path.is_empty());
        let variable = variable.map(|path| PathBuf::from(sys::os_string(path)));
        variable.or_else(|| sources.home().map(|home| home.join(".netrc")))
    };
    let Some(path) = named.as_ref().map_or_else(default, |setting| Some(sources.path(&setting.value))) else {
        return Ok(None);
    };
    let name = shown_path(&path.to_string_lossy());
    if args.netrc == Some(NetrcSource::Home) {
        sources.record("--netrc", &Origin::Option("--netrc"), || name.clone());
    }
    sources.protect_memory();
    let (content, metadata) = match (rcfile::read(&path), &named) {
        (Ok(read), _) => read,
        (Err(error), Some(setting)) => {
            let error = os_message(&error);
            return Err(Error::Config(format!("{}: cannot read {name}: {error}", setting.source())));
        }
        // The default file is optional.
        (Err(error), None) => {
            if rcfile::is_unavailable(&error) {
                trace!("{name}: {}", os_message(&error));
            } else {
                (sources.warn())(&rcfile::ignored(&name, &error));
            }
            return Ok(None);
        }
    };
    let (entry, invalid_line) = netrc::find(&content, host, user);
    if let Some(line) = invalid_line {
        (sources.warn())(&format!("{name}:{line}: missing closing quote; rest of the file ignored"));
    }
    trace!("{name} has {} for {host}", if entry.is_some() { "an entry" } else { "no entry" });
    if entry.as_ref().is_some_and(|entry| entry.password.is_some()) && sys::others_can_read(&metadata) {
        (sources.warn())(&rcfile::readable_secret(
            &printable(path.to_string_lossy().as_bytes()),
            "a password",
        ));
    }
    Ok(entry)
}
