//! What the memory store holds. Every change notes how to undo it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
};

use cumulo_core::{
    object::{Acl, List, Row, Timestamp},
    outbox::Message,
};

/// An object or a tombstone.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) id: Arc<str>,
    pub(super) last_modified: Timestamp,
    pub(super) deleted: bool,
    pub(super) data: Arc<str>,
    pub(super) acl: Arc<Acl>,
}

impl Stored {
    pub(super) fn as_row(&self) -> Row<'_> {
        Row {
            id: &self.id,
            last_modified: self.last_modified,
            deleted: self.deleted,
            data: &self.data,
        }
    }
}

/// The objects and tombstones of one list, in the order of their timestamps.
#[derive(Default)]
pub(super) struct Objects {
    pub(super) timestamp: Timestamp,
    pub(super) live: u64,
    pub(super) by_time: BTreeMap<Timestamp, Stored>,
    by_id: HashMap<Arc<str>, Timestamp>,
}

impl Objects {
    pub(super) fn get(&self, id: &str) -> Option<&Stored> {
        self.by_time.get(self.by_id.get(id)?)
    }

    /// Replaces what has this id, and returns it.
    fn set(&mut self, id: &Arc<str>, stored: Option<Stored>) -> Option<Stored> {
        let before = self.by_id.remove(id).and_then(|time| self.by_time.remove(&time));
        self.live -= before.iter().filter(|stored| !stored.deleted).count() as u64;
        if let Some(stored) = stored {
            self.live += u64::from(!stored.deleted);
            self.by_id.insert(Arc::clone(id), stored.last_modified);
            self.by_time.insert(stored.last_modified, stored);
        }
        before
    }
}

/// Everything that is stored, and how to undo what the open transaction has changed.
pub(super) struct State {
    pub(super) lists: BTreeMap<List, Objects>,
    /// Group URIs by member.
    pub(super) groups: BTreeMap<String, BTreeSet<String>>,
    /// Members by group URI.
    pub(super) members: BTreeMap<String, BTreeSet<String>>,
    /// Messages by id.
    pub(super) messages: BTreeMap<String, Message>,
    /// No list starts at or before this moment.
    pub(super) floor: Timestamp,
    undo: Vec<Undo>,
}

