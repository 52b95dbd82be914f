//! Decides about host keys by the user's files, and adds new keys to them.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::os_message;
use crate::plan::Ssh;
use crate::proto::ssh::{Decision, HostKeys};
use crate::ssh::known_hosts::{Action, HostName, KnownHosts, Pin, Presented, Verdict, new_line};
use crate::ssh::public_key::PublicKey;
use crate::sys;
use crate::text::escaped;
use crate::trace::trace;

/// The host keys that the user's files name for one server.
#[derive(Debug)]
pub(super) struct KnownHostKeys {
    known: KnownHosts,
    settings: Ssh,
    /// The server's name for messages.
    label: String,
    /// The key that was checked last.
    checked: Option<PublicKey>,
    /// Change no file.
    is_check: bool,
}

impl KnownHostKeys {
    /// Reads the files. Those that do not exist count as empty. Returns a warning for each one that
    /// cannot be read. `label` is the server's name for messages.
    pub(super) fn read(
        settings: &Ssh,
        host: &str,
        port: u16,
        label: &str,
        is_check: bool,
    ) -> (Self, Vec<String>) {
        let mut known = KnownHosts::new(match &settings.host_key_name {
            Some(name) => HostName::alias(name),
            None => HostName::new(host, port),
        });
        let mut unreadable = Vec::new();
        if settings.pin.is_none() {
            for path in &settings.known_hosts {
                match fs::read(path) {
                    Ok(content) => known.add_file(&escaped(&path.to_string_lossy()), &content),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => unreadable.push(warning(path, "cannot read", &error)),
                }
            }
        }
        for problem in known.problems() {
            trace!("{problem}");
        }
        let keys =
            Self { known, settings: settings.clone(), label: label.to_owned(), checked: None, is_check };
        (keys, unreadable)
    }
}

fn warning(path: &Path, what: &str, error: &io::Error) -> String {
    format!("warning: {what} {}: {}", escaped(&path.to_string_lossy()), os_message(error))
}

/// Appends a line in one write.
fn append(path: &Path, name: &HostName, key: &PublicKey) -> io::Result<()> {
    let content = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(directory) = path.parent().filter(|it| !it.as_os_str().is_empty() && !it.exists()) {
                sys::create_private_directory(directory)?;
            }
            drop(sys::create_private_file(path)?);
            Vec::new()
        }
        read => read?,
    };
    let mut salt = [0; 20];
    for chunk in salt.chunks_mut(16) {
        chunk.copy_from_slice(
            &sys::random().ok_or_else(|| io::Error::other("no random bytes"))?[..chunk.len()],
        );
    }
    let line = new_line(&content, name, key, salt);
    fs::OpenOptions::new().append(true).open(path)?.write_all(&line)
}

impl HostKeys for KnownHostKeys {
    fn arrange(&self, algorithms: &mut [&'static str]) {
        self.known.prefer_known(algorithms);
    }

    fn check(&mut self, presented: Presented<'_>) -> Decision {
        let key = presented.key();
        self.checked = Some(key.clone());
        if let Some(pin) = &self.settings.pin {
            if pin.matches(key) {
                return Decision::Trust("matches --ssh-pin".into());
            }
            return Decision::Refuse(Pin::mismatch(&self.label, key));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let verdict = self.known.judge(presented, now);
        let message = || verdict.message(&self.label, self.known.name(), key).unwrap_or_default();
        match verdict.action(self.settings.strict) {
            Action::Connect => Decision::Trust(match &verdict {
                Verdict::Trusted { place, authority: Some(authority) } => {
                    format!("certified by {authority} ({place})")
                }
                Verdict::Trusted { place, .. } => format!("known ({place})"),
                _ => "accepted".into(),
            }),
            Action::ConnectRestricted => Decision::Restrict(message()),
            Action::Add if self.is_check => Decision::Trust("unknown; --check does not add it".into()),
            Action::Add => Decision::Add(format!(
                "added the host key of {}: {} {}",
                self.label,
                key.short_name(),
                key.fingerprint()
            )),
            Action::Ask => {
                let known = verdict.known_types().map(|known| format!("Known are only {known}. "));
                let question = format!(
                    "The host key of {} is unknown: {} {}. {}Trust it (yes, no or the fingerprint)? ",
                    self.label,
                    key.short_name(),
                    key.fingerprint(),
                    known.unwrap_or_default()
                );
                Decision::Ask { question, refusal: message() }
            }
            Action::Refuse => Decision::Refuse(message()),
        }
    }

    fn accept(&mut self) -> Option<String> {
        let (key, path) = self.checked.as_ref().zip(self.settings.known_hosts.first())?;
        if self.is_check {
            return None;
        }
        let error = append(path, self.known.name(), key).err()?;
        Some(warning(path, "cannot add the host key to", &error))
    }
}
