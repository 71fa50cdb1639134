//! Locks that were not foreseen.

use std::collections::BTreeSet;

use cumulo_core::{
    object::List,
    store::{Entry, Result},
};

use super::{Interruption, Mode, Tx};
use crate::postgres::statements::{self as statement, Lock, Wish};

impl Tx<'_> {
    /// Makes sure that nobody else writes to the list until the end, and that what is known of it
    /// is true.
    pub(super) fn lock_list(&mut self, list: &List) -> Result<()> {
        self.require_write()?;
        if self.holds(list) {
            return Ok(());
        }
        let locks = Lock::of_list(list).into_iter();
        let missing = locks.filter(|lock| !self.held.contains(lock)).collect();
        self.take(missing);
        if self.scanned.contains(list) {
            return self.interrupt(Interruption::Changed);
        }
        self.confirm(list)
    }

    /// Takes locks that were not foreseen.
    pub(super) fn take(&mut self, locks: BTreeSet<Lock>) {
        self.wanted.extend(locks.iter().cloned());
        self.held.extend(locks.iter().cloned());
        self.kept.push(statement::lock(locks));
    }

    /// Fetches again what is known of a list whose lock was taken late, and stops if it was not
    /// true any more.
    fn confirm(&mut self, list: &List) -> Result<()> {
        let before = self.known.objects_of(list);
        let floor = statement::floor();
        let wish = Wish {
            objects: before.keys().map(|id| (list, id.as_str())).collect(),
            lists: BTreeSet::from([list, &floor]),
            ..Wish::default()
        };
        self.fetch(&wish)?;
        let same = |id: &String, old: &Option<Entry>| {
            let new = self.known.object(list, id);
            match (old, new) {
                (Some(old), Some(new)) => old.object == new.object && old.acl == new.acl,
                (old, new) => old.is_none() && new.is_none(),
            }
        };
        if before.iter().all(|(id, old)| same(id, old)) {
            Ok(())
        } else {
            self.interrupt(Interruption::Changed)
        }
    }

    /// Notes that the list was looked at as a whole.
    pub(super) fn scan(&mut self, list: &List) {
        if self.mode == Mode::Write && !self.holds(list) {
            self.scanned.insert(list.clone());
        }
    }

    /// Whether the lock of the list is held, and with it those of what is above.
    fn holds(&self, list: &List) -> bool {
        self.held.iter().any(|lock| matches!(lock, Lock::List(held) if held == list))
    }
}
