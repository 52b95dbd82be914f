//! Finds a hop's token: the URL's `token-file=`, then options, then parameters.

use super::proxy_url::ProxyUrl;
use super::secret_line::SecretKind;
use super::setting::{Origin, Setting};
use super::sources::Sources;
use crate::cli::{Args, TokenSource};
use crate::error::Error;
use crate::plan::Token;
use crate::secret::Secret;
use crate::token::{Claims, MAX_TOKEN};
use crate::trace::trace;

const TOKEN: SecretKind = SecretKind { name: "token", descriptor_option: "--token-fd" };

/// Returns the token that options and parameters name; `None` if they name none.
///
/// # Errors
/// The token cannot be read, or cannot be a token.
fn for_run(args: &Args, sources: &Sources<'_>) -> Result<Option<Token>, Error> {
    match &args.token {
        Some(TokenSource::File(path)) => {
            let path = sources.option("--token-file", path);
            let (value, file) = TOKEN.read_option(&path, args, sources)?;
            check(&value, &path)?;
            Ok(Some(Token { value, file }))
        }
        Some(TokenSource::Descriptor(number)) => {
            let number = sources.option("--token-fd", number);
            let value = TOKEN.read_descriptor(&number, sources)?;
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
    let (value, file) = TOKEN.read_file(path, sources)?;
    check(&value, path)?;
    Ok(Token { value, file })
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
