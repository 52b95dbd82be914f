//! `--generate`: prints files that packages install alongside the program.
//!
//! A test generates the files from the flag table, so the program need not contain the generator.

use crate::error::Error;
use crate::secret;

/// The names of the files that `--generate` can print.
pub(super) const WORDS: &[&str] = &["man", "connectrc", "bash", "zsh", "fish", "powershell"];

/// Returns the content of the file with this name, one of [`WORDS`].
pub(super) fn text(word: &str) -> Result<&'static str, Error> {
    Ok(match word {
        "man" => include_str!("../../docs/connect.1"),
        "connectrc" => include_str!("../../docs/connectrc.5"),
        "bash" => include_str!("../../docs/completions/connect.bash"),
        "zsh" => include_str!("../../docs/completions/_connect"),
        "fish" => include_str!("../../docs/completions/connect.fish"),
        "powershell" => include_str!("../../docs/completions/_connect.ps1"),
        _ => {
            let known = WORDS.join(", ");
            return Err(Error::Config(format!(
                "invalid value '{}' for --generate; use one of {known}",
                secret::masked(word)
            )));
        }
    })
}
