//! The port to storage: what the protocol asks of a store.
//!
//! A [`Store`] runs closures in transactions; a [`Transaction`] reads and writes objects, their
//! access control lists and group memberships. The laws that every store keeps are the contract
//! suite of `cumulo-store`.

use std::{
    future::Future,
    ops::ControlFlow,
    pin::Pin,
    sync::{Arc, Mutex},
};

use crate::{
    object::{Acl, List, Object, Row, Timestamp},
    outbox::Outbox,
    query::Query,
};

/// Why a store could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A write was asked of a transaction that only reads: run the work again with
    /// [`Access::Write`].
    #[error("the transaction is read-only")]
    ReadOnly,
    /// The timestamp that was asked for belongs to another object of the list.
    #[error("another object has the timestamp {0}")]
    TimestampTaken(Timestamp),
    /// The engine can't keep what it was given, such as an id that is too long for its indexes.
    #[error("the storage can't keep this: {0}")]
    Unstorable(String),
    /// A replica was asked that does not have what the reader has [`Seen`] yet: the storage itself
    /// must be asked.
    #[error("the replica is older than what was seen")]
    Behind,
    /// The engine can't serve now: disk full, file locked or read-only, connection lost.
    #[error("the storage is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The engine refused a statement or returned what it must not: a defect or a damaged store.
    #[error("the storage failed")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The result of a storage operation.
pub type Result<T> = std::result::Result<T, Error>;

/// What a piece of work needs of its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads a few rows; may run on the calling thread.
    Read,
    /// Reads that may take long, such as a filter over a large list; must not block the caller's
    /// thread.
    Scan,
    /// Reads and writes.
    Write,
}

/// What a piece of work is likely to touch.
///
/// Only a hint, but for `seen`: work may touch less, more, or something else. An engine that is a
/// network away uses it to fetch at once what would otherwise be asked for one after the other, and
/// to take its locks in an order in which nobody waits in a circle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Lists in which something will be written.
    pub writes: Vec<List>,
    /// Lists that will be read, with their timestamps.
    pub reads: Vec<List>,
    /// Objects that will be looked at, by list and id.
    pub objects: Vec<(List, String)>,
    /// Whose groups will be asked for.
    pub members: Vec<String>,
    /// For a replica: what it must have at least; if it does not, the work fails with
    /// [`Error::Behind`].
    pub seen: Option<Seen>,
}

/// How new the state is that a reader knows already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The list, or that of the object.
    pub list: List,
    /// The object; of a list, none.
    pub id: Option<String>,
    /// Its timestamp then.
    pub at: Timestamp,
}

/// How a transaction ends when its work did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Keep what was written.
    Commit,
    /// Undo what was written.
    Rollback,
}

/// One unit of work. May run more than once, so it only touches its transaction.
pub type Work = Box<dyn FnMut(&mut dyn Transaction) -> Result<Outcome> + Send>;

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A place that keeps objects durably (as far as the engine is meant to).
pub trait Store: Send + Sync + 'static {
    /// Runs `work` in one transaction and resolves after its end; for a write that is after the
    /// commit is durable. An error or [`Outcome::Rollback`] undoes everything. Work submitted for
    /// writing runs to its end even if the future is dropped.
    fn submit(&self, access: Access, work: Work) -> BoxFuture<'_, Result<()>>;

    /// [`submit`](Self::submit) with a hint.
    fn submit_foreseen(
        &self,
        access: Access,
        outlook: Outlook,
        work: Work,
    ) -> BoxFuture<'_, Result<()>> {
        let _ = outlook;
        self.submit(access, work)
    }

    /// Whether hints make work faster here; if not, they are not worth making.
    fn uses_outlook(&self) -> bool {
        false
    }

    /// Finishes submitted work and closes the engine cleanly. Blocks. Work submitted later fails
    /// with [`Error::Unavailable`].
    fn close(&self);
}

impl dyn Store {
    /// [`submit`](Store::submit) for work with a value; the value of the last run is returned.
    pub async fn transact<T: Send + 'static>(
        &self,
        access: Access,
        work: impl FnMut(&mut dyn Transaction) -> Result<(Outcome, T)> + Send + 'static,
    ) -> Result<T> {
        self.transact_foreseen(access, Outlook::default(), work).await
    }

    /// `transact` with a hint.
    pub async fn transact_foreseen<T: Send + 'static>(
        &self,
        access: Access,
        outlook: Outlook,
        mut work: impl FnMut(&mut dyn Transaction) -> Result<(Outcome, T)> + Send + 'static,
    ) -> Result<T> {
        let slot = Arc::new(Mutex::new(None));
        let inner = Arc::clone(&slot);
        let work: Work = Box::new(move |tx| {
            let (outcome, value) = work(tx)?;
            *inner.lock().expect("no panic while the value is stored") = Some(value);
            Ok(outcome)
        });
        self.submit_foreseen(access, outlook, work).await?;
        let value = slot.lock().expect("no panic while the value is stored").take();
        Ok(value.expect("work that succeeded has stored its value"))
    }
}

