//! The questions of a server (RFC 4256).

use crate::ssh::wire::{Malformed, Reader};

/// The most questions in one message.
const MAX_QUESTIONS: u32 = 64;

/// Questions of the server (RFC 4256 §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Questions {
    /// The title.
    pub name: String,
    /// The text before the questions.
    pub instruction: String,
    /// The questions, and whether the answers may be displayed.
    pub questions: Vec<(String, bool)>,
}

/// Reads the questions of a `USERAUTH_INFO_REQUEST`.
pub(super) fn parse(mut reader: Reader<'_>) -> Result<Questions, Malformed> {
    let mut text = || reader.string().map(|text| String::from_utf8_lossy(text).into_owned());
    let (name, instruction, _language) = (text()?, text()?, text()?);
    let count = reader.u32()?;
    if count > MAX_QUESTIONS {
        return Err(Malformed);
    }
    let mut questions = Vec::new();
    for _ in 0..count {
        let question = String::from_utf8_lossy(reader.string()?).into_owned();
        questions.push((question, reader.bool()?));
    }
    reader.end()?;
    Ok(Questions { name, instruction, questions })
}
