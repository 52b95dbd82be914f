//! The escapes that a user types at a terminal: a tilde after a newline, and a character.

/// The answer to `~?`.
pub(super) const HELP: &[u8] = b"~?\r\n\
    Supported escape sequences:\r\n \
    ~.   end the connection\r\n \
    ~?   this text\r\n \
    ~~   send a tilde\r\n\
    (an escape is recognized only after a newline)\r\n";

/// The state between two characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// The next character begins a line.
    #[default]
    LineStart,
    /// A tilde has begun the line.
    Tilde,
    Other,
}

/// Finds escapes in the user's input.
#[derive(Debug, Default)]
pub(super) struct Escapes(State);

/// The escapes in a piece of input.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The input without the escapes.
    pub(super) input: Vec<u8>,
    /// `~?` was typed.
    pub(super) wants_help: bool,
    /// `~.` was typed. The input after it is discarded.
    pub(super) ends_connection: bool,
}

impl Escapes {
    /// Removes escapes from a piece of input.
    pub(super) fn find(&mut self, input: &[u8]) -> Found {
        let mut found = Found { input: Vec::new(), wants_help: false, ends_connection: false };
        for &byte in input {
            self.0 = match (self.0, byte) {
                (State::LineStart, b'~') => State::Tilde,
                (State::Tilde, b'.') => {
                    found.ends_connection = true;
                    return found;
                }
                (State::Tilde, b'?') => {
                    found.wants_help = true;
                    State::LineStart
                }
                (state, byte) => {
                    // A tilde that was held back. After it, another tilde is not sent.
                    if state == State::Tilde && byte != b'~' {
                        found.input.push(b'~');
                    }
                    found.input.push(byte);
                    if matches!(byte, b'\r' | b'\n') { State::LineStart } else { State::Other }
                }
            };
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passes pieces of input. Returns what is sent, with `?` for help and `!` for the end.
    fn typed(pieces: &[&str]) -> String {
        let mut escapes = Escapes::default();
        let mut sent = String::new();
        for piece in pieces {
            let found = escapes.find(piece.as_bytes());
            sent += &String::from_utf8_lossy(&found.input);
            sent += if found.wants_help { "?" } else { "" };
            sent += if found.ends_connection { "!" } else { "" };
        }
        sent
    }

    #[test]
    fn an_escape_follows_a_newline() {
        for (pieces, expected) in [
            (&["~."][..], "!"),
            (&["~", "."], "!"),
            (&["ls\r~.rest"], "ls\r!"),
            (&["ls\n", "~?", "x"], "ls\n?x"),
            (&["a~."], "a~."),
            (&["~~."], "~."),
            (&["~x~."], "~x~."),
            (&["~\r~."], "~\r!"),
            (&["~?~."], "?!"),
        ] {
            assert_eq!(typed(pieces), expected, "{pieces:?}");
        }
    }
}
