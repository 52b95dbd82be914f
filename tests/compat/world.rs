//! What is around a run: an `/etc` and a home of its own. The real ones are neither read nor touched.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::case::{Case, File};
use crate::kit::{Program, TempPath};

const HOSTS: &str = "\
127.0.0.1 localhost loop.example
10.1.2.3 ten.example sub.ten.example notten.example
fd00::6 six.example
";

const SERVICES: &str = "ssh 22/tcp\nsmtp 25/tcp mail\nhttp 80/tcp www\npop3 110/tcp\n";

const LOOKUP: &str = "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n";

/// Asks by its argument, and writes down what it asked. Its second line is none of the password.
const ASKPASS: &str = "#!/bin/sh\nprintf '%s' \"$1\" > \"${0%/*}/asked\"\nprintf 'secret\\nmore\\n'\n";

/// How to get a namespace in which mounting is allowed and disturbs nobody.
static UNSHARE: OnceLock<&[&str]> = OnceLock::new();

/// Finds out whether runs can have an `/etc` of their own.
pub(crate) fn check() -> Result<(), String> {
    let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    let directory = TempPath::directory("etc");
    let works = |way: &&[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(*way).args(["sh", "-c", "mount --bind \"$0\" /etc"]).arg(&*directory);
        unshare.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    match ways.into_iter().find(works) {
        Some(way) => {
            let _ = UNSHARE.set(way);
            Ok(())
        }
        None => Err("mounting in a namespace of its own is not permitted here, and every run needs an /etc of its own \
            (the C program looks for ~/.connectrc where the user database says); run it as root, in a container with \
            --cap-add SYS_ADMIN, or with kernel.apparmor_restrict_unprivileged_userns=0"
            .into()),
    }
}

/// The directory of one run.
pub(crate) struct World {
    directory: TempPath,
}

impl World {
    /// Makes it; `fill` puts values into the placeholders of files.
    pub(crate) fn new(case: &Case, fill: &dyn Fn(&str, &str) -> String) -> Self {
        let directory = TempPath::directory("world");
        let world = Self { directory };
        let path = world.path();
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
        // The loader's; without it libraries in unusual places are not found.
        let _ = fs::copy("/etc/ld.so.cache", etc.join("ld.so.cache"));
        put(&home.join(".connectrc"), &case.home_file, &|text| fill(text, &world.name()));
        put(&etc.join("connectrc"), &case.etc_file, &|text| fill(text, &world.name()));
        let askpass = path.join("askpass");
        fs::write(&askpass, ASKPASS).unwrap();
        fs::set_permissions(&askpass, fs::Permissions::from_mode(0o755)).unwrap();
        world
    }

    fn path(&self) -> &Path {
        &self.directory
    }

    /// Its path, as text.
    pub(crate) fn name(&self) -> String {
        self.path().display().to_string()
    }

    /// What askpass was to ask, if it was run.
    pub(crate) fn asked(&self) -> Option<Vec<u8>> {
        fs::read(self.path().join("asked")).ok()
    }

    /// This program, to be run in it.
    pub(crate) fn program(&self, path: &Path, called: Option<&str>, redirection: &str) -> Program {
        let path = called.map_or_else(
            || path.to_owned(),
            |name| {
                let link = self.path().join(name);
                std::os::unix::fs::symlink(path, &link).unwrap();
                link
            },
        );
        let mut program = Program::new("unshare");
        for word in *UNSHARE.get().expect("check comes first") {
            program = program.arg(word);
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
        File::Holds(bytes) => {
            // Placeholders are text; a file that is not has none.
            let bytes = str::from_utf8(bytes).map_or_else(|_| bytes.clone(), |text| fill(text).into_bytes());
            fs::write(path, bytes).unwrap();
        }
    }
}
