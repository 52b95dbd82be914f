//! Creates keys and tokens: `--mint-signing-key`, `--mint-token` and `--mint-key`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_STANDARD, Engine};
use zeroize::Zeroizing;

use crate::cli::{MintArgs, Verbosity};
use crate::error::{Error, os_message};
use crate::sys;
use crate::text::printable;
use crate::token::{MintRequest, SigningKey, key_line};
use crate::trace;

/// Creates what the arguments request. Returns the line to print.
///
/// # Errors
/// A file cannot be read or created, or the arguments are invalid.
pub fn run(args: &MintArgs) -> Result<String, Error> {
    let MintArgs { new_signing_key, claims, signing_key, verbosity, .. } = args;
    let line = match (new_signing_key, claims) {
        (Some(path), _) => create_signing_key(path)?,
        (None, Some(claims)) => create_token(claims, signing_key.as_deref().unwrap_or_default(), *verbosity)?,
        (None, None) => BASE64_STANDARD.encode(*random_bytes()?),
    };
    Ok(line + "\n")
}

/// Creates a private key in a new file. Returns the line for a keys file.
fn create_signing_key(path: &str) -> Result<String, Error> {
    let unsupported = |error| Error::Config(format!("--mint-signing-key: {error}"));
    let (key, pem) = SigningKey::from_seed(&*random_bytes()?).map_err(unsupported)?;
    let failed = |cause| Error::KeyFile { path: printable(path.as_bytes()), cause };
    let mut file = sys::create_private_file(Path::new(path)).map_err(failed)?;
    file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| {
        // Do not leave half a key behind.
        let _ = fs::remove_file(path);
        failed(error)
    })?;
    let name = Path::new(path).file_name().unwrap_or_default();
    Ok(key_line(&key.public(), &name.to_string_lossy()))
}

/// Returns a token with these claims.
fn create_token(claims: &str, path: &str, verbosity: Verbosity) -> Result<String, Error> {
    let invalid = |error| Error::Config(format!("--mint-token: {error}"));
    let request = MintRequest::parse(claims).map_err(invalid)?;
    let key = read_signing_key(path, verbosity)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    request.sign(&key, now, random()?).map_err(invalid)
}

fn read_signing_key(path: &str, verbosity: Verbosity) -> Result<SigningKey, Error> {
    let name = printable(path.as_bytes());
    let read = || -> io::Result<_> {
        let metadata = fs::metadata(path)?;
        let is_exposed = metadata.is_file() && sys::others_can_read(&metadata);
        Ok((Zeroizing::new(fs::read(path)?), is_exposed))
    };
    let (pem, is_exposed) = read().map_err(|error| {
        Error::Config(format!("--signing-key: cannot read {name}: {}", os_message(&error)))
    })?;
    if is_exposed && verbosity != Verbosity::Quiet {
        trace::message(&format!("key file '{name}' can be read by others; run chmod 600 {name}"));
    }
    SigningKey::from_pem(&pem)
        .map_err(|error| Error::Config(format!("--signing-key: cannot use {name}: {error}")))
}

fn random() -> Result<[u8; 16], Error> {
    let cause = || io::Error::other("the system has no random bytes");
    sys::random().ok_or_else(|| Error::System { what: "create a key or a token", cause: cause() })
}

fn random_bytes() -> Result<Zeroizing<[u8; 32]>, Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    for half in bytes.chunks_mut(16) {
        half.copy_from_slice(&random()?);
    }
    Ok(bytes)
}
