//! The status line of a tunnel whose server does not answer.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use super::shared::Shared;
use crate::trace::{STATUS_INTERVAL, StatusLine, resuming};

/// Time for which the server has not answered before the line is shown.
const LOST_DELAY: Duration = Duration::from_secs(1);

/// Stack size of the thread that updates the line.
const STACK_SIZE: usize = 64 * 1024;

/// Shows the line after a failure, on a terminal, until the server answers or the tunnel is over.
pub(super) fn show_status(shared: &Arc<Shared>) {
    let Some(host) = shared.status_host.clone() else { return };
    let is_lost = shared.client().lost_for(shared.now()).is_some();
    if !is_lost || !StatusLine::can_show() || shared.updates_status.swap(true, Ordering::Relaxed) {
        return;
    }
    let updated = Arc::clone(shared);
    let update = move || update(&updated, &host);
    if thread::Builder::new().stack_size(STACK_SIZE).spawn(update).is_err() {
        // The next failure tries again.
        shared.updates_status.store(false, Ordering::Relaxed);
    }
}

/// Updates the line until the server answers or the tunnel is over. [`Shared::announce`] erases it.
fn update(shared: &Shared, host: &str) {
    let mut client = shared.client();
    while let Some(lost_for) = client.lost_for(shared.now()) {
        let delay = match LOST_DELAY.checked_sub(lost_for) {
            Some(delay) if !delay.is_zero() => delay,
            _ => {
                let mut line = shared.status_line.lock().unwrap_or_else(PoisonError::into_inner);
                let limit = client.resume();
                line.show(|columns| resuming(host, lost_for, limit, columns), |_| ());
                STATUS_INTERVAL
            }
        };
        let waited = shared.changed.wait_timeout(client, delay);
        (client, _) = waited.unwrap_or_else(PoisonError::into_inner);
    }
    shared.updates_status.store(false, Ordering::Relaxed);
}
