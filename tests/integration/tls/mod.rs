//! TLS with the proxy.

use crate::kit::*;

mod certificates;
mod chains;
mod ending;
mod handshake;
mod identity;
mod relay;

/// An authority, and its certificate as a file.
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

    /// A front with a certificate for this machine.
    fn front(&self) -> TlsFront {
        TlsFront::new(&self.authority.localhost())
    }

    /// The program through an HTTP proxy with TLS that it is to trust.
    fn connect(&self, proxy: &TlsServer, words: &str) -> Program {
        trusting(&self.file, proxy, words)
    }
}

/// The program through an HTTP proxy with TLS, trusting the authorities in a file.
fn trusting(file: &TempPath, proxy: &TlsServer, words: &str) -> Program {
    connect("--tls-ca")
        .arg(&**file)
        .args(format!("{words} -H https://localhost:{} host.example 22", proxy.port()))
}
