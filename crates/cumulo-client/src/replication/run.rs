//! Replicates list by list.

use std::{mem, sync::Arc};

use futures_util::TryStreamExt as _;

use super::{
    report::{Report, Tally},
    session::{Part, Records, Session, head},
};
use crate::Result;

/// So many objects are written in one request, if the server takes as many.
const MAX_BATCH: usize = 200;

impl Session {
    pub(super) async fn run(mut self, tally: Tally) -> Result<Report> {
        let mut state = mem::take(&mut self.state);
        // Later lists need the marks while new ones are noted.
        self.state = state.clone();
        for found in mem::take(&mut self.heads) {
            self.write_head(found, &tally).await?;
        }
        tally.compared(0, self.kept_heads);
        self.is_missing = false;
        let session = Arc::new(self);
        let tally = Arc::new(tally);
        for part in session.lists() {
            session.apply(part, &tally).await?;
        }
        for (here, there) in session.collections().await? {
            if let Some(records) = session.records(&here, &there).await? {
                let (id, marks) = (records.id.clone(), records.marks);
                if session.apply_records(records, &tally).await? {
                    state.records.insert(id, marks);
                }
            }
        }
        Ok(tally.report(state))
    }

    /// Makes the records of a collection as they are in the source. Tells whether they are.
    async fn apply_records(self: &Arc<Self>, records: Records, tally: &Arc<Tally>) -> Result<bool> {
        let Records { part, marks, .. } = records;
        let Some(destination) = part.destination.clone() else {
            // The collection could not be created, which is a problem already.
            return Ok(false);
        };
        let problems = tally.problems();
        self.apply(part.clone(), tally).await?;
        if part.since.is_some() && tally.problems() == problems {
            let (timestamp, source) = head(&part.source, None).await?;
            let (_, destination) = head(&destination, None).await?;
            let is_short = if part.deletes { source != destination } else { source > destination };
            if timestamp == marks.source && is_short {
                let total = source;
                self.apply(Part { since: None, total, ..part }, tally).await?;
            }
        }
        Ok(tally.problems() == problems)
    }

    async fn apply(self: &Arc<Self>, part: Part, tally: &Arc<Tally>) -> Result<()> {
        let limit = self.destination.connection().batch_limit().await?.min(MAX_BATCH);
        self.clone()
            .found(part, tally.clone())
            .try_chunks(limit)
            .map_err(|error| error.1)
            .map_ok(|found| self.write(found, tally))
            .try_buffer_unordered(self.options.concurrency)
            .try_collect()
            .await
    }
}
