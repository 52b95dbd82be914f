//! The user's terminal while a program at a server uses it.

use std::io;

use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, tcgetattr,
    tcgetwinsize, tcsetattr,
};

use super::RestoreTerminal;

/// The size of a terminal: columns, rows, and width and height in pixels.
pub type TerminalSize = (u32, u32, u32, u32);

/// `true` if a terminal can be requested for a program at a server.
pub const HAS_RAW_TERMINAL: bool = true;

/// Returns `true` if standard input is a terminal.
#[must_use]
pub fn input_is_terminal() -> bool {
    rustix::termios::isatty(rustix::stdio::stdin())
}

/// Returns the size of the terminal on standard input.
#[must_use]
pub fn terminal_size() -> Option<TerminalSize> {
    let size = tcgetwinsize(rustix::stdio::stdin()).ok()?;
    Some((size.ws_col.into(), size.ws_row.into(), size.ws_xpixel.into(), size.ws_ypixel.into()))
}

/// The terminal on standard input in raw mode: it passes on every character. Its settings are
/// restored when this is dropped, and if a signal ends the program.
#[derive(Debug)]
pub struct RawTerminal {
    before: Termios,
    _guard: RestoreTerminal,
}

impl RawTerminal {
    /// Changes the terminal to raw mode.
    ///
    /// # Errors
    /// Standard input is no terminal, or there is no controlling terminal.
    pub fn enter() -> io::Result<Self> {
        let stdin = rustix::stdio::stdin();
        let before = tcgetattr(stdin)?;
        let guard = RestoreTerminal::on_signals()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin, OptionalActions::Drain, &raw)?;
        Ok(Self { before, _guard: guard })
    }

    /// Sets whether XOFF and XON stop and continue the output at this terminal.
    pub fn set_flow_control(&self, enabled: bool) {
        let stdin = rustix::stdio::stdin();
        if let Ok(mut settings) = tcgetattr(stdin) {
            settings.input_modes.set(InputModes::IXON | InputModes::IXOFF, enabled);
            let _ = tcsetattr(stdin, OptionalActions::Now, &settings);
        }
    }

    /// Returns the terminal's settings before raw mode, as opcodes and values (RFC 4254 §8).
    #[must_use]
    pub fn modes(&self) -> Vec<(u8, u32)> {
        modes(&self.before)
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, &self.before);
    }
}

/// The opcodes of special characters (RFC 4254 §8).
const CHARACTERS: [(u8, SpecialCodeIndex); 11] = [
    (1, SpecialCodeIndex::VINTR),
    (2, SpecialCodeIndex::VQUIT),
    (3, SpecialCodeIndex::VERASE),
    (4, SpecialCodeIndex::VKILL),
    (5, SpecialCodeIndex::VEOF),
    (6, SpecialCodeIndex::VEOL),
    (7, SpecialCodeIndex::VEOL2),
    (8, SpecialCodeIndex::VSTART),
    (9, SpecialCodeIndex::VSTOP),
    (10, SpecialCodeIndex::VSUSP),
    (14, SpecialCodeIndex::VLNEXT),
];

/// The opcodes of input modes.
const INPUT: [(u8, InputModes); 10] = [
    (30, InputModes::IGNPAR),
    (31, InputModes::PARMRK),
    (32, InputModes::INPCK),
    (33, InputModes::ISTRIP),
    (34, InputModes::INLCR),
    (35, InputModes::IGNCR),
    (36, InputModes::ICRNL),
    (38, InputModes::IXON),
    (39, InputModes::IXANY),
    (40, InputModes::IXOFF),
];

/// The opcodes of local modes.
const LOCAL: [(u8, LocalModes); 10] = [
    (50, LocalModes::ISIG),
    (51, LocalModes::ICANON),
    (53, LocalModes::ECHO),
    (54, LocalModes::ECHOE),
    (55, LocalModes::ECHOK),
    (56, LocalModes::ECHONL),
    (57, LocalModes::NOFLSH),
    (58, LocalModes::TOSTOP),
    (59, LocalModes::IEXTEN),
    (60, LocalModes::ECHOCTL),
];

/// The opcodes of output modes.
const OUTPUT: [(u8, OutputModes); 4] =
    [(70, OutputModes::OPOST), (72, OutputModes::ONLCR), (73, OutputModes::OCRNL), (74, OutputModes::ONOCR)];

/// The opcodes of control modes.
const CONTROL: [(u8, ControlModes); 4] = [
    (90, ControlModes::CS7),
    (91, ControlModes::CS8),
    (92, ControlModes::PARENB),
    (93, ControlModes::PARODD),
];

fn modes(settings: &Termios) -> Vec<(u8, u32)> {
    let mut modes = Vec::new();
    modes.extend(CHARACTERS.map(|(opcode, index)| (opcode, settings.special_codes[index].into())));
    modes.extend(INPUT.map(|(opcode, flag)| (opcode, settings.input_modes.contains(flag).into())));
    modes.extend(LOCAL.map(|(opcode, flag)| (opcode, settings.local_modes.contains(flag).into())));
    modes.extend(OUTPUT.map(|(opcode, flag)| (opcode, settings.output_modes.contains(flag).into())));
    let size = |flag| settings.control_modes & ControlModes::CSIZE == flag;
    modes.extend(CONTROL.map(|(opcode, flag)| match opcode {
        90 | 91 => (opcode, size(flag).into()),
        _ => (opcode, settings.control_modes.contains(flag).into()),
    }));
    modes.extend([(128, settings.input_speed()), (129, settings.output_speed())]);
    modes
}
