//! Local ports: `-p` and `-P`.

use crate::case::Aspect::{Debug, Exit, Output, Wire};
use crate::case::{Case, case};
use crate::peer::{socks5, talk};

const LISTEN: &str = "-d -p {local} 127.0.0.1 {target.port}";

pub(super) fn cases() -> Vec<Case> {
    let echo = || talk().read(5).send("pong\n").till_end();
    let waits = |name, words| {
        case(name, words)
            .peer("target", talk().till_end())
            .client_comes_late()
            .client(talk().send("ping\n").till_end())
    };
    vec![
        case("local: a session", LISTEN)
            .input_stays_open("")
            .peer("target", echo())
            .client(talk().send("ping\n").read(5).half_close().till_end())
            .ok()
            .both("debug: local_type=socket")
            .both("debug: local_port={local}")
            .both("target 1 got: \"ping\\n\"")
            .both("client got: \"pong\\n\"")
            .both("stdout: \"\""),
        case("local: a session through a proxy", "-p {local} -S {proxy} host.example 22")
            .input_stays_open("")
            .peer("proxy", socks5())
            .client(talk().read(6).send("ping\n").half_close().till_end())
            .ok()
            .both("client got: \"HELLO\\n\"")
            .both("\\x00\\x16ping\\n"),
        case("local: the remote end ends it", LISTEN)
            .input_stays_open("")
            .peer("target", talk().send("bye\n"))
            .client(talk().till_end())
            .ok()
            .both("client got: \"bye\\n\""),
        case("local: the local end is passed on", LISTEN)
            .input_stays_open("")
            .peer("target", talk().till_end().send("late\n"))
            .client(talk().send("ping\n").half_close().till_end())
            .ok()
            .both("client got: \"late\\n\""),
        case("local: stdin ends in the session", LISTEN)
            .peer("target", echo())
            .input_stays_open("")
            .client(talk().send("ping\n").read(5).half_close().till_end())
            .ok()
            .both("client got: \"pong\\n\""),
        case("local: a client from outside", LISTEN)
            .input_stays_open("")
            .peer("target", echo())
            .client(talk().send("ping\n").read(5).half_close().till_end())
            .client_comes_late()
            .client_from_outside()
            .differs([Output, Wire], "local-loopback")
            .theirs("client got: \"(reached from outside)")
            .ours("client got: \"(not reached from outside) pong\\n"),
        case("local: nobody listens at the target", "-d -p {local} 127.0.0.1 {refused.port}")
            .input_stays_open("")
            .client(talk().till_end())
            .fails()
            .both("client got: \"\""),
        case("local: the port is in use", "-p {target.port} 127.0.0.1 {refused.port}")
            .input_stays_open("")
            .peer("target", talk())
            .fails(),
        waits("local: stdin ends while it waits", LISTEN)
            .differs([Output, Wire, Debug], "local-stdin")
            .theirs("client got: \"(no connection)\"")
            .ours("exit: zero"),
        case("local: a port that is none", "-p nosuch 127.0.0.1 {refused.port}")
            .differs([Exit], "local-port-words")
            .theirs("exit: zero")
            .ours("exit: not zero"),
        case("local: a port that is too great", "-p 99999 127.0.0.1 {refused.port}")
            .differs([Exit], "local-port-words")
            .theirs("exit: zero")
            .ours("exit: not zero"),
        case("local: -P, stdin ends while it waits", "-d -P {local} 127.0.0.1 {refused.port}")
            .ok()
            .both("debug: local_port={local}"),
        case("local: -P keeps the remote session", "-P {local} 127.0.0.1 {target.port}")
            .input_stays_open("")
            .peer("target", talk().read(5).send("pong\n").pause(300))
            .client(talk().send("ping\n").read(5))
            .differs([Exit], "local-kept")
            .theirs("exit: not zero")
            .ours("exit: zero")
            .ours("client got: \"pong\\n\""),
    ]
}
