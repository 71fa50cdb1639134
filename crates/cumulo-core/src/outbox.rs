//! What is to be sent elsewhere, kept with the objects until it has arrived.
//!
//! A message is written in the transaction whose effects it tells of, so it is there if and only if
//! they are. Whoever delivers it [claims](Outbox::claim) it for some time, and
//! [dequeues](Outbox::dequeue) it afterwards: if they are gone by then, it is due again. So each
//! message arrives at least once, whatever happens, and perhaps more than once.

use uuid::Uuid;

use crate::{object::Timestamp, store::Result};

/// Something to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Unique, and in the order in which messages were made.
    pub id: String,
    /// Who is to deliver it.
    pub queue: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it is to be delivered. None: no more, since that was given up.
    pub due: Option<Timestamp>,
    /// How often it was claimed.
    pub attempts: u32,
    /// What is delivered.
    pub body: String,
}

impl Message {
    /// A new message, which is due at once.
    pub fn new(queue: impl Into<String>, body: impl Into<String>, now: Timestamp) -> Self {
        let (id, queue, body) = (Uuid::now_v7().to_string(), queue.into(), body.into());
        Self { id, queue, created: now, due: Some(now), attempts: 0, body }
    }
}

/// How many messages a queue has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Those to be delivered, now or later.
    pub waiting: u64,
    /// Those that were given up.
    pub dead: u64,
}

/// Queues of messages, as a transaction sees them. In one that only reads, each method that changes
/// them fails with [`Error::ReadOnly`](crate::store::Error::ReadOnly).
pub trait Outbox {
    /// Adds a message whose id is new.
    fn enqueue(&mut self, message: &Message) -> Result<()>;

    /// Up to `limit` messages of a queue that are due at `now`, those that are so for longest first.
    /// From now on they are due at `until`, and claimed once more. Of several who claim at the same
    /// time, each gets others, and none waits: not for the end of a transaction that was undone
    /// either, whose claims may be passed over a moment longer.
    fn claim(
        &mut self,
        queue: &str,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Message>>;

    /// Removes messages; no effect for those that are not there.
    fn dequeue(&mut self, ids: &[String]) -> Result<()>;

    /// Makes a message due at another time, or gives it up; no effect if it is not there.
    fn postpone(&mut self, id: &str, due: Option<Timestamp>) -> Result<()>;

    /// When the next message of a queue is due; none if none is.
    fn next_due(&mut self, queue: &str) -> Result<Option<Timestamp>>;

    /// How many messages a queue has. Takes the longer, the more there are.
    fn backlog(&mut self, queue: &str) -> Result<Backlog>;
}
