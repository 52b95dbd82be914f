//! The tests: one for each kind of fault, so that the kinds run in parallel.

use super::case::{Case, Kind, Verdict, cases};
use super::run::{expect_harmless_debug_lines, expect_verdicts};

/// The number of concurrent runs for cases that use the CPU.
const BUSY: usize = 6;
/// The number of concurrent runs for cases that mostly sleep.
const ASLEEP: usize = 14;

macro_rules! kinds {
    ($($name:ident: $kind:ident, $threads:expr;)*) => {
        $(#[test]
        fn $name() {
            expect_verdicts(cases(Kind::$kind), $threads);
        })*

        #[test]
        fn every_kind_of_fault_has_its_test() {
            assert_eq!([$(Kind::$kind),*].len(), Kind::ALL.len());
        }
    };
}

kinds! {
    valid_conversations: Right, BUSY;
    it_closes: Close, BUSY;
    it_resets: Reset, BUSY;
    it_falls_silent: Silence, ASLEEP;
    it_sends_a_byte_a_second: Slow, ASLEEP;
    it_sends_garbage: Garbage, ASLEEP;
    it_refuses_with_hostile_text: Refusal, BUSY;
    it_never_ends: TooMuch, BUSY;
    it_answers_in_pieces: Split, BUSY;
    it_sends_everything_at_once: Early, BUSY;
    it_repeats_itself: Repeat, BUSY;
    heads_that_only_look_valid_and_heads_that_only_look_invalid: Lookalike, BUSY;
}

/// Runs only a few cases at a time: if many spun at once, each would use too little CPU time to be
/// noticed.
#[test]
fn waiting_for_a_silent_peer_uses_no_cpu() {
    let at_once = |case: &Case| case.turn == 0 && case.name().ends_with("/after-0");
    expect_verdicts(cases(Kind::Silence).into_iter().filter(at_once).collect(), 3);
}

#[test]
fn debug_lines_are_harmless_too() {
    let mut shown = cases(Kind::Refusal);
    shown.extend(cases(Kind::Garbage).into_iter().filter(|case| case.verdict != Verdict::Fails(7)));
    expect_harmless_debug_lines(shown, BUSY);
}
