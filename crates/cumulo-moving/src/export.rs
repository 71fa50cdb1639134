//! From a store into a stream of lines, in one transaction: a consistent snapshot.

use std::{
    io::{self, Write},
    ops::ControlFlow,
    sync::Arc,
};

use cumulo_core::{
    object::{Acl, List, Row, Timestamp},
    query::Query,
    store::{Access, Outcome, Store, Transaction},
};

use crate::{
    Error, Result, Watch,
    digest::{Content, PAGE, damage},
    format::{self, Header, Line, NAME, Trailer, VERSION, Writer},
    mark,
};

/// Opens the output. A store may run a transaction again; then the output begins anew.
pub type Open = Box<dyn FnMut() -> io::Result<Box<dyn Write + Send>> + Send>;

/// What comes first in an export that is made now.
pub fn header(created: Timestamp, by: &str) -> Header {
    Header { format: NAME.into(), version: VERSION, created: created.0, by: by.into() }
}

/// Writes everything that `store` holds. Returns what was written last.
pub async fn export(
    store: &Arc<dyn Store>,
    header: Header,
    mut open: Open,
    watch: Arc<dyn Watch>,
) -> Result<Trailer> {
    let write = move |tx: &mut dyn Transaction| {
        let written = match open() {
            Ok(out) => Export::new(out, &*watch).run(tx, header.clone())?,
            Err(error) => Err(Error::Write(error)),
        };
        Ok((Outcome::Rollback, written))
    };
    store.transact(Access::Scan, write).await?
}

struct Export<'a> {
    writer: Writer<Box<dyn Write + Send>>,
    content: Content,
    trailer: Trailer,
    watch: &'a dyn Watch,
}

/// Inside, an error of the store; outside, one of the output.
type Written<T> = cumulo_core::store::Result<Result<T>>;

/// Returns from the function unless all is well outside of the store.
macro_rules! check {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return Ok(Err(error)),
        }
    };
}

impl<'a> Export<'a> {
    fn new(out: Box<dyn Write + Send>, watch: &'a dyn Watch) -> Self {
        let writer = Writer::new(out);
        Self { writer, content: Content::default(), trailer: Trailer::default(), watch }
    }

    fn run(mut self, tx: &mut dyn Transaction, header: Header) -> Written<Trailer> {
        if mark::any(tx)? {
            return Ok(Err(Error::Unfinished("finish that before an export".into())));
        }
        self.watch.expect(total(tx)?);
        check!(self.write(&Line::Header(header)));
        let mut after = None;
        loop {
            let page = tx.lists(after.as_ref(), PAGE)?;
            for (list, timestamp) in &page {
                check!(self.list(tx, list, *timestamp)?);
            }
            let Some((last, _)) = page.into_iter().last() else { break };
            after = Some(last);
        }
        check!(self.memberships(tx)?);
        self.trailer.content = self.content.finish();
        Ok(self.writer.finish(self.trailer).map_err(Error::Write))
    }

    fn list(&mut self, tx: &mut dyn Transaction, list: &List, end: Timestamp) -> Written<()> {
        let line = format::List {
            parent: list.parent.clone(),
            resource: list.resource.to_owned(),
            last_modified: end.0,
        };
        check!(self.write(&Line::List(line)));
        self.content.list(list);
        self.trailer.lists += 1;
        let mut failed = None;
        tx.entries(list, None, &mut |row, acl| {
            Ok(match self.entry(list, row, acl) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            })
        })?;
        Ok(failed.map_or(Ok(()), Err))
    }

    fn entry(&mut self, list: &List, row: Row<'_>, acl: &Acl) -> Result<()> {
        let damaged = |error| damage(list, row.id, &error);
        self.content.entry(row, acl).map_err(damaged)?;
        let data = (!row.deleted).then(|| serde_json::from_str(row.data)).transpose();
        let line = format::Object {
            id: row.id.into(),
            last_modified: row.last_modified.0,
            deleted: row.deleted,
            data: data.map_err(damaged)?,
            permissions: std::borrow::Cow::Borrowed(&acl.0),
        };
        self.write(&Line::Object(line))?;
        if row.deleted {
            self.trailer.tombstones += 1;
        } else {
            self.trailer.objects += 1;
            self.watch.advance(1);
        }
        Ok(())
    }

    fn memberships(&mut self, tx: &mut dyn Transaction) -> Written<()> {
        let mut after = None;
        loop {
            let page = tx.memberships(after.as_ref(), PAGE)?;
            for membership in &page {
                self.content.membership(membership);
                self.trailer.memberships += 1;
                let line = format::Membership {
                    member: membership.member.clone(),
                    group: membership.group.clone(),
                };
                check!(self.write(&Line::Membership(line)));
            }
            let Some(last) = page.into_iter().last() else { return Ok(Ok(())) };
            after = Some(last);
        }
    }

    fn write(&mut self, line: &Line<'_>) -> Result<()> {
        self.writer.write(line).map_err(Error::Write)
    }
}

/// How many live objects there are.
fn total(tx: &mut dyn Transaction) -> cumulo_core::store::Result<u64> {
    let (mut total, mut after) = (0, None);
    loop {
        let page = tx.lists(after.as_ref(), PAGE)?;
        for (list, _) in &page {
            total += tx.count(list, &Query::default())?;
        }
        let Some((last, _)) = page.into_iter().last() else { return Ok(total) };
        after = Some(last);
    }
}
