//! Untrusted bytes printed on a terminal: text in messages, and the log lines and dumps of `-d`.
#![no_main]

use std::sync::{Mutex, Once, PoisonError};

use connect::proto::Wire;
use connect::text::{escaped, printable};
use connect::trace;
use connect_fuzz::display;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let text = printable(input);
    display::check(&text);
    // At most 160 characters, each as long as the longest escape, plus an ellipsis if the text is
    // truncated.
    assert!(text.len() <= 160 * "\\u{10ffff}".len() + "…".len());
    let lossy = String::from_utf8_lossy(input);
    let line = escaped(&lossy);
    assert!(line.len() <= lossy.len() * "\\u{10ffff}".len());
    assert_eq!(escaped(&line), line, "escaping is idempotent");
    line.chars().for_each(|c| display::check(c.encode_utf8(&mut [0; 4])));

    let dump = traced(|| trace::relayed(">", 0xfff0, input));
    let rows = dump.iter().zip(input.chunks(16)).zip((0xfff0..).step_by(16));
    for ((line, row), start) in rows {
        let hex: Vec<_> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String =
            row.iter().map(|&byte| if matches!(byte, b' '..=b'~') { byte.into() } else { '.' }).collect();
        assert_eq!(*line, format!("> {start:08x}  {:<47}  |{text}|", hex.join(" ")));
    }
    assert_eq!(dump.len(), input.len().div_ceil(16));

    let bytes = traced(|| trace::received(input, false));
    assert_eq!(bytes.concat().split_whitespace().count(), input.len() + 1);
    let lines = traced(|| trace::received(input, true));
    assert_eq!(lines.len(), input.split_inclusive(|&byte| byte == b'\n').count());
    let wire = Wire::with_secret(input.to_vec().into(), 0..input.len());
    let sent = traced(|| trace::sent(&wire, true));
    assert!(input.is_empty() || sent == [">>> \"xxxxx\""], "{sent:?}");
    dump.iter().chain(&lines).for_each(|line| display::check(line));
});

/// Log lines that [`traced`] has not returned yet.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Lines;

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push(record.args().to_string());
    }

    fn flush(&self) {}
}

/// Returns the lines that `act` logs.
fn traced(act: impl FnOnce()) -> Vec<String> {
    static START: Once = Once::new();
    START.call_once(|| {
        log::set_logger(&Lines).expect("no other logger is set");
        log::set_max_level(log::LevelFilter::Trace);
    });
    act();
    std::mem::take(&mut *LINES.lock().unwrap_or_else(PoisonError::into_inner))
}
