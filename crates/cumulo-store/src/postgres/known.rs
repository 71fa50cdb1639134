//! What a transaction knows without asking: what was fetched for it, and what it has changed.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use cumulo_core::{
    object::{Acl, List, Object, Timestamp},
    store::Entry,
};

use super::statements::Wish;

/// The state of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ListState {
    /// That of its newest object or tombstone.
    pub(super) newest: Option<Timestamp>,
    /// That which was stored when the list was empty.
    pub(super) stored: Option<Timestamp>,
}

impl ListState {
    /// The list timestamp; none if the list was never touched.
    pub(super) fn timestamp(self) -> Option<Timestamp> {
        self.newest.max(self.stored)
    }
}

/// Only a memory of the database's answers: forgetting costs a round trip, nothing else.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// `None` for what is not there, or is a tombstone.
    objects: HashMap<List, HashMap<String, Option<Entry>>>,
    lists: HashMap<List, ListState>,
    groups: HashMap<String, BTreeSet<String>>,
}

impl Known {
    /// What is asked for and not found is not there.
    pub(super) fn asked(wish: &Wish<'_>) -> Self {
        let mut known = Self::default();
        for (list, id) in &wish.objects {
            known.set_object(list, id, None);
        }
        for list in &wish.lists {
            known.set_list(list, ListState::default());
        }
        for &member in &wish.members {
            known.groups.insert(member.to_owned(), BTreeSet::new());
        }
        known
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether it is known if this object is there.
    pub(super) fn knows(&self, list: &List, id: &str) -> bool {
        self.objects.get(list).is_some_and(|objects| objects.contains_key(id))
    }

    /// The object, if it is known to be there.
    pub(super) fn object(&self, list: &List, id: &str) -> Option<&Entry> {
        self.objects.get(list)?.get(id)?.as_ref()
    }

    pub(super) fn set_object(&mut self, list: &List, id: &str, entry: Option<Entry>) {
        match self.objects.get_mut(list) {
            Some(objects) => {
                objects.insert(id.to_owned(), entry);
            }
            None => {
                let objects = HashMap::from([(id.to_owned(), entry)]);
                self.objects.insert(list.clone(), objects);
            }
        }
    }

    pub(super) fn add_object(&mut self, list: &List, object: Object) {
        let id = object.id.clone();
        self.set_object(list, &id, Some(Entry { object, acl: Arc::default() }));
    }

    /// Gives a known object its access control list.
    pub(super) fn set_acl(&mut self, list: &List, id: &str, acl: Acl) {
        let objects = self.objects.get_mut(list);
        if let Some(Some(entry)) = objects.and_then(|objects| objects.get_mut(id)) {
            entry.acl = Arc::new(acl);
        }
    }

    pub(super) fn forget_object(&mut self, list: &List, id: &str) {
        if let Some(objects) = self.objects.get_mut(list) {
            objects.remove(id);
        }
    }

    pub(super) fn forget_objects(&mut self) {
        self.objects.clear();
    }

    /// Learns what was found.
    pub(super) fn merge(&mut self, found: Self) {
        for (list, objects) in found.objects {
            self.objects.entry(list).or_default().extend(objects);
        }
        self.lists.extend(found.lists);
        self.groups.extend(found.groups);
    }

    /// What is known of the objects of a list.
    pub(super) fn objects_of(&self, list: &List) -> HashMap<String, Option<Entry>> {
        self.objects.get(list).cloned().unwrap_or_default()
    }

    pub(super) fn list(&self, list: &List) -> Option<ListState> {
        self.lists.get(list).copied()
    }

    pub(super) fn set_list(&mut self, list: &List, state: ListState) {
        self.lists.insert(list.clone(), state);
    }

    /// The groups of all these members, sorted; none if those of one are not known.
    pub(super) fn groups(&self, members: &[&str]) -> Option<Vec<String>> {
        let mut all = BTreeSet::new();
        for member in members {
            all.extend(self.groups.get(*member)?.iter().cloned());
        }
        Some(all.into_iter().collect())
    }

    pub(super) fn add_group(&mut self, member: &str, group: String) {
        self.groups.entry(member.to_owned()).or_default().insert(group);
    }

    /// Forgets what lies below an object, and all memberships.
    pub(super) fn forget_below(&mut self, uri: &str) {
        let is_below = |list: &List| {
            list.parent
                .strip_prefix(uri)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.objects.retain(|list, _| !is_below(list));
        self.lists.retain(|list, _| !is_below(list));
        self.forget_groups();
    }

    pub(super) fn forget_groups(&mut self) {
        self.groups.clear();
    }
}
