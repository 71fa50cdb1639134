//! A store under test, with a clock that stands still.

use std::{any::Any, sync::Arc};

use cumulo_core::{
    clock::{Clock, ManualClock},
    object::{Acl, List, Object, Timestamp},
    query::{Filter, Query},
    store::{Access, Entry, Outcome, Result, Store, Transaction},
};

/// The store of one test.
pub(crate) struct Db {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) runtime: tokio::runtime::Runtime,
    _guard: Box<dyn Any>,
}

/// The clock's time when a test begins.
pub(crate) const NOW: i64 = 1_000_000;

impl Db {
    pub(crate) fn open<S: Store>(
        open: impl FnOnce(Arc<dyn Clock>) -> (Arc<S>, Box<dyn Any>),
    ) -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        let (store, guard) = open(Arc::clone(&clock) as _);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
        Self { store, clock, runtime: runtime.unwrap(), _guard: guard }
    }

    /// Runs one transaction to its end.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        access: Access,
        work: impl FnMut(&mut dyn Transaction) -> Result<(Outcome, T)> + Send + 'static,
    ) -> Result<T> {
        self.runtime.block_on(self.store.transact(access, work))
    }

    pub(crate) fn try_write<T: Send + 'static>(
        &self,
        mut work: impl FnMut(&mut dyn Transaction) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.run(Access::Write, move |tx| Ok((Outcome::Commit, work(tx)?)))
    }

    pub(crate) fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut dyn Transaction) -> Result<T> + Send + 'static,
    ) -> T {
        self.try_write(work).unwrap()
    }

    pub(crate) fn try_read<T: Send + 'static>(
        &self,
        mut work: impl FnMut(&mut dyn Transaction) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.run(Access::Read, move |tx| Ok((Outcome::Commit, work(tx)?)))
    }

    pub(crate) fn read<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut dyn Transaction) -> Result<T> + Send + 'static,
    ) -> T {
        self.try_read(work).unwrap()
    }

    /// Puts an empty object.
    pub(crate) fn put(&self, list: &List, id: &str) -> Timestamp {
        self.put_at(list, id, None).unwrap()
    }

    /// Puts an empty object with this timestamp.
    pub(crate) fn put_at(&self, list: &List, id: &str, at: Option<i64>) -> Result<Timestamp> {
        let (list, id) = (list.clone(), id.to_owned());
        self.try_write(move |tx| tx.put(&list, &id, at.map(Timestamp), "{}", None))
    }

    pub(crate) fn put_acl(&self, list: &List, id: &str, acl: &Acl) {
        let (list, id, acl) = (list.clone(), id.to_owned(), acl.clone());
        self.write(move |tx| tx.put(&list, &id, None, "{}", Some(&acl)));
    }

    pub(crate) fn put_data(&self, list: &List, id: &str, data: &str) -> Timestamp {
        let (list, id, data) = (list.clone(), id.to_owned(), data.to_owned());
        self.write(move |tx| tx.put(&list, &id, None, &data, None))
    }

    pub(crate) fn delete(&self, list: &List, id: &str) -> Option<Timestamp> {
        let (list, id) = (list.clone(), id.to_owned());
        self.write(move |tx| tx.delete(&list, &id, None))
    }

    pub(crate) fn delete_below(&self, uri: &str) {
        let uri = uri.to_owned();
        self.write(move |tx| tx.delete_below(&uri));
    }

    pub(crate) fn join(&self, member: &str, group: &str) {
        let (member, group) = (member.to_owned(), group.to_owned());
        self.write(move |tx| tx.join(&member, &group));
    }

    pub(crate) fn timestamp(&self, list: &List) -> Timestamp {
        let list = list.clone();
        self.write(move |tx| tx.timestamp(&list))
    }

    pub(crate) fn get(&self, list: &List, id: &str) -> Option<Entry> {
        let (list, id) = (list.clone(), id.to_owned());
        self.read(move |tx| tx.get(&list, &id))
    }

    pub(crate) fn acl(&self, list: &List, id: &str) -> Option<Arc<Acl>> {
        let (list, id) = (list.clone(), id.to_owned());
        self.read(move |tx| tx.acl(&list, &id))
    }

    pub(crate) fn list(&self, list: &List, query: &Query) -> Vec<Object> {
        let (list, query) = (list.clone(), query.clone());
        self.run(Access::Scan, move |tx| Ok((Outcome::Commit, tx.collect(&list, &query)?))).unwrap()
    }

    pub(crate) fn count(&self, list: &List, query: &Query) -> u64 {
        let (list, query) = (list.clone(), query.clone());
        self.read(move |tx| tx.count(&list, &query))
    }

    /// The ids of the live objects, newest first.
    pub(crate) fn ids(&self, list: &List) -> Vec<String> {
        ids(&self.list(list, &Query::default()))
    }

    pub(crate) fn groups(&self, member: &str) -> Vec<String> {
        let member = member.to_owned();
        self.read(move |tx| tx.groups(&[&member])).to_vec()
    }

    /// Ids that are shared with `principal` to read, sorted.
    pub(crate) fn shared(&self, list: &List, principal: &str) -> Vec<String> {
        let (list, principals) = (list.clone(), vec![principal.to_owned()]);
        let mut ids = self.read(move |tx| tx.shared(&list, &principals, &["read"]));
        ids.sort_unstable();
        ids
    }
}

/// The list that most cases use.
pub(crate) fn posts() -> List {
    List::new("/buckets/blog/collections/posts", "record")
}

pub(crate) fn ids(objects: &[Object]) -> Vec<String> {
    objects.iter().map(|object| object.id.clone()).collect()
}

/// An access control list with one entry.
pub(crate) fn acl(permission: &str, principal: &str) -> Acl {
    let mut acl = Acl::default();
    acl.add(permission, principal);
    acl
}

pub(crate) fn filtered(filters: impl IntoIterator<Item = Filter>) -> Query {
    Query { filters: filters.into_iter().collect(), ..Query::default() }
}
