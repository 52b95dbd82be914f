//! The session: which end ends it.

use crate::case::Aspect::{Debug, Exit, Output, Wire};
use crate::case::{Case, case};
use crate::peer::{talk, target};

const WORDS: &str = "127.0.0.1 {target.port}";

pub(super) fn cases() -> Vec<Case> {
    let many = "0123456789abcde\n".repeat(12_500);
    vec![
        case("relay: the local end is passed on", WORDS)
            .peer("target", talk().till_end().send("after\n"))
            .input("ping\n")
            .ok()
            .both("target 1 got: \"ping\\n\"")
            .both("stdout: \"after\\n\""),
        case("relay: the local end, and much still comes", WORDS)
            .peer("target", talk().till_end().send(&many))
            .input("ping\n")
            .ok()
            .both("stdout: 200000 bytes"),
        case("relay: the remote end ends it", WORDS)
            .peer("target", talk().send("bye\n"))
            .input_stays_open("")
            .ok()
            .both("stdout: \"bye\\n\""),
        case("relay: the remote end after a word", WORDS)
            .peer("target", talk().read(5).send("bye\n"))
            .input_stays_open("ping\n")
            .ok()
            .both("target 1 got: \"ping\\n\"")
            .both("stdout: \"bye\\n\""),
        case("relay: much both ways", WORDS)
            .peer("target", talk().send(&many).till_end())
            .input(&many)
            .ok()
            .both("stdout: 200000 bytes")
            .both("target 1 got: 200000 bytes"),
        case("relay: all byte values", WORDS)
            .peer("target", talk().send((0..=255).collect::<Vec<u8>>()).till_end())
            .input((0..=255).collect::<Vec<u8>>())
            .ok()
            .both("\\x00\\x01\\x02"),
        case("relay: nothing at all", WORDS).peer("target", talk()).ok().both("stdout: \"\""),
        case("relay: stdin is /dev/null", WORDS)
            .redirected("</dev/null")
            .peer("target", talk().till_end().send("bye\n"))
            .ok()
            .both("stdout: \"bye\\n\""),
        case("relay: a reset", WORDS)
            .peer("target", talk().send("part\n").pause(200).reset())
            .input_stays_open("")
            .differs([Exit], "reset")
            .theirs("exit: zero")
            .theirs("stdout: \"part\\n\"")
            .ours("exit: not zero")
            .ours("stdout: \"part\\n\""),
        case("relay: stdin is closed", WORDS)
            .redirected("<&-")
            .peer("target", talk().send("hello\n").till_end())
            .theirs_hangs()
            .differs([Exit, Output], "closed-descriptors")
            .theirs("exit: none")
            .ours("exit: zero")
            .ours("stdout: \"hello\\n\""),
        case("relay: stdout is closed", WORDS)
            .redirected(">&-")
            .input_stays_open("")
            .peer("target", talk().send("hello\n").till_end())
            .theirs_hangs()
            .differs([Exit, Wire], "closed-descriptors")
            .theirs("target 1 got: \"hello\\n")
            .ours("exit: not zero")
            .ours("target 1 got: \"\""),
        case("relay: stderr is closed, with -d", "-d 127.0.0.1 {target.port}")
            .redirected("2>&-")
            .peer("target", talk().till_end().send("hello\n"))
            .differs([Exit, Output, Wire], "closed-descriptors")
            .theirs("DEBUG: ")
            .ours("target 1 got: \"\"")
            .ours("exit: zero"),
        case("relay: stdout is full", WORDS).redirected(">/dev/full").peer("target", target()).fails(),
        case("relay: the debug lines of a session", "-d 127.0.0.1 {target.port}")
            .peer("target", target())
            .ok()
            .both("debug: connected\ndebug: start relaying.\ndebug: relaying done.\n"),
        case("relay: a dump of the session", "-dd 127.0.0.1 {target.port}")
            .peer("target", talk().till_end().send("HELLO\n"))
            .input("ping\n")
            .ok()
            .differs([Debug], "debug-dump")
            .theirs("debug: >>> 70 69 6e 67 0a\n")
            .ours("debug: start relaying."),
    ]
}
