//! Command lines with an environment: a line `NAME=value` for each variable, then an empty one, then a line for each word,
//! the program's name first. Passwords that the environment is asked for are shown nowhere.
#![no_main]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use connect::cli::{self, Request};
use connect::error::ExitCode;
use connect_fuzz::{PASSWORD, shown, sources};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // The system passes no NUL.
    if input.contains(&0) {
        return;
    }
    let mut lines = input.split(|&byte| byte == b'\n');
    let variables: Vec<_> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let words: Vec<_> = lines.map(|word| OsString::from_vec(word.to_vec())).collect();
    let variable = |name: &str| {
        let value = |line: &&[u8]| Some(line.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?.to_vec());
        let set = variables.iter().find_map(value);
        set.or_else(|| name.contains("PASSW").then(|| PASSWORD.into())).map(OsString::from_vec)
    };
    let typed = match cli::parse(words.clone()) {
        Ok(Request::Session(typed)) => typed,
        Ok(Request::Print(text)) => return assert!(text.ends_with('\n') && !text.contains('\x1b')),
        Err(error) => {
            assert_eq!(error.exit_code(), ExitCode::Usage);
            return shown::check_error(&error);
        }
    };
    assert!(!typed.host.is_empty() || words.iter().any(|word| word.is_empty()), "a host out of nowhere");
    let (plan, told) = sources::plan(&typed, &variable, Vec::new());
    let shows = match &plan {
        Ok(plan) => format!("{plan:?}"),
        Err(error) => {
            assert_eq!(error.exit_code(), ExitCode::Usage);
            error.user_message()
        }
    };
    if !input.windows(PASSWORD.len()).any(|word| word == PASSWORD.as_bytes()) {
        shown::check_password(&shows);
        shown::check_password(&told.concat());
    }
});
