//! Servers with users of their own.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::peers::{Peers, find_program, is_root, run, write};
use crate::servers::{PASSWORD, USER};

impl Peers {
    /// Adds [`USER`] to copies of the system's user database in `folder`.
    pub(crate) fn add_user(&self, folder: &Path, home: &str, shell: &str) -> Result<(), String> {
        run(self.command("unshare", unshare_mounts()).arg("true")).map_err(|error| {
            format!("a server with users of its own needs a mount namespace, and unshare -m failed: {error}")
        })?;
        let mut hash = self.command("openssl", &["passwd", "-6", PASSWORD]);
        let hash = String::from_utf8_lossy(&run(&mut hash)?).trim().to_owned();
        let shadow = fs::read_to_string("/etc/shadow").unwrap_or_default();
        let file = File::options().write(true).create_new(true).open(folder.join("shadow"));
        let mut file = file.map_err(|error| format!("shadow: {error}"))?;
        let private = file.set_permissions(Permissions::from_mode(0o600));
        private
            .and_then(|()| writeln!(file, "{shadow}{USER}:{hash}:19000:0:99999:7:::"))
            .map_err(|error| format!("shadow: {error}"))?;
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        write(folder, "passwd", format!("{passwd}{USER}:x:64321:64321::{home}:{shell}\n"));
        Ok(())
    }

    /// Returns a command with the user database of [`Self::add_user`], in a mount namespace of its
    /// own. The machine's own files stay unchanged. If `folder` has a directory `home`, it is
    /// mounted on `/root`, because tinysshd rejects a home directory below `/tmp`.
    pub(crate) fn with_users(&self, folder: &Path, program: &str, args: &[&str]) -> Command {
        let mut command = self.command("unshare", unshare_mounts());
        command.args(["sh", "-c"]).arg(
            "mount --bind passwd /etc/passwd && mount --bind shadow /etc/shadow || exit 1
            [ ! -d home ] || mount --bind home /root || exit 1
            exec \"$@\"",
        );
        command.arg("sh").arg(find_program(program).unwrap_or_default()).args(args).current_dir(folder);
        command
    }
}

/// Returns the arguments with which unshare(1) creates a mount namespace.
fn unshare_mounts() -> &'static [&'static str] {
    if is_root() { &["-m"] } else { &["-m", "-r"] }
}
