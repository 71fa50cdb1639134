//! Who delivers the messages of one listener.
//!
//! A worker claims as many messages as it can deliver at the same time, and settles what came of
//! them in the transaction in which it claims more. A message that fails waits, each time twice as
//! long, while others go on; so the order is not promised. While nothing at all can be delivered,
//! the worker rests between its attempts.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cumulo_core::{
    causes::Causes,
    host::Host,
    object::Timestamp,
    outbox::Message,
    settings::Listener,
    store::{Access, BoxFuture, Outcome, Result, Transaction},
};
use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use tokio::{
    select,
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use super::delivery::{Delivery, Receipt};

/// How long a worker waits for messages of which nobody tells it: those of other copies of the
/// service that have ended, and of the time before it started.
const POLL: Duration = Duration::from_secs(2);
/// How long it waits for messages that somebody else has just claimed.
const MIN_WAIT: Duration = Duration::from_millis(100);
/// How long deliveries may go on when the service stops.
const GRACE: Duration = Duration::from_secs(3);
/// After so many failures in a row a worker rests...
const MAX_FAILURES: u32 = 3;
/// ... for so long, twice as long after each further one...
const REST: Duration = Duration::from_millis(250);
/// ... up to this.
const MAX_REST: Duration = Duration::from_secs(30);

/// Delivers the messages of one listener.
pub(super) struct Worker {
    listener: Arc<Listener>,
    delivery: Arc<Delivery>,
    host: Arc<dyn Host>,
    wake: Arc<Notify>,
    /// How many deliveries have failed since the last one that did not.
    failures: u32,
    /// Until when it rests.
    rests_until: Option<Instant>,
    /// What is to be written down.
    settled: Vec<Settled>,
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Settled {
    Done(String),
    Later(String, Timestamp),
    /// Given up.
    Dead(String),
}

type UnderWay = FuturesUnordered<BoxFuture<'static, (Vec<Message>, Receipt)>>;

impl Worker {
    pub(super) fn new(
        listener: Arc<Listener>,
        delivery: Delivery,
        host: Arc<dyn Host>,
        wake: Arc<Notify>,
    ) -> Self {
        let delivery = Arc::new(delivery);
        let (failures, rests_until, settled) = (0, None, Vec::new());
        Self { listener, delivery, host, wake, failures, rests_until, settled }
    }

    /// Delivers until it is told to stop. What was claimed and not delivered by then is due when the
    /// claim ends.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut under_way = UnderWay::new();
        let wake = Arc::clone(&self.wake);
        loop {
            let wait = self.turn(&mut under_way).await;
            select! {
                _ = stopped.wait_for(|stopped| *stopped) => break,
                Some((messages, receipt)) = under_way.next() => {
                    self.settle(messages, receipt);
                    while let Some(Some((messages, receipt))) = under_way.next().now_or_never() {
                        self.settle(messages, receipt);
                    }
                }
                () = wake.notified(), if wait > Duration::ZERO => {}
                () = sleep(wait), if wait > Duration::ZERO => {}
            }
        }
        self.end(under_way).await;
    }

    /// Writes down what came of messages, claims others and begins to deliver them. Returns how long
    /// to wait unless something happens; zero if only the end of a delivery matters.
    async fn turn(&mut self, under_way: &mut UnderWay) -> Duration {
        let rest = self.rest();
        let batch = self.delivery.batch();
        let free = self.delivery.slots(&self.listener).saturating_sub(under_way.len());
        let limit = if rest.is_zero() { free * batch } else { 0 };
        if limit == 0 && self.settled.is_empty() {
            return rest;
        }
        let (claimed, next_due) = match self.exchange(limit).await {
            Ok(found) => found,
            Err(error) => {
                let error = Causes(&error).to_string();
                tracing::warn!(listener = self.listener.name, error, "can't ask for messages");
                return POLL;
            }
        };
        let all = claimed.len() < limit;
        for messages in claimed.chunks(batch) {
            under_way.push(self.deliver(messages.to_vec()));
        }
        match next_due {
            _ if !all => rest,
            Some(due) => {
                let millis = due.0.saturating_sub(self.now().0);
                Duration::from_millis(u64::try_from(millis).unwrap_or(0)).clamp(MIN_WAIT, POLL)
            }
            None => POLL,
        }
    }

    /// Settles messages and claims up to `limit` others. Returns them, and when the next is due.
    async fn exchange(&mut self, limit: usize) -> Result<(Vec<Message>, Option<Timestamp>)> {
        let (settled, queue) = (self.settled.clone(), self.listener.name.clone());
        let now = self.now();
        let until = Timestamp(now.0.saturating_add(lease(&self.listener)));
        let work = move |tx: &mut dyn Transaction| {
            settle_all(&settled, tx)?;
            if limit == 0 {
                return Ok((Outcome::Commit, (Vec::new(), None)));
            }
            let claimed = tx.claim(&queue, now, until, limit)?;
            let next_due = if claimed.len() < limit { tx.next_due(&queue)? } else { None };
            Ok((Outcome::Commit, (claimed, next_due)))
        };
        let found = self.host.store().transact(Access::Write, work).await?;
        self.settled.clear();
        Ok(found)
    }

    /// Delivers messages. Here each delivery is timed.
    fn deliver(&self, messages: Vec<Message>) -> BoxFuture<'static, (Vec<Message>, Receipt)> {
        let (listener, delivery) = (Arc::clone(&self.listener), Arc::clone(&self.delivery));
        let (now, metrics) = (self.now(), self.host.api().metrics.clone());
        Box::pin(async move {
            let started = Instant::now();
            let receipt = delivery.deliver(&listener.name, &messages, now).await;
            let took = started.elapsed();
            if let Some(metrics) = metrics {
                metrics.timing(&format!("listeners.{}.seconds", listener.name), took, &[]);
            }
            let seconds = took.as_secs_f64();
            tracing::debug!(listener = listener.name, seconds, ?receipt, "delivered");
            (messages, receipt)
        })
    }

    /// Notes what came of messages.
    fn settle(&mut self, messages: Vec<Message>, receipt: Receipt) {
        match receipt {
            Receipt::Delivered => {
                self.failures = 0;
                self.rests_until = None;
                self.settled.extend(messages.into_iter().map(|message| Settled::Done(message.id)));
            }
            Receipt::Failed { reason, after } => {
                self.note_failure();
                for message in messages {
                    self.postpone(message, &reason, after);
                }
            }
            Receipt::Gone => {
                for message in messages {
                    self.give_up(message, "the receiver wants no more (410 Gone)");
                }
            }
        }
    }

    fn postpone(&mut self, message: Message, reason: &str, after: Option<Duration>) {
        let now = self.now();
        let age = now.0.saturating_sub(message.created.0);
        let max_age = i64::from(self.listener.max_age_seconds) * 1000;
        if age >= max_age {
            return self.give_up(message, reason);
        }
        let backoff = backoff(&self.listener, message.attempts, rand::random_range(0.5..=1.0));
        let wait = backoff.max(after.unwrap_or_default()).as_millis();
        let wait = i64::try_from(wait).unwrap_or(i64::MAX).min(max_age);
        let Message { id, attempts, .. } = message;
        tracing::warn!(
            listener = self.listener.name,
            message.id = id,
            attempts,
            reason,
            retry_ms = wait,
            "a message could not be delivered"
        );
        self.settled.push(Settled::Later(id, Timestamp(now.0.saturating_add(wait))));
    }

    fn give_up(&mut self, message: Message, reason: &str) {
        tracing::error!(
            listener = self.listener.name,
            message.id = message.id,
            attempts = message.attempts,
            reason,
            "a message is given up; it stays in the store"
        );
        self.settled.push(Settled::Dead(message.id));
    }

    fn note_failure(&mut self) {
        if !self.rest().is_zero() {
            // It was sent before the rest began, and says nothing new.
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.rests_until = rest_after(self.failures).map(|rest| Instant::now() + rest);
    }

    /// How long it still rests.
    fn rest(&self) -> Duration {
        let until = self.rests_until;
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Lets deliveries end for a while.
    async fn end(mut self, mut under_way: UnderWay) {
        let finish = async {
            while let Some((messages, receipt)) = under_way.next().await {
                self.settle(messages, receipt);
            }
        };
        if timeout(GRACE, finish).await.is_err() {
            tracing::info!(listener = self.listener.name, "deliveries go on after the next start");
        }
        if !self.settled.is_empty()
            && let Err(error) = self.exchange(0).await
        {
            let error = Causes(&error).to_string();
            tracing::warn!(
                listener = self.listener.name,
                error,
                "what was delivered last can't be written down: it will be delivered again"
            );
        }
    }

    fn now(&self) -> Timestamp {
        self.host.api().clock.now()
    }
}

fn settle_all(settled: &[Settled], tx: &mut dyn Transaction) -> Result<()> {
    let mut done = Vec::new();
    for settled in settled {
        match settled {
            Settled::Done(id) => done.push(id.clone()),
            Settled::Later(id, due) => tx.postpone(id, Some(*due))?,
            Settled::Dead(id) => tx.postpone(id, None)?,
        }
    }
    if done.is_empty() { Ok(()) } else { tx.dequeue(&done) }
}

/// For how many milliseconds messages are claimed: longer than a delivery can take.
fn lease(listener: &Listener) -> i64 {
    i64::from(listener.timeout_seconds) * 2000 + 1000
}

/// How long a message waits after so many attempts; `jitter` keeps those that failed together
/// from coming again together.
fn backoff(listener: &Listener, attempts: u32, jitter: f64) -> Duration {
    let doubled = attempts.saturating_sub(1).min(30);
    let seconds = u64::from(listener.retry_seconds) << doubled;
    let seconds = seconds.min(listener.max_retry_seconds.into());
    Duration::from_secs(seconds).mul_f64(jitter)
}

/// How long a worker rests after so many failures in a row.
fn rest_after(failures: u32) -> Option<Duration> {
    let further = failures.checked_sub(MAX_FAILURES)?;
    Some(REST.saturating_mul(1 << further.min(16)).min(MAX_REST))
}

#[cfg(test)]
mod tests {
    use cumulo_core::settings::ListenerKind;

    use super::*;

    fn listener() -> Listener {
        Listener {
            name: "hook".into(),
            kind: ListenerKind::Log,
            actions: Vec::new(),
            resources: Vec::new(),
            include_objects: false,
            timeout_seconds: 10,
            concurrency: 1,
            retry_seconds: 2,
            max_retry_seconds: 60,
            max_age_seconds: 600,
        }
    }

    #[test]
    fn waits_double_up_to_a_limit() {
        let waits = |attempts| backoff(&listener(), attempts, 1.0).as_secs();
        assert_eq!([1, 2, 3, 6, 99].map(waits), [2, 4, 8, 60, 60]);
        assert_eq!(backoff(&listener(), 1, 0.5), Duration::from_secs(1));
    }

    #[test]
    fn rests_double_up_to_a_limit() {
        let millis = |failures| rest_after(failures).map(|rest| rest.as_millis());
        assert_eq!([0, 2, 3, 4, 5].map(millis), [None, None, Some(250), Some(500), Some(1000)]);
        assert_eq!([20, u32::MAX].map(millis), [Some(30_000); 2]);
    }

    #[test]
    fn a_claim_lasts_longer_than_a_delivery() {
        assert!(lease(&listener()) > 10_000);
    }
}