/// What was before a change.
enum Undo {
    Object(List, Arc<str>, Option<Stored>),
    Timestamp(List, Timestamp),
    List(List, Option<Objects>),
    /// Where it was, with which timestamp, and where it is.
    Moved(List, Timestamp, List),
    Joined(String, String),
    Left(String, String),
    Message(String, Option<Message>),
    Floor(Timestamp),
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            lists: BTreeMap::new(),
            groups: BTreeMap::new(),
            members: BTreeMap::new(),
            messages: BTreeMap::new(),
            floor: Timestamp(i64::MIN),
            undo: Vec::new(),
        }
    }

    /// How many changes can be undone.
    pub(super) fn changes(&self) -> usize {
        self.undo.len()
    }

    pub(super) fn commit(&mut self) {
        self.undo.clear();
    }

    /// Undoes all but the first `changes`.
    pub(super) fn undo_to(&mut self, changes: usize) {
        while self.undo.len() > changes {
            match self.undo.pop().expect("its length was just compared") {
                Undo::Object(list, id, before) => {
                    self.existing(&list).set(&id, before);
                }
                Undo::Timestamp(list, before) => self.existing(&list).timestamp = before,
                Undo::List(list, Some(before)) => {
                    self.lists.insert(list, before);
                }
                Undo::List(list, None) => {
                    self.lists.remove(&list);
                }
                Undo::Moved(from, timestamp, to) => {
                    if let Some(objects) = self.lists.remove(&to) {
                        self.lists.insert(from, Objects { timestamp, ..objects });
                    }
                }
                Undo::Joined(member, group) => self.unlink(&member, &group),
                Undo::Left(member, group) => self.link(&member, &group),
                Undo::Message(id, Some(before)) => drop(self.messages.insert(id, before)),
                Undo::Message(id, None) => drop(self.messages.remove(&id)),
                Undo::Floor(before) => self.floor = before,
            }
        }
    }

    /// Creates a list that starts with `timestamp`.
    pub(super) fn create_list(&mut self, list: &List, timestamp: Timestamp) {
        let objects = Objects { timestamp, ..Objects::default() };
        let before = self.lists.insert(list.clone(), objects);
        self.undo.push(Undo::List(list.clone(), before));
    }

    pub(super) fn set_timestamp(&mut self, list: &List, timestamp: Timestamp) {
        let before = std::mem::replace(&mut self.existing(list).timestamp, timestamp);
        self.undo.push(Undo::Timestamp(list.clone(), before));
    }

    /// Stores an object in a list that exists.
    pub(super) fn set_object(&mut self, list: &List, stored: Stored) {
        let id = Arc::clone(&stored.id);
        let before = self.existing(list).set(&id, Some(stored));
        self.undo.push(Undo::Object(list.clone(), id, before));
    }

    /// Removes a list without trace, except that it can't start anew before its present end.
    pub(super) fn remove_list(&mut self, list: &List, now: Timestamp) {
        let Some(before) = self.lists.remove(list) else { return };
        let end = before.timestamp;
        self.undo.push(Undo::List(list.clone(), Some(before)));
        self.leave_end(list, end, now);
    }

    /// Keeps a list that is gone from starting anew before its end.
    fn leave_end(&mut self, list: &List, end: Timestamp, now: Timestamp) {
        if end > now {
            self.create_list(list, end.next());
        } else if end > self.floor {
            self.undo.push(Undo::Floor(self.floor));
            self.floor = end;
        }
    }

    /// The lists of objects at or below `uri`.
    pub(super) fn lists_below(&self, uri: &str) -> Vec<List> {
        let prefix = format!("{uri}/");
        self.lists
            .range(List::new(uri, "")..)
            .map(|(list, _)| list)
            .take_while(|list| list.parent.starts_with(uri))
            .filter(|list| list.parent == uri || list.parent.starts_with(&prefix))
            .cloned()
            .collect()
    }

    /// Removes what has this id without trace.
    pub(super) fn remove_object(&mut self, list: &List, id: &Arc<str>) {
        let before = self.existing(list).set(id, None);
        self.undo.push(Undo::Object(list.clone(), Arc::clone(id), before));
    }

    /// Moves a list, with all it holds, in the place of an empty one. It is not earlier than that
    /// or than `start`, and leaves what a removed list leaves.
    pub(super) fn move_list(&mut self, from: &List, to: List, start: Timestamp, now: Timestamp) {
        let Some(objects) = self.lists.remove(from) else { return };
        let before = self.lists.remove(&to);
        let end = objects.timestamp;
        let present = before.as_ref().map(|present| present.timestamp);
        let timestamp = end.max(start).max(present.unwrap_or(start));
        self.undo.push(Undo::List(to.clone(), before));
        self.undo.push(Undo::Moved(from.clone(), end, to.clone()));
        self.lists.insert(to, Objects { timestamp, ..objects });
        self.leave_end(from, end, now);
    }

    pub(super) fn join(&mut self, member: &str, group: &str) {
        if !self.members.get(group).is_some_and(|members| members.contains(member)) {
            self.link(member, group);
            self.undo.push(Undo::Joined(member.into(), group.into()));
        }
    }

    pub(super) fn leave(&mut self, member: &str, group: &str) {
        if self.members.get(group).is_some_and(|members| members.contains(member)) {
            self.unlink(member, group);
            self.undo.push(Undo::Left(member.into(), group.into()));
        }
    }

    /// Replaces the message with this id.
    pub(super) fn set_message(&mut self, id: &str, message: Option<Message>) {
        let before = match message {
            Some(message) => self.messages.insert(id.to_owned(), message),
            None => self.messages.remove(id),
        };
        self.undo.push(Undo::Message(id.to_owned(), before));
    }

    fn existing(&mut self, list: &List) -> &mut Objects {
        self.lists.get_mut(list).expect("the list was created before it was changed")
    }

    fn link(&mut self, member: &str, group: &str) {
        self.groups.entry(member.into()).or_default().insert(group.into());
        self.members.entry(group.into()).or_default().insert(member.into());
    }

    fn unlink(&mut self, member: &str, group: &str) {
        remove(&mut self.groups, member, group);
        remove(&mut self.members, group, member);
    }
}

fn remove(map: &mut BTreeMap<String, BTreeSet<String>>, key: &str, value: &str) {
    if let Some(set) = map.get_mut(key) {
        set.remove(value);
        if set.is_empty() {
            map.remove(key);
        }
    }
}

/// The keys of `map` that lie below `uri`, not `uri` itself.
pub(super) fn below(map: &BTreeMap<String, BTreeSet<String>>, uri: &str) -> Vec<String> {
    let (from, to) = (format!("{uri}/"), format!("{uri}0"));
    map.range::<str, _>((Bound::Included(&*from), Bound::Excluded(&*to)))
        .map(|(key, _)| key.clone())
        .collect()
}
