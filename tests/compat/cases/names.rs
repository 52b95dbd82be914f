//! Hosts and ports, as arguments and from the program name.

use crate::case::Aspect::{Debug, Exit, Output, Wire};
use crate::case::{Case, case};
use crate::peers::{socks4, socks5, target};

pub(super) fn cases() -> Vec<Case> {
    let mut all = ports();
    all.extend(program_names());
    all.extend(hosts());
    all
}

fn ports() -> Vec<Case> {
    let wraps = |name, args| {
        case(name, args)
            .peer("proxy", socks5())
            .differs([Exit, Output, Wire, Debug], "port-range")
            .theirs("exit: zero")
            .ours("exit: not zero")
    };
    let bad = |name, args| case(name, args).called("connect").fails();
    vec![
        case("port: a service", "-d -S {proxy} host.example ssh")
            .peer("proxy", socks5())
            .ok()
            .both("debug: dest_port=22")
            .both("host.example\\x00\\x16"),
        case("port: another service", "-d -S {proxy} host.example smtp")
            .peer("proxy", socks5())
            .ok()
            .both("debug: dest_port=25"),
        case("port: leading zeros", "-d -S {proxy} host.example 022")
            .peer("proxy", socks5())
            .ok()
            .both("debug: dest_port=22"),
        case("port: 65535", "-d -S {proxy} host.example 65535")
            .peer("proxy", socks5())
            .ok()
            .both("debug: dest_port=65535")
            .both("host.example\\xff\\xff"),
        wraps("port: 65558", "-d -S {proxy} host.example 65558").theirs("debug: dest_port=22"),
        bad("port: 65536", "-S {refused} host.example 65536"),
        bad("port: 0", "-S {refused} host.example 0"),
        bad("port: an unknown service", "-S {refused} host.example nosuch"),
        bad("port: a number followed by a letter", "-S {refused} host.example 22x"),
        bad("port: negative", "-S {refused} host.example -1"),
        bad("port: empty", "-S {refused} host.example ''"),
    ]
}

fn program_names() -> Vec<Case> {
    let named = |name, called, port| {
        case(name, "-d -S {proxy} host.example").called(called).peer("proxy", socks5()).ok().both(port)
    };
    let none = |name, called| case(name, "-S {refused} host.example").called(called).fails();
    vec![
        named("program name: connect-25", "connect-25", "debug: dest_port=25"),
        named("program name: connect-25.exe", "connect-25.exe", "debug: dest_port=25"),
        named("program name: connect-25.tar.gz", "connect-25.tar.gz", "debug: dest_port=25"),
        named("program name: connect-smtp", "connect-smtp", "debug: dest_port=25"),
        named("program name: connect-smtp.exe", "connect-smtp.exe", "debug: dest_port=25"),
        case("program name: a port argument wins", "-d -S {proxy} host.example 80")
            .called("connect-25")
            .peer("proxy", socks5())
            .ok()
            .both("debug: dest_port=80"),
        case("program name: an unknown service with a port argument", "-d -S {proxy} host.example 80")
            .called("connect-nosuch")
            .peer("proxy", socks5())
            .ok()
            .both("debug: dest_port=80"),
        case("program name: connect-proxy with a port argument", "-d -S {proxy} host.example 80")
            .called("connect-proxy")
            .peer("proxy", socks5())
            .ok()
            .both("debug: dest_port=80"),
        none("program name: connect", "connect"),
        none("program name: connect-proxy", "connect-proxy"),
        none("program name: an unknown service", "connect-nosuch"),
        none("program name: nothing after the hyphen", "connect-"),
        none("program name: port 0", "connect-0"),
        none("program name: no hyphen", "connect25"),
        case("program name: port 65561", "-d -S {proxy} host.example")
            .called("connect-65561")
            .peer("proxy", socks5())
            .differs([Exit, Output, Wire, Debug], "port-range")
            .theirs("debug: dest_port=25")
            .ours("exit: not zero"),
    ]
}

fn hosts() -> Vec<Case> {
    vec![
        case("host: a name", "-d loop.example {target.port}").peer("target", target()).ok()
            .both("debug: dest_host=loop.example").both("debug: connecting to 127.0.0.1:{target}"),
        case("host: an unknown name", "-d host.example {refused.port}").fails()
            .both("debug: dest_host=host.example"),
        case("host: connection refused", "-d 127.0.0.1 {refused.port}").fails().both("debug: connecting to 127.0.0.1:{refused}"),
        case("host: empty", "-S {proxy} '' 22").peer("proxy", socks5()).differs([Exit, Output, Wire], "empty-host").theirs("\\x03\\x00\\x00\\x16").ours("exit: not zero"),
        case("host: letter case is kept", "-S {proxy} Host.Example 22").peer("proxy", socks5()).ok()
            .both("Host.Example\\x00\\x16"),
        case("host: a final dot is kept", "-S {proxy} host.example. 22").peer("proxy", socks5()).ok()
            .both("host.example.\\x00\\x16"),
        case("host: an IPv4 address over SOCKS5", "-d -S {proxy} 10.1.2.3 22").peer("proxy", socks5()).ok()
            .differs([Wire, Debug], "address-as-address")
            .theirs("\\x03\\x0810.1.2.3").ours("\\x05\\x01\\x00\\x01\\n\\x01\\x02\\x03\\x00\\x16"),
        case("host: an IPv4 address over SOCKS5, resolved locally", "-R local -S {proxy} 10.1.2.3 22").peer("proxy", socks5())
            .ok().both("\\x05\\x01\\x00\\x01\\n\\x01\\x02\\x03\\x00\\x16"),
        case("host: an IPv4 address over SOCKS4", "-4 -S {proxy} 10.1.2.3 22").peer("proxy", socks4()).ok()
            .both("\\x04\\x01\\x00\\x16\\n\\x01\\x02\\x03root\\x00"),
        case("host: an IPv4 address over SOCKS4, resolved remotely", "-4 -R remote -S {proxy} 10.1.2.3 22")
            .peer("proxy", socks4()).ok().differs([Wire], "address-as-address").theirs("root\\x0010.1.2.3\\x00")
            .ours("\\x04\\x01\\x00\\x16\\n\\x01\\x02\\x03root\\x00"),
        case("host: an IPv6 address over SOCKS5", "-S {proxy} ::1 22").peer("proxy", socks5()).ok()
            .differs([Wire], "ipv6").theirs("\\x03\\x03::1")
            .ours("\\x05\\x01\\x00\\x04\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01\\x00\\x16"),
        case("host: an IPv6 address over SOCKS4", "-4 -S {proxy} ::1 22").peer("proxy", socks4()).differs([Exit, Output, Wire], "ipv6").theirs("exit: zero").theirs("::1\\x00").ours("exit: not zero"),
        case("host: an IPv6 address in brackets", "-S {proxy} [::1] 22").peer("proxy", socks5()).ok()
            .differs([Wire], "ipv6").theirs("\\x03\\x05[::1]").ours("\\x05\\x01\\x00\\x04"),
        case("host: an IPv6 address resolved locally", "-R local -S {proxy} six.example 22").peer("proxy", socks5()).ok()
            .differs([Wire], "ipv6").theirs("\\x03\\x0bsix.example").ours("\\x05\\x01\\x00\\x04"),
        case("host: host and port in one argument", "-S {proxy} host.example:22").peer("proxy", socks5())
            .called("connect").differs([Exit, Output, Wire], "one-word")
            .theirs("exit: not zero").ours("exit: zero").ours("\\x03\\x0chost.example\\x00\\x16"),
    ]
}
