//! A store that tells how long it takes: each operation, under the name that it has in Kinto if
//! Kinto has one, and whole transactions with their commit.

use std::{sync::Arc, time::Instant};

use cumulo_core::{
    metrics::Metrics,
    object::{Acl, List, Row, Timestamp},
    outbox::{Backlog, Message, Outbox},
    query::Query,
    store::{
        Access, BoxFuture, Entry, Flaw, Grant, Membership, Outlook, Recount, Result, Store,
        Tombstones, Total, Transaction, Visit, VisitEntry, Work,
    },
};

const STORAGE: &str = "backend.storage.seconds";
const PERMISSION: &str = "backend.permission.seconds";

pub(crate) struct MeteredStore {
    inner: Arc<dyn Store>,
    metrics: Arc<dyn Metrics>,
}

impl MeteredStore {
    pub(crate) fn new(inner: Arc<dyn Store>, metrics: Arc<dyn Metrics>) -> Self {
        Self { inner, metrics }
    }
}

impl Store for MeteredStore {
    fn submit(&self, access: Access, work: Work) -> BoxFuture<'_, Result<()>> {
        self.submit_foreseen(access, Outlook::default(), work)
    }

    fn submit_foreseen(
        &self,
        access: Access,
        outlook: Outlook,
        mut work: Work,
    ) -> BoxFuture<'_, Result<()>> {
        let metrics = Arc::clone(&self.metrics);
        let metered: Work = Box::new(move |tx| work(&mut Metered { tx, metrics: &*metrics }));
        Box::pin(async move {
            let begun = Instant::now();
            let done = self.inner.submit_foreseen(access, outlook, metered).await;
            let method = match access {
                Access::Read => "transaction_read",
                Access::Scan => "transaction_scan",
                Access::Write => "transaction_write",
            };
            self.metrics.timing(STORAGE, begun.elapsed(), &[("method", method)]);
            done
        })
    }

    fn uses_outlook(&self) -> bool {
        self.inner.uses_outlook()
    }

    fn close(&self) {
        self.inner.close();
    }
}

/// A transaction whose operations are timed.
struct Metered<'a> {
    tx: &'a mut dyn Transaction,
    metrics: &'a dyn Metrics,
}

impl Metered<'_> {
    fn timed<T>(
        &mut self,
        name: &str,
        method: &str,
        work: impl FnOnce(&mut dyn Transaction) -> T,
    ) -> T {
        let begun = Instant::now();
        let done = work(self.tx);
        self.metrics.timing(name, begun.elapsed(), &[("method", method)]);
        done
    }
}

impl Outbox for Metered<'_> {
    fn enqueue(&mut self, message: &Message) -> Result<()> {
        self.timed(STORAGE, "enqueue", |tx| tx.enqueue(message))
    }

    fn claim(
        &mut self,
        queue: &str,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Message>> {
        self.timed(STORAGE, "claim", |tx| tx.claim(queue, now, until, limit))
    }

    fn dequeue(&mut self, ids: &[String]) -> Result<()> {
        self.timed(STORAGE, "dequeue", |tx| tx.dequeue(ids))
    }

    fn postpone(&mut self, id: &str, due: Option<Timestamp>) -> Result<()> {
        self.timed(STORAGE, "postpone", |tx| tx.postpone(id, due))
    }

    fn next_due(&mut self, queue: &str) -> Result<Option<Timestamp>> {
        self.timed(STORAGE, "next_due", |tx| tx.next_due(queue))
    }

    fn backlog(&mut self, queue: &str) -> Result<Backlog> {
        self.timed(STORAGE, "backlog", |tx| tx.backlog(queue))
    }
}

