//! What is asked on every request, kept in memory and in step with commits.
//!
//! The writer wraps each commit in [`Cache::begin_commit`] and [`Cache::apply`]; both move the
//! generation, which is odd between them. A reader notes the generation before its snapshot
//! begins. While the generation is even and unchanged, the cache, the snapshot and the committed
//! state are one, so the reader may look things up and add what it has read; else it may not.
//! Before its snapshot begins it may look up anything, as that can't be newer than the snapshot.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cumulo_core::object::{Acl, List, Timestamp};

/// How many lists, access control lists of objects, or member sets are kept.
const CAPACITY: usize = 10_000;

/// How many principals the interned access control lists may name together.
const MAX_PRINCIPALS: usize = 100_000;

/// What the database holds about a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ListRow {
    pub(super) id: i64,
    pub(super) timestamp: Timestamp,
    pub(super) live: u64,
}

/// Counts the starts and ends of commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation(u64);

/// Which access control lists of a list's objects were changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Touched {
    Some(HashSet<String>),
    All,
}

/// What a group of transactions has changed.
#[derive(Default)]
pub(super) struct Changes {
    /// The rows of changed lists; `None` if the list is gone.
    pub(super) lists: HashMap<List, Option<ListRow>>,
    pub(super) touched: HashMap<List, Touched>,
    pub(super) memberships: bool,
    /// Ids of lists that have lost their objects, and their indexes with them.
    pub(super) emptied: Vec<i64>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Cache {
    state: Mutex<State>,
    acls: Mutex<Interned>,
}

#[derive(Default)]
struct State {
    generation: u64,
    lists: HashMap<List, Cached>,
    /// How many access control lists `lists` holds.
    acls: usize,
    groups: HashMap<String, Arc<Vec<String>>>,
}

#[derive(Default)]
struct Cached {
    row: Option<ListRow>,
    acls: HashMap<String, Arc<Acl>>,
}

/// Access control lists by their id in the database; that never changes.
#[derive(Default)]
struct Interned {
    by_id: HashMap<i64, Arc<Acl>>,
    principals: usize,
}

impl Cache {
    pub(super) fn generation(&self) -> Generation {
        Generation(self.state().generation)
    }

    /// Whether a snapshot that began after `generation` was noted shows the committed state.
    pub(super) fn is_current(&self, generation: Generation) -> bool {
        self.state().at(Some(generation)).is_some()
    }

    /// The row of a list. `snapshot` is the generation before the reader's snapshot, if that has
    /// begun.
    pub(super) fn list(&self, list: &List, snapshot: Option<Generation>) -> Option<ListRow> {
        self.state().at(snapshot)?.lists.get(list)?.row
    }

    /// The access control list of a live object.
    pub(super) fn acl(
        &self,
        list: &List,
        id: &str,
        snapshot: Option<Generation>,
    ) -> Option<Arc<Acl>> {
        self.state().at(snapshot)?.lists.get(list)?.acls.get(id).cloned()
    }

    /// The groups of `members`.
    pub(super) fn groups(
        &self,
        members: &[&str],
        snapshot: Option<Generation>,
    ) -> Option<Arc<Vec<String>>> {
        let key = member_key(members);
        self.state().at(snapshot)?.groups.get(&key).cloned()
    }

    pub(super) fn add_list(&self, list: &List, row: ListRow, snapshot: Generation) {
        if let Some(state) = self.state().at(Some(snapshot)) {
            state.entry(list).row = Some(row);
        }
    }

    pub(super) fn add_acl(&self, list: &List, id: &str, acl: &Arc<Acl>, snapshot: Generation) {
        if let Some(state) = self.state().at(Some(snapshot)) {
            if state.acls >= CAPACITY {
                state.forget_acls();
            }
            let before = state.entry(list).acls.insert(id.to_owned(), Arc::clone(acl));
            state.acls += usize::from(before.is_none());
        }
    }

    pub(super) fn add_groups(
        &self,
        members: &[&str],
        groups: &Arc<Vec<String>>,
        snapshot: Generation,
    ) {
        if let Some(state) = self.state().at(Some(snapshot)) {
            if state.groups.len() >= CAPACITY {
                state.groups.clear();
            }
            state.groups.insert(member_key(members), Arc::clone(groups));
        }
    }

    /// An access control list by its id in the database.
    pub(super) fn interned(&self, id: i64) -> Option<Arc<Acl>> {
        self.acls.lock().unwrap_or_else(PoisonError::into_inner).by_id.get(&id).cloned()
    }

    /// Remembers what an id stands for, which may be uncommitted: no id is used twice.
    pub(super) fn intern(&self, id: i64, acl: &Arc<Acl>) {
        let mut acls = self.acls.lock().unwrap_or_else(PoisonError::into_inner);
        acls.principals += acl.0.values().map(|holders| 1 + holders.len()).sum::<usize>();
        if acls.principals > MAX_PRINCIPALS {
            *acls = Interned::default();
        }
        acls.by_id.insert(id, Arc::clone(acl));
    }

    /// A commit is about to begin: what readers see may be newer than the cache from now on.
    pub(super) fn begin_commit(&self) {
        self.state().generation += 1;
    }

    /// The commit that [`begin_commit`](Self::begin_commit) announced has made these changes.
    pub(super) fn apply(&self, changes: Changes) {
        let mut state = self.state();
        state.generation += 1;
        for (list, touched) in changes.touched {
            state.forget_touched(&list, &touched);
        }
        for (list, row) in changes.lists {
            match row {
                Some(_) => state.entry(&list).row = row,
                None => state.remove(&list),
            }
        }
        if changes.memberships {
            state.groups.clear();
        }
    }

    /// Forgets everything, for when it is not known what happened.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        // The next even number.
        let generation = (state.generation + 2) & !1;
        *state = State { generation, ..State::default() };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The state, if it is the same as that of a reader's snapshot or the reader has none yet.
    fn at(&mut self, snapshot: Option<Generation>) -> Option<&mut Self> {
        let same = |Generation(seen)| seen == self.generation && seen.is_multiple_of(2);
        snapshot.is_none_or(same).then_some(self)
    }

    fn entry(&mut self, list: &List) -> &mut Cached {
        if self.lists.len() >= CAPACITY && !self.lists.contains_key(list) {
            self.lists.clear();
            self.acls = 0;
        }
        self.lists.entry(list.clone()).or_default()
    }

    fn remove(&mut self, list: &List) {
        let removed = self.lists.remove(list);
        self.acls -= removed.map_or(0, |cached| cached.acls.len());
    }

    fn forget_acls(&mut self) {
        self.lists.values_mut().for_each(|cached| cached.acls.clear());
        self.acls = 0;
    }

    fn forget_touched(&mut self, list: &List, touched: &Touched) {
        let Some(cached) = self.lists.get_mut(list) else { return };
        let before = cached.acls.len();
        match touched {
            Touched::All => cached.acls.clear(),
            Touched::Some(ids) => {
                for id in ids {
                    cached.acls.remove(id);
                }
            }
        }
        self.acls -= before - cached.acls.len();
    }
}

/// Members as one text; NUL, which no name holds, keeps them apart.
fn member_key(members: &[&str]) -> String {
    let mut key = String::with_capacity(members.iter().map(|member| member.len() + 1).sum());
    for member in members {
        key.push_str(member);
        key.push('\0');
    }
    key
}
