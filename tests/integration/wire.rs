//! Helpers shared by the protocol tests.

use crate::kit::*;
use std::time::Duration;

/// The ASCII form of `bücher.example`.
pub(crate) const BUECHER: &str = "xn--bcher-kva.example";

/// A name that fails to resolve without a query, because its first label is longer than 63 bytes.
pub(crate) const UNKNOWN: &str = "x123456789012345678901234567890123456789012345678901234567890123.example";

/// Returns the addresses of `localhost` on this machine.
pub(crate) fn localhost() -> Vec<String> {
    use std::net::ToSocketAddrs;
    let addresses = ("localhost", 22).to_socket_addrs().unwrap();
    addresses.map(|address| address.to_string()).collect()
}

/// Runs a session through a proxy that plays `script` first. Each side must receive exactly what
/// the other sends.
#[track_caller]
pub(crate) fn expect_tunnel(script: Script, through: impl FnOnce(&Server) -> Program) {
    let proxy = script.send_bytewise("welcome").expect("ping").expect_eof().serve();
    through(&proxy).input("ping").run().expect_success().expect_stdout("welcome");
    proxy.finish();
}

/// Additional steps for scripts.
pub(crate) trait Wire {
    /// Expects these bytes in one read, because the program must send them in one write.
    fn expect_at_once(self, bytes: impl AsRef<[u8]>) -> Script;

    /// Sends each byte in its own segment.
    fn send_bytewise(self, bytes: impl AsRef<[u8]>) -> Script;
}

impl Wire for Script {
    fn expect_at_once(self, bytes: impl AsRef<[u8]>) -> Script {
        let bytes = bytes.as_ref().to_vec();
        self.then(format!("expect in one read {}", show(&bytes)), move |session| {
            let got = session.receive_up_to(64 * 1024)?;
            if got == bytes {
                return Ok(());
            }
            Err(format!("expected in one read {}\n     got {}", show(&bytes), show(&got)))
        })
    }

    fn send_bytewise(self, bytes: impl AsRef<[u8]>) -> Script {
        self.send_slowly(bytes, 1, Duration::from_millis(1))
    }
}

/// Returns the user's login name according to id(1).
#[cfg(unix)]
pub(crate) fn login_name() -> String {
    let output = std::process::Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
