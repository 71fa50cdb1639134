//! Where time comes from.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::object::Timestamp;

/// Tells the time, in milliseconds since the Unix epoch.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// The present moment in microseconds, as far as the clock tells them.
    fn now_micros(&self) -> i64 {
        self.now().0.saturating_mul(1000)
    }
}

/// The clock of the machine, which never goes back while the process lives.
#[derive(Debug, Default)]
pub struct SystemClock {
    /// In microseconds.
    latest: AtomicI64,
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now_micros() / 1000)
    }

    fn now_micros(&self) -> i64 {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |elapsed| i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX));
        self.latest.fetch_max(now, Ordering::Relaxed).max(now)
    }
}

/// A clock that stands still until it is moved, for tests.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: i64) -> Self {
        Self { now: AtomicI64::new(now) }
    }

    /// Moves the clock to `now`, forwards or backwards.
    pub fn set(&self, now: i64) {
        self.now.store(now, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed))
    }
}
