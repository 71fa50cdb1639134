//! What sessions tell each other about a server that is not there.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// For how long nobody looks again for a server that was not there. Meanwhile all who need a new
/// session are refused at once: else they would wait for each other's attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// When a server was last looked for in vain.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<Option<Instant>>);

impl Outage {
    /// Whether it is too early to look again.
    pub(super) fn is_fresh(&self) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < PAUSE)
    }

    /// Notes whether a server was found.
    pub(super) fn note(&self, found: bool) {
        let now = (!found).then(Instant::now);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}
