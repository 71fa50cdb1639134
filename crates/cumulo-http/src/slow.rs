//! Work that takes long, on threads for that.

use std::{sync::Arc, thread::available_parallelism, time::Duration};

use cumulo_core::{
    causes::Causes,
    error::{ApiError, Result},
    plugin::Slow,
    settings::Settings,
};
use tokio::{sync::Semaphore, task::spawn_blocking};
use tracing::error;

/// Work that takes long, and as much of it at once as leaves processors for the rest: who sends
/// wrong passwords does not stop others.
pub(crate) struct SlowWork {
    places: Arc<Semaphore>,
    /// How long a request may wait for what must be worked out.
    pub(crate) patience: Duration,
}

impl SlowWork {
    pub(crate) fn new(settings: &Settings) -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self {
            places: Arc::new(Semaphore::new((processors / 2).max(1))),
            patience: Duration::from_secs(settings.request_timeout_seconds.into()),
        }
    }

    pub(crate) async fn run<T: Send + 'static>(&self, work: Slow<T>) -> Result<T> {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("it is never closed");
        let work = move || {
            // Nobody may wait any more when the work is done, but until then it takes a place.
            let _place = place;
            work()
        };
        spawn_blocking(work).await.map_err(|failure| {
            error!(error = %Causes(&failure), "the preparation failed");
            ApiError::internal("")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use cumulo_core::error::Errno;
    use futures_util::FutureExt;

    use super::*;

    fn with_places(places: usize) -> SlowWork {
        let patience = Duration::from_secs(30);
        SlowWork { places: Arc::new(Semaphore::new(places)), patience }
    }

    #[tokio::test]
    async fn only_so_much_is_done_at_once() {
        let slow = with_places(2);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let works = (0..20).map(|n| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            slow.run(Box::new(move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
                n
            }))
        });
        let results = futures_util::future::join_all(works).await;
        assert!(results.into_iter().map(|result| result.expect("done")).eq(0..20));
        assert!(most.load(Ordering::SeqCst) <= 2);
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_keeps_its_place() {
        let slow = with_places(1);
        let (end, ended) = mpsc::channel::<()>();
        let work = slow.run(Box::new(move || ended.recv().is_err()));
        assert!(work.now_or_never().is_none());
        assert_eq!(slow.places.available_permits(), 0);
        drop(end);
        slow.run(Box::new(|| ())).await.expect("the place is free again");
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let failed = with_places(1).run::<()>(Box::new(|| panic!("as the test wants"))).await;
        assert_eq!(failed.expect_err("it panicked").errno, Errno::Undefined);
    }
}
