//! TLS settings for a proxy or the target.
//!
//! The query of a proxy's URL applies to that proxy only and takes precedence. Options come next,
//! then parameters; both apply to all proxies that use TLS. With `--tls-target`, options and
//! parameters apply to the target instead, and a proxy has only the settings in its URL. Otherwise
//! the target would see the client certificate for the proxy, and a pin could fit only one of them.

use std::fs;
use std::path::PathBuf;

use base64::prelude::{BASE64_STANDARD, Engine};

use super::proxy_url::Query;
use super::rcfile;
use super::setting::{Origin, Setting};
use super::sources::Sources;
use crate::addr::Host;
use crate::cli::{Args, TlsArgs};
use crate::error::Error;
use crate::plan::{Identity, Plan, Target, Tls};
use crate::secret;
use crate::sys;
use crate::text::printable;

/// Returns the TLS settings for one proxy. Removes the TLS options from the URL's query.
///
/// # Errors
/// [`Error::Config`] for an invalid value, and in a build without TLS.
pub(super) fn for_proxy(query: &mut Query, args: &Args, sources: &Sources<'_>) -> Result<Tls, Error> {
    expect_support("the proxy")?;
    if targets_tls(args, sources)? {
        let mut lookup = Lookup { query, args: &TlsArgs::default(), sources, has_parameters: false };
        return Ok(Tls { only_in_url: true, ..settings(&mut lookup, PROXY_RISK)? });
    }
    settings(&mut Lookup { query, args: &args.tls, sources, has_parameters: true }, PROXY_RISK)
}

/// Returns the TLS settings for the target; `None` without `--tls-target`.
///
/// # Errors
/// [`Error::Config`] for an invalid value, for a target without a host, and in a build without TLS.
pub(super) fn for_target(args: &Args, target: &Target, sources: &Sources<'_>) -> Result<Option<Tls>, Error> {
    if !targets_tls(args, sources)? {
        return Ok(None);
    }
    expect_support("the target")?;
    if let Target::Unix(_) = target {
        return Err(Error::Config(format!(
            "cannot use TLS with {target}: a UNIX-domain socket has no name to verify; leave out --tls-target"
        )));
    }
    let query = &mut Query::default();
    let mut lookup = Lookup { query, args: &args.tls, sources, has_parameters: true };
    settings(&mut lookup, TARGET_RISK).map(Some)
}

/// Returns `true` if TLS with the target is requested.
fn targets_tls(args: &Args, sources: &Sources<'_>) -> Result<bool, Error> {
    if args.tls_target {
        const OPTION: &str = "--tls-target";
        sources.record(OPTION, &Origin::Option(OPTION), || "yes".into());
        return Ok(true);
    }
    let Some(setting) = sources.first_nonempty(&["CONNECT_TLS_TARGET"])? else { return Ok(false) };
    match setting.value.to_ascii_lowercase().as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(Error::Config(format!(
            "invalid value '{}' for {}; use yes or no",
            secret::masked(&setting.value),
            setting.source()
        ))),
    }
}

fn expect_support(peer: &str) -> Result<(), Error> {
    if cfg!(feature = "tls") {
        return Ok(());
    }
    Err(Error::Config(format!("cannot connect to {peer} over TLS: this build has no TLS support")))
}

/// The consequence of `--insecure`, for the warning.
const PROXY_RISK: &str =
    "the proxy's certificate: an attacker can impersonate the proxy and read the password";
const TARGET_RISK: &str =
    "the target's certificate: an attacker can impersonate the target and read the data";

fn settings(lookup: &mut Lookup<'_>, risk: &str) -> Result<Tls, Error> {
    let tls = Tls {
        authorities: lookup.authorities()?,
        identity: lookup.identity()?,
        pins: lookup.pins()?,
        server_name: lookup.server_name()?,
        insecure: lookup.insecure()?,
        only_in_url: false,
    };
    if tls.insecure && tls.pins.is_empty() {
        lookup.sources.warn()(&format!("warning: --insecure disables verification of {risk}"));
    }
    if let Some(identity) = &tls.identity
        && fs::metadata(&identity.key).is_ok_and(|key| sys::others_can_read(&key))
    {
        let key = printable(identity.key.to_string_lossy().as_bytes());
        lookup.sources.warn()(&rcfile::readable_secret(&key, "a private key"));
    }
    Ok(tls)
}

/// Checks that the TLS options fit the proxies and the target.
///
/// # Errors
/// [`Error::Config`] if TLS options are given and no peer uses TLS, or if `-F` is given and a peer
/// does.
pub(super) fn check(args: &Args, plan: &Plan) -> Result<(), Error> {
    let refuse_fdpass = |what: &str| {
        format!(
            "-F cannot be combined with {what}: connect must keep running to encrypt; leave out -F and ssh's ProxyUseFdpass"
        )
    };
    let (to_target, to_proxy) = (plan.target_tls.is_some(), plan.hops().any(|hop| hop.tls.is_some()));
    Err(Error::Config(match (to_target, to_proxy) {
        (true, _) if args.fdpass => refuse_fdpass("TLS to the target (--tls-target)"),
        (_, true) if args.fdpass => refuse_fdpass("a proxy over TLS"),
        (false, false) if args.tls != TlsArgs::default() => {
            "--insecure and --tls-… options require TLS; use a proxy URL such as https://… or socks5h+tls://…, or add \
             --tls-target"
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
    /// `false` if parameters are for another peer.
    has_parameters: bool,
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
            None => self.parameter(parameter)?,
        };
        Ok(setting.map(|setting| (setting.source(), setting.value)).map(|(source, value)| (value, source)))
    }

    fn parameter(&self, name: &'static str) -> Result<Option<Setting>, Error> {
        if self.has_parameters { self.sources.first_nonempty(&[name]) } else { Ok(None) }
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
        let parameter = |name| Ok::<_, Error>(self.parameter(name)?.map(|setting| setting.value));
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
