//! Finds the key for the end-to-end encryption: the URL's `key-file=`, then options, then the
//! parameter.

use super::proxy_url::ProxyUrl;
use super::secret_line::SecretKind;
use super::setting::{Origin, Setting};
use super::sources::Sources;
use crate::cli::{Args, KeySource};
use crate::error::Error;
use crate::secret::{Secret, SharedKey};

const KEY: SecretKind = SecretKind { name: "key", descriptor_option: "--key-fd" };

/// Returns the key that options and the parameter name; `None` if they name none.
///
/// # Errors
/// The key cannot be read or is invalid.
pub(super) fn for_run(args: &Args, sources: &Sources<'_>) -> Result<Option<SharedKey>, Error> {
    sources.mark_used("--key-file");
    sources.mark_used("--key-fd");
    match &args.key {
        Some(KeySource::File(path)) => {
            let path = sources.option("--key-file", path);
            parse(&KEY.read_option(&path, args, sources)?.0, &path).map(Some)
        }
        Some(KeySource::Descriptor(number)) => {
            let number = sources.option("--key-fd", number);
            parse(&KEY.read_descriptor(&number, sources)?, &number).map(Some)
        }
        None => {
            let path = sources.first_nonempty(&["CONNECT_KEY_FILE"])?;
            path.map(|path| parse(&KEY.read_file(&path, sources)?.0, &path)).transpose()
        }
    }
}

/// Returns the key for the hub in this URL: that of its `key-file=` or, with `gets_key`, that of
/// the run. Removes the option from the URL's query.
///
/// # Errors
/// The key cannot be read or is invalid, or the URL contains it.
pub(super) fn for_hop(
    url: &mut ProxyUrl,
    gets_key: bool,
    args: &Args,
    sources: &Sources<'_>,
) -> Result<Option<SharedKey>, Error> {
    if url.query.has("key") {
        return Err(Error::Config(format!(
            "invalid proxy in {}: a key in a URL can be read by others; use key-file=FILE",
            url.source
        )));
    }
    if gets_key {
        // Also if the URL takes precedence.
        sources.mark_used("--key-file");
        sources.mark_used("--key-fd");
    }
    match url.query.take("key-file") {
        Some(value) => {
            let path = Setting { name: "key-file=", value, origin: Origin::Option("key-file=") };
            parse(&KEY.read_file(&path, sources)?.0, &path).map(Some)
        }
        None if gets_key => for_run(args, sources),
        None => Ok(None),
    }
}

fn parse(text: &Secret, source: &Setting) -> Result<SharedKey, Error> {
    if !cfg!(feature = "noise") {
        let source = source.source();
        return Err(Error::Config(format!("{source}: this build does not support end-to-end encryption")));
    }
    SharedKey::parse(text.expose()).ok_or_else(|| {
        Error::Config(format!(
            "invalid key in {}: expected 32 bytes in base64, as connect --mint-key prints them",
            source.source()
        ))
    })
}
