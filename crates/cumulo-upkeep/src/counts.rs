//! Counts the live objects of all lists anew.

use std::sync::Arc;

use cumulo_core::{
    object::List,
    store::{self, Access, Outcome, Recount, Store},
};

use crate::{Advance, Result};

/// How many lists one transaction counts: each of them may be long.
const LISTS: usize = 20;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lists that have a count.
    pub lists: u64,
    /// Those of them whose count was wrong.
    pub wrong: u64,
    /// Lists without a count: the store counts when it is asked.
    pub uncounted: u64,
}

/// What is done with a count that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is corrected.
    Correct,
    /// It is only told.
    Tell,
}

/// Counts all lists; `wrong` is told of each whose count was not right.
pub async fn rebuild(
    store: &Arc<dyn Store>,
    mode: Mode,
    wrong: &(dyn Fn(&List, Recount) + Sync),
    advance: Advance<'_>,
) -> Result<Report> {
    let outcome = if mode == Mode::Correct { Outcome::Commit } else { Outcome::Rollback };
    let mut report = Report::default();
    let mut after: Option<List> = None;
    loop {
        let count = store.transact(Access::Write, move |tx| {
            let lists = tx.lists(after.as_ref(), LISTS)?.into_iter();
            let counted = lists.map(|(list, _)| tx.recount(&list).map(|recount| (list, recount)));
            Ok((outcome, counted.collect::<store::Result<Vec<_>>>()?))
        });
        let page = count.await?;
        advance(page.len() as u64);
        for (list, recount) in &page {
            let Some(recount) = recount else {
                report.uncounted += 1;
                continue;
            };
            report.lists += 1;
            if recount.kept != recount.counted {
                report.wrong += 1;
                wrong(list, *recount);
            }
        }
        let Some((last, _)) = page.into_iter().last() else { return Ok(report) };
        after = Some(last);
    }
}
