//! Relaying between standard input and output and the remote: one test for each rule, named after
//! it. Most go directly to the remote; what a proxy could break goes through one as well.
//!
//! This module is in the tests twice: as `relay`, where the program splices what it can, and as `relay_copying`.

mod bulk;
mod closed;
mod early;
mod ending;
mod flags;
mod idle;
mod idle_timeout;
mod kinds;

use std::io::PipeWriter;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::kit::*;

define_connect_for_relay_mode!();

/// The time in which a session has to end once there is nothing left to do.
const SOON: Duration = Duration::from_secs(2);

/// A run that is stopped, with a remote that half-closes, and a pipe full of data as its stdin,
/// whose writer stays: when it goes on it finds both at once.
fn stopped_with_a_full_pipe(server: &Server, half_close: &Gate) -> (Running, u64, PipeWriter) {
    let (input, mut writer) = pipe();
    let run = connect(server.args()).stdin(input).start();
    run.wait_stdout_has("ready");
    run.signal(Signal::STOP);
    let filled = fill(&mut writer, 2, Duration::ZERO);
    half_close.open();
    thread::sleep(Duration::from_millis(100));
    (run, filled, writer)
}
