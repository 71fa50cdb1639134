//! Removes tombstones that nobody needs.
//!
//! Who has not asked for changes since before a tombstone that is removed does not learn that the
//! object is gone. Timestamps of lists stay as they are.

use std::{collections::BTreeSet, sync::Arc};

use cumulo_core::{
    object::{List, Timestamp},
    store::{self, Access, Outcome, Store, Tombstones},
};

use crate::{Advance, CHUNK, PAGE, Result};

/// What is purged.
#[derive(Clone, Debug)]
pub struct Purge {
    /// In lists of these resources, such as `record`.
    pub resources: BTreeSet<String>,
    /// All but the newest of each list, as many as this.
    pub keep: usize,
    /// Only those that are older.
    pub before: Option<Timestamp>,
}

/// What was found or removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many tombstones.
    pub tombstones: u64,
    /// How many lists had some of them.
    pub lists: u64,
    /// Resources of which there are no lists.
    pub unknown: BTreeSet<String>,
}

/// Tells what [`purge`] would remove.
pub async fn survey(store: &Arc<dyn Store>, purge: &Purge) -> Result<Report> {
    let mut report = Report { unknown: purge.resources.clone(), ..Report::default() };
    let mut after = None;
    while let Some(page) = Page::after(store, purge, after).await? {
        report.add(&page);
        after = Some(page.last);
    }
    Ok(report)
}

/// Removes tombstones, in transactions of bounded size.
pub async fn purge(store: &Arc<dyn Store>, purge: &Purge, advance: Advance<'_>) -> Result<Report> {
    let mut report = Report { unknown: purge.resources.clone(), ..Report::default() };
    let mut after = None;
    while let Some(mut page) = Page::after(store, purge, after).await? {
        for (list, tombstones) in &mut page.found {
            tombstones.count = purge_list(store, list, tombstones.latest, advance).await?;
        }
        report.add(&page);
        after = Some(page.last);
    }
    Ok(report)
}

/// Some lists, one after the other.
struct Page {
    resources: BTreeSet<&'static str>,
    found: Vec<(List, Tombstones)>,
    last: List,
}

impl Page {
    async fn after(
        store: &Arc<dyn Store>,
        purge: &Purge,
        after: Option<List>,
    ) -> store::Result<Option<Self>> {
        let purge = purge.clone();
        let page = store.transact(Access::Scan, move |tx| {
            let lists = tx.lists(after.as_ref(), PAGE)?;
            let Some((last, _)) = lists.last().cloned() else {
                return Ok((Outcome::Rollback, None));
            };
            let mut page = Self { resources: BTreeSet::new(), found: Vec::new(), last };
            for (list, _) in lists {
                page.resources.insert(list.resource);
                if !purge.resources.contains(list.resource) {
                    continue;
                }
                if let Some(found) = tx.tombstones(&list, purge.keep, purge.before)? {
                    page.found.push((list, found));
                }
            }
            Ok((Outcome::Rollback, Some(page)))
        });
        page.await
    }
}

impl Report {
    fn add(&mut self, page: &Page) {
        self.unknown.retain(|name| !page.resources.contains(name.as_str()));
        self.tombstones += page.found.iter().map(|(_, found)| found.count).sum::<u64>();
        self.lists += page.found.len() as u64;
    }
}

async fn purge_list(
    store: &Arc<dyn Store>,
    list: &List,
    latest: Timestamp,
    advance: Advance<'_>,
) -> store::Result<u64> {
    let mut total = 0;
    loop {
        let list = list.clone();
        let purge = store.transact(Access::Write, move |tx| {
            Ok((Outcome::Commit, tx.purge(&list, latest, CHUNK)?))
        });
        let purged = purge.await?;
        total += purged;
        advance(purged);
        if purged < CHUNK as u64 {
            return Ok(total);
        }
    }
}
