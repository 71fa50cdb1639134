//! What is stored: objects in lists, and who may do what with them.

use std::collections::{BTreeMap, BTreeSet};

pub use cumulo_wire::Timestamp;

/// Names one list of objects: the records of a collection, the groups of a bucket, the buckets.
///
/// Each list has one sequence of timestamps.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct List {
    /// URI of the object that holds the list, such as `/buckets/blog`; empty for root lists.
    pub parent: String,
    /// Singular name of what is listed, such as `record`.
    pub resource: &'static str,
}

impl List {
    /// The list of `resource` objects under `parent`.
    pub fn new(parent: impl Into<String>, resource: &'static str) -> Self {
        Self { parent: parent.into(), resource }
    }
}

/// A live object or a tombstone, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Identifier, unique in its list.
    pub id: String,
    /// Moment of the last change.
    pub last_modified: Timestamp,
    /// Whether this is a tombstone.
    pub deleted: bool,
    /// Compact JSON object without `id` and `last_modified`; `{"deleted":true}` for a tombstone.
    pub data: String,
}

impl Object {
    /// This object, borrowed.
    pub fn as_row(&self) -> Row<'_> {
        Row {
            id: &self.id,
            last_modified: self.last_modified,
            deleted: self.deleted,
            data: &self.data,
        }
    }
}

/// What a tombstone holds in place of its data.
pub const TOMBSTONE: &str = r#"{"deleted":true}"#;

/// An [`Object`] where the store keeps it.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// See [`Object::id`].
    pub id: &'a str,
    /// See [`Object::last_modified`].
    pub last_modified: Timestamp,
    /// See [`Object::deleted`].
    pub deleted: bool,
    /// See [`Object::data`].
    pub data: &'a str,
}

impl Row<'_> {
    /// A copy that outlives the store's.
    pub fn to_object(self) -> Object {
        Object {
            id: self.id.to_owned(),
            last_modified: self.last_modified,
            deleted: self.deleted,
            data: self.data.to_owned(),
        }
    }
}

/// The access control list of one object: permission name to principals. Holds no empty set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Acl(pub BTreeMap<String, BTreeSet<String>>);

impl Acl {
    /// Whether any of `principals` holds `permission`.
    pub fn grants(&self, permission: &str, principals: &[String]) -> bool {
        self.0
            .get(permission)
            .is_some_and(|holders| principals.iter().any(|principal| holders.contains(principal)))
    }

    /// Whether `principal` is the only one who holds `write`.
    pub fn is_written_by_only(&self, principal: &str) -> bool {
        let writers = self.0.get("write");
        writers.is_some_and(|writers| writers.len() == 1 && writers.contains(principal))
    }

    /// Replaces the holders of `permission`; none removes the entry.
    pub fn set(&mut self, permission: &str, holders: BTreeSet<String>) {
        if holders.is_empty() {
            self.0.remove(permission);
        } else {
            self.0.insert(permission.to_owned(), holders);
        }
    }

    /// Adds one holder of `permission`.
    pub fn add(&mut self, permission: &str, principal: &str) {
        self.0.entry(permission.to_owned()).or_default().insert(principal.to_owned());
    }

    /// Removes `principal` from every permission.
    pub fn remove_principal(&mut self, principal: &str) {
        self.0.retain(|_, holders| {
            holders.remove(principal);
            !holders.is_empty()
        });
    }
}
