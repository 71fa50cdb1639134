//! What is known of a server.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use http::HeaderMap;
use tokio::{sync::OnceCell, time::Instant};

/// A year; moments far beyond can't be told.
const LONGEST_BACKOFF_SECONDS: u64 = 31_536_000;

/// What is known of a server, for all who share a connection to it.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Until when the server wants no requests.
    closed_until: Mutex<Option<Instant>>,
    /// What the server has announced last.
    announced: Mutex<Option<String>>,
    /// How many requests it takes in a batch.
    pub(crate) batch_limit: OnceCell<usize>,
    pushback: Mutex<Pushback>,
    /// Where its attachments are.
    pub(crate) attachments_url: OnceCell<String>,
    /// How large a batch may be in bytes, if one was too large.
    batch_bytes: Mutex<Option<usize>>,
}

/// What tells those who send much to send less.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pushback {
    /// How often the server did not do a request for now, did not answer, or wanted no more.
    pub(crate) times: u64,
    /// Until when it is given time.
    pub(crate) until: Option<Instant>,
}

impl State {
    pub(crate) fn pushback(&self) -> Pushback {
        *self.pushback.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the server shall have so much time.
    pub(crate) fn pushed_back(&self, wait: Duration) {
        let mut pushback = self.pushback.lock().unwrap_or_else(PoisonError::into_inner);
        pushback.times += 1;
        let wait = wait.min(Duration::from_secs(LONGEST_BACKOFF_SECONDS));
        pushback.until = pushback.until.max(Some(Instant::now() + wait));
    }

    pub(crate) fn batch_bytes(&self) -> Option<usize> {
        *self.batch_bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_batch_bytes(&self, bytes: usize) {
        *self.batch_bytes.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
    }

    /// How long the server still wants no requests, if it does.
    pub(super) fn closed_for(&self) -> Option<Duration> {
        let until = *self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        until?.checked_duration_since(Instant::now()).filter(|remaining| !remaining.is_zero())
    }

    /// Does what a server asks of its clients in passing:
    /// <https://docs.kinto-storage.org/en/stable/api/1.x/backoff.html>
    pub(super) fn heed(&self, headers: &HeaderMap) {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let backoff = text("Backoff").and_then(|it| it.trim().parse::<u64>().ok());
        let backoff = backoff.map(|it| Duration::from_secs(it.min(LONGEST_BACKOFF_SECONDS)));
        if let Some(wait) = backoff {
            self.pushed_back(wait);
        }
        let until = backoff.map(|wait| Instant::now() + wait);
        *self.closed_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
        if let Some(alert) = text("Alert") {
            self.announce(alert);
        }
    }

    /// Logs what the server announces, which it does with each answer, once.
    fn announce(&self, alert: &str) {
        let mut announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        if announced.as_deref() != Some(alert) {
            tracing::warn!("the server announces: {alert}");
            *announced = Some(alert.to_owned());
        }
    }
}
