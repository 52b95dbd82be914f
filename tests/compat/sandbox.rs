//! The environment for a run: a private `/etc` and home directory instead of the real ones.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::case::{Case, File};
use crate::kit::{Program, TempPath};

const HOSTS: &str = "\
127.0.0.1 localhost loop.example
10.1.2.3 ten.example sub.ten.example notten.example ten.onion
fd00::6 six.example
";

const SERVICES: &str = "ssh 22/tcp\nsmtp 25/tcp mail\nhttp 80/tcp www\npop3 110/tcp\n";

const LOOKUP: &str = "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n";

/// An askpass program that records its prompt. Its second output line is not part of the password.
const ASKPASS: &str = "#!/bin/sh\nprintf '%s' \"$1\" > \"${0%/*}/asked\"\nprintf 'secret\\nmore\\n'\n";

/// Options for unshare(1) that create a mount namespace in which we may mount.
static UNSHARE: OnceLock<&[&str]> = OnceLock::new();

/// Checks that a run can mount its own `/etc`.
pub(crate) fn check() -> Result<(), String> {
    let candidates: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    let directory = TempPath::directory("etc");
    let works = |options: &&[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(*options).args(["sh", "-c", "mount --bind \"$0\" /etc"]).arg(&*directory);
        unshare.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    match candidates.into_iter().find(works) {
        Some(options) => {
            let _ = UNSHARE.set(options);
            Ok(())
        }
        None => {
            Err("cannot mount /etc in a new namespace, which every run needs because the C program finds \
            ~/.connectrc through the user database: permission denied; run as root, in a container with \
            --cap-add SYS_ADMIN, or with kernel.apparmor_restrict_unprivileged_userns=0"
                .into())
        }
    }
}

/// A run's private directory.
pub(crate) struct Sandbox {
    directory: TempPath,
}

impl Sandbox {
    /// Creates the directory; `fill` replaces the placeholders in files.
    pub(crate) fn new(case: &Case, fill: &dyn Fn(&str, &str) -> String) -> Self {
        let directory = TempPath::directory("sandbox");
        let sandbox = Self { directory };
        let path = sandbox.path();
        let home = path.join("home");
        let etc = path.join("etc");
        for new in [&home, &etc, &path.join("elsewhere")] {
            fs::create_dir(new).unwrap();
        }
        let user = if case.has_account { "root" } else { "someone-else" };
        let id = if case.has_account { 0 } else { 4321 };
        let account = format!("{user}:x:{id}:{id}:{user}:{}:/bin/sh\n", home.display());
        let write = |name: &str, text: &str| fs::write(etc.join(name), text).unwrap();
        write("passwd", &account);
        write("group", &format!("{user}:x:{id}:\n"));
        write("hosts", HOSTS);
        write("services", SERVICES);
        write("protocols", "tcp 6 TCP\n");
        write("nsswitch.conf", LOOKUP);
        write("resolv.conf", "");
        // Without this cache, the dynamic loader cannot find libraries in unusual directories.
        let _ = fs::copy("/etc/ld.so.cache", etc.join("ld.so.cache"));
        put(&home.join(".connectrc"), &case.home_file, &|text| fill(text, &sandbox.name()));
        put(&etc.join("connectrc"), &case.etc_file, &|text| fill(text, &sandbox.name()));
        let askpass = path.join("askpass");
        fs::write(&askpass, ASKPASS).unwrap();
        fs::set_permissions(&askpass, fs::Permissions::from_mode(0o755)).unwrap();
        sandbox
    }

    fn path(&self) -> &Path {
        &self.directory
    }

    /// Returns the path as text.
    pub(crate) fn name(&self) -> String {
        self.path().display().to_string()
    }

    /// Returns the prompt that the askpass program received; `None` if it did not run.
    pub(crate) fn askpass_prompt(&self) -> Option<Vec<u8>> {
        fs::read(self.path().join("asked")).ok()
    }

    /// Prepares a run of the program in the sandbox, under another name if `name` is given.
    pub(crate) fn program(&self, path: &Path, name: Option<&str>, redirection: &str) -> Program {
        let path = name.map_or_else(
            || path.to_owned(),
            |name| {
                let link = self.path().join(name);
                std::os::unix::fs::symlink(path, &link).unwrap();
                link
            },
        );
        let mut program = Program::new("unshare");
        for option in *UNSHARE.get().expect("`check` was called") {
            program = program.arg(option);
        }
        let script = format!(
            "mount --bind \"$1\" /etc || exit 97; program=$2; shift 2; exec \"$program\" \"$@\" {redirection}"
        );
        let program =
            program.arg("sh").arg("-c").arg(script).arg("sh").arg(self.path().join("etc")).arg(path);
        program.env("HOME", self.path().join("home"))
    }
}

fn put(path: &Path, content: &File, fill: &dyn Fn(&str) -> String) {
    match content {
        File::Absent => {}
        File::Directory => fs::create_dir(path).unwrap(),
        File::Contents(bytes) => {
            // Files that are not UTF-8 have no placeholders.
            let bytes = str::from_utf8(bytes).map_or_else(|_| bytes.clone(), |text| fill(text).into_bytes());
            fs::write(path, bytes).unwrap();
        }
    }
}
