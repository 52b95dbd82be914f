//! The command line: options, their values, and the words after them.

use crate::case::Aspect::{Debug, Exit, Output, Wire};
use crate::case::{Case, case};
use crate::peer::{socks4, socks5, talk, target};

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
    let two = |name, words| case(name, words).peer("first", socks5()).peer("second", socks5());
    vec![
        case("words: direct without an option", "-d 127.0.0.1 {target.port}")
            .peer("target", target())
            .input("ping\n")
            .ok()
            .both("debug: relay_method = DIRECT (1)")
            .both("target 1 got: \"ping\\n\"")
            .both("stdout: \"HELLO\\n\""),
        case("words: direct with -n", "-d -n 127.0.0.1 {target.port}")
            .peer("target", target())
            .input("ping\n")
            .ok()
            .both("debug: relay_method = DIRECT (1)")
            .both("stdout: \"HELLO\\n\""),
        case("words: without -d there are no debug lines", "-S {proxy} host.example 22")
            .peer("proxy", socks5())
            .ok()
            .both("stdout: \"HELLO\\n\""),
        two("words: the last method wins, -n last", "-d -S {first} -n 127.0.0.1 {direct.port}")
            .peer("direct", target())
            .ok()
            .both("debug: relay_method = DIRECT (1)")
            .both("direct 1 got"),
        two("words: the last method wins, -S after -n", "-d -n -S {first} host.example 22")
            .ok()
            .both(TO_FIRST),
        two("words: the last method wins, -S after -H", "-d -H {second} -S {first} host.example 22")
            .ok()
            .both(TO_FIRST),
        two("words: the last method wins, -H after -S", "-d -S {second} -H {refused} host.example 22")
            .fails()
            .both("debug: relay_method = HTTP (3)")
            .both("debug: relay_port={refused}"),
        two("words: the last method wins, -T after -S", "-d -S {second} -T {refused} host.example 22")
            .fails()
            .both("debug: relay_method = TELNET (4)")
            .both("debug: relay_port={refused}"),
        two("words: of two specifications the last counts", "-d -S {first} -S {second} host.example 22")
            .ok()
            .both(TO_SECOND),
        two(
            "words: the value of another method is not used",
            "-d -S {first} -H {refused} -s host.example 22",
        )
        .env("SOCKS_SERVER", "{second}")
        .differs([Exit, Output, Wire, Debug], "own-value")
        .theirs("exit: not zero")
        .theirs("debug: relay_port={refused}")
        .ours("exit: zero")
        .ours(TO_SECOND),
        case("words: -4 -5, the last counts", "-d -4 -5 -S {proxy} host.example 22")
            .peer("proxy", socks5())
            .ok()
            .both("debug: socks_version=5"),
        case("words: -5 -4, the last counts", "-d -5 -4 -S {proxy} host.example 22")
            .peer("proxy", socks4())
            .ok()
            .both("debug: socks_version=4"),
        case("words: -4 means nothing without a proxy", "-d -4 127.0.0.1 {target.port}")
            .peer("target", target())
            .ok()
            .both("debug: relay_method = DIRECT (1)"),
        case("words: -D is unknown to 1.105", "-D -S {proxy} 127.0.0.1 {target.port}")
            .peer("proxy", socks5())
            .peer("target", target())
            .differs([Exit, Output, Wire], "own-networks")
            .theirs("exit: not zero")
            .ours("target 1 got")
            .ours("exit: zero"),
    ]
}

fn clusters() -> Vec<Case> {
    let over = |name, words| case(name, words).peer("proxy", socks5()).ok().both("debug: relay_port={proxy}");
    let lacks = |name, words| case(name, words).fails();
    vec![
        over("words: a value after a cluster", "-dS {proxy} host.example 22"),
        over("words: a value taken from inside a cluster", "-Sd {proxy} host.example 22"),
        over("words: two values for one cluster", "-d -SR {proxy} both host.example 22")
            .both("debug: socks_resolve=BOTH (3)"),
        over("words: four values for one cluster", "-dSRwa {proxy} both 3 none host.example 22")
            .both("debug: >>> 05 01 00\n"),
        over("words: a flag after a letter with a value", "-dS5 {proxy} host.example 22"),
        over("words: -w5 3 takes the next word", "-d -S {proxy} -w5 3 host.example 22"),
        over("words: a lone - is skipped", "-d - -S {proxy} host.example 22"),
        case("words: -ddd is as good as -d before the session", "-ddd -S {refused} host.example 22")
            .fails()
            .both("debug: relay_method = SOCKS (2)"),
        case("words: an attached value", "-d -S{proxy} host.example 22")
            .peer("proxy", socks5())
            .differs([Exit, Output, Wire, Debug], "attached-values")
            .theirs("exit: not zero")
            .ours("exit: zero")
            .ours("debug: relay_port={proxy}"),
        case("words: an attached number", "-w5 -S {proxy} host.example 22")
            .peer("proxy", socks5())
            .differs([Exit, Output, Wire], "attached-values")
            .theirs("exit: not zero")
            .ours("exit: zero"),
        lacks("words: -S without a value", "-S"),
        lacks("words: -H without a value", "-H"),
        lacks("words: -T without a value", "-T"),
        lacks("words: -c without a value", "-c"),
        lacks("words: -R without a value", "-R"),
        lacks("words: -w without a value", "-w"),
        lacks("words: -a without a value", "-a"),
        lacks("words: -p without a value", "-p"),
        lacks("words: -P without a value", "-P"),
        lacks("words: an unknown option", "-X 127.0.0.1 22"),
        lacks("words: an unknown option in a cluster", "-nX 127.0.0.1 22"),
    ]
}

