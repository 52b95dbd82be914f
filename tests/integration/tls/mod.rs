//! TLS connections to proxies and to the target.

use crate::kit::*;

mod certificates;
mod chains;
mod ending;
mod handshake;
mod identity;
mod listening;
mod relay;
mod target;

/// A certificate authority, and a file with its certificate.
struct Pki {
    authority: Authority,
    file: TempPath,
}

impl Pki {
    fn new() -> Self {
        Self::named("Test Authority")
    }

    fn named(name: &str) -> Self {
        let authority = Authority::new(name);
        let file = authority.file();
        Self { authority, file }
    }

    /// Returns a TLS front with a certificate for localhost.
    fn front(&self) -> TlsFront {
        TlsFront::new(&self.authority.localhost())
    }

    /// Returns a run that uses this HTTP proxy over TLS and trusts the authority.
    fn connect(&self, proxy: &TlsServer, options: &str) -> Program {
        trusting(&self.file, proxy, options)
    }
}

/// Returns a run that uses this HTTP proxy over TLS and trusts the authorities in this file.
fn trusting(file: &TempPath, proxy: &TlsServer, options: &str) -> Program {
    connect("--tls-ca")
        .arg(&**file)
        .args(format!("{options} -H https://localhost:{} host.example 22", proxy.port()))
}
