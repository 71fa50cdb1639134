//! Many operations in few requests:
//! <https://docs.kinto-storage.org/en/stable/api/1.x/batch.html>

mod aggregate;
mod order;
mod results;
mod send;
mod wire;

use std::{
    mem,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use aggregate::Aggregate;
pub use results::{Failure, Failures, Results};
pub(crate) use send::{MAX_BYTES, send};
pub(crate) use wire::{Part, parts};

use crate::{
    Error, Root,
    call::Call,
    transport::{Decode, Direct, Transport},
};

/// Operations that wait to be sent together. It has the scopes and verbs of a [`Client`](crate::Client); what their
/// `send` gives is a [`Ticket`] for the result.
///
/// ```no_run
/// # async fn run(client: cumulo_client::Client) -> cumulo_client::Result<()> {
/// let batch = client.batch();
/// let articles = batch.bucket("blog").collection("articles").records();
/// let first = articles.get("first").send();
/// let second = articles.create(serde_json::json!({"title": "Second"})).send();
///
/// let results = batch.send().await?;
/// println!("{} {}", results.get(&first)?.data, results.get(&second)?.id);
/// # Ok(())
/// # }
/// ```
///
/// The operations are sent in their order, in as many requests as the server's limit makes of them.
/// The server does each of these requests as a whole, but an operation that it refuses does not undo
/// the others.
#[derive(Debug)]
#[must_use = "nothing is sent without `send`"]
pub struct Batch<X: Direct> {
    client: Root<Queue>,
    direct: X,
    ignores_refusals: bool,
}

/// Where the operations of a batch wait.
#[derive(Clone, Debug, Default)]
pub struct Queue(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    calls: Vec<Call>,
    /// How many were taken out of it to be sent.
    sent: usize,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Empties it. What comes later is numbered on, and found in no results.
    fn take(&self) -> Vec<Call> {
        let mut waiting = self.waiting();
        waiting.sent += waiting.calls.len();
        mem::take(&mut waiting.calls)
    }
}

/// The place of an operation in a batch, with which its result is found.
#[derive(Debug)]
pub struct Ticket<T> {
    /// The batch that it belongs to.
    queue: Queue,
    index: usize,
    decode: Decode<T>,
}

impl<T> Ticket<T> {
    /// The number of the operation, from 0.
    pub fn index(&self) -> usize {
        self.index
    }
}

impl Transport for Queue {
    type Sent<T: Send + 'static> = Ticket<T>;

    fn send<T: Send + 'static>(&self, call: Call, decode: Decode<T>) -> Self::Sent<T> {
        let mut waiting = self.waiting();
        let index = waiting.sent + waiting.calls.len();
        waiting.calls.push(call);
        Ticket { queue: self.clone(), index, decode }
    }
}

impl<X: Direct> Batch<X> {
    pub(crate) fn new(client: Root<Queue>, direct: X) -> Self {
        Self { client, direct, ignores_refusals: false }
    }

    /// Operations that the server refuses (4xx) don't make [`Batch::send`] fail.
    pub fn ignore_refusals(mut self) -> Self {
        self.ignores_refusals = true;
        self
    }

    /// How many operations there are so far.
    pub fn len(&self) -> usize {
        self.client.transport().waiting().calls.len()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends the operations. If one fails, so does this, with [`Error::Batch`], which has the
    /// results of all.
    pub fn send(self) -> X::Sent<Results> {
        let queue = self.client.transport().clone();
        let calls = queue.take();
        let ignores_refusals = self.ignores_refusals;
        self.direct.run(|connection| async move {
            let (mut results, cause) = send(&connection, calls).await?;
            results.queue = Some(queue);
            let fails = |it: &Failure| !ignores_refusals || !is_refusal(&it.error);
            if cause.is_some() || results.failures().any(|it| fails(&it)) {
                return Err(Error::Batch(Box::new(Failures { results, cause })));
            }
            Ok(results)
        })
    }
}

fn is_refusal(error: &Error) -> bool {
    error.status().is_some_and(|status| status.is_client_error())
}

impl<X: Direct> Deref for Batch<X> {
    type Target = Root<Queue>;

    fn deref(&self) -> &Root<Queue> {
        &self.client
    }
}
