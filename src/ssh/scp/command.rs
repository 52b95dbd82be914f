//! The command that starts scp at the server.

use super::InvalidName;
use crate::ssh::sftp::Direction;

/// The options of both ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `-r`: copy directories.
    pub recursive: bool,
    /// `-p`: send times.
    pub preserve: bool,
    /// `-d`: the target must be a directory.
    pub directory: bool,
}

/// Returns the command for a copy from or to this path, quoted for a POSIX shell.
///
/// # Errors
/// The path contains a newline or NUL.
pub fn client_command(direction: Direction, options: Options, path: &[u8]) -> Result<Vec<u8>, InvalidName> {
    if path.contains(&b'\n') {
        return Err(InvalidName::Newline);
    }
    if path.contains(&0) {
        return Err(InvalidName::Unsafe);
    }
    let mut command = b"scp ".to_vec();
    command.extend_from_slice(match direction {
        Direction::Get => b"-f ",
        Direction::Put => b"-t ",
    });
    let options = [(options.recursive, b"-r "), (options.preserve, b"-p "), (options.directory, b"-d ")];
    for (_, option) in options.into_iter().filter(|(is_set, _)| *is_set) {
        command.extend_from_slice(option);
    }
    command.extend(quoted(path));
    Ok(command)
}

/// Quotes a path. One that looks like an option gets `./` in front.
fn quoted(path: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    match path.first() {
        None => quoted.push(b'.'),
        Some(b'-') => quoted.extend_from_slice(b"./"),
        Some(_) => {}
    }
    for byte in path {
        match byte {
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

/// A command that the listener serves itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCommand {
    /// `Put` for `scp -t`, `Get` for `scp -f`.
    pub direction: Direction,
    /// The options.
    pub options: Options,
    /// The paths: one for `scp -t`, at least one for `scp -f`.
    pub paths: Vec<Vec<u8>>,
}

impl ServerCommand {
    /// Parses a command. `None` if it is not `scp` with `-t` or `-f`, or has an unknown option.
    #[must_use]
    pub fn parse(command: &[u8]) -> Option<Self> {
        let mut words = split_words(command)?.into_iter().peekable();
        words.next().filter(|name| name == b"scp" || name.ends_with(b"/scp"))?;
        let (mut direction, mut options) = (None, Options::default());
        while let Some(word) = words.next_if(|word| word.len() > 1 && word.starts_with(b"-")) {
            if word == b"--" {
                break;
            }
            for letter in &word[1..] {
                match letter {
                    b't' if direction.is_none() => direction = Some(Direction::Put),
                    b'f' if direction.is_none() => direction = Some(Direction::Get),
                    b'r' => options.recursive = true,
                    b'p' => options.preserve = true,
                    b'd' => options.directory = true,
                    b'v' | b'q' => {}
                    _ => return None,
                }
            }
        }
        let (direction, paths): (_, Vec<_>) = (direction?, words.collect());
        let is_valid = !paths.is_empty() && (direction == Direction::Get || paths.len() == 1);
        is_valid.then_some(Self { direction, options, paths })
    }
}

/// Splits a command into words by the quoting rules of POSIX shells, and expands nothing. `None` if
/// a quotation does not end.
#[must_use]
pub fn split_words(command: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut bytes = command.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' | b'\t' | b'\n' => words.extend(word.take()),
            b'\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match bytes.next()? {
                        b'\'' => break,
                        byte => word.push(byte),
                    }
                }
            }
            b'"' => double_quoted(&mut bytes, word.get_or_insert_default())?,
            b'\\' => match bytes.next()? {
                b'\n' => {}
                byte => word.get_or_insert_default().push(byte),
            },
            byte => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    Some(words)
}

/// Appends the text up to the next double quote. In it, a backslash quotes only some characters.
fn double_quoted(bytes: &mut impl Iterator<Item = u8>, word: &mut Vec<u8>) -> Option<()> {
    loop {
        match bytes.next()? {
            b'"' => return Some(()),
            b'\\' => match bytes.next()? {
                b'\n' => {}
                byte @ (b'$' | b'`' | b'"' | b'\\') => word.push(byte),
                byte => word.extend_from_slice(&[b'\\', byte]),
            },
            byte => word.push(byte),
        }
    }
}
