//! The command line: options, their values, and positional arguments.

use std::time::Duration;

use crate::case::Aspect::{Debug, Exit, Output, Wire};
use crate::case::{Case, case};
use crate::kit::script;
use crate::peers::{socks4, socks5, socks5_no_method, target};

pub(super) fn cases() -> Vec<Case> {
    let mut all = methods();
    all.extend(clusters());
    all.extend(ends());
    all.extend(resolving());
    all.extend(waiting());
    all.extend(auth());
    all
}

fn methods() -> Vec<Case> {
    const TO_FIRST: &str = "first 1 got: \"\\x05";
    const TO_SECOND: &str = "second 1 got: \"\\x05";
    let two = |name, args| case(name, args).peer("first", socks5()).peer("second", socks5());
    vec![
        case("args: direct without an option", "-d 127.0.0.1 {target.port}")
            .peer("target", target())
            .input("ping\n")
            .ok()
            .both("debug: relay_method = DIRECT (1)")
            .both("target 1 got: \"ping\\n\"")
            .both("stdout: \"HELLO\\n\""),
        case("args: direct with -n", "-d -n 127.0.0.1 {target.port}")
            .peer("target", target())
            .input("ping\n")
            .ok()
            .both("debug: relay_method = DIRECT (1)")
            .both("stdout: \"HELLO\\n\""),
        case("args: no debug lines without -d", "-S {proxy} host.example 22")
            .peer("proxy", socks5())
            .ok()
            .both("stdout: \"HELLO\\n\""),
        two("args: the last method wins, -n last", "-d -S {first} -n 127.0.0.1 {direct.port}")
            .peer("direct", target())
            .ok()
            .both("debug: relay_method = DIRECT (1)")
            .both("direct 1 got"),
        two("args: the last method wins, -S after -n", "-d -n -S {first} host.example 22")
            .ok()
            .both(TO_FIRST),
        two("args: the last method wins, -S after -H", "-d -H {second} -S {first} host.example 22")
            .ok()
            .both(TO_FIRST),
        two("args: the last method wins, -H after -S", "-d -S {second} -H {refused} host.example 22")
            .fails()
            .both("debug: relay_method = HTTP (3)")
            .both("debug: relay_port={refused}"),
        two("args: the last method wins, -T after -S", "-d -S {second} -T {refused} host.example 22")
            .fails()
            .both("debug: relay_method = TELNET (4)")
            .both("debug: relay_port={refused}"),
        two("args: the last of two proxies wins", "-d -S {first} -S {second} host.example 22")
            .ok()
            .both(TO_SECOND),
        two(
            "args: a method does not use another method's value",
            "-d -S {first} -H {refused} -s host.example 22",
        )
        .env("SOCKS_SERVER", "{second}")
        .differs([Exit, Output, Wire, Debug], "own-value")
        .theirs("exit: not zero")
        .theirs("debug: relay_port={refused}")
        .ours("exit: zero")
        .ours(TO_SECOND),
        case("args: -4 -5, the last wins", "-d -4 -5 -S {proxy} host.example 22")
            .peer("proxy", socks5())
            .ok()
            .both("debug: socks_version=5"),
        case("args: -5 -4, the last wins", "-d -5 -4 -S {proxy} host.example 22")
            .peer("proxy", socks4())
            .ok()
            .both("debug: socks_version=4"),
        case("args: -4 has no effect without a proxy", "-d -4 127.0.0.1 {target.port}")
            .peer("target", target())
            .ok()
            .both("debug: relay_method = DIRECT (1)"),
        case("args: -D does not exist in 1.105", "-D -S {proxy} 127.0.0.1 {target.port}")
            .peer("proxy", socks5())
            .peer("target", target())
            .differs([Exit, Output, Wire], "own-networks")
            .theirs("exit: not zero")
            .ours("target 1 got")
            .ours("exit: zero"),
    ]
}

fn clusters() -> Vec<Case> {
    let over = |name, args| case(name, args).peer("proxy", socks5()).ok().both("debug: relay_port={proxy}");
    let lacks = |name, args| case(name, args).fails();
    vec![
        over("args: a value after a cluster", "-dS {proxy} host.example 22"),
        over("args: an option with a value inside a cluster", "-Sd {proxy} host.example 22"),
        over("args: two values for one cluster", "-d -SR {proxy} both host.example 22")
            .both("debug: socks_resolve=BOTH (3)"),
        over("args: four values for one cluster", "-dSRwa {proxy} both 3 none host.example 22")
            .both("debug: >>> 05 01 00\n"),
        over("args: a flag after an option with a value", "-dS5 {proxy} host.example 22"),
        over("args: -w5 3 takes the next argument", "-d -S {proxy} -w5 3 host.example 22"),
        over("args: a lone - is ignored", "-d - -S {proxy} host.example 22"),
        case("args: -ddd equals -d before the session", "-ddd -S {refused} host.example 22")
            .fails()
            .both("debug: relay_method = SOCKS (2)"),
        case("args: an attached value", "-d -S{proxy} host.example 22")
            .peer("proxy", socks5())
            .differs([Exit, Output, Wire, Debug], "attached-values")
            .theirs("exit: not zero")
            .ours("exit: zero")
            .ours("debug: relay_port={proxy}"),
        case("args: an attached number", "-w5 -S {proxy} host.example 22")
            .peer("proxy", socks5())
            .differs([Exit, Output, Wire], "attached-values")
            .theirs("exit: not zero")
            .ours("exit: zero"),
        lacks("args: -S without a value", "-S"),
        lacks("args: -H without a value", "-H"),
        lacks("args: -T without a value", "-T"),
        lacks("args: -c without a value", "-c"),
        lacks("args: -R without a value", "-R"),
        lacks("args: -w without a value", "-w"),
        lacks("args: -a without a value", "-a"),
        lacks("args: -p without a value", "-p"),
        lacks("args: -P without a value", "-P"),
        lacks("args: an unknown option", "-X 127.0.0.1 22"),
        lacks("args: an unknown option in a cluster", "-nX 127.0.0.1 22"),
    ]
}

