//! Programs in a terminal.

use rustix::termios::Winsize;

use super::*;
use crate::waiting::Screen;

/// A program that echoes in capitals, and exits with status 4 after a `q`.
fn capitals() -> Target {
    let mut pending = b"ready".to_vec();
    let mut is_over = false;
    Box::new(move |connection, channel| {
        let mut buffer = [0; 1024];
        if let Some(count) = connection.read(channel, Source::Data, &mut buffer).unwrap() {
            is_over |= buffer[..count].contains(&b'q');
            pending.extend(buffer[..count].to_ascii_uppercase());
        }
        let count = connection.write(channel, &pending).unwrap();
        pending.drain(..count);
        if is_over && pending.is_empty() { exit(connection, channel, 4) } else { true }
    })
}

fn start(pty: &Pty, options: &str, operands: &str) -> (SshServer, Log, Running) {
    let (setup, log) = Host::new(|_| Some(capitals())).setup();
    let server = setup.start();
    let program = at(&server, options, operands).env("TERM", "vt220");
    let run = program.terminal(pty).stdin(pty.slave()).stdout(pty.slave()).stderr(pty.slave()).start();
    (server, log, run)
}

fn resize(pty: &Pty, columns: u16, rows: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&pty.master, size).unwrap();
}

#[test]
fn a_shell_gets_the_user_s_terminal() {
    let pty = Pty::new();
    resize(&pty, 80, 24);
    let (server, log, run) = start(&pty, "", "");
    let mut screen = Screen::new(&pty);
    screen.wait_has("ready");
    assert!(!pty.echoes(), "the terminal is in raw mode");
    assert_eq!(log.lines(), ["pty-req vt220 80x24", "shell"]);
    // Ctrl-C reaches the program as a character.
    (&pty.master).write_all(b"a\x03b").unwrap();
    screen.wait_has("A\x03B");
    resize(&pty, 132, 50);
    log.wait_for("window-change 132x50");
    (&pty.master).write_all(b"q").unwrap();
    run.finish().expect_code(4);
    assert!(pty.echoes(), "the settings of the terminal are restored");
    server.finish();
}

#[test]
fn escapes_follow_a_newline() {
    let pty = Pty::new();
    let (server, _, run) = start(&pty, "", "");
    let mut screen = Screen::new(&pty);
    screen.wait_has("ready");
    (&pty.master).write_all(b"x~.\r~?").unwrap();
    screen.wait_has("X~.\r");
    screen.wait_has("Supported escape sequences");
    (&pty.master).write_all(b"y\r~.").unwrap();
    run.finish().expect_code(255);
    screen.wait_has("as ~. requests");
    assert!(pty.echoes(), "the settings of the terminal are restored");
    server.finish();
}

#[test]
fn a_signal_restores_the_terminal() {
    let pty = Pty::new();
    let (server, log, run) = start(&pty, "", "");
    Screen::new(&pty).wait_has("ready");
    run.signal(Signal::TERM);
    run.finish().expect_code(255);
    Screen::new(&pty).wait_has("stopped by SIGTERM");
    assert!(pty.echoes(), "the settings of the terminal are restored");
    assert!(!log.has("signal TERM"));
    server.finish();
}

#[test]
fn the_user_decides_about_the_terminal() {
    for (options, operands, expected) in [
        ("--tty no", "", &["shell"][..]),
        ("", "ls", &["exec ls"]),
        ("--tty yes", "ls", &["pty-req vt220 80x24", "exec ls"]),
    ] {
        let pty = Pty::raw();
        resize(&pty, 80, 24);
        let (server, log, run) = start(&pty, options, operands);
        Screen::new(&pty).wait_has("ready");
        (&pty.master).write_all(b"q").unwrap();
        run.finish().expect_code(4);
        assert_eq!(log.lines(), expected, "{options}");
        server.finish();
    }
}
