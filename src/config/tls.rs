//! What is said about TLS with a proxy. The query of its URL counts before the options, and they count before variables
//! and files, for this proxy; the others are for all proxies with TLS on the way.

use std::fs;
use std::path::PathBuf;

use base64::prelude::{BASE64_STANDARD, Engine};

use super::query::Query;
use super::sources::Sources;
use crate::addr::Host;
use crate::cli::{Args, TlsArgs};
use crate::error::Error;
use crate::plan::{Hop, Identity, Tls};
use crate::sys;
use crate::text::printable;

/// The settings of one hop.
///
/// # Errors
/// A value makes no sense, or this build has no TLS.
pub(super) fn settings(query: &mut Query, typed: &Args, sources: &Sources<'_>) -> Result<Tls, Error> {
    if !cfg!(feature = "tls") {
        return Err(Error::Config("the proxy is to be spoken to in TLS, and this build has none".into()));
    }
    let mut look = Look { query, typed: &typed.tls, sources };
    let tls = Tls {
        authorities: look.authorities()?,
        identity: look.identity()?,
        pins: look.pins()?,
        server_name: look.server_name()?,
        insecure: look.insecure()?,
    };
    if tls.insecure && tls.pins.is_empty() {
        sources.warn()(
            "warning: the proxy's certificate is not checked (--insecure): whoever answers in its place is taken for \
             it, and gets the password",
        );
    }
    if let Some(identity) = &tls.identity
        && fs::metadata(&identity.key).is_ok_and(|key| sys::others_can_read(&key))
    {
        let key = printable(identity.key.to_string_lossy().as_bytes());
        sources.warn()(&format!("others can read the private key in {key}; try: chmod 600 {key}"));
    }
    Ok(tls)
}

/// TLS must not be asked for in vain, and what is handed over must be a plain connection.
///
/// # Errors
/// It is asked for and no proxy speaks it, or `-F` was typed and one does.
pub(super) fn check<'a>(typed: &Args, mut hops: impl Iterator<Item = &'a Hop>) -> Result<(), Error> {
    let has_tls = hops.any(|hop| hop.tls.is_some());
    Err(Error::Config(match has_tls {
        true if typed.hand_over => {
            "-F hands a plain connection over, and TLS with the proxy needs this program to go on; leave out -F, and \
             ssh's ProxyUseFdpass"
                .into()
        }
        false if typed.tls != TlsArgs::default() => {
            "the --tls-… options and --insecure are for a proxy with TLS (https://…, socks5+tls://…), and there is \
             none on the way"
                .into()
        }
        _ => return Ok(()),
    }))
}

/// Where a setting is looked for.
struct Look<'a> {
    query: &'a mut Query,
    typed: &'a TlsArgs,
    sources: &'a Sources<'a>,
}

/// A value, and where it was found, for an error about it.
type Named = (String, String);

impl Look<'_> {
    /// The first of the three that has a value.
    fn first(
        &mut self,
        key: &'static str,
        (option, typed): (&'static str, Option<&String>),
        variable: &'static str,
    ) -> Result<Option<Named>, Error> {
        if let Some(value) = self.query.take(key) {
            return Ok(Some((value, format!("{key}= in the proxy's URL"))));
        }
        let found = match typed {
            Some(word) => Some(self.sources.typed(option, word)),
            None => self.sources.first_filled(&[variable])?,
        };
        Ok(found.map(|found| (found.source(), found.value)).map(|(source, value)| (value, source)))
    }

    fn authorities(&mut self) -> Result<Option<PathBuf>, Error> {
        let found = self.first("tls-ca", ("--tls-ca", self.typed.authorities.as_ref()), "CONNECT_TLS_CA")?;
        Ok(found.map(|(file, _)| self.sources.path(&file)))
    }

    /// Certificate and key. A key does not go with a certificate that counts before it: then it is in the same file.
    fn identity(&mut self) -> Result<Option<Identity>, Error> {
        let (certificate, key) = (self.query.take("tls-cert"), self.query.take("tls-key"));
        let typed = |option, word: Option<&String>| word.map(|word| self.sources.typed(option, word).value);
        let variable = |name| Ok::<_, Error>(self.sources.first_filled(&[name])?.map(|found| found.value));
        let key_was_named = key.is_some() || self.typed.key.is_some();
        let (certificate, key) = if let Some(certificate) = certificate {
            (certificate, key)
        } else if let Some(certificate) = typed("--tls-cert", self.typed.certificate.as_ref()) {
            (certificate, key.or_else(|| typed("--tls-key", self.typed.key.as_ref())))
        } else if let Some(certificate) = variable("CONNECT_TLS_CERT")? {
            let key = key.or_else(|| typed("--tls-key", self.typed.key.as_ref()));
            (certificate, if key.is_some() { key } else { variable("CONNECT_TLS_KEY")? })
        } else if key_was_named {
            return Err(Error::Config("a TLS key without its certificate: give that with --tls-cert".into()));
        } else {
            return Ok(None);
        };
        let key = key.unwrap_or_else(|| certificate.clone());
        Ok(Some(Identity { certificate: self.sources.path(&certificate), key: self.sources.path(&key) }))
    }

    /// As curl has them: `sha256//` and the hash in base64, one or several with `;` between them.
    fn pins(&mut self) -> Result<Vec<[u8; 32]>, Error> {
        let typed = Some(self.typed.pins.join(";")).filter(|typed| !typed.is_empty());
        let found = self.first("tls-pin", ("--tls-pin", typed.as_ref()), "CONNECT_TLS_PIN")?;
        let Some((pins, source)) = found else { return Ok(Vec::new()) };
        let pin = |word: &str| {
            let hash =
                word.trim().strip_prefix("sha256//").and_then(|hash| BASE64_STANDARD.decode(hash).ok());
            // What it was is not repeated: in a URL it could be the end of a password.
            hash.and_then(|hash| hash.try_into().ok())
                .ok_or_else(|| Error::Config(format!("{source} takes sha256// and a SHA-256 hash in base64")))
        };
        pins.split(';').map(pin).collect()
    }

    fn server_name(&mut self) -> Result<Option<Host>, Error> {
        let typed = ("--tls-server-name", self.typed.server_name.as_ref());
        let Some((name, source)) = self.first("tls-server-name", typed, "CONNECT_TLS_SERVER_NAME")? else {
            return Ok(None);
        };
        Host::parse(&name).map(Some).map_err(|_| Error::Config(format!("{source} takes a host's name")))
    }

    fn insecure(&mut self) -> Result<bool, Error> {
        match self.query.take("insecure").as_deref() {
            None => Ok(self.typed.insecure),
            Some("" | "yes") => Ok(true),
            Some("no") => Ok(false),
            Some(_) => Err(Error::Config("insecure= in the proxy's URL takes yes or no".into())),
        }
    }
}
