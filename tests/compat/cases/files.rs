//! Parameter files.

use crate::case::Aspect::{Debug, Exit, Output, Wire};
use crate::case::{Case, case};
use crate::peers::{http, socks4, socks5, socks5_password, target, telnet_reply};

const TO_PROXY: &str = "debug: relay_port={proxy}";

/// Expects both programs to find their SOCKS proxy in a file.
fn found(name: &'static str) -> Case {
    case(name, "-d -s host.example 22").peer("proxy", socks5()).ok().both(TO_PROXY)
}

/// Expects only our program to find its SOCKS proxy in a file.
fn only_ours(name: &'static str, id: &'static str) -> Case {
    case(name, "-d -s host.example 22")
        .peer("proxy", socks5())
        .differs([Exit, Output, Wire, Debug], id)
        .theirs("exit: not zero")
        .ours("exit: zero")
        .ours(TO_PROXY)
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = syntax();
    all.extend(order());
    all.extend(names());
    all
}

fn syntax() -> Vec<Case> {
    let long = "u".repeat(1100);
    vec![
        found("file: a line").home_file("SOCKS_SERVER = {proxy}\n"),
        found("file: no blanks").home_file("SOCKS_SERVER={proxy}\n"),
        found("file: many blanks").home_file(" \tSOCKS_SERVER\t = \t {proxy} \t \n"),
        found("file: comments and blank lines").home_file(
            "# first\n\n   \n  # second\nSOCKS_SERVER = {proxy} # third\n#SOCKS_SERVER = {refused}\n",
        ),
        case("file: a value with #", "-S bob@{proxy} host.example 22")
            .without_password()
            .home_file("SOCKS5_PASSWORD = a#b\n")
            .peer("proxy", socks5_password())
            .ok()
            .differs([Wire], "file-comments")
            .theirs("\\x03bob\\x01a")
            .ours("\\x03bob\\x03a#b"),
        found("file: the last line wins")
            .home_file("SOCKS_SERVER = host.example:1\nSOCKS_SERVER = {proxy}\n"),
        found("file: CRLF line ends").home_file("SOCKS_SERVER={proxy}\r\n"),
        found("file: a line without =").home_file("SOCKS_SERVER host.example\nSOCKS_SERVER = {proxy}\n"),
        found("file: an unknown name").home_file("FOO = bar\nSOCKS_SERVER = {proxy}\n"),
        found("file: an empty name").home_file(" = x\nSOCKS_SERVER = {proxy}\n"),
        found("file: a name with a blank").home_file("SOCKS SERVER = x\nSOCKS_SERVER = {proxy}\n"),
        found("file: a value with =")
            .home_file("SOCKS_SERVER = bob=x@{proxy}\n")
            .both("debug: relay_user=bob=x\n"),
        case("file: names are case-sensitive", "-s host.example 22")
            .home_file("socks_server = {proxy}\n")
            .peer("proxy", socks5())
            .fails(),
        case("file: `export` is not accepted", "-s host.example 22")
            .home_file("export SOCKS_SERVER = {proxy}\n")
            .peer("proxy", socks5())
            .fails(),
        case("file: empty", "-s host.example 22").home_file("").fails(),
        case("file: an invalid line is ignored", "127.0.0.1 {target.port}")
            .home_file("FOO\n")
            .peer("target", target())
            .ok(),
        only_ours("file: no newline at the end", "file-last-line").home_file("SOCKS_SERVER = {proxy}"),
        only_ours("file: a long line", "file-long-lines")
            .home_file(format!("#{long}\nSOCKS_SERVER = {{proxy}}\n")),
        only_ours("file: a NUL byte", "file-zero-bytes").home_file("FOO\0 = x\nSOCKS_SERVER = {proxy}\n"),
        only_ours("file: a quoted value", "file-quotes").home_file("SOCKS_SERVER = \"{proxy}\"\n"),
        case("file: a value with # in quotes", "-S bob@{proxy} host.example 22")
            .without_password()
            .home_file("SOCKS5_PASSWORD = 'a#b'\n")
            .peer("proxy", socks5_password())
            .ok()
            .differs([Wire], "file-quotes")
            .theirs("\\x03bob\\x02\\'a")
            .ours("\\x03bob\\x03a#b"),
    ]
}

