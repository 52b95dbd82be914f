//! The certificates and keys of a run, read on first use and shared by all sessions.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::settings::{Settings, load};
use crate::error::Error;
use crate::plan::Tls;

/// One entry of the cache. `None` until the settings are loaded.
type Slot = Arc<Mutex<Option<Arc<Settings>>>>;

/// A cache of the TLS settings of all hops. It reads each hop's files and the system's certificates
/// once, instead of once for each client of a listener.
#[derive(Debug, Default)]
pub(crate) struct TlsCache(Mutex<Vec<(Tls, Slot)>>);

impl TlsCache {
    /// Returns the settings for a hop. The first call reads the files. Other sessions that need the
    /// same settings wait for it, and try again if it fails.
    pub(super) fn settings(&self, tls: &Tls) -> Result<Arc<Settings>, Error> {
        let slot = self.slot(tls);
        let mut slot = lock(&slot);
        if let Some(settings) = &*slot {
            return Ok(Arc::clone(settings));
        }
        let settings = Arc::new(load(tls)?);
        *slot = Some(Arc::clone(&settings));
        Ok(settings)
    }

    fn slot(&self, tls: &Tls) -> Slot {
        let mut slots = lock(&self.0);
        if let Some((_, slot)) = slots.iter().find(|(known, _)| known == tls) {
            return Arc::clone(slot);
        }
        let slot = Slot::default();
        slots.push((tls.clone(), Arc::clone(&slot)));
        slot
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
