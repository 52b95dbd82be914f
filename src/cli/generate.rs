//! `--generate`: what packages install beside the program. The files are made of the flags by a test, so that nothing
//! that can make them is part of the program.

use crate::error::Error;

/// What there is.
pub(super) const WORDS: &[&str] = &["man", "connectrc", "bash", "zsh", "fish", "powershell"];

/// The text of one of the [`WORDS`].
pub(super) fn text(what: &str) -> Result<&'static str, Error> {
    Ok(match what {
        "man" => include_str!("../../docs/connect.1"),
        "connectrc" => include_str!("../../docs/connectrc.5"),
        "bash" => include_str!("../../docs/completions/connect.bash"),
        "zsh" => include_str!("../../docs/completions/_connect"),
        "fish" => include_str!("../../docs/completions/connect.fish"),
        "powershell" => include_str!("../../docs/completions/_connect.ps1"),
        _ => {
            let known = WORDS.join(", ");
            return Err(Error::Config(format!("--generate '{what}' is none of: {known}")));
        }
    })
}