impl Transaction for Metered<'_> {
    fn timestamp(&mut self, list: &List) -> Result<Timestamp> {
        self.timed(STORAGE, "resource_timestamp", |tx| tx.timestamp(list))
    }

    fn get(&mut self, list: &List, id: &str) -> Result<Option<Entry>> {
        self.timed(STORAGE, "get", |tx| tx.get(list, id))
    }

    fn acl(&mut self, list: &List, id: &str) -> Result<Option<Arc<Acl>>> {
        self.timed(PERMISSION, "get_object_permissions", |tx| tx.acl(list, id))
    }

    fn list(&mut self, list: &List, query: &Query, visit: &mut Visit<'_>) -> Result<()> {
        self.timed(STORAGE, "list_all", |tx| tx.list(list, query, visit))
    }

    fn list_all(
        &mut self,
        resource: &'static str,
        query: &Query,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        self.timed(STORAGE, "list_all", |tx| tx.list_all(resource, query, visit))
    }

    fn count(&mut self, list: &List, query: &Query) -> Result<u64> {
        self.timed(STORAGE, "count_all", |tx| tx.count(list, query))
    }

    fn totals(&mut self) -> Result<Vec<Total>> {
        self.timed(STORAGE, "totals", |tx| tx.totals())
    }

    fn put(
        &mut self,
        list: &List,
        id: &str,
        last_modified: Option<Timestamp>,
        data: &str,
        acl: Option<&Acl>,
    ) -> Result<Timestamp> {
        self.timed(STORAGE, "update", |tx| tx.put(list, id, last_modified, data, acl))
    }

    fn set_acl(&mut self, list: &List, id: &str, acl: &Acl) -> Result<()> {
        self.timed(PERMISSION, "replace_object_permissions", |tx| tx.set_acl(list, id, acl))
    }

    fn delete(
        &mut self,
        list: &List,
        id: &str,
        last_modified: Option<Timestamp>,
    ) -> Result<Option<Timestamp>> {
        self.timed(STORAGE, "delete", |tx| tx.delete(list, id, last_modified))
    }

    fn erase(&mut self, list: &List, ids: &[String]) -> Result<()> {
        self.timed(STORAGE, "delete_all", |tx| tx.erase(list, ids))
    }

    fn delete_below(&mut self, uri: &str) -> Result<()> {
        self.timed(STORAGE, "delete_all", |tx| tx.delete_below(uri))
    }

    fn shared(
        &mut self,
        list: &List,
        principals: &[String],
        permissions: &[&str],
    ) -> Result<Vec<String>> {
        self.timed(PERMISSION, "get_accessible_objects", |tx| {
            tx.shared(list, principals, permissions)
        })
    }

    fn granted(&mut self, principals: &[String], resources: Option<&[&str]>) -> Result<Vec<Grant>> {
        self.timed(PERMISSION, "get_accessible_objects", |tx| tx.granted(principals, resources))
    }

    fn revoke(&mut self, principal: &str) -> Result<()> {
        self.timed(PERMISSION, "remove_principal", |tx| tx.revoke(principal))
    }

    fn groups(&mut self, members: &[&str]) -> Result<Arc<Vec<String>>> {
        self.timed(PERMISSION, "get_user_principals", |tx| tx.groups(members))
    }

    fn join(&mut self, member: &str, group: &str) -> Result<()> {
        self.timed(PERMISSION, "add_user_principal", |tx| tx.join(member, group))
    }

    fn leave(&mut self, member: &str, group: &str) -> Result<()> {
        self.timed(PERMISSION, "remove_user_principal", |tx| tx.leave(member, group))
    }

    fn disband(&mut self, group: &str) -> Result<()> {
        self.timed(PERMISSION, "remove_principal", |tx| tx.disband(group))
    }

    fn leave_all(&mut self, member: &str) -> Result<()> {
        self.timed(PERMISSION, "remove_principal", |tx| tx.leave_all(member))
    }

    fn flush(&mut self) -> Result<()> {
        self.timed(STORAGE, "flush", |tx| tx.flush())
    }

    fn lists(&mut self, after: Option<&List>, limit: usize) -> Result<Vec<(List, Timestamp)>> {
        self.timed(STORAGE, "all_resources_timestamps", |tx| tx.lists(after, limit))
    }

    fn entries(
        &mut self,
        list: &List,
        after: Option<Timestamp>,
        visit: &mut VisitEntry<'_>,
    ) -> Result<()> {
        self.timed(STORAGE, "entries", |tx| tx.entries(list, after, visit))
    }

    fn memberships(&mut self, after: Option<&Membership>, limit: usize) -> Result<Vec<Membership>> {
        self.timed(PERMISSION, "memberships", |tx| tx.memberships(after, limit))
    }

    fn restore(&mut self, list: &List, row: Row<'_>, acl: &Acl) -> Result<()> {
        self.timed(STORAGE, "restore", |tx| tx.restore(list, row, acl))
    }

    fn restore_list(&mut self, list: &List, timestamp: Timestamp) -> Result<()> {
        self.timed(STORAGE, "restore_list", |tx| tx.restore_list(list, timestamp))
    }

    fn tombstones(
        &mut self,
        list: &List,
        keep: usize,
        before: Option<Timestamp>,
    ) -> Result<Option<Tombstones>> {
        self.timed(STORAGE, "tombstones", |tx| tx.tombstones(list, keep, before))
    }

    fn purge(&mut self, list: &List, latest: Timestamp, limit: usize) -> Result<u64> {
        self.timed(STORAGE, "purge_deleted", |tx| tx.purge(list, latest, limit))
    }

    fn move_below(&mut self, from: &str, to: &str) -> Result<()> {
        self.timed(STORAGE, "move_below", |tx| tx.move_below(from, to))
    }

    fn recount(&mut self, list: &List) -> Result<Option<Recount>> {
        self.timed(STORAGE, "recount", |tx| tx.recount(list))
    }

    fn inspect(&mut self, found: &mut dyn FnMut(Flaw)) -> Result<()> {
        self.timed(STORAGE, "inspect", |tx| tx.inspect(found))
    }

    fn mend(&mut self, limit: usize) -> Result<u64> {
        self.timed(STORAGE, "mend", |tx| tx.mend(limit))
    }

    fn savepoint(&mut self) -> Result<()> {
        self.timed(STORAGE, "savepoint", |tx| tx.savepoint())
    }

    fn release(&mut self) -> Result<()> {
        self.timed(STORAGE, "release", |tx| tx.release())
    }

    fn rollback(&mut self) -> Result<()> {
        self.timed(STORAGE, "rollback", |tx| tx.rollback())
    }
}
