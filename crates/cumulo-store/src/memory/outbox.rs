//! The queues of messages.

use cumulo_core::{
    object::Timestamp,
    outbox::{Backlog, Message, Outbox},
    store::Result,
};

use super::transaction::Tx;

impl Outbox for Tx<'_> {
    fn enqueue(&mut self, message: &Message) -> Result<()> {
        self.write()?.set_message(&message.id, Some(message.clone()));
        Ok(())
    }

    fn claim(
        &mut self,
        queue: &str,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Message>> {
        let state = self.write()?;
        let of_queue = state.messages.values().filter(|message| message.queue == queue);
        let mut due: Vec<_> =
            of_queue.filter(|message| message.due.is_some_and(|due| due <= now)).cloned().collect();
        // Those with the same due time stay in the order of their ids.
        due.sort_by_key(|message| message.due);
        due.truncate(limit);
        for message in &mut due {
            message.due = Some(until);
            message.attempts = message.attempts.saturating_add(1);
            state.set_message(&message.id, Some(message.clone()));
        }
        Ok(due)
    }

    fn dequeue(&mut self, ids: &[String]) -> Result<()> {
        let state = self.write()?;
        for id in ids {
            state.set_message(id, None);
        }
        Ok(())
    }

    fn postpone(&mut self, id: &str, due: Option<Timestamp>) -> Result<()> {
        let state = self.write()?;
        if let Some(message) = state.messages.get(id).cloned() {
            state.set_message(id, Some(Message { due, ..message }));
        }
        Ok(())
    }

    fn next_due(&mut self, queue: &str) -> Result<Option<Timestamp>> {
        let of_queue = self.state.messages.values().filter(|message| message.queue == queue);
        Ok(of_queue.filter_map(|message| message.due).min())
    }

    fn backlog(&mut self, queue: &str) -> Result<Backlog> {
        let mut backlog = Backlog::default();
        for message in self.state.messages.values().filter(|message| message.queue == queue) {
            match message.due {
                Some(_) => backlog.waiting += 1,
                None => backlog.dead += 1,
            }
        }
        Ok(backlog)
    }
}
