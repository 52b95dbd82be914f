//! What the suites of the protocols share.

use crate::kit::*;
use std::time::Duration;

/// A name that no resolver knows, and for which none is asked: a label has 63 bytes at most.
pub(crate) const UNKNOWN: &str = "x123456789012345678901234567890123456789012345678901234567890123.invalid";

/// What this machine makes of the name `localhost`: as the program is to find it.
pub(crate) fn localhost() -> Vec<String> {
    use std::net::ToSocketAddrs;
    let addresses = ("localhost", 22).to_socket_addrs().unwrap();
    addresses.map(|address| address.to_string()).collect()
}

/// A session through a proxy that does this first: each side gets what the other says, and no more.
#[track_caller]
pub(crate) fn expect_tunnel(script: Script, through: impl FnOnce(&Server) -> Program) {
    let proxy = script.send_bytewise("welcome").expect("ping").expect_eof().serve();
    through(&proxy).input("ping").run().expect_success().expect_stdout("welcome");
    proxy.finish();
}

/// More steps for scripts.
pub(crate) trait Wire {
    /// These bytes come in one piece: the program did not send them in several writes.
    fn expect_at_once(self, bytes: impl AsRef<[u8]>) -> Script;

    /// Sends each byte in a segment of its own.
    fn send_bytewise(self, bytes: impl AsRef<[u8]>) -> Script;
}

impl Wire for Script {
    fn expect_at_once(self, bytes: impl AsRef<[u8]>) -> Script {
        let bytes = bytes.as_ref().to_vec();
        self.then(format!("expect in one piece {}", show(&bytes)), move |session| {
            let got = session.receive_up_to(64 * 1024)?;
            if got == bytes {
                return Ok(());
            }
            Err(format!("expected in one piece {}\n     got {}", show(&bytes), show(&got)))
        })
    }

    fn send_bytewise(self, bytes: impl AsRef<[u8]>) -> Script {
        self.send_slowly(bytes, 1, Duration::from_millis(1))
    }
}

/// The login name, as the system knows it.
#[cfg(unix)]
pub(crate) fn login_name() -> String {
    let output = std::process::Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
