//! The queues of messages. A message that is added is kept back like any other write.

use cumulo_core::{
    object::Timestamp,
    outbox::{Backlog, Message, Outbox},
    store::Result,
};

use super::Tx;
use crate::{
    postgres::{
        command::{Command, Param},
        schema::NO_OUTBOX,
    },
    run,
};

impl Outbox for Tx<'_> {
    fn enqueue(&mut self, message: &Message) -> Result<()> {
        const SQL: &str = "INSERT INTO cumulo_message (id, queue, created, due, attempts, body) \
            VALUES ($1, $2, $3, $4, $5, $6)";
        self.require_outbox()?;
        self.require_write()?;
        let due = message.due.map_or(Param::Null, |due| Param::Int(due.0));
        let params = vec![
            Param::from(&*message.id),
            Param::from(&*message.queue),
            Param::Int(message.created.0),
            due,
            Param::Int(message.attempts.into()),
            Param::from(&*message.body),
        ];
        self.keep(Command::new(SQL, params))
    }

    fn claim(
        &mut self,
        queue: &str,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Message>> {
        // What another session has claimed, or is about to, is passed over.
        const SQL: &str = "WITH free AS (SELECT id, due FROM cumulo_message \
            WHERE queue = $1 AND due <= $2 ORDER BY due, id LIMIT $4 FOR UPDATE SKIP LOCKED) \
            UPDATE cumulo_message AS claimed SET due = $3, attempts = claimed.attempts + 1 \
            FROM free WHERE claimed.id = free.id \
            RETURNING claimed.id, created, attempts, body, free.due";
        self.require_outbox()?;
        self.require_write()?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let params =
            vec![Param::from(queue), Param::Int(now.0), Param::Int(until.0), Param::Int(limit)];
        let mut claimed = Vec::new();
        self.send(vec![Command::new(SQL, params)], &mut |_, mut row| {
            let message = Message {
                id: row.owned()?,
                queue: queue.to_owned(),
                created: Timestamp(row.int()?),
                due: Some(until),
                attempts: u32::try_from(row.int()?).unwrap_or(u32::MAX),
                body: row.owned()?,
            };
            claimed.push((row.int()?, message));
            Ok(())
        })?;
        self.changes += u64::from(!claimed.is_empty());
        claimed.sort_by(|(due, message), (other_due, other)| {
            due.cmp(other_due).then_with(|| message.id.cmp(&other.id))
        });
        Ok(claimed.into_iter().map(|(_, message)| message).collect())
    }

    fn dequeue(&mut self, ids: &[String]) -> Result<()> {
        self.require_outbox()?;
        self.require_write()?;
        let ids = Param::Texts(ids.to_vec());
        self.keep(Command::new("DELETE FROM cumulo_message WHERE id = ANY($1)", vec![ids]))
    }

    fn postpone(&mut self, id: &str, due: Option<Timestamp>) -> Result<()> {
        const SQL: &str = "UPDATE cumulo_message SET due = $2 WHERE id = $1";
        self.require_outbox()?;
        self.require_write()?;
        let due = due.map_or(Param::Null, |due| Param::Int(due.0));
        self.keep(Command::new(SQL, vec![Param::from(id), due]))
    }

    fn next_due(&mut self, queue: &str) -> Result<Option<Timestamp>> {
        const SQL: &str = "SELECT due FROM cumulo_message \
            WHERE queue = $1 AND due IS NOT NULL ORDER BY due LIMIT 1";
        self.require_outbox()?;
        self.require_snapshot()?;
        let mut due = None;
        self.send(vec![Command::new(SQL, vec![Param::from(queue)])], &mut |_, mut row| {
            due = Some(Timestamp(row.int()?));
            Ok(())
        })?;
        Ok(due)
    }

    fn backlog(&mut self, queue: &str) -> Result<Backlog> {
        const SQL: &str =
            "SELECT count(due), count(*) - count(due) FROM cumulo_message WHERE queue = $1";
        self.require_outbox()?;
        self.require_snapshot()?;
        let mut backlog = Backlog::default();
        self.send(vec![Command::new(SQL, vec![Param::from(queue)])], &mut |_, mut row| {
            let mut count = || row.int().map(i64::unsigned_abs);
            backlog = Backlog { waiting: count()?, dead: count()? };
            Ok(())
        })?;
        Ok(backlog)
    }
}

impl Tx<'_> {
    /// Removes all messages, if there is a table of them.
    pub(super) fn forget_messages(&mut self) -> Result<()> {
        if self.shared.has_outbox {
            self.keep(Command::new("DELETE FROM cumulo_message", Vec::new()))?;
        }
        Ok(())
    }

    fn require_outbox(&self) -> Result<()> {
        if self.shared.has_outbox { Ok(()) } else { Err(run::internal(NO_OUTBOX)) }
    }
}
