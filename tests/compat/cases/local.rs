//! Local ports: `-p` and `-P`.

use std::time::Duration;

use crate::case::Aspect::{Debug, Exit, Output, Wire};
use crate::case::{Case, case};
use crate::kit::script;
use crate::peers::socks5;

const LISTEN: &str = "-d -p {local} 127.0.0.1 {target.port}";

pub(super) fn cases() -> Vec<Case> {
    let echo = || script().expect_bytes(5).send("pong\n").drain();
    let waits = |name, args| {
        case(name, args)
            .peer("target", script().drain())
            .client_comes_late()
            .client(script().send("ping\n").half_close().drain())
    };
    vec![
        case("local: a session", LISTEN)
            .input_stays_open("")
            .peer("target", echo())
            .client(script().send("ping\n").expect_bytes(5).half_close().drain())
            .ok()
            .both("debug: local_type=socket")
            .both("debug: local_port={local}")
            .both("target 1 got: \"ping\\n\"")
            .both("client got: \"pong\\n\"")
            .both("stdout: \"\""),
        case("local: a session through a proxy", "-p {local} -S {proxy} host.example 22")
            .input_stays_open("")
            .peer("proxy", socks5())
            .client(script().expect_bytes(6).send("ping\n").half_close().drain())
            .ok()
            .both("client got: \"HELLO\\n\"")
            .both("\\x00\\x16ping\\n"),
        case("local: the remote end closes", LISTEN)
            .input_stays_open("")
            .peer("target", script().send("bye\n"))
            .client(script().drain())
            .ok()
            .both("client got: \"bye\\n\""),
        case("local: half-close by the client", LISTEN)
            .input_stays_open("")
            .peer("target", script().drain().send("late\n"))
            .client(script().send("ping\n").half_close().drain())
            .ok()
            .both("client got: \"late\\n\""),
        case("local: EOF on stdin during the session", LISTEN)
            .peer("target", echo())
            .input_stays_open("")
            .client(script().send("ping\n").expect_bytes(5).half_close().drain())
            .ok()
            .both("client got: \"pong\\n\""),
        case("local: a client from another address", LISTEN)
            .input_stays_open("")
            .peer("target", echo())
            .client(script().send("ping\n").expect_bytes(5).half_close().drain())
            .client_comes_late()
            .client_from_outside()
            .differs([Output, Wire], "local-loopback")
            .theirs("client got: \"(reached from outside)")
            .ours("client got: \"(not reached from outside) pong\\n"),
        case("local: the target refuses the connection", "-d -p {local} 127.0.0.1 {refused.port}")
            .input_stays_open("")
            .client(script().drain())
            .fails()
            .both("client got: \"\""),
        case("local: the port is in use", "-p {target.port} 127.0.0.1 {refused.port}")
            .input_stays_open("")
            .peer("target", script())
            .fails(),
        waits("local: EOF on stdin while waiting for a client", LISTEN)
            .differs([Output, Wire, Debug], "local-stdin")
            .theirs("client got: \"(no connection)\"")
            .ours("exit: zero"),
        case("local: an unknown service as the port", "-p nosuch 127.0.0.1 {refused.port}")
            .differs([Exit], "local-port-invalid")
            .theirs("exit: zero")
            .ours("exit: not zero"),
        case("local: port 99999", "-p 99999 127.0.0.1 {refused.port}")
            .differs([Exit], "local-port-invalid")
            .theirs("exit: zero")
            .ours("exit: not zero"),
        case("local: -P, EOF on stdin while waiting for a client", "-d -P {local} 127.0.0.1 {refused.port}")
            .ok()
            .both("debug: local_port={local}"),
        case("local: -P keeps the remote session", "-P {local} 127.0.0.1 {target.port}")
            .input_stays_open("")
            .peer("target", script().expect_bytes(5).send("pong\n").pause(Duration::from_millis(300)))
            .client(script().send("ping\n").expect_bytes(5))
            .differs([Exit], "local-kept")
            .theirs("exit: not zero")
            .ours("exit: zero")
            .ours("client got: \"pong\\n\""),
    ]
}
