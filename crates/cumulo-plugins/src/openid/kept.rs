//! A document of the provider, fetched when it is needed: by one for all who wait, and not often.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::{sync::Mutex, time::Instant};

use super::web::Failure;

/// It is not fetched more often, whether that fails or does not help: else whoever sends forged
/// tokens could have us ask the provider as often as they like.
const PAUSE: Duration = Duration::from_secs(5);

/// The latest version of a document.
pub(super) struct Kept<T> {
    latest: RwLock<Option<(Arc<T>, Instant)>>,
    /// When it was fetched last, with or without success. Who fetches it holds the lock.
    tried: Arc<Mutex<Option<Instant>>>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { latest: RwLock::default(), tried: Arc::default() }
    }
}

impl<T: Send + Sync + 'static> Kept<T> {
    /// The version that we have.
    pub(super) fn latest(&self) -> Option<Arc<T>> {
        self.dated().map(|(value, _)| value)
    }

    /// A version that is not older than `max_age` and that `is_wanted`, fetched if need be. If that
    /// can't be had, the version that we have.
    pub(super) async fn get<F>(
        self: &Arc<Self>,
        max_age: Duration,
        is_wanted: impl Fn(&T) -> bool,
        fetch: F,
    ) -> Result<Arc<T>, Failure>
    where
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let good = || {
            let (value, at) = self.dated()?;
            (at.elapsed() <= max_age && is_wanted(&value)).then_some(value)
        };
        if let Some(value) = good() {
            return Ok(value);
        }
        let tried = Arc::clone(&self.tried).lock_owned().await;
        // Somebody else may have fetched it while we waited.
        if let Some(value) = good() {
            return Ok(value);
        }
        if tried.is_some_and(|at| at.elapsed() < PAUSE) {
            return self.latest().ok_or_else(|| Failure::new("it was asked a moment ago"));
        }
        let kept = Arc::clone(self);
        // A client that goes away must not end what others wait for.
        let fetching = tokio::spawn(async move { kept.fetch(tried, fetch).await });
        let fetched = fetching.await.unwrap_or_else(|panic| Err(Failure::new(panic.to_string())));
        fetched.or_else(|failure| self.latest().ok_or(failure))
    }

    async fn fetch(
        &self,
        mut tried: tokio::sync::OwnedMutexGuard<Option<Instant>>,
        fetch: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Arc<T>, Failure> {
        let fetched = fetch.await;
        *tried = Some(Instant::now());
        let value = Arc::new(fetched?);
        let mut latest = self.latest.write().unwrap_or_else(PoisonError::into_inner);
        *latest = Some((Arc::clone(&value), Instant::now()));
        Ok(value)
    }

    fn dated(&self) -> Option<(Arc<T>, Instant)> {
        self.latest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::advance;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    /// Counts how often it is fetched; the document is the number. 0 stands for a failure.
    #[derive(Clone, Default)]
    struct Source(Arc<AtomicUsize>, Arc<AtomicUsize>);

    impl Source {
        async fn fetch(self) -> Result<usize, Failure> {
            self.0.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            let value = self.1.load(Ordering::SeqCst);
            if value == 0 { Err(Failure::new("down")) } else { Ok(value) }
        }

        fn set(&self, value: usize) {
            self.1.store(value, Ordering::SeqCst);
        }

        fn fetched(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_fetches_for_all_who_wait() {
        let (kept, source) = (Arc::new(Kept::default()), Source::default());
        source.set(7);
        let all = (0..50).map(|_| kept.get(HOUR, |_| true, source.clone().fetch()));
        for value in futures_util::future::join_all(all).await {
            assert_eq!(*value.expect("fetched"), 7);
        }
        assert_eq!(source.fetched(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_old_or_of_no_use_is_fetched_again_but_not_often() {
        let (kept, source) = (Arc::new(Kept::default()), Source::default());
        source.set(1);
        let get = async |is_wanted: fn(&usize) -> bool| {
            *kept.get(HOUR, is_wanted, source.clone().fetch()).await.expect("fetched")
        };
        assert_eq!(get(|_| true).await, 1);
        source.set(2);
        assert_eq!(get(|value| *value == 2).await, 1, "it was fetched a moment ago");
        advance(PAUSE).await;
        assert_eq!(get(|value| *value == 2).await, 2);
        source.set(3);
        assert_eq!(get(|_| true).await, 2, "it is young");
        advance(HOUR + PAUSE).await;
        assert_eq!(get(|_| true).await, 3);
        for _ in 0..100 {
            assert_eq!(get(|_| false).await, 3);
        }
        assert_eq!(source.fetched(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_ends_after_a_pause_and_loses_nothing() {
        let (kept, source) = (Arc::new(Kept::default()), Source::default());
        let get = async || kept.get(HOUR, |_| true, source.clone().fetch()).await;
        assert!(get().await.is_err());
        source.set(1);
        assert!(get().await.is_err(), "it was tried a moment ago");
        advance(PAUSE).await;
        assert_eq!(*get().await.expect("fetched"), 1);
        source.set(0);
        advance(2 * HOUR).await;
        assert_eq!(*get().await.expect("the old one"), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_ends_nothing() {
        let (kept, source) = (Arc::new(Kept::default()), Source::default());
        source.set(1);
        let gone = kept.get(HOUR, |_| true, source.clone().fetch());
        assert!(futures_util::FutureExt::now_or_never(gone).is_none());
        assert_eq!(*kept.get(HOUR, |_| true, source.clone().fetch()).await.expect("fetched"), 1);
        assert_eq!(source.fetched(), 1);
    }
}
