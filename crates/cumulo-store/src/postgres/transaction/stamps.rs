//! Which timestamps changes get.

use cumulo_core::{
    object::{List, Timestamp},
    store::{Error, Result},
};

use super::Tx;
use crate::postgres::{known::ListState, statements as statement};

impl Tx<'_> {
    /// Chooses the timestamp of a change to the object `id`.
    pub(super) fn stamp(
        &mut self,
        list: &List,
        id: &str,
        asked: Option<Timestamp>,
    ) -> Result<Timestamp> {
        let current = self.list_state(list)?.timestamp();
        let Some(asked) = asked.filter(|asked| Some(*asked) != current) else {
            let least = match current {
                Some(current) => current.next(),
                None => self.start()?,
            };
            return Ok(self.shared.clock.now().max(least));
        };
        self.check_free(list, id, asked)?;
        self.hold(list, asked)?;
        Ok(asked)
    }

    /// Keeps a list, in which something gets the timestamp `at`, from going back, since what is
    /// replaced may be the newest, and from beginning before its time.
    pub(super) fn hold(&mut self, list: &List, at: Timestamp) -> Result<()> {
        let state = self.list_state(list)?;
        let least = state.timestamp().map_or_else(|| self.start(), Ok)?;
        if at < least && state.stored < Some(least) {
            self.store_timestamp(list, least)?;
        }
        Ok(())
    }

    /// The earliest timestamp of a list that begins.
    pub(super) fn start(&mut self) -> Result<Timestamp> {
        let floor = self.list_state(&statement::floor())?.timestamp();
        Ok(floor.map_or(Timestamp(i64::MIN), Timestamp::next))
    }

    pub(super) fn store_timestamp(&mut self, list: &List, timestamp: Timestamp) -> Result<()> {
        self.keep(statement::store_timestamp(list, timestamp))?;
        let state = self.list_state(list)?;
        let stored = state.stored.max(Some(timestamp));
        self.known.set_list(list, ListState { stored, ..state });
        Ok(())
    }

    /// Fails if another object of the list has this timestamp.
    pub(super) fn check_free(&mut self, list: &List, id: &str, asked: Timestamp) -> Result<()> {
        if self.known.list(list).is_some_and(|state| state.newest < Some(asked)) {
            return Ok(());
        }
        let mut taken = false;
        self.send(vec![statement::holder_of(list, id, asked)], &mut |_, _| {
            taken = true;
            Ok(())
        })?;
        if taken { Err(Error::TimestampTaken(asked)) } else { Ok(()) }
    }

    /// Notes that a list has a new object or tombstone.
    pub(super) fn moved(&mut self, list: &List, at: Timestamp) -> Result<()> {
        let state = self.list_state(list)?;
        self.known.set_list(list, ListState { newest: state.newest.max(Some(at)), ..state });
        Ok(())
    }
}