fn ends() -> Vec<Case> {
    let extra = |name, words| {
        case(name, words)
            .peer("target", target())
            .differs([Exit, Output, Wire], "extra-words")
            .theirs("exit: zero")
            .theirs("stdout: \"HELLO\\n\"")
            .ours("exit: not zero")
    };
    let said = |name, words| {
        case(name, words)
            .differs([Output], "version-stdout")
            .ok()
            .theirs("stdout: \"\"")
            .ours("stdout: \"connect ")
    };
    let long = |name, words| {
        case(name, words).differs([Exit, Output], "long-options").theirs("exit: not zero").ours("exit: zero")
    };
    vec![
        said("words: none at all", ""),
        said("words: -V", "-V"),
        said("words: -V among others", "-dV 127.0.0.1 22"),
        long("words: --version", "--version").ours("stdout: \"connect "),
        long("words: --help", "--help").ours(" bytes, sum "),
        case("words: -- ends the options", "-- 127.0.0.1 {target.port}")
            .peer("target", target())
            .differs([Exit, Output, Wire], "long-options")
            .theirs("exit: not zero")
            .ours("exit: zero")
            .ours("stdout: \"HELLO\\n\""),
        extra("words: a word after the port", "127.0.0.1 {target.port} more"),
        extra("words: an option after the port", "127.0.0.1 {target.port} -d"),
        case("words: only options", "-n")
            .differs([Exit], "no-host")
            .theirs("exit: zero")
            .ours("exit: not zero"),
        case("words: a host, no port", "127.0.0.1").called("connect").fails(),
    ]
}

fn resolving() -> Vec<Case> {
    let over = |name, words| case(name, words).peer("proxy", socks5()).ok();
    vec![
        over("words: -R remote", "-d -R remote -S {proxy} ten.example 22")
            .both("debug: socks_resolve=REMOTE (2)")
            .both("\\x05\\x01\\x00\\x03\\x0bten.example\\x00\\x16"),
        over("words: -R local", "-d -R local -S {proxy} ten.example 22")
            .both("debug: socks_resolve=LOCAL (1)")
            .both("\\x05\\x01\\x00\\x01\\n\\x01\\x02\\x03\\x00\\x16"),
        over("words: -R in capitals", "-d -R LOCAL -S {proxy} ten.example 22")
            .both("debug: socks_resolve=LOCAL (1)"),
        over("words: -R both, a name that only the proxy knows", "-d -R both -S {proxy} host.example 22")
            .both("debug: socks_resolve=BOTH (3)")
            .both("\\x03\\x0chost.example"),
        over("words: -R both, a name known here", "-d -R both -S {proxy} ten.example 22")
            .differs([Wire, Debug], "resolve-both")
            .theirs("\\x03\\x0bten.example")
            .ours("\\x05\\x01\\x00\\x01\\n\\x01\\x02\\x03\\x00\\x16"),
        case("words: -R local, and the name is unknown", "-d -R local -S {proxy} host.example 22")
            .peer("proxy", socks5())
            .differs([Exit, Output, Wire, Debug], "resolve-local")
            .theirs("exit: zero")
            .theirs("\\x03\\x0chost.example")
            .ours("exit: not zero"),
        case("words: -R with a word that it does not know", "-d -R garbage -S {proxy} host.example 22")
            .peer("proxy", socks5())
            .differs([Exit, Output, Wire, Debug], "resolve-words")
            .theirs("exit: zero")
            .theirs("debug: socks_resolve=REMOTE (2)")
            .ours("exit: not zero"),
        case("words: -R with a name server", "-R {dns} -S {proxy} host.example 22")
            .peer("proxy", socks5())
            .ok()
            .differs([Wire], "name-server")
            .theirs("\\x03\\x0chost.example")
            .ours("\\x05\\x01\\x00\\x01\\n\\t\\t\\t\\x00\\x16"),
        case("words: -R with a name server, over SOCKS4", "-4 -R {dns} -S {proxy} host.example 22")
            .peer("proxy", socks4())
            .ok()
            .differs([Wire], "name-server")
            .theirs("root\\x00host.example\\x00")
            .ours("\\x04\\x01\\x00\\x16\\n\\t\\t\\troot\\x00"),
        case("words: -R means nothing to an HTTP proxy", "-d -R local -H {refused} ten.example 22")
            .fails()
            .both("debug: relay_method = HTTP (3)"),
    ]
}

