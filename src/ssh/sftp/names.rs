//! Names of files at the server.

/// The longest name that common file systems accept.
const MAX_NAME: usize = 255;

/// Returns `true` unless a name is empty, `.` or `..`, or contains `/` or NUL. Joined to a
/// directory, such a name could lead out of it.
#[must_use]
pub fn is_safe_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}

/// Returns the last component of a path, ignoring final slashes. `None` unless it is a safe name
/// (see [`is_safe_name`]).
#[must_use]
pub fn file_name(path: &[u8]) -> Option<&[u8]> {
    let name = without_final_slashes(path).rsplit(|byte| *byte == b'/').next()?;
    Some(name).filter(|name| is_safe_name(name))
}

/// Returns the path of an entry of a directory. The empty path is the login directory.
#[must_use]
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let separator: &[u8] = if directory.is_empty() || directory.ends_with(b"/") { b"" } else { b"/" };
    [directory, separator, name].concat()
}

/// Returns the path of the partial file for a path: `.NAME.part` in the same directory. If that
/// name would be too long, a part of NAME is replaced by a hash, because two files of one directory
/// may be copied at the same time.
#[must_use]
pub fn partial(path: &[u8]) -> Vec<u8> {
    let start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let (directory, name) = path.split_at(start);
    let max = MAX_NAME - ".".len() - ".part".len();
    let (name, hash) = match name.split_at_checked(max - 16).filter(|_| name.len() > max) {
        Some((prefix, _)) => (prefix, format!("{:016x}", fnv(name))),
        None => (name, String::new()),
    };
    [directory, b".", name, hash.as_bytes(), b".part"].concat()
}

/// Returns the FNV-1a hash.
fn fnv(bytes: &[u8]) -> u64 {
    let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, add)
}

fn without_final_slashes(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    &path[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_entries_are_safe() {
        for name in ["a", "...", ".a", "a.", "-r", "a\nb", "\\", "~"] {
            assert!(is_safe_name(name.as_bytes()), "{name:?}");
        }
        for name in ["", ".", "..", "/", "a/", "/a", "a/../b", "a\0"] {
            assert!(!is_safe_name(name.as_bytes()), "{name:?}");
        }
    }

    #[test]
    fn the_file_name_is_the_last_part() {
        for (path, name) in [("a", "a"), ("a/b", "b"), ("/a/b//", "b"), ("../x", "x")] {
            assert_eq!(file_name(path.as_bytes()), Some(name.as_bytes()));
        }
        for path in ["", "/", "..", "a/..", ".", "a/./"] {
            assert_eq!(file_name(path.as_bytes()), None, "{path}");
        }
        for (directory, path) in [("", "x"), ("/", "/x"), ("a", "a/x"), ("a/", "a/x"), (".", "./x")] {
            assert_eq!(join(directory.as_bytes(), b"x"), path.as_bytes());
        }
    }

    #[test]
    fn partial_files_of_long_names_differ() {
        assert_eq!(partial(b"file"), b".file.part");
        assert_eq!(partial(b"/a.b/file"), b"/a.b/.file.part");
        let partials =
            ["a", "b"].map(|end| partial(&[b"d/", "x".repeat(254).as_bytes(), end.as_bytes()].concat()));
        assert_ne!(partials[0], partials[1]);
        assert!(partials.iter().all(|path| path.len() == 2 + 255 && path.starts_with(b"d/.xxx")));
        assert_eq!(partial(&[b'x'; 249]).len(), 255);
    }
}