fn ends() -> Vec<Case> {
    let extra = |name, args| {
        case(name, args)
            .peer("target", target())
            .differs([Exit, Output, Wire], "extra-args")
            .theirs("exit: zero")
            .theirs("stdout: \"HELLO\\n\"")
            .ours("exit: not zero")
    };
    let printed = |name, args| {
        case(name, args)
            .differs([Output], "version-stdout")
            .ok()
            .theirs("stdout: \"\"")
            .ours("stdout: \"connect ")
    };
    let long = |name, args| {
        case(name, args).differs([Exit, Output], "long-options").theirs("exit: not zero").ours("exit: zero")
    };
    vec![
        printed("args: none", ""),
        printed("args: -V", "-V"),
        printed("args: -V with other options", "-dV 127.0.0.1 22"),
        long("args: --version", "--version").ours("stdout: \"connect "),
        long("args: --help", "--help").ours(" bytes, sum "),
        case("args: -- ends the options", "-- 127.0.0.1 {target.port}")
            .peer("target", target())
            .differs([Exit, Output, Wire], "long-options")
            .theirs("exit: not zero")
            .ours("exit: zero")
            .ours("stdout: \"HELLO\\n\""),
        extra("args: an argument after the port", "127.0.0.1 {target.port} more"),
        extra("args: an option after the port", "127.0.0.1 {target.port} -d"),
        case("args: only options", "-n")
            .differs([Exit], "no-host")
            .theirs("exit: zero")
            .ours("exit: not zero"),
        case("args: a host without a port", "127.0.0.1").called("connect").fails(),
    ]
}

fn resolving() -> Vec<Case> {
    let over = |name, args| case(name, args).peer("proxy", socks5()).ok();
    vec![
        over("args: -R remote", "-d -R remote -S {proxy} ten.example 22")
            .both("debug: socks_resolve=REMOTE (2)")
            .both("\\x05\\x01\\x00\\x03\\x0bten.example\\x00\\x16"),
        over("args: -R local", "-d -R local -S {proxy} ten.example 22")
            .both("debug: socks_resolve=LOCAL (1)")
            .both("\\x05\\x01\\x00\\x01\\n\\x01\\x02\\x03\\x00\\x16"),
        over("args: -R in upper case", "-d -R LOCAL -S {proxy} ten.example 22")
            .both("debug: socks_resolve=LOCAL (1)"),
        over(
            "args: -R both, a name that only the proxy can resolve",
            "-d -R both -S {proxy} host.example 22",
        )
        .both("debug: socks_resolve=BOTH (3)")
        .both("\\x03\\x0chost.example"),
        over("args: -R both, a name that we can resolve", "-d -R both -S {proxy} ten.example 22")
            .differs([Wire, Debug], "resolve-both")
            .theirs("\\x03\\x0bten.example")
            .ours("\\x05\\x01\\x00\\x01\\n\\x01\\x02\\x03\\x00\\x16"),
        over("args: an international name", "-S {proxy} bücher.example 22")
            .differs([Wire], "international")
            .theirs("\\x03\\x0fb\\xc3\\xbccher.example")
            .ours("\\x03\\x15xn--bcher-kva.example"),
        over("args: -R local, an onion service", "-d -R local -S {proxy} ten.onion 22")
            .differs([Wire, Debug], "onion")
            .theirs("\\x05\\x01\\x00\\x01\\n\\x01\\x02\\x03\\x00\\x16")
            .ours("\\x03\\tten.onion"),
        case("args: -R local, unknown name", "-d -R local -S {proxy} host.example 22")
            .peer("proxy", socks5())
            .differs([Exit, Output, Wire, Debug], "resolve-local")
            .theirs("exit: zero")
            .theirs("\\x03\\x0chost.example")
            .ours("exit: not zero"),
        case("args: -R with an unknown value", "-d -R garbage -S {proxy} host.example 22")
            .peer("proxy", socks5())
            .differs([Exit, Output, Wire, Debug], "resolve-values")
            .theirs("exit: zero")
            .theirs("debug: socks_resolve=REMOTE (2)")
            .ours("exit: not zero"),
        case("args: -R with a name server", "-R {dns} -S {proxy} host.example 22")
            .peer("proxy", socks5())
            .ok()
            .differs([Wire], "name-server")
            .theirs("\\x03\\x0chost.example")
            .ours("\\x05\\x01\\x00\\x01\\n\\t\\t\\t\\x00\\x16"),
        case("args: -R with a name server, over SOCKS4", "-4 -R {dns} -S {proxy} host.example 22")
            .peer("proxy", socks4())
            .ok()
            .differs([Wire], "name-server")
            .theirs("root\\x00host.example\\x00")
            .ours("\\x04\\x01\\x00\\x16\\n\\t\\t\\troot\\x00"),
        case("args: -R has no effect with an HTTP proxy", "-d -R local -H {refused} ten.example 22")
            .fails()
            .both("debug: relay_method = HTTP (3)"),
    ]
}