fn order() -> Vec<Case> {
    vec![
        found("file: /etc/connectrc").etc_file("SOCKS_SERVER = {proxy}\n"),
        found("file: ~/.connectrc before /etc/connectrc")
            .home_file("SOCKS_SERVER = {proxy}\n")
            .etc_file("SOCKS_SERVER = host.example:1\n"),
        found("file: both files together")
            .home_file("SOCKS_SERVER = {proxy}\n")
            .etc_file("SOCKS5_USER = bob\n")
            .both("debug: relay_user=bob"),
        found("file: the more specific name wins, even from the other file")
            .home_file("SOCKS_SERVER = host.example:1\n")
            .etc_file("SOCKS5_SERVER = {proxy}\n"),
        found("file: the environment before the file")
            .home_file("SOCKS_SERVER = host.example:1\n")
            .env("SOCKS_SERVER", "{proxy}"),
        found("file: the more specific name wins over a variable")
            .home_file("SOCKS5_SERVER = {proxy}\n")
            .env("SOCKS_SERVER", "host.example:1"),
        case("file: the command line before the file", "-d -S {proxy} host.example 22")
            .home_file("SOCKS5_SERVER = host.example:1\n")
            .peer("proxy", socks5())
            .ok()
            .both(TO_PROXY),
        found("file: a directory instead of a file")
            .home_file_is_a_directory()
            .etc_file("SOCKS_SERVER = {proxy}\n"),
        found("file: HOME empty").home_file("SOCKS_SERVER = {proxy}\n").redirected("").env("HOME", ""),
        case("file: HOME in another directory", "-d -s host.example 22")
            .home_file("SOCKS_SERVER = {proxy}\n")
            .env("HOME", "{dir}/elsewhere")
            .peer("proxy", socks5())
            .differs([Exit, Output, Wire, Debug], "file-home")
            .theirs("exit: zero")
            .theirs(TO_PROXY)
            .ours("exit: not zero"),
        case("file: not read by -V", "-V")
            .home_file("FOO\n")
            .differs([Output], "version-stdout")
            .ok()
            .theirs("stdout: \"\"")
            .ours("stdout: \"connect "),
    ]
}

fn names() -> Vec<Case> {
    vec![
        case("file: SOCKS4_SERVER", "-d -4 -s host.example 22")
            .home_file("SOCKS4_SERVER = {proxy}\n")
            .peer("proxy", socks4())
            .ok()
            .both(TO_PROXY),
        case("file: HTTP_PROXY", "-d -h host.example 22")
            .home_file("HTTP_PROXY = http://{proxy}/\n")
            .peer("proxy", http())
            .over_http()
            .ok()
            .both(TO_PROXY),
        case("file: TELNET_PROXY", "-d -t host.example 22")
            .home_file("TELNET_PROXY = {proxy}\n")
            .peer("proxy", telnet_reply("connected to x\n"))
            .differs([Exit, Output, Wire, Debug], "file-names")
            .theirs("exit: not zero")
            .ours("exit: zero"),
        case("file: SOCKS5_USER and SOCKS5_PASSWD", "-S {proxy} host.example 22")
            .without_password()
            .home_file("SOCKS5_USER = bob\nSOCKS5_PASSWD = one\n")
            .peer("proxy", socks5_password())
            .ok()
            .both("\\x03bob\\x03one"),
        case("file: CONNECT_USER and CONNECT_PASSWORD", "-S {proxy} host.example 22")
            .without_password()
            .home_file("CONNECT_USER = bob\nCONNECT_PASSWORD = one\n")
            .peer("proxy", socks5_password())
            .ok()
            .both("\\x03bob\\x03one"),
        case("file: SOCKS_USER", "-d -S {proxy} host.example 22")
            .home_file("SOCKS_USER = bob\n")
            .peer("proxy", socks5())
            .ok()
            .differs([Debug], "file-names")
            .theirs("debug: relay_user=root")
            .ours("debug: relay_user=bob"),
        case("file: SOCKS4_USER", "-4 -S {proxy} host.example 22")
            .home_file("SOCKS4_USER = bob\n")
            .peer("proxy", socks4())
            .ok()
            .differs([Wire], "file-names")
            .theirs("root\\x00host")
            .ours("bob\\x00host"),
        case("file: SOCKS_RESOLVE", "-d -S {proxy} ten.example 22")
            .home_file("SOCKS_RESOLVE = local\n")
            .peer("proxy", socks5())
            .ok()
            .both("debug: socks_resolve=LOCAL (1)"),
        case("file: SOCKS5_AUTH", "-d -S {proxy} host.example 22")
            .home_file("SOCKS5_AUTH = none\n")
            .peer("proxy", socks5())
            .ok()
            .both("debug: >>> 05 01 00\n"),
        case("file: SOCKS_DIRECT", "-d -S {proxy} 127.0.0.1 {target.port}")
            .home_file("SOCKS_DIRECT = 127.0.0.1\n")
            .peer("proxy", socks5())
            .peer("target", target())
            .ok()
            .both("target 1 got"),
    ]
}
