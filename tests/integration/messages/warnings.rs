//! Warnings, which do not end the session.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{Message, Row, row};
use crate::kit::*;

/// Returns a row that runs a session through a SOCKS5 proxy, with this file in the home directory.
fn file(
    situation: &'static str,
    advice: &'static str,
    name: &'static str,
    mode: u32,
    content: &'static str,
    args: &'static str,
) -> Row {
    row(0, "Warning", situation, advice, move || {
        let proxy = Server::repeat(|| socks5_userpass("me", "secret").close());
        let home = TempPath::directory("home");
        let file = home.join(name);
        fs::write(&file, content.replace("PROXY", &proxy.to_string())).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let args = args.replace("FILE", &file.display().to_string()).replace("PROXY", &proxy.to_string());
        let out = connect(args).args("host.example 22").env("HOME", &*home).run();
        Message::from_outcome(&out).naming(file.display(), &format!("/home/me/{name}"))
    })
}

const RC: &str = ".connectrc";

pub(super) fn rows() -> Vec<Row> {
    let with_password = "-S me:secret@PROXY";
    vec![
        file("Line without `=` in a parameter file", "", RC, 0o600, "SOCKS5_SERVER\n", with_password),
        file("Unknown name in a parameter file", "", RC, 0o600, "SOCKS5_SEVER = x\n", with_password),
        file("Unclosed quote in a parameter file", "", RC, 0o600, "SOCKS5_AUTH = \"none\n", with_password),
        file("Invalid `Match` line", "", RC, 0o600, "Match hots *.example\n", with_password),
        file(
            "Parameter file with a password that others can read",
            "",
            RC,
            0o644,
            "SOCKS5_PASSWORD = secret\n",
            "-S me@PROXY",
        ),
        file(
            "Password file that others can read",
            "",
            "password",
            0o644,
            "secret\n",
            "--password-file FILE -S me@PROXY",
        ),
        file(
            "Netrc file that others can read",
            "",
            ".netrc",
            0o644,
            "default login me password secret\n",
            "--netrc -S PROXY",
        ),
        row(0, "Warning", "Header file that others can read", "", || {
            let proxy = http_ok().close().serve();
            let file = TempPath::file("headers", "X-Token: abc\n");
            fs::set_permissions(&*file, fs::Permissions::from_mode(0o644)).unwrap();
            let program = connect(format!("--header @{} -H {proxy} host.example 22", file.display()));
            Message::from_outcome(&program.run()).naming(file.display(), "/home/me/headers")
        }),
        file(
            "Command in a parameter file that others can write to",
            "Anyone who can write to the file could run any command. Run `chmod 600` on the file.",
            RC,
            0o666,
            "Match exec true\nSOCKS5_AUTH = userpass\n",
            with_password,
        ),
        row(
            0,
            "Warning",
            "Path in a parameter file that others can write to",
            "Anyone who can write to the file could have any of your files sent to a proxy. Run `chmod 600` on the file.",
            || {
                let proxy = socks5_none().close().serve();
                let home = TempPath::directory("home");
                let file = home.join(RC);
                fs::write(&file, "CONNECT_PASSWORD_FILE = ~/password\n").unwrap();
                fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
                let out = connect(format!("-S {proxy} host.example 22")).env("HOME", &*home).run();
                Message::from_outcome(&out).naming(file.display(), "/home/me/.connectrc")
            },
        ),
        row(0, "Warning", "Invalid entry in a bypass list", "", || {
            let proxy = socks5_none().close().serve();
            let program = connect(format!("-S {proxy} host.example 22"));
            Message::from_outcome(&program.env("SOCKS5_DIRECT", "10.0.0.0/33,intranet.example").run())
        }),
        row(0, "Warning", "Bypass list in quotes", "The list is ignored.", || {
            let proxy = socks5_none().close().serve();
            let program = connect(format!("-S {proxy} host.example 22"));
            Message::from_outcome(&program.env("no_proxy", "\"localhost,intranet.example\"").run())
        }),
        row(
            0,
            "Warning",
            "A session through a proxy that only sends data",
            "Expected for a service that only takes data; otherwise, the tunnel leads nowhere.",
            || {
                let proxy = http_ok().drain().serve();
                let out = connect(format!("-H {proxy} host.example 2003")).input("metric 1\n").run();
                Message::from_outcome(&out).naming(&proxy, "proxy.example:8080")
            },
        ),
        row(0, "Warning", "`--insecure` without a pin", "", || {
            let proxy = http_ok().close().serve();
            let front = TlsFront::new(&Identity::self_signed(false)).in_front_of(&proxy);
            Message::from_outcome(&connect(format!("--insecure -H https://{front} host.example 22")).run())
        }),
        row(0, "Warning", "`--insecure` with `--tls-target`, without a pin", "", || {
            let target = script().send("welcome").serve();
            let front = TlsFront::new(&Identity::self_signed(false)).in_front_of(&target);
            let out = connect(format!("--insecure --tls-target 127.0.0.1 {}", front.port())).run();
            Message::from_outcome(&out)
        }),
    ]
}