fn waiting() -> Vec<Case> {
    vec![
        case(
            "words: -w ends a dial that hangs",
            "-w 1 {silent.host} {silent.port}".replace("{silent.host}", "127.0.0.1").as_str(),
        )
        .fails()
        .both("stdout: \"\""),
        case("words: -w ends a dial to a proxy that hangs", "-w 1 -S {silent} host.example 22").fails(),
        case("words: -w ends a wait for a SOCKS proxy", "-d -w 1 -S {proxy} host.example 22")
            .peer("proxy", talk().till_end())
            .fails()
            .both("debug: >>> 05 02 00 02"),
        case("words: -w ends a wait for an HTTP proxy", "-w 1 -H {proxy} host.example 22")
            .peer("proxy", talk().till_end())
            .over_http()
            .fails(),
        case("words: -w ends a wait for a telnet-style proxy", "-w 1 -T {proxy} host.example 22")
            .peer("proxy", talk().till_end())
            .fails(),
        case("words: -w does not limit the session", "-w 1 127.0.0.1 {target.port}")
            .peer("target", talk().pause(1500).send("late\n"))
            .ok()
            .both("stdout: \"late\\n\""),
        case("words: -w 0 is no limit", "-w 0 127.0.0.1 {target.port}").peer("target", target()).ok(),
        case("words: -w takes a number", "-w soon 127.0.0.1 {target.port}")
            .peer("target", target())
            .differs([Exit, Output, Wire], "wait-numbers")
            .theirs("exit: zero")
            .ours("exit: not zero"),
    ]
}

fn auth() -> Vec<Case> {
    let offers = |name, words, greeting| {
        case(name, words).peer("proxy", talk().greeting().send([5, 255])).fails().both(greeting)
    };
    vec![
        offers(
            "words: what is offered by default",
            "-d -S {proxy} host.example 22",
            "debug: >>> 05 02 00 02\n",
        ),
        offers("words: -a none", "-d -a none -S {proxy} host.example 22", "debug: >>> 05 01 00\n"),
        offers("words: -a userpass", "-d -a userpass -S {proxy} host.example 22", "debug: >>> 05 01 02\n"),
        offers(
            "words: -a userpass,none",
            "-d -a userpass,none -S {proxy} host.example 22",
            "debug: >>> 05 02 02 00\n",
        ),
        offers(
            "words: -a with blanks",
            "-d -a 'none , userpass' -S {proxy} host.example 22",
            "debug: >>> 05 02 00 02\n",
        ),
        case("words: -a with a method that does not exist", "-a bogus -S {proxy} host.example 22")
            .peer("proxy", socks5())
            .differs([Wire], "auth-checked")
            .fails()
            .theirs("proxy 1 got: \"\"")
            .ours("exit: not zero"),
        case(
            "words: -a with a method that nobody can carry out",
            "-a gssapi,none -S {proxy} host.example 22",
        )
        .peer("proxy", socks5())
        .differs([Exit, Output, Wire], "auth-unable")
        .theirs("\\x05\\x02\\x01\\x00")
        .theirs("exit: zero")
        .ours("exit: not zero"),
        case("words: -a chap", "-a chap -S {proxy} host.example 22")
            .peer("proxy", talk().greeting().send([5, 3]))
            .differs([Wire], "auth-unable")
            .fails()
            .theirs("\\x05\\x01\\x03")
            .ours("exit: not zero"),
        case("words: -a in capitals", "-a NONE -S {proxy} host.example 22")
            .peer("proxy", socks5())
            .differs([Exit, Output, Wire], "auth-case")
            .theirs("exit: not zero")
            .ours("exit: zero"),
        case("words: -a means nothing without a SOCKS proxy", "-a none 127.0.0.1 {target.port}")
            .peer("target", target())
            .ok(),
        case("words: a login is used only when asked for", "-d -S bob@{proxy} host.example 22")
            .peer("proxy", socks5())
            .ok()
            .both("debug: <<< 05 00\n"),
        case("words: what is offered by somebody without a password", "-d -S bob@{proxy} host.example 22")
            .without_password()
            .peer("proxy", socks5())
            .ok()
            .differs([Wire, Debug], "offered-password")
            .theirs("debug: >>> 05 02 00 02\n")
            .ours("debug: >>> 05 01 00\n"),
    ]
}