fn waiting() -> Vec<Case> {
    vec![
        case(
            "args: -w limits a hanging connection attempt",
            "-w 1 {silent.host} {silent.port}".replace("{silent.host}", "127.0.0.1").as_str(),
        )
        .fails()
        .both("stdout: \"\""),
        case("args: -w limits a hanging connection attempt to a proxy", "-w 1 -S {silent} host.example 22")
            .fails(),
        case("args: -w limits the wait for a SOCKS proxy", "-d -w 1 -S {proxy} host.example 22")
            .peer("proxy", script().drain())
            .fails()
            .both("debug: >>> 05 02 00 02"),
        case("args: -w limits the wait for an HTTP proxy", "-w 1 -H {proxy} host.example 22")
            .peer("proxy", script().drain())
            .over_http()
            .fails(),
        case("args: -w limits the wait for a telnet-style proxy", "-w 1 -T {proxy} host.example 22")
            .peer("proxy", script().drain())
            .fails(),
        case("args: -w does not limit the session", "-w 1 127.0.0.1 {target.port}")
            .peer("target", script().pause(Duration::from_millis(1500)).send("late\n"))
            .ok()
            .both("stdout: \"late\\n\""),
        case("args: -w 0 sets no limit", "-w 0 127.0.0.1 {target.port}").peer("target", target()).ok(),
        case("args: -w without a number", "-w soon 127.0.0.1 {target.port}")
            .peer("target", target())
            .differs([Exit, Output, Wire], "wait-numbers")
            .theirs("exit: zero")
            .ours("exit: not zero"),
    ]
}

fn auth() -> Vec<Case> {
    let offers =
        |name, args, greeting| case(name, args).peer("proxy", socks5_no_method()).fails().both(greeting);
    vec![
        offers(
            "args: authentication methods by default",
            "-d -S {proxy} host.example 22",
            "debug: >>> 05 02 00 02\n",
        ),
        offers("args: -a none", "-d -a none -S {proxy} host.example 22", "debug: >>> 05 01 00\n"),
        offers("args: -a userpass", "-d -a userpass -S {proxy} host.example 22", "debug: >>> 05 01 02\n"),
        offers(
            "args: -a userpass,none",
            "-d -a userpass,none -S {proxy} host.example 22",
            "debug: >>> 05 02 02 00\n",
        ),
        offers(
            "args: -a with blanks",
            "-d -a 'none , userpass' -S {proxy} host.example 22",
            "debug: >>> 05 02 00 02\n",
        ),
        case("args: -a with an unknown method", "-a bogus -S {proxy} host.example 22")
            .peer("proxy", socks5())
            .differs([Wire], "auth-checked")
            .fails()
            .theirs("proxy 1 got: \"\"")
            .ours("exit: not zero"),
        case("args: -a with an unsupported method", "-a gssapi,none -S {proxy} host.example 22")
            .peer("proxy", socks5())
            .differs([Exit, Output, Wire], "auth-unable")
            .theirs("\\x05\\x02\\x01\\x00")
            .theirs("exit: zero")
            .ours("exit: not zero"),
        case("args: -a chap", "-a chap -S {proxy} host.example 22")
            .peer("proxy", script().read_greeting().send([5, 3]))
            .differs([Wire], "auth-unable")
            .fails()
            .theirs("\\x05\\x01\\x03")
            .ours("exit: not zero"),
        case("args: -a in upper case", "-a NONE -S {proxy} host.example 22")
            .peer("proxy", socks5())
            .differs([Exit, Output, Wire], "auth-case")
            .theirs("exit: not zero")
            .ours("exit: zero"),
        case("args: -a has no effect without a SOCKS proxy", "-a none 127.0.0.1 {target.port}")
            .peer("target", target())
            .ok(),
        case("args: a login is sent only on request", "-d -S bob@{proxy} host.example 22")
            .peer("proxy", socks5())
            .ok()
            .both("debug: <<< 05 00\n"),
        case("args: authentication methods without a password", "-d -S bob@{proxy} host.example 22")
            .without_password()
            .peer("proxy", socks5())
            .ok()
            .differs([Wire, Debug], "offered-password")
            .theirs("debug: >>> 05 02 00 02\n")
            .ours("debug: >>> 05 01 00\n"),
    ]
}
