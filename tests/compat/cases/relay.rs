//! The session: which side ends it, and unusual standard streams.

use std::time::Duration;

use crate::case::Aspect::{Debug, Exit, Output, Wire};
use crate::case::{Case, case};
use crate::kit::script;
use crate::peers::target;

const ARGS: &str = "127.0.0.1 {target.port}";

pub(super) fn cases() -> Vec<Case> {
    let many = "0123456789abcde\n".repeat(12_500);
    vec![
        case("relay: half-close by the local end", ARGS)
            .peer("target", script().drain().send("after\n"))
            .input("ping\n")
            .ok()
            .both("target 1 got: \"ping\\n\"")
            .both("stdout: \"after\\n\""),
        case("relay: half-close by the local end before much data arrives", ARGS)
            .peer("target", script().drain().send(&many))
            .input("ping\n")
            .ok()
            .both("stdout: 200000 bytes"),
        case("relay: the remote end closes", ARGS)
            .peer("target", script().send("bye\n"))
            .input_stays_open("")
            .ok()
            .both("stdout: \"bye\\n\""),
        case("relay: the remote end closes after an answer", ARGS)
            .peer("target", script().expect_bytes(5).send("bye\n"))
            .input_stays_open("ping\n")
            .ok()
            .both("target 1 got: \"ping\\n\"")
            .both("stdout: \"bye\\n\""),
        case("relay: much data both ways", ARGS)
            .peer("target", script().send(&many).drain())
            .input(&many)
            .ok()
            .both("stdout: 200000 bytes")
            .both("target 1 got: 200000 bytes"),
        case("relay: all byte values", ARGS)
            .peer("target", script().send((0..=255).collect::<Vec<u8>>()).drain())
            .input((0..=255).collect::<Vec<u8>>())
            .ok()
            .both("\\x00\\x01\\x02"),
        case("relay: no data", ARGS).peer("target", script()).ok().both("stdout: \"\""),
        case("relay: stdin from /dev/null", ARGS)
            .redirected("</dev/null")
            .peer("target", script().drain().send("bye\n"))
            .ok()
            .both("stdout: \"bye\\n\""),
        case("relay: a reset", ARGS)
            .peer("target", script().send("part\n").pause(Duration::from_millis(200)).reset())
            .input_stays_open("")
            .differs([Exit], "reset")
            .theirs("exit: zero")
            .theirs("stdout: \"part\\n\"")
            .ours("exit: not zero")
            .ours("stdout: \"part\\n\""),
        case("relay: stdin closed", ARGS)
            .redirected("<&-")
            .peer("target", script().send("hello\n").drain())
            .theirs_hangs()
            .differs([Exit, Output], "closed-descriptors")
            .theirs("exit: none")
            .ours("exit: zero")
            .ours("stdout: \"hello\\n\""),
        case("relay: stdout closed", ARGS)
            .redirected(">&-")
            .input_stays_open("")
            .peer("target", script().send("hello\n").drain())
            .theirs_hangs()
            .differs([Exit, Wire], "closed-descriptors")
            .theirs("target 1 got: \"hello\\n")
            .ours("exit: not zero")
            .ours("target 1 got: \"\""),
        case("relay: stderr closed, with -d", "-d 127.0.0.1 {target.port}")
            .redirected("2>&-")
            .peer("target", script().drain().send("hello\n"))
            .differs([Exit, Output, Wire], "closed-descriptors")
            .theirs("DEBUG: ")
            .ours("target 1 got: \"\"")
            .ours("exit: zero"),
        case("relay: stdout to /dev/full", ARGS).redirected(">/dev/full").peer("target", target()).fails(),
        case("relay: the debug lines of a session", "-d 127.0.0.1 {target.port}")
            .peer("target", target())
            .ok()
            .both("debug: connected\ndebug: start relaying.\ndebug: relaying done.\n"),
        case("relay: a dump of the session", "-dd 127.0.0.1 {target.port}")
            .peer("target", script().drain().send("HELLO\n"))
            .input("ping\n")
            .ok()
            .differs([Debug], "debug-dump")
            .theirs("debug: >>> 70 69 6e 67 0a\n")
            .ours("debug: start relaying."),
    ]
}
