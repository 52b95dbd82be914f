//! The parts that all kinds of listeners for web clients have in common: the values of `--listen`
//! are URLs with a path, and some options have no effect.

use crate::error::Error;
use crate::secret;
use crate::text::printable;

/// Splits all values of `--listen` with `split`, which returns `None` for another scheme. Returns
/// `None` if no value has a scheme of this kind.
///
/// # Errors
/// [`Error::Usage`] if only some values have such a scheme.
pub(super) fn split_all<'a, T>(
    values: &'a [String],
    split: impl Fn(&'a str) -> Option<T>,
) -> Result<Option<Vec<T>>, Error> {
    let parts: Vec<_> = values.iter().map(|value| split(value)).collect();
    let Some(first) = parts.iter().position(Option::is_some) else { return Ok(None) };
    if let Some(other) = parts.iter().position(Option::is_none) {
        return Err(Error::Usage(format!(
            "--listen {} cannot be combined with --listen {}; run connect twice",
            shown(&values[first]),
            shown(&values[other])
        )));
    }
    Ok(Some(parts.into_iter().flatten().collect()))
}

/// Checks that none of these options is given. They have no effect on this listener.
///
/// # Errors
/// [`Error::Usage`] if one of them is given.
pub(super) fn expect_unused(options: &[(&str, bool)], listener: &str) -> Result<(), Error> {
    match options.iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => {
            Err(Error::Usage(format!("{option} has no effect on --listen {}", shown(listener))))
        }
        None => Ok(()),
    }
}

/// Splits the rest of a URL into the address and the path, which is `/` by default.
///
/// # Errors
/// See [`check_path`].
pub(super) fn address_and_path(rest: &str) -> Result<(&str, &str), Error> {
    let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    check_path(path, rest).map(|()| (address, path))
}

/// Checks that a path begins with `/`, and has no query and no fragment. `rest` is the value that
/// contains it, for the message.
///
/// # Errors
/// [`Error::Config`] if the path is invalid.
pub(super) fn check_path(path: &str, rest: &str) -> Result<(), Error> {
    let is_valid = path.starts_with('/')
        && !path.contains(['?', '#'])
        && path.bytes().all(|byte| byte.is_ascii_graphic());
    if is_valid { Ok(()) } else { Err(invalid(rest, "expected a path such as /tunnel")) }
}

/// Returns the error for an invalid value of `--listen`.
pub(super) fn invalid(value: &str, what: &str) -> Error {
    Error::Config(format!("invalid value '{}' for --listen: {what}", shown(value)))
}

fn shown(value: &str) -> String {
    printable(secret::masked(value).as_bytes())
}