/// An object together with its own access control list.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The object; never a tombstone.
    pub object: Object,
    /// Its own list, without what it inherits.
    pub acl: Arc<Acl>,
}

/// Names an object that a principal has been given rights on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The list of the object.
    pub list: List,
    /// The object's id in it.
    pub id: String,
    /// The object's whole access control list.
    pub acl: Arc<Acl>,
}

/// What is called with each row of a list.
pub type Visit<'a> = dyn FnMut(Row<'_>) -> Result<ControlFlow<()>> + 'a;

/// What is called with each row of a list and the access control list of its object.
pub type VisitEntry<'a> = dyn FnMut(Row<'_>, &Acl) -> Result<ControlFlow<()>> + 'a;

/// A member and the URI of a group that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Membership {
    /// The principal that belongs to the group.
    pub member: String,
    /// URI of the group.
    pub group: String,
}

/// Tombstones of a list that nobody needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tombstones {
    /// How many there are.
    pub count: u64,
    /// The timestamp of the newest of them.
    pub latest: Timestamp,
}

/// The number of live objects of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recount {
    /// As the store kept it.
    pub kept: u64,
    /// As it is.
    pub counted: u64,
}

/// Something in a store that must not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flaw {
    /// Where it is: mostly a URI, else a table, a function or the like.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
}

/// How many objects there are of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// The kind.
    pub resource: String,
    /// How many are there.
    pub live: u64,
    /// How many have left a tombstone.
    pub tombstones: u64,
}

/// One unit of work over objects, permissions, memberships and messages.
///
/// Ids and parents match exactly: no character is a wildcard. In a transaction that only reads,
/// each writing method fails with [`Error::ReadOnly`].
pub trait Transaction: Outbox {
    /// The list timestamp: that of its newest object or tombstone. A list that was never touched
    /// gets one now, which persists; that is a write.
    fn timestamp(&mut self, list: &List) -> Result<Timestamp>;

    /// The live object with this id.
    fn get(&mut self, list: &List, id: &str) -> Result<Option<Entry>>;

    /// The access control list of a live object; `None` if there is no such object. May come from
    /// a cache that follows commits, so it is cheaper than [`get`](Self::get).
    fn acl(&mut self, list: &List, id: &str) -> Result<Option<Arc<Acl>>>;

