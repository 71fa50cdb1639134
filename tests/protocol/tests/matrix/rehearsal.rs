//! A store in which nothing changes: what is written is noted, and then undone.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use cumulo_core::{
    resource::uri_of,
    store::{Access, BoxFuture, Outcome, Outlook, Result, Store, Transaction, Work},
};

/// Everything that is stored but the timestamps of lists: objects and tombstones by URI,
/// memberships by `<group> has <member>`.
pub(crate) type Content = BTreeMap<String, String>;

/// Lets transactions run as always, but, once it is told to, undoes them all.
pub(crate) struct Rehearsal {
    store: Arc<dyn Store>,
    on: AtomicBool,
    content: Arc<Mutex<Option<Content>>>,
}

impl Rehearsal {
    pub(crate) fn of(store: Arc<dyn Store>) -> Self {
        Self { store, on: AtomicBool::new(false), content: Arc::default() }
    }

    /// From now on, undoes what is written.
    pub(crate) fn begin(&self) {
        self.on.store(true, Ordering::SeqCst);
    }

    /// What would have been stored since the last time; none if nothing was to be committed.
    pub(crate) fn take(&self) -> Option<Content> {
        self.content.lock().expect("no panic").take()
    }

    fn rehearsed(&self, access: Access, mut work: Work) -> Work {
        if access != Access::Write || !self.on.load(Ordering::SeqCst) {
            return work;
        }
        let content = Arc::clone(&self.content);
        Box::new(move |tx| {
            if work(tx)? == Outcome::Commit {
                *content.lock().expect("no panic") = Some(read(tx)?);
            }
            Ok(Outcome::Rollback)
        })
    }
}

impl Store for Rehearsal {
    fn submit(&self, access: Access, work: Work) -> BoxFuture<'_, Result<()>> {
        self.store.submit(access, self.rehearsed(access, work))
    }

    fn submit_foreseen(
        &self,
        access: Access,
        outlook: Outlook,
        work: Work,
    ) -> BoxFuture<'_, Result<()>> {
        self.store.submit_foreseen(access, outlook, self.rehearsed(access, work))
    }

    fn uses_outlook(&self) -> bool {
        self.store.uses_outlook()
    }

    fn close(&self) {
        self.store.close();
    }
}

/// All that a transaction sees.
pub(crate) fn read(tx: &mut dyn Transaction) -> Result<Content> {
    let mut content = Content::new();
    for (list, _) in tx.lists(None, 1000)? {
        tx.entries(&list, None, &mut |row, acl| {
            let text = format!("{} {} {} {acl:?}", row.last_modified, row.deleted, row.data);
            content.insert(uri_of(&list, row.id), text);
            Ok(ControlFlow::Continue(()))
        })?;
    }
    for it in tx.memberships(None, 1000)? {
        content.insert(format!("{} has {}", it.group, it.member), String::new());
    }
    Ok(content)
}
