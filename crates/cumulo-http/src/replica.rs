//! Which reads a replica of the storage answers: those of which nobody can tell the difference.
//!
//! - Who has written reads from the storage itself for as long as a replica may be behind. The
//!   store of the replica answers nothing when it is further behind than that.
//! - Who names a timestamp gets an answer that is as new at least: see
//!   [`Seen`](cumulo_core::store::Seen).
//! - What turns out to write, and whatever goes wrong with the replica or the cache, is for the
//!   storage itself.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use cumulo_core::{
    api::Api,
    authorization::EVERYONE,
    call::{Call, Endpoint},
    reply::Reply,
    store::{Access, Error, Store},
};
use cumulo_kvs::Kvs;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::{cache, transaction};

/// How long a replica that has failed is left alone; then one read tries it again.
const REST: Duration = Duration::from_secs(1);
/// How long a read of a few rows may take before the replica counts as failed...
const READ_PATIENCE: Duration = Duration::from_secs(1);
/// ... and one that may take long.
const SCAN_PATIENCE: Duration = Duration::from_secs(10);
/// Memory of writers is kept so much longer than a replica may be behind, since clocks differ.
const MARGIN: Duration = Duration::from_secs(1);

/// A replica of the storage.
pub(crate) struct Replica {
    store: Arc<dyn Store>,
    /// How long who has written reads elsewhere.
    memory: Duration,
    /// When it may be tried again; none if it works.
    rests_until: Mutex<Option<Instant>>,
}

impl Replica {
    /// `store` must not answer when it is more than `max_lag` behind.
    pub(crate) fn new(store: Arc<dyn Store>, max_lag: Duration) -> Self {
        Self { store, memory: max_lag + MARGIN, rests_until: Mutex::new(None) }
    }

    /// The answer, if the replica is to give it, and can.
    pub(crate) async fn answer(
        &self,
        api: &Arc<Api>,
        cache: &dyn Kvs,
        call: &Arc<Call>,
        access: Access,
    ) -> Option<Reply> {
        if access == Access::Write {
            return None;
        }
        let outlook = api.replica_outlook(call)?;
        if !self.may_be_tried() || has_written(cache, call).await {
            return None;
        }
        let patience = if access == Access::Read { READ_PATIENCE } else { SCAN_PATIENCE };
        let answer = transaction::ask(&*self.store, api, call, access, outlook);
        match timeout(patience, answer).await {
            Ok(Ok(reply)) => {
                self.works();
                Some(reply)
            }
            Ok(Err(Error::ReadOnly | Error::Behind)) => {
                self.works();
                None
            }
            Ok(Err(failure)) => self.rest(&failure),
            Err(late) => self.rest(&late),
        }
    }

    /// Remembers, for all copies of the service, who has written. Before the answer is sent.
    pub(crate) async fn note_writers(&self, cache: &dyn Kvs, call: &Call, reply: &Reply) {
        let is_write = call.access() == Access::Write && call.endpoint != Endpoint::Heartbeat;
        if !is_write || !reply.status.is_success() {
            return;
        }
        let mut writers: Vec<_> = call.singles().map(Call::principal).collect();
        writers.sort_unstable();
        writers.dedup();
        for writer in writers {
            if let Err(failure) = cache.set(&key(writer), b"1", Some(self.memory)).await {
                // What was written is durable: to deny that would be worse.
                cache::log(&failure);
            }
        }
    }

    /// Closes the store.
    pub(crate) fn close(&self) {
        self.store.close();
    }

    /// Whether it works, or should be tried again.
    fn may_be_tried(&self) -> bool {
        let mut rests_until = self.rests_until();
        match *rests_until {
            None => true,
            Some(until) if until <= Instant::now() => {
                // Others wait for what comes of this one.
                *rests_until = Some(Instant::now() + REST);
                true
            }
            Some(_) => false,
        }
    }

    fn works(&self) {
        if self.rests_until().take().is_some() {
            info!("the replica answers again");
        }
    }

    fn rest(&self, failure: &(dyn std::error::Error + 'static)) -> Option<Reply> {
        if self.rests_until().replace(Instant::now() + REST).is_none() {
            warn!(error = failure, "the replica does not answer: all reads go to the storage");
        }
        None
    }

    fn rests_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether who asks has written lately, perhaps before they logged in, or that can't be known.
async fn has_written(cache: &dyn Kvs, call: &Call) -> bool {
    let wrote = async |who: &str| match cache.get(&key(who)).await {
        Ok(found) => found.is_some(),
        Err(failure) => {
            cache::log(&failure);
            true
        }
    };
    wrote(EVERYONE).await || (call.user.is_some() && wrote(call.principal()).await)
}

fn key(writer: &str) -> String {
    format!("last-write:{writer}")
}

#[cfg(test)]
mod tests {
    use cumulo_core::store::{BoxFuture, Result, Work};

    use super::*;

    struct Nothing;

    impl Store for Nothing {
        fn submit(&self, _: Access, _: Work) -> BoxFuture<'_, Result<()>> {
            Box::pin(async { Err(Error::Behind) })
        }

        fn close(&self) {}
    }

    #[test]
    fn a_replica_that_fails_is_left_alone_and_then_tried_by_one() {
        let replica = Replica::new(Arc::new(Nothing), Duration::from_secs(1));
        assert!(replica.may_be_tried());
        replica.rest(&Error::Behind);
        assert!(!replica.may_be_tried());
        *replica.rests_until() = Some(Instant::now());
        assert!(replica.may_be_tried());
        assert!(!replica.may_be_tried());
        replica.works();
        assert!(replica.may_be_tried());
    }
}
