//! The keys of the user, in files and in an agent.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::agent::{self, InAgent};
use crate::error::os_message;
use crate::plan::{IdentityFile, Ssh};
use crate::proto::ssh::{SignError, Signer};
use crate::secret::Secret;
use crate::ssh::certificate::{self, Certificate};
use crate::ssh::client_auth::Identity;
use crate::ssh::key_type::KeyType;
use crate::ssh::private_key::{KeyFile, KeyFileError, PublicKeyLine};
use crate::sys;
use crate::text::escaped;

/// The keys of a user, in the order in which they are tried.
#[derive(Default)]
pub(super) struct Identities {
    pub(super) signers: Vec<Box<dyn Signer>>,
    /// The reasons why other keys cannot be used.
    pub(super) unusable: Vec<String>,
}

/// Reads the keys of the user.
pub(super) fn read(settings: &Ssh) -> Identities {
    let held = settings.agent.as_ref().map(|path| agent::keys(path)).unwrap_or_default();
    let mut found = Identities::default();
    if !settings.only_identities {
        for key in &held {
            found.add(Box::new(key.clone()));
        }
    }
    for file in &settings.identities {
        match from_file(file, &held) {
            Ok(signers) => signers.into_iter().for_each(|signer| found.add(signer)),
            Err(reason) => found.unusable.extend(reason),
        }
    }
    found
}

impl Identities {
    /// Adds a key, unless it is there already.
    fn add(&mut self, signer: Box<dyn Signer>) {
        let identity = signer.identity();
        if !self.signers.iter().any(|other| other.identity().blob() == identity.blob()) {
            self.signers.push(signer);
        }
    }
}

/// Reads a key file and the certificate of the key. A file with a public key selects the agent's
/// private key. Fails without a reason for a default file that does not exist.
fn from_file(file: &IdentityFile, held: &[InAgent]) -> Result<Vec<Box<dyn Signer>>, Option<String>> {
    let path = &file.path;
    let shown = escaped(&path.to_string_lossy());
    let cannot_use = |reason: String| Some(format!("cannot use key {shown}: {reason}"));
    let from_agent = |blob: &[u8]| {
        let key = held.iter().find(|key| key.blob() == blob)?;
        Some(vec![Box::new(key.clone()) as Box<dyn Signer>])
    };
    // The agent may hold the key of a file that cannot be read.
    let by_public_file = || {
        let line = PublicKeyLine::parse_file(&fs::read(with_suffix(path, ".pub")).ok()?)?;
        from_agent(line.blob())
    };
    let content = match fs::read(path) {
        Ok(content) => Secret::new(content),
        Err(error) if error.kind() == io::ErrorKind::NotFound && file.is_optional => return Err(None),
        Err(error) => return by_public_file().ok_or_else(|| cannot_use(os_message(&error))),
    };
    let parsed = match KeyFile::parse(content.expose()) {
        Ok(parsed) => parsed,
        Err(KeyFileError::PublicKey) => {
            let line = PublicKeyLine::parse_file(content.expose());
            return line
                .and_then(|line| from_agent(line.blob()))
                .ok_or_else(|| cannot_use("a public key that the agent does not hold".into()));
        }
        Err(error) => {
            let advice = error.advice(&shown).map(|advice| format!("; {advice}")).unwrap_or_default();
            return by_public_file().ok_or_else(|| cannot_use(format!("{error}{advice}")));
        }
    };
    let public = parsed.public_key().blob().to_vec();
    let mut signers: Vec<Box<dyn Signer>> = Vec::new();
    let certificate = certificate_of(file, &public).map_err(cannot_use)?;
    let blobs = certificate.into_iter().chain([public.clone()]);
    if let Some(key) = held.iter().find(|key| key.blob() == public) {
        for blob in blobs {
            signers.extend(key.presented_as(blob).map(|key| Box::new(key) as Box<dyn Signer>));
        }
        return Ok(signers);
    }
    if let Some(mode) = fs::metadata(path).ok().and_then(|metadata| sys::open_mode(&metadata)) {
        return Err(cannot_use(format!("readable by others (mode {mode:04o}); run chmod 600 {shown}")));
    }
    let is_locked = matches!(parsed, KeyFile::Encrypted(_));
    for blob in blobs {
        let Some(kind) = KeyType::of(&blob) else { continue };
        let name = format!("{}, {shown}", kind.describe(&blob));
        let identity = Identity::new(blob, kind.algorithms(), name, is_locked);
        signers.push(Box::new(InFile { content: content.clone(), identity, path: shown.clone(), is_locked }));
    }
    Ok(signers)
}

/// Reads the certificate of a key: the file that the user has named, or the one beside the key.
///
/// # Errors
/// The reason not to use the certificate that the user has named.
fn certificate_of(file: &IdentityFile, public: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let named = file.certificate.as_ref();
    let path = named.map_or_else(|| with_suffix(&file.path, "-cert.pub"), PathBuf::clone);
    let parse = |content: Vec<u8>| {
        let blob = PublicKeyLine::parse_file(&content)?.blob().to_vec();
        let is_for_key = Certificate::parse(&blob).is_ok_and(|it| it.key().blob() == public);
        is_for_key.then_some(blob)
    };
    let shown = || escaped(&path.to_string_lossy());
    match (fs::read(&path), named) {
        (Ok(content), Some(_)) => {
            parse(content).map(Some).ok_or_else(|| format!("{} has no certificate of it", shown()))
        }
        (Ok(content), None) => Ok(parse(content)),
        (Err(error), Some(_)) => Err(format!("certificate {}: {}", shown(), os_message(&error))),
        (Err(_), None) => Ok(None),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A key in a file.
#[derive(Debug)]
struct InFile {
    content: Secret,
    identity: Identity,
    path: String,
    is_locked: bool,
}

impl Signer for InFile {
    fn identity(&self) -> Identity {
        self.identity.clone()
    }

    fn passphrase_prompt(&self) -> Option<String> {
        self.is_locked.then(|| format!("Enter passphrase for key {}: ", self.path))
    }

    fn without_passphrase(&self) -> String {
        format!("cannot use key {}: {}", self.path, KeyFileError::Encrypted)
    }

    fn sign(
        &self,
        algorithm: &str,
        message: &[u8],
        passphrase: Option<&Secret>,
    ) -> Result<Vec<u8>, SignError> {
        let cannot_use = |reason: String| format!("cannot use key {}: {reason}", self.path);
        let unusable = |error: KeyFileError| SignError::Unusable(cannot_use(error.to_string()));
        let file = KeyFile::parse(self.content.expose()).map_err(unusable)?;
        let key = file.into_private_key(passphrase.map(Secret::expose)).map_err(|error| match error {
            KeyFileError::WrongPassphrase => SignError::WrongPassphrase(cannot_use(error.to_string())),
            error => unusable(error),
        })?;
        let algorithm = certificate::signature_algorithm(algorithm).unwrap_or(algorithm);
        key.sign(algorithm, message)
            .ok_or_else(|| SignError::Unusable(cannot_use(format!("it cannot sign with {algorithm}"))))
    }
}
