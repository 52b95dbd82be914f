//! Finds a hop's token: the URL's `token-file=`, then options, then parameters.

use std::fs::File;
use std::io;
use std::path::Path;

use super::descriptor;
use super::proxy_url::ProxyUrl;
use super::setting::{Origin, Setting, is_like_token};
use super::sources::Sources;
use crate::cli::{Args, TokenSource};
use crate::error::{Error, os_message};
use crate::plan::Token;
use crate::secret::{self, Secret, read_first_line};
use crate::sys;
use crate::text::printable;
use crate::token::{Claims, MAX_TOKEN};
use crate::trace::trace;

/// Returns the token that options and parameters name; `None` if they name none.
///
/// # Errors
/// The token cannot be read, or cannot be a token.
fn for_run(args: &Args, sources: &Sources<'_>) -> Result<Option<Token>, Error> {
    match &args.token {
        Some(TokenSource::File(path)) => {
            let path = sources.option("--token-file", path);
            if path.value == "-" {
                return from_standard_input(&path, args, sources).map(Some);
            }
            from_file(&path, sources).map(Some)
        }
        Some(TokenSource::Descriptor(number)) => {
            let number = sources.option("--token-fd", number);
            sources.protect_memory();
            let read = || descriptor::read_first_line(&number, "the token");
            let value = sources.read_token_once(&number.value, read)?;
            check(&value, &number)?;
            Ok(Some(Token { value, file: None }))
        }
        None => {
            if let Some(value) = sources.secret(&["CONNECT_TOKEN"]).filter(|token| !token.expose().is_empty())
            {
                let setting = Setting {
                    name: "CONNECT_TOKEN",
                    value: String::new(),
                    origin: Origin::Variable("CONNECT_TOKEN"),
                };
                check(&value, &setting)?;
                return Ok(Some(Token { value, file: None }));
            }
            let path = sources.first_nonempty(&["CONNECT_TOKEN_FILE"])?;
            path.map(|path| from_file(&path, sources)).transpose()
        }
    }
}

/// Returns the token for the server in this URL: that of its `token-file=` or, with `gets_token`,
/// that of the run. Removes the option from the URL's query.
///
/// # Errors
/// The token cannot be read, or the URL contains it.
pub(super) fn for_hop(
    url: &mut ProxyUrl,
    gets_token: bool,
    args: &Args,
    sources: &Sources<'_>,
) -> Result<Option<Token>, Error> {
    if url.query.has("token") {
        return Err(Error::Config(format!(
            "invalid proxy in {}: a token in a URL can be read by others; use token-file=FILE",
            url.source
        )));
    }
    if gets_token {
        // Also if the URL takes precedence.
        sources.mark_used("--token-file");
        sources.mark_used("--token-fd");
    }
    match url.query.take("token-file") {
        Some(value) => {
            let path = Setting { name: "token-file=", value, origin: Origin::Option("token-file=") };
            from_file(&path, sources).map(Some)
        }
        None if gets_token => for_run(args, sources),
        None => Ok(None),
    }
}

/// Reads the token from the first line of a file, which may be a pipe.
///
/// # Errors
/// The file cannot be read, or its first line cannot be a token.
fn from_file(path: &Setting, sources: &Sources<'_>) -> Result<Token, Error> {
    let name = shown(path);
    let file = sources.path(&path.value);
    sources.protect_memory();
    trace!("reading the token from {name}");
    let is_regular = file.metadata().is_ok_and(|metadata| metadata.is_file());
    let read = || read(&file, &name, sources).map_err(|error| cannot_read(path, &name, &error));
    // A pipe can be read only once, but a file may have a new token.
    let value = if is_regular { read()? } else { sources.read_token_once(&path.value, read)? };
    check(&value, path)?;
    Ok(Token { value, file: is_regular.then_some(file) })
}

fn read(file: &Path, name: &str, sources: &Sources<'_>) -> io::Result<Secret> {
    let file = File::open(file)?;
    let metadata = file.metadata()?;
    if metadata.is_file() && sys::others_can_read(&metadata) {
        (sources.warn())(&format!("token file '{name}' can be read by others; run chmod 600 {name}"));
    }
    Ok(read_first_line(file)?)
}

/// Reads the token from the first line of standard input, unless that carries the session.
fn from_standard_input(path: &Setting, args: &Args, sources: &Sources<'_>) -> Result<Token, Error> {
    let is_free = !args.listen.is_empty() || (args.local_port.is_some() && !args.keep_session);
    if !is_free {
        return Err(Error::Config(format!(
            "{}: cannot read the token from standard input: it carries the session; use a file or --token-fd",
            path.source()
        )));
    }
    sources.protect_memory();
    let read = || {
        read_first_line(io::stdin().lock())
            .map_err(|error| cannot_read(path, "standard input", &error.into()))
    };
    let value = sources.read_token_once(&path.value, read)?;
    check(&value, path)?;
    Ok(Token { value, file: None })
}

fn cannot_read(path: &Setting, name: &str, error: &io::Error) -> Error {
    Error::Config(format!("{}: cannot read the token from {name}: {}", path.source(), os_message(error)))
}

/// Checks that a token can be sent in an HTTP header. Tokens of other servers need not be JSON Web
/// Tokens. With `-d`, logs the claims.
fn check(token: &Secret, source: &Setting) -> Result<(), Error> {
    let token = token.expose();
    let invalid = |why: String| Err(Error::Config(format!("invalid token in {}: {why}", source.source())));
    if token.len() > MAX_TOKEN {
        return invalid(format!("longer than {MAX_TOKEN} bytes"));
    }
    if !token.iter().all(u8::is_ascii_graphic) {
        return invalid("blanks or characters other than ASCII".into());
    }
    if let Some(claims) = Claims::unverified(token) {
        trace!("token: {claims}");
    }
    Ok(())
}

/// Returns the path of a token file for a message. The value may be the token itself.
fn shown(path: &Setting) -> String {
    if is_like_token(&path.value) {
        "the file it names".into()
    } else {
        printable(secret::masked_text(&path.value).as_bytes())
    }
}
