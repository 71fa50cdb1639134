//! Whether all in a store is as it must be.
//!
//! The check is one transaction that reads: what others write meanwhile does not look wrong to it.
//! Rows pass one by one.

use std::{ops::ControlFlow, sync::Arc};

use cumulo_core::{
    object::{List, Row, Timestamp},
    query::Query,
    resource::{Target, uri_of},
    store::{self, Access, Error, Flaw, Outcome, Store, Transaction},
};
use serde::de::IgnoredAny;

use crate::{CHUNK, PAGE, Result};

/// Is told what the check does and finds.
pub trait Watch: Send + Sync {
    /// It begins; more than once if the connection is lost.
    fn begin(&self);
    /// As many objects and tombstones more were looked at.
    fn advance(&self, rows: u64);
    /// Something is not as it must be.
    fn found(&self, flaw: Flaw);
}

/// Whether an object of a resource can have an id.
pub type AcceptsId = dyn Fn(&str, &str) -> bool + Send + Sync;

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lists.
    pub lists: u64,
    /// Live objects.
    pub objects: u64,
    /// Tombstones.
    pub tombstones: u64,
    /// How much is not as it must be.
    pub flaws: u64,
}

/// Looks at everything.
pub async fn check(
    store: &Arc<dyn Store>,
    accepts_id: Arc<AcceptsId>,
    watch: Arc<dyn Watch>,
) -> Result<Report> {
    let look = move |tx: &mut dyn Transaction| {
        watch.begin();
        let report = Report::default();
        let mut check = Check { accepts_id: &*accepts_id, watch: &*watch, report };
        check.run(tx)?;
        Ok((Outcome::Rollback, check.report))
    };
    Ok(store.transact(Access::Scan, look).await?)
}

/// Removes permissions and memberships of what is not there, in transactions of bounded size, and
/// returns how many.
pub async fn mend(store: &Arc<dyn Store>) -> Result<u64> {
    let mut total = 0;
    loop {
        let mend = |tx: &mut dyn Transaction| Ok((Outcome::Commit, tx.mend(CHUNK)?));
        match store.transact(Access::Write, mend).await? {
            0 => return Ok(total),
            mended => total += mended,
        }
    }
}

struct Check<'a> {
    accepts_id: &'a AcceptsId,
    watch: &'a dyn Watch,
    report: Report,
}

impl Check<'_> {
    fn run(&mut self, tx: &mut dyn Transaction) -> store::Result<()> {
        tx.inspect(&mut |flaw| {
            self.report.flaws += 1;
            self.watch.found(flaw);
        })?;
        let mut after = None;
        loop {
            let page = tx.lists(after.as_ref(), PAGE)?;
            for (list, timestamp) in &page {
                match self.list(tx, list, *timestamp) {
                    // Others may still be readable.
                    Err(Error::Internal(error)) => {
                        self.found(list_uri(list), format!("it can't be read: {error}"));
                    }
                    checked => checked?,
                }
            }
            let Some((last, _)) = page.into_iter().last() else { return Ok(()) };
            after = Some(last);
        }
    }

    fn list(
        &mut self,
        tx: &mut dyn Transaction,
        list: &List,
        timestamp: Timestamp,
    ) -> store::Result<()> {
        let before = self.report;
        let mut newest = None;
        tx.entries(list, None, &mut |row, _| {
            self.row(list, row, newest);
            newest = Some(row.last_modified);
            Ok(ControlFlow::Continue(()))
        })?;
        self.report.lists += 1;
        let objects = self.report.objects - before.objects;
        let tombstones = self.report.tombstones - before.tombstones;
        if let Some(newest) = newest.filter(|newest| *newest > timestamp) {
            let problem = format!("its timestamp is {timestamp}, but it holds one of {newest}");
            self.found(list_uri(list), problem);
        }
        let kept = tx.count(list, &Query::default())?;
        if kept != objects {
            let problem = format!("it is said to have {kept} objects, but has {objects}");
            self.found(list_uri(list), problem);
        }
        if newest.is_some() && !has_holder(tx, list)? {
            let problem = format!(
                "{objects} objects and {tombstones} tombstones are in it, but {} is not there",
                list.parent
            );
            self.found(list_uri(list), problem);
        }
        Ok(())
    }

    fn row(&mut self, list: &List, row: Row<'_>, before: Option<Timestamp>) {
        if row.deleted {
            self.report.tombstones += 1;
        } else {
            self.report.objects += 1;
        }
        self.watch.advance(1);
        let place = || uri_of(list, row.id);
        if !is_object(row.data) {
            self.found(place(), "its data is not a JSON object".into());
        }
        if !(self.accepts_id)(list.resource, row.id) {
            self.found(place(), "no object of this kind can have this id".into());
        }
        if before == Some(row.last_modified) {
            let problem = format!("another of its list has its timestamp {}", row.last_modified);
            self.found(place(), problem);
        }
    }

    fn found(&mut self, place: String, problem: String) {
        self.report.flaws += 1;
        self.watch.found(Flaw { place, problem });
    }
}

/// The URI of a list, as far as it has one.
fn list_uri(list: &List) -> String {
    format!("{}/{}s", list.parent, list.resource)
}

fn is_object(data: &str) -> bool {
    data.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(data).is_ok()
}

/// Whether what holds a list is there. Root lists need nothing, nor do lists of unknown kinds.
fn has_holder(tx: &mut dyn Transaction, list: &List) -> store::Result<bool> {
    match Target::parse(&list.parent) {
        Some(Target { list, id: Some(id), .. }) => {
            // By a query, whose answers no transaction remembers.
            let query = Query { ids: Some(vec![id]), ..Query::default() };
            Ok(!tx.collect(&list, &query)?.is_empty())
        }
        _ => Ok(true),
    }
}
