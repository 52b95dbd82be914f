//! What is told and changes nothing: the session goes on.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{Row, Told, row};
use crate::kit::*;

/// Told of a session through a SOCKS5 proxy by somebody with this file in his home directory.
fn file(
    situation: &'static str,
    advice: &'static str,
    name: &'static str,
    mode: u32,
    content: &'static str,
    words: &'static str,
) -> Row {
    row(0, "Warning", situation, advice, move || {
        let proxy = Server::repeat(|| socks5_userpass("me", "secret").close());
        let home = TempPath::directory("home");
        let file = home.join(name);
        fs::write(&file, content.replace("PROXY", &proxy.to_string())).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let words = words.replace("FILE", &file.display().to_string()).replace("PROXY", &proxy.to_string());
        let out = connect(words).args("host.example 22").env("HOME", &*home).run();
        Told::by(&out).naming(file.display(), &format!("/home/me/{name}"))
    })
}

const RC: &str = ".connectrc";

pub(super) fn rows() -> Vec<Row> {
    let with_password = "-S me:secret@PROXY";
    vec![
        file("A parameter file has a line without `=`", "", RC, 0o600, "SOCKS5_SERVER\n", with_password),
        file(
            "A parameter file has a name that does not exist",
            "",
            RC,
            0o600,
            "SOCKS5_SEVER = x\n",
            with_password,
        ),
        file(
            "A parameter file has a quote without its end",
            "",
            RC,
            0o600,
            "SOCKS5_AUTH = \"none\n",
            with_password,
        ),
        file("A `Match` line makes no sense", "", RC, 0o600, "Match hots *.example\n", with_password),
        file(
            "A parameter file holds a password and others can read it",
            "",
            RC,
            0o644,
            "SOCKS5_PASSWORD = secret\n",
            "-S me@PROXY",
        ),
        file(
            "The password file can be read by others",
            "",
            "password",
            0o644,
            "secret\n",
            "--password-file FILE -S me@PROXY",
        ),
        file(
            "The netrc file can be read by others",
            "",
            ".netrc",
            0o644,
            "default login me password secret\n",
            "--netrc -S PROXY",
        ),
        file(
            "A command in a parameter file that others can write to",
            "Whoever can write to the file could have it run anything: `chmod 600` the file.",
            RC,
            0o666,
            "Match exec true\nSOCKS5_AUTH = userpass\n",
            with_password,
        ),
        row(0, "Warning", "A direct list has an entry that makes no sense", "", || {
            let proxy = socks5_none().close().serve();
            let program = connect(format!("-S {proxy} host.example 22"));
            Told::by(&program.env("SOCKS5_DIRECT", "10.0.0.0/33,intranet.example").run())
        }),
        row(0, "Warning", "`--insecure` without a pin", "", || {
            let proxy = http_ok().close().serve();
            let front = TlsFront::new(&Identity::self_signed(false)).in_front_of(&proxy);
            Told::by(&connect(format!("--insecure -H https://{front} host.example 22")).run())
        }),
    ]
}
