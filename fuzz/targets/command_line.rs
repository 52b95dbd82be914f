//! Command lines with an environment. The input has a `NAME=value` line for each variable, an empty
//! line, and a line for each argument, starting with the program's name. Passwords from the
//! environment are never displayed.
#![no_main]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use connect::cli::{self, Request};
use connect::error::ExitCode;
use connect_fuzz::{PASSWORD, display, planning};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // Arguments and variables cannot contain a NUL.
    if input.contains(&0) {
        return;
    }
    let mut lines = input.split(|&byte| byte == b'\n');
    let variables: Vec<_> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let argv: Vec<_> = lines.map(|arg| OsString::from_vec(arg.to_vec())).collect();
    let variable = |name: &str| {
        let value = |line: &&[u8]| Some(line.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?.to_vec());
        let set = variables.iter().find_map(value);
        set.or_else(|| name.contains("PASSW").then(|| PASSWORD.into())).map(OsString::from_vec)
    };
    let args = match cli::parse(argv.clone()) {
        Ok(Request::Session(args)) => args,
        // It would write files.
        Ok(Request::Mint(_)) => return,
        Ok(Request::Print(text)) => return assert!(text.ends_with('\n') && !text.contains('\x1b')),
        Err(error) => {
            assert_eq!(error.exit_code(), ExitCode::Usage);
            return display::check_error(&error);
        }
    };
    // The clients of a listener, or the server of the last hop, may name the host.
    let is_named_elsewhere = args.clients_name_targets() || args.may_lack_target();
    let may_be_empty = is_named_elsewhere || argv.iter().any(|arg| arg.is_empty());
    assert!(!args.host.is_empty() || may_be_empty, "an empty host");
    let (plan, warnings) = planning::plan(&args, &variable, Vec::new());
    let shown = match &plan {
        Ok(plan) => format!("{plan:?}"),
        Err(error) => {
            assert_eq!(error.exit_code(), ExitCode::Usage);
            error.user_message()
        }
    };
    if !input.windows(PASSWORD.len()).any(|word| word == PASSWORD.as_bytes()) {
        display::check_password(&shown);
        display::check_password(&warnings.concat());
    }
});