    /// Calls `visit` for each object that matches, in the query's order, up to its limit, or until
    /// `visit` breaks off.
    fn list(&mut self, list: &List, query: &Query, visit: &mut Visit<'_>) -> Result<()>;

    /// [`list`](Self::list) over all lists of `resource` together, in which objects may have the
    /// same timestamp: an order by it alone does not say which of them comes first.
    fn list_all(
        &mut self,
        resource: &'static str,
        query: &Query,
        visit: &mut Visit<'_>,
    ) -> Result<()>;

    /// How many live objects match the filters of `query`; its order, page and limit don't matter.
    fn count(&mut self, list: &List, query: &Query) -> Result<u64>;

    /// How many objects there are of each kind, in the order of their names. Kinds that nothing is
    /// left of may be missing.
    fn totals(&mut self) -> Result<Vec<Total>>;

    /// Creates or replaces an object, replacing a tombstone too, and returns its new timestamp.
    ///
    /// Without `last_modified`, or if that equals the list timestamp, the timestamp is the clock's,
    /// or the next after the list timestamp if the clock is not beyond that. A given one is used
    /// as is and becomes the list timestamp if it is later; if another object or tombstone of the
    /// list has it, [`Error::TimestampTaken`].
    ///
    /// `acl` replaces the object's own access control list; `None` keeps it (empty on creation).
    fn put(
        &mut self,
        list: &List,
        id: &str,
        last_modified: Option<Timestamp>,
        data: &str,
        acl: Option<&Acl>,
    ) -> Result<Timestamp>;

    /// Replaces the access control list of a live object, without a change of its timestamp.
    fn set_acl(&mut self, list: &List, id: &str, acl: &Acl) -> Result<()>;

    /// Turns a live object into a tombstone, drops its access control list, and returns the
    /// tombstone's timestamp (chosen as in [`put`](Self::put)); `None` if there is no such object.
    fn delete(
        &mut self,
        list: &List,
        id: &str,
        last_modified: Option<Timestamp>,
    ) -> Result<Option<Timestamp>>;

    /// Removes live objects of a list without trace, and their access control lists; ids that are
    /// not there don't matter. The list timestamp stays as it is.
    fn erase(&mut self, list: &List, ids: &[String]) -> Result<()>;

    /// Removes without trace all that lies below the object with this URI, at any depth: objects,
    /// tombstones, access control lists, list timestamps, and the memberships of groups. A list
    /// that is created anew starts later than any timestamp it ever had.
    fn delete_below(&mut self, uri: &str) -> Result<()>;

    /// Ids of the live objects of `list` whose own access control list gives any of `permissions`
    /// to any of `principals`, in no particular order.
    fn shared(
        &mut self,
        list: &List,
        principals: &[String],
        permissions: &[&str],
    ) -> Result<Vec<String>>;

    /// The live objects of these kinds, or of all, whose own access control list names any of
    /// `principals`, in no particular order, each once. What history entries there are does not
    /// matter unless they are asked for: every write leaves one.
    fn granted(&mut self, principals: &[String], resources: Option<&[&str]>) -> Result<Vec<Grant>>;

    /// Takes `principal` out of the access control lists of all objects, without a change of
    /// timestamps.
    fn revoke(&mut self, principal: &str) -> Result<()>;

    /// URIs of the groups that any of `members` belongs to, sorted, each once. May come from a
    /// cache that follows commits.
    fn groups(&mut self, members: &[&str]) -> Result<Arc<Vec<String>>>;

    /// Makes `member` belong to the group with this URI; no effect if it does.
    fn join(&mut self, member: &str, group: &str) -> Result<()>;

    /// Undoes [`join`](Self::join).
    fn leave(&mut self, member: &str, group: &str) -> Result<()>;

    /// Removes all members of the group with this URI.
    fn disband(&mut self, group: &str) -> Result<()>;

    /// Removes `member` from all its groups.
    fn leave_all(&mut self, member: &str) -> Result<()>;

    /// Empties the store: objects, tombstones, timestamps, access control lists, memberships,
    /// messages.
    /// Lists start later than any timestamp they ever had.
    fn flush(&mut self) -> Result<()>;

    /// Up to `limit` lists and their timestamps, in the order of parents, then of resources, both
    /// bytewise; those that come after `after`, which need not exist. A list without objects counts
    /// if it has a timestamp.
    fn lists(&mut self, after: Option<&List>, limit: usize) -> Result<Vec<(List, Timestamp)>>;

    /// Calls `visit` for each object and each tombstone of a list, the oldest first, that is later
    /// than `after`, until `visit` breaks off. Tombstones have an empty access control list. Rows
    /// are handed over as they are read, however many there are.
    fn entries(
        &mut self,
        list: &List,
        after: Option<Timestamp>,
        visit: &mut VisitEntry<'_>,
    ) -> Result<()>;

    /// Up to `limit` memberships in the order of members, then of groups, both bytewise; those
    /// that come after `after`, which need not exist.
    fn memberships(&mut self, after: Option<&Membership>, limit: usize) -> Result<Vec<Membership>>;

    /// Writes an object or a tombstone with exactly this timestamp, past or future, in the place
    /// of what has the same id; the list timestamp becomes that if it was earlier. If another
    /// object or tombstone of the list has the timestamp, [`Error::TimestampTaken`]. Of a
    /// tombstone, `data` and `acl` are not looked at.
    fn restore(&mut self, list: &List, row: Row<'_>, acl: &Acl) -> Result<()>;

    /// Makes the list timestamp `timestamp` unless it is that or later, creating the list if need
    /// be.
    fn restore_list(&mut self, list: &List, timestamp: Timestamp) -> Result<()>;

    /// The tombstones of a list without the newest `keep`, as far as they are older than `before`;
    /// `None` if there are none.
    fn tombstones(
        &mut self,
        list: &List,
        keep: usize,
        before: Option<Timestamp>,
    ) -> Result<Option<Tombstones>>;

    /// Removes without trace up to `limit` tombstones of a list that are not newer than `latest`,
    /// the oldest first, and returns how many. The list timestamp stays as it is.
    fn purge(&mut self, list: &List, latest: Timestamp, limit: usize) -> Result<u64>;

    /// Moves all that lies below the object with the URI `from`, at any depth, below the URI `to`,
    /// in the place of what lies there: objects and tombstones with ids and timestamps, access
    /// control lists, list timestamps, and the memberships of groups. Neither URI lies below the
    /// other. A list below `to` is later than any that ever was there, and those below `from` end
    /// as in [`delete_below`](Self::delete_below).
    fn move_below(&mut self, from: &str, to: &str) -> Result<()>;

    /// Counts the live objects of a list, and keeps that; `None` if the store keeps no counts.
    fn recount(&mut self, list: &List) -> Result<Option<Recount>>;

    /// Looks for what contradicts the way in which the engine keeps things, and what the rest of
    /// the port does not show: damaged files, missing tables, permissions and memberships of what
    /// is not there. Each flaw is handed over as it is found.
    fn inspect(&mut self, found: &mut dyn FnMut(Flaw)) -> Result<()>;

    /// Removes up to `limit` permissions and memberships of objects and groups that are not there,
    /// and returns how many.
    fn mend(&mut self, limit: usize) -> Result<u64>;

    /// Opens a savepoint; they nest. Each is ended by [`release`](Self::release) or
    /// [`rollback`](Self::rollback).
    fn savepoint(&mut self) -> Result<()>;

    /// Keeps what was written since the innermost open savepoint.
    fn release(&mut self) -> Result<()>;

    /// Undoes what was written since the innermost open savepoint.
    fn rollback(&mut self) -> Result<()>;
}

impl dyn Transaction + '_ {
    /// [`list`](Transaction::list), collected.
    pub fn collect(&mut self, list: &List, query: &Query) -> Result<Vec<Object>> {
        let mut objects = Vec::new();
        self.list(list, query, &mut |row| {
            objects.push(row.to_object());
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(objects)
    }
}
