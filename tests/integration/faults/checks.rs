//! The tests: one for each kind of fault, so that they run at the same time.

use super::case::{Case, Kind, Verdict, cases};
use super::run::{expect_harmless_debug_lines, expect_right};

/// Where the program works, few are enough; where most of them sleep, there may be many.
const BUSY: usize = 6;
const ASLEEP: usize = 14;

macro_rules! kinds {
    ($($name:ident: $kind:ident, $threads:expr;)*) => {
        $(#[test]
        fn $name() {
            expect_right(cases(Kind::$kind), $threads);
        })*

        #[test]
        fn every_kind_of_fault_has_its_test() {
            assert_eq!([$(Kind::$kind),*].len(), Kind::ALL.len());
        }
    };
}

kinds! {
    right_conversations: Right, BUSY;
    it_closes: Close, BUSY;
    it_resets: Reset, BUSY;
    it_says_nothing_more: Silence, ASLEEP;
    it_sends_a_byte_a_second: Slow, ASLEEP;
    it_sends_garbage: Garbage, ASLEEP;
    it_refuses_with_hostile_words: Refusal, BUSY;
    it_never_ends: TooMuch, BUSY;
    it_answers_in_pieces: Split, BUSY;
    it_says_all_at_once: Early, BUSY;
    it_repeats_itself: Repeat, BUSY;
    heads_that_only_look_right_and_those_that_only_look_wrong: Lookalike, BUSY;
}

/// Few at a time, since of many that spin at once each gets little of the processor.
#[test]
fn waiting_for_a_silent_peer_is_no_work() {
    let at_once = |case: &Case| case.turn == 0 && case.name().ends_with("/after-0");
    expect_right(cases(Kind::Silence).into_iter().filter(at_once).collect(), 3);
}

#[test]
fn what_is_shown_on_demand_is_harmless_too() {
    let mut shown = cases(Kind::Refusal);
    shown.extend(cases(Kind::Garbage).into_iter().filter(|case| case.verdict != Verdict::Fails(7)));
    expect_harmless_debug_lines(shown, BUSY);
}
