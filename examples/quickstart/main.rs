//! Quick start: `cargo run --release --example quickstart`
//!
//! Shows the main job of `connect`: acting as ssh's `ProxyCommand`. The example starts a server
//! that speaks first, as sshd does, and three small proxies in front of it. It runs the real
//! program through each proxy, prints the results, and then shows some failures. All traffic stays
//! on the loopback interface, on ports that the kernel chooses, and the example exits on its own.
//!
//! - this file: the tour, step by step
//! - `program.rs`: builds the program and runs it as ssh would, over pipes
//! - `peers.rs`: the greeting server and the proxies
//! - `screen.rs`: the layout of the output, and the count of checks
//! - `tests/kit/proxy.rs`: the server side of SOCKS5 and HTTP, shared with the tests

mod peers;
mod program;
#[path = "../../tests/kit/proxy.rs"]
mod proxy;
mod screen;

use std::io;
use std::process::ExitCode;

use peers::{BANNER, PASSWORD, Proxy, SERVER, USER};
use program::{Call, Outcome, Program};
use screen::{BOLD, DIM, PLAIN, Screen};

const LINE: &str = "hello through the proxy\n";
const SOCKS_LOGIN: &[(&str, &str)] = &[("SOCKS5_USER", USER), ("SOCKS5_PASSWORD", PASSWORD)];
const HTTP_LOGIN: &[(&str, &str)] = &[("HTTP_PROXY_USER", USER), ("HTTP_PROXY_PASSWORD", PASSWORD)];
const WRONG_LOGIN: &[(&str, &str)] = &[("HTTP_PROXY_USER", USER), ("HTTP_PROXY_PASSWORD", "guess")];

fn main() -> ExitCode {
    let mut screen = Screen::new();
    if let Err(error) = tour(&mut screen) {
        screen.check(false, &format!("the tour ended early: {error}"));
    }
    if screen.all_passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tour(screen: &mut Screen) -> io::Result<()> {
    screen.say("", BOLD, "connect: quick start, all on this machine");
    screen.rule();
    let program = Program::locate()?;
    screen.say("building  ", PLAIN, &program.to_string());
    program.build()?;
    let server = peers::greeting_server()?;
    let names = format!("{server}; the proxies know it as {SERVER}");
    screen.say("server    ", PLAIN, &names);

    screen.step("Through a SOCKS5 proxy");
    let proxy = Proxy::start(peers::socks5, server)?;
    let call = Call::new(&[], "-S", proxy.address);
    talk(screen, &program, &call, &proxy, "no login")?;

    screen.step("SOCKS5 with user and password, and -d for debug output");
    let proxy = Proxy::start(peers::socks5_with_login, server)?;
    let call = Call::new(SOCKS_LOGIN, "-dS", proxy.address);
    let outcome = talk(screen, &program, &call, &proxy, "user alice")?;
    let logged = outcome.stderr.contains("DEBUG: start relaying.");
    let hidden = !outcome.stderr.contains(PASSWORD);
    screen.check(logged && hidden, "-d logged the steps, but not the password");

    screen.step("HTTP CONNECT with user and password");
    let proxy = Proxy::start(peers::http_with_login, server)?;
    let call = Call::new(HTTP_LOGIN, "-H", proxy.address);
    talk(screen, &program, &call, &proxy, "user alice by Basic")?;

    screen.step("The same command again: 16 MiB in both directions at once");
    transfer(screen, &program, &call)?;

    screen.step("Failures: a wrong password, then a proxy that is down");
    let call = Call::new(WRONG_LOGIN, "-H", proxy.address);
    fail(screen, &program, &call, 6, "authentication failed")?;
    let call = Call::new(&[], "-S", peers::unused_address()?);
    fail(screen, &program, &call, 4, "proxy or target unreachable")
}

/// Runs one small session: banner, a line and its echo, half-close, farewell, EOF.
fn talk(
    screen: &mut Screen,
    program: &Program,
    call: &Call,
    proxy: &Proxy,
    login: &str,
) -> io::Result<Outcome> {
    screen.command(call);
    let outcome = program.run(call, LINE.as_bytes())?;
    let stderr = outcome.stderr.lines();
    stderr.filter(|line| is_of_interest(line)).for_each(|line| screen.say("     ", DIM, line));
    for (number, line) in String::from_utf8_lossy(&outcome.stdout).lines().enumerate() {
        screen.say("     ← ", PLAIN, line);
        if number == 0 {
            screen.say("     → ", PLAIN, LINE.trim_end());
        }
    }
    let exact = outcome.stdout == answer_to(LINE.as_bytes());
    screen.check(exact, "banner, echo, farewell: every byte, then EOF");
    let (request, expected) = (proxy.latest_request(), format!("CONNECT {SERVER}, {login}"));
    screen.check(request == expected, &format!("the proxy received: {request}"));
    screen.check(outcome.is_clean(), &outcome.ending());
    Ok(outcome)
}

/// Transfers 16 MiB. The server echoes while it reads, so both directions are busy at once.
fn transfer(screen: &mut Screen, program: &Program, call: &Call) -> io::Result<()> {
    let payload = noise(16 << 20);
    let outcome = program.run(call, &payload)?;
    outcome.stderr.lines().for_each(|line| screen.say("     ", DIM, line));
    let exact = outcome.stdout == answer_to(&payload);
    let (sent, received) = (payload.len(), outcome.stdout.len());
    screen.check(exact, &format!("{sent} bytes up, the same bytes down ({received} with greetings)"));
    screen.check(outcome.is_clean(), &outcome.ending());
    Ok(())
}

/// Expects a failure: one line on stderr, an exit code, and nothing on stdout for ssh to read.
fn fail(screen: &mut Screen, program: &Program, call: &Call, code: i32, meaning: &str) -> io::Result<()> {
    screen.command(call);
    let outcome = program.run(call, LINE.as_bytes())?;
    outcome.stderr.lines().for_each(|line| screen.say("     ", DIM, line));
    let one_line = outcome.stderr.starts_with("connect: ") && outcome.stderr.lines().count() == 1;
    screen.check(one_line && outcome.stdout.is_empty(), "one line on stderr, nothing on stdout");
    let ending = format!("{}; {code} means {meaning}", outcome.ending());
    screen.check(outcome.code == Some(code), &ending);
    Ok(())
}

/// Returns `true` for ordinary messages, and for the debug lines that show the main steps.
fn is_of_interest(line: &str) -> bool {
    const STEPS: &str = "relay_method|connecting to|>>> xx|<<< 01|start relaying";
    let is_step = |text: &str| STEPS.split('|').any(|start| text.starts_with(start));
    line.strip_prefix("DEBUG: ").is_none_or(is_step)
}

/// Returns everything the server sends to a client that sends `request` and then half-closes.
fn answer_to(request: &[u8]) -> Vec<u8> {
    let farewell = peers::farewell(request.len());
    [BANNER.as_bytes(), request, farewell.as_bytes()].concat()
}

/// Returns pseudorandom bytes without a short period, so that lost or repeated blocks are detected.
fn noise(length: usize) -> Vec<u8> {
    let next = |number: &u32| Some(number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    let numbers = std::iter::successors(Some(1), next).take(length);
    numbers.map(|number| number.to_be_bytes()[0]).collect()
}
