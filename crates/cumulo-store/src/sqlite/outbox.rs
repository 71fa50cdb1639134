//! The queues of messages.

use cumulo_core::{
    object::Timestamp,
    outbox::{Backlog, Message, Outbox},
    store::{Error, Result},
};
use rusqlite::{Connection, params};

use super::{connection::failed, group::WriteTx, reader::ReadTx};

impl Outbox for WriteTx<'_> {
    fn enqueue(&mut self, message: &Message) -> Result<()> {
        self.write()?;
        let Message { id, queue, created, due, attempts, body } = message;
        self.execute(
            "INSERT INTO message (id, queue, created, due, attempts, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![id, queue, created.0, due.map(|due| due.0), attempts, body],
        )?;
        Ok(())
    }

    fn claim(
        &mut self,
        queue: &str,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Message>> {
        let mut messages = due(self.connection, queue, now, limit)?;
        if !messages.is_empty() {
            self.write()?;
        }
        for message in &mut messages {
            message.due = Some(until);
            message.attempts = message.attempts.saturating_add(1);
            self.execute(
                "UPDATE message SET due = ?2, attempts = ?3 WHERE id = ?1",
                params![message.id, until.0, message.attempts],
            )?;
        }
        Ok(messages)
    }

    fn dequeue(&mut self, ids: &[String]) -> Result<()> {
        self.write()?;
        for id in ids {
            self.execute("DELETE FROM message WHERE id = ?1", params![id])?;
        }
        Ok(())
    }

    fn postpone(&mut self, id: &str, due: Option<Timestamp>) -> Result<()> {
        self.write()?;
        let due = due.map(|due| due.0);
        self.execute("UPDATE message SET due = ?2 WHERE id = ?1", params![id, due])?;
        Ok(())
    }

    fn next_due(&mut self, queue: &str) -> Result<Option<Timestamp>> {
        next_due(self.connection, queue)
    }

    fn backlog(&mut self, queue: &str) -> Result<Backlog> {
        backlog(self.connection, queue)
    }
}

impl Outbox for ReadTx<'_> {
    fn next_due(&mut self, queue: &str) -> Result<Option<Timestamp>> {
        next_due(self.rows()?.0.connection, queue)
    }

    fn backlog(&mut self, queue: &str) -> Result<Backlog> {
        backlog(self.rows()?.0.connection, queue)
    }

    fn enqueue(&mut self, _: &Message) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn claim(&mut self, _: &str, _: Timestamp, _: Timestamp, _: usize) -> Result<Vec<Message>> {
        Err(Error::ReadOnly)
    }

    fn dequeue(&mut self, _: &[String]) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn postpone(&mut self, _: &str, _: Option<Timestamp>) -> Result<()> {
        Err(Error::ReadOnly)
    }
}

/// Messages that are due.
fn due(connection: &Connection, queue: &str, now: Timestamp, limit: usize) -> Result<Vec<Message>> {
    const SQL: &str = "SELECT id, created, due, attempts, body FROM message
        WHERE queue = ?1 AND due <= ?2 ORDER BY due, id LIMIT ?3";
    let mut statement = connection.prepare_cached(SQL).map_err(failed)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![queue, now.0, limit], |row| {
        Ok(Message {
            id: row.get(0)?,
            queue: queue.to_owned(),
            created: Timestamp(row.get(1)?),
            due: row.get::<_, Option<i64>>(2)?.map(Timestamp),
            attempts: row.get(3)?,
            body: row.get(4)?,
        })
    });
    rows.map_err(failed)?.collect::<rusqlite::Result<_>>().map_err(failed)
}

fn next_due(connection: &Connection, queue: &str) -> Result<Option<Timestamp>> {
    const SQL: &str = "SELECT min(due) FROM message WHERE queue = ?1 AND due IS NOT NULL";
    let mut statement = connection.prepare_cached(SQL).map_err(failed)?;
    let due = statement.query_row([queue], |row| row.get::<_, Option<i64>>(0));
    Ok(due.map_err(failed)?.map(Timestamp))
}

fn backlog(connection: &Connection, queue: &str) -> Result<Backlog> {
    const SQL: &str = "SELECT count(due), count(*) - count(due) FROM message WHERE queue = ?1";
    let mut statement = connection.prepare_cached(SQL).map_err(failed)?;
    let count = |row: &rusqlite::Row<'_>| {
        let number = |place| row.get::<_, i64>(place).map(i64::unsigned_abs);
        Ok(Backlog { waiting: number(0)?, dead: number(1)? })
    };
    statement.query_row([queue], count).map_err(failed)
}
