//! Certificates for TLS proxies, made with openssl(1), as an administrator would make them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::peers::run;

const RSA: &[&str] = &["rsa:2048"];
const EC: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

/// A folder of certificates (`NAME.pem`) and their keys (`NAME.key`).
pub(crate) struct Certificates {
    pub(crate) folder: PathBuf,
    made: Instant,
}

impl Certificates {
    pub(crate) fn make(folder: &Path) -> Result<Self, String> {
        fs::create_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let all = Self { folder: folder.to_owned(), made: Instant::now() };
        all.authority("ca", "Real Authority", RSA, None)?;
        all.authority("clients", "Real Clients", EC, None)?;
        all.authority("between", "Real Intermediate", EC, Some("ca"))?;
        all.leaf("good", RSA, "ca", "DNS:localhost,IP:127.0.0.1", 30)?;
        all.leaf("wrong", EC, "ca", "DNS:other.example", 30)?;
        all.leaf("expired", EC, "ca", "DNS:localhost", 0)?;
        all.leaf("lone", EC, "between", "DNS:localhost", 30)?;
        all.leaf("full", EC, "between", "DNS:localhost", 30)?;
        all.leaf("client", RSA, "clients", "DNS:me", 30)?;
        all.leaf("stranger", EC, "ca", "DNS:me", 30)?;
        let [full, between] =
            ["full", "between"].map(|name| fs::read(all.path(name, "pem")).unwrap_or_default());
        fs::write(all.path("full", "pem"), [full, between].concat()).map_err(|error| error.to_string())?;
        let mut own = all.request("self", RSA, "localhost", "pem");
        run(own.args(["-x509", "-days", "30", "-addext", "subjectAltName=DNS:localhost"]))?;
        all.set_permissions().map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(all)
    }

    pub(crate) fn path(&self, name: &str, extension: &str) -> PathBuf {
        self.folder.join(name).with_extension(extension)
    }

    /// Waits until the certificate `expired`, which is valid for one second, has expired.
    pub(crate) fn wait_for_expiry(&self) {
        std::thread::sleep(Duration::from_secs(2).saturating_sub(self.made.elapsed()));
    }

    /// Returns the command that creates a key, and a signing request (`csr`) or, with `-x509`, a
    /// certificate (`pem`) for that key.
    fn request(&self, name: &str, key: &[&str], subject: &str, output: &str) -> Command {
        let mut command = Command::new("openssl");
        command.args(["req", "-nodes", "-newkey"]).args(key).arg("-subj").arg(format!("/CN={subject}"));
        command.arg("-keyout").arg(self.path(name, "key"));
        command.arg("-out").arg(self.path(name, output));
        command
    }

    /// Makes a CA certificate that is signed by `issuer`, or self-signed if `issuer` is `None`.
    fn authority(&self, name: &str, title: &str, key: &[&str], issuer: Option<&str>) -> Result<(), String> {
        let mut command = self.request(name, key, title, "pem");
        command.args(["-x509", "-days", "30", "-addext", "basicConstraints=critical,CA:TRUE"]);
        command.args(["-addext", "keyUsage=critical,keyCertSign"]);
        if let Some(issuer) = issuer {
            command.arg("-CA").arg(self.path(issuer, "pem")).arg("-CAkey").arg(self.path(issuer, "key"));
        }
        run(&mut command).map(drop)
    }

    /// Makes a server or client certificate. If `days` is 0, the certificate is valid for one
    /// second.
    fn leaf(&self, name: &str, key: &[&str], issuer: &str, names: &str, days: u32) -> Result<(), String> {
        run(&mut self.request(name, key, name, "csr"))?;
        let extensions = self.path(name, "ext");
        fs::write(&extensions, format!("subjectAltName={names}\nbasicConstraints=CA:FALSE\n"))
            .map_err(|error| format!("{}: {error}", extensions.display()))?;
        let mut command = Command::new("openssl");
        command.args(["x509", "-req", "-CAcreateserial", "-days", &days.to_string()]);
        command.arg("-in").arg(self.path(name, "csr")).arg("-out").arg(self.path(name, "pem"));
        command.arg("-CA").arg(self.path(issuer, "pem")).arg("-CAkey").arg(self.path(issuer, "key"));
        command.arg("-extfile").arg(extensions);
        run(&mut command).map(drop)
    }

    fn set_permissions(&self) -> std::io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "key") {
                // squid drops root before it reads its key, so everybody may read the servers'
                // keys. The program rejects a client key that others can read.
                let is_client = path.ends_with("client.key") || path.ends_with("stranger.key");
                fs::set_permissions(&path, Permissions::from_mode(if is_client { 0o600 } else { 0o644 }))?;
            }
        }
        Ok(())
    }
}
