//! Idle sessions. A busy loop would show up as CPU time.

use std::time::Duration;

use crate::kit::*;

const IDLE: Duration = Duration::from_secs(3);

#[test]
fn an_idle_session_uses_no_processor_time() {
    let target = script().pause(IDLE).serve();
    let out = connect(target.args()).start().wait();
    out.expect_success().expect_cpu_below(Duration::from_millis(400));
    target.finish();
}

/// While pending data cannot be sent, every poll reports the target's half-close. The relay must
/// not spin on it.
#[test]
fn a_target_that_half_closed_and_reads_nothing_uses_no_processor_time() {
    const LEN: u64 = 20_000_000;
    let target = script().half_close().pause(IDLE).sink().serve();
    let mut run = connect(target.args()).start();
    run.feed(data(1, LEN));
    run.finish().expect_success().expect_cpu_below(Duration::from_millis(1200));
    assert_eq!(target.finish_one().digest, Some(Digest::from_reader(data(1, LEN))));
}
