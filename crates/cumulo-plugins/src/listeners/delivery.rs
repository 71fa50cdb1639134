//! The ways to deliver messages.

use std::time::Duration;

use cumulo_core::{
    object::Timestamp,
    outbox::Message,
    plugin::StartError,
    settings::{Listener, ListenerKind},
};
use tokio::task::spawn_blocking;

use super::{log, redis::Redis, webhook::Webhook};

/// How many messages go to Redis or the log together at the most.
const BATCH: usize = 100;

/// A way to deliver messages.
pub(super) enum Delivery {
    Webhook(Webhook),
    Redis(Redis),
    Log,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Receipt {
    Delivered,
    /// It may work later; after this time at the earliest, if the receiver says so.
    Failed {
        reason: String,
        after: Option<Duration>,
    },
    /// The receiver wants no more messages.
    Gone,
}

impl Receipt {
    /// A failure that says nothing about when to try again.
    pub(super) fn failed(reason: impl Into<String>) -> Self {
        Self::Failed { reason: reason.into(), after: None }
    }
}

impl Delivery {
    /// The way of a listener. Nothing is connected to yet.
    pub(super) fn open(listener: &Listener) -> Result<Self, StartError> {
        let timeout = Duration::from_secs(listener.timeout_seconds.into());
        Ok(match &listener.kind {
            ListenerKind::Webhook { url, secrets } => {
                Self::Webhook(Webhook::new(url, secrets, timeout)?)
            }
            ListenerKind::Redis { url, list } => Self::Redis(Redis::new(url, list, timeout)?),
            ListenerKind::Log => Self::Log,
        })
    }

    /// How many messages are delivered together at the most.
    pub(super) fn batch(&self) -> usize {
        if matches!(self, Self::Webhook(_)) { 1 } else { BATCH }
    }

    /// How many deliveries may be under way at the same time. What goes together goes in order.
    pub(super) fn slots(&self, listener: &Listener) -> usize {
        if matches!(self, Self::Webhook(_)) { listener.concurrency } else { 1 }
    }

    /// Delivers messages, all or none.
    pub(super) async fn deliver(
        &self,
        listener: &str,
        messages: &[Message],
        now: Timestamp,
    ) -> Receipt {
        match (self, messages) {
            (Self::Webhook(webhook), [message]) => webhook.post(message, now).await,
            (Self::Webhook(_), _) => Receipt::failed("messages are posted one by one"),
            (Self::Redis(redis), _) => redis.push(messages).await,
            (Self::Log, _) => {
                // Each line is waited for.
                let (listener, messages) = (listener.to_owned(), messages.to_vec());
                spawn_blocking(move || log::write(&listener, &messages))
                    .await
                    .unwrap_or_else(|failure| Receipt::failed(failure.to_string()))
            }
        }
    }
}
