//! TLS settings for a proxy.
//!
//! The query of the proxy's URL applies to that proxy only and takes precedence. Options come next,
//! then parameters; both apply to all proxies that use TLS.

use std::fs;
use std::path::PathBuf;

use base64::prelude::{BASE64_STANDARD, Engine};

use super::proxy_url::Query;
use super::rcfile;
use super::sources::Sources;
use crate::addr::Host;
use crate::cli::{Args, TlsArgs};
use crate::error::Error;
use crate::plan::{Hop, Identity, Tls};
use crate::sys;
use crate::text::printable;

/// Returns the TLS settings for one hop. Removes the TLS options from the URL's query.
///
/// # Errors
/// [`Error::Config`] for an invalid value, and in a build without TLS.
pub(super) fn settings(query: &mut Query, args: &Args, sources: &Sources<'_>) -> Result<Tls, Error> {
    if !cfg!(feature = "tls") {
        return Err(Error::Config(
            "cannot connect to the proxy over TLS: this build has no TLS support".into(),
        ));
    }
    let mut lookup = Lookup { query, args: &args.tls, sources };
    let tls = Tls {
        authorities: lookup.authorities()?,
        identity: lookup.identity()?,
        pins: lookup.pins()?,
        server_name: lookup.server_name()?,
        insecure: lookup.insecure()?,
    };
    if tls.insecure && tls.pins.is_empty() {
        sources.warn()(
            "warning: --insecure disables verification of the proxy's certificate: an attacker can impersonate the proxy \
             and read the password",
        );
    }
    if let Some(identity) = &tls.identity
        && fs::metadata(&identity.key).is_ok_and(|key| sys::others_can_read(&key))
    {
        let key = printable(identity.key.to_string_lossy().as_bytes());
        sources.warn()(&rcfile::readable_secret(&key, "a private key"));
    }
    Ok(tls)
}

/// Checks that the TLS options fit the proxies.
///
/// # Errors
/// [`Error::Config`] if TLS options are given and no proxy uses TLS, or if `-F` is given and a
/// proxy does.
pub(super) fn check<'a>(args: &Args, mut hops: impl Iterator<Item = &'a Hop>) -> Result<(), Error> {
    let has_tls = hops.any(|hop| hop.tls.is_some());
    Err(Error::Config(match has_tls {
        true if args.fdpass => {
            "-F cannot be combined with a proxy over TLS: connect must keep running to encrypt; leave out -F and ssh's \
             ProxyUseFdpass"
                .into()
        }
        false if args.tls != TlsArgs::default() => {
            "--insecure and --tls-… options require a proxy over TLS; use a URL such as https://… or socks5h+tls://…"
                .into()
        }
        _ => return Ok(()),
    }))
}

/// The places to look up a TLS setting, in order of precedence.
struct Lookup<'a> {
    query: &'a mut Query,
    args: &'a TlsArgs,
    sources: &'a Sources<'a>,
}

/// A value and its source, for error messages.
type ValueAndSource = (String, String);

impl Lookup<'_> {
    /// Returns the first value found in the URL, the option and the parameter, in this order.
    fn first(
        &mut self,
        key: &'static str,
        (option, value): (&'static str, Option<&String>),
        parameter: &'static str,
    ) -> Result<Option<ValueAndSource>, Error> {
        if let Some(value) = self.query.take(key) {
            return Ok(Some((value, format!("{key}= in the proxy's URL"))));
        }
        let setting = match value {
            Some(value) => Some(self.sources.option(option, value)),
            None => self.sources.first_nonempty(&[parameter])?,
        };
        Ok(setting.map(|setting| (setting.source(), setting.value)).map(|(source, value)| (value, source)))
    }

    fn authorities(&mut self) -> Result<Option<PathBuf>, Error> {
        let file = self.first("tls-ca", ("--tls-ca", self.args.authorities.as_ref()), "CONNECT_TLS_CA")?;
        Ok(file.map(|(file, _)| self.sources.path(&file)))
    }

    /// Returns the files that contain the certificate and the key.
    ///
    /// A key from a source with lower precedence than the certificate's is ignored, because it
    /// belongs to another certificate. If no key file is given, the certificate file must also
    /// contain the key.
    fn identity(&mut self) -> Result<Option<Identity>, Error> {
        let (certificate, key) = (self.query.take("tls-cert"), self.query.take("tls-key"));
        let option =
            |option, value: Option<&String>| value.map(|value| self.sources.option(option, value).value);
        let parameter =
            |name| Ok::<_, Error>(self.sources.first_nonempty(&[name])?.map(|setting| setting.value));
        let has_key = key.is_some() || self.args.key.is_some();
        let (certificate, key) = if let Some(certificate) = certificate {
            (certificate, key)
        } else if let Some(certificate) = option("--tls-cert", self.args.certificate.as_ref()) {
            (certificate, key.or_else(|| option("--tls-key", self.args.key.as_ref())))
        } else if let Some(certificate) = parameter("CONNECT_TLS_CERT")? {
            let key = key.or_else(|| option("--tls-key", self.args.key.as_ref()));
            (certificate, if key.is_some() { key } else { parameter("CONNECT_TLS_KEY")? })
        } else if has_key {
            return Err(Error::Config("missing certificate for the TLS key; add --tls-cert FILE".into()));
        } else {
            return Ok(None);
        };
        let key = key.unwrap_or_else(|| certificate.clone());
        Ok(Some(Identity { certificate: self.sources.path(&certificate), key: self.sources.path(&key) }))
    }

    /// Parses pins in curl's syntax: each is `sha256//` followed by the hash in base64, and `;`
    /// separates them.
    fn pins(&mut self) -> Result<Vec<[u8; 32]>, Error> {
        let option = Some(self.args.pins.join(";")).filter(|pins| !pins.is_empty());
        let pins = self.first("tls-pin", ("--tls-pin", option.as_ref()), "CONNECT_TLS_PIN")?;
        let Some((pins, source)) = pins else { return Ok(Vec::new()) };
        let parse = |pin: &str| {
            let hash = pin.trim().strip_prefix("sha256//").and_then(|hash| BASE64_STANDARD.decode(hash).ok());
            // Do not quote the value: in a URL it may be the end of a password.
            hash.and_then(|hash| hash.try_into().ok()).ok_or_else(|| {
                Error::Config(format!(
                    "invalid value for {source}; use sha256// and a SHA-256 hash in base64"
                ))
            })
        };
        pins.split(';').map(parse).collect()
    }

    fn server_name(&mut self) -> Result<Option<Host>, Error> {
        let option = ("--tls-server-name", self.args.server_name.as_ref());
        let Some((name, source)) = self.first("tls-server-name", option, "CONNECT_TLS_SERVER_NAME")? else {
            return Ok(None);
        };
        let invalid = |_| Error::Config(format!("invalid value for {source}; use a host name"));
        Host::parse(&name).map(Some).map_err(invalid)
    }

    fn insecure(&mut self) -> Result<bool, Error> {
        match self.query.take("insecure").as_deref() {
            None => Ok(self.args.insecure),
            Some("" | "yes") => Ok(true),
            Some("no") => Ok(false),
            Some(_) => {
                Err(Error::Config("invalid value for insecure= in the proxy's URL; use yes or no".into()))
            }
        }
    }
}
