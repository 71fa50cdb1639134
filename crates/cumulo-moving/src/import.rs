//! From a stream of lines into a store, in transactions of bounded size.
//!
//! Each transaction also writes a mark: how many lines are in the store, and their
//! digest. The same command again reads the stream from its beginning, skips those, and goes on.

use std::{io::BufRead, sync::Arc};

use cumulo_core::{
    object::{Acl, List, Object, TOMBSTONE, Timestamp},
    store::{self, Access, Membership, Outcome, Store, Transaction},
};
use serde::{Deserialize, Serialize};

use crate::{
    Counts, Error, Result, Watch, digest,
    format::{self, Header, Line, NAME, Reader, Trailer, VERSION},
    mark,
    names::Names,
    step::{self, Step},
};

/// How many lines, and about how many bytes, one transaction takes.
const MAX_STEPS: usize = 1000;
const MAX_BYTES: u64 = 4 << 20;

/// The name of the mark.
const MARK: &str = "import";

/// What to do with a store that holds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Refuse it, unless this import was interrupted there.
    Empty,
    /// Add to it: the newer version of an object wins.
    Merge,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What the export said of itself.
    pub trailer: Trailer,
    /// What has come of objects and tombstones this time.
    pub counts: Counts,
    /// How many lines an earlier run had done.
    pub resumed_after: u64,
}

/// How far the import has come.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    lines: u64,
    sha256: String,
    mode: Mode,
}

/// Reads an export into `store`, and checks that the store then holds it.
pub async fn import(
    store: &Arc<dyn Store>,
    input: impl BufRead,
    mode: Mode,
    watch: &Arc<dyn Watch>,
) -> Result<Report> {
    let before = begin(store, mode).await?;
    let mut import = Import {
        store,
        mode,
        watch,
        reader: Reader::new(input),
        names: Names::new(),
        list: None,
        steps: Vec::new(),
        bytes: 0,
        seen: Trailer::default(),
        counts: Counts::default(),
    };
    import.header()?;
    if let Some(before) = &before {
        import.skip(before)?;
    }
    let trailer = import.rows().await?;
    let counts = import.counts;
    if mode == Mode::Empty {
        verify(store, &trailer.content, watch).await?;
    }
    write(store, |tx| mark::clear(tx)).await?;
    Ok(Report { trailer, counts, resumed_after: before.map_or(0, |mark| mark.lines) })
}

/// The mark of the same import, if it was interrupted.
async fn begin(store: &Arc<dyn Store>, mode: Mode) -> Result<Option<Mark>> {
    let (found, any, is_empty) = store
        .transact(Access::Scan, |tx| {
            let found = mark::get(tx, MARK)?;
            let is_empty = is_empty(tx)?;
            Ok((Outcome::Rollback, (found, mark::any(tx)?, is_empty)))
        })
        .await?;
    let found = found.and_then(|data| serde_json::from_str::<Mark>(&data).ok());
    match found {
        Some(found) if found.mode != mode => {
            Err(Error::Unfinished("it was begun with another --merge".into()))
        }
        Some(found) => Ok(Some(found)),
        None if any => Err(Error::Unfinished("finish it as it was begun".into())),
        None if mode == Mode::Empty && !is_empty => Err(Error::NotEmpty),
        None => Ok(None),
    }
}

/// Whether a store holds nothing.
pub(crate) fn is_empty(tx: &mut dyn Transaction) -> store::Result<bool> {
    Ok(tx.lists(None, 1)?.is_empty() && tx.memberships(None, 1)?.is_empty())
}

/// Runs a transaction that writes.
pub(crate) async fn write<T: Send + 'static>(
    store: &Arc<dyn Store>,
    mut work: impl FnMut(&mut dyn Transaction) -> store::Result<T> + Send + 'static,
) -> Result<T> {
    Ok(store.transact(Access::Write, move |tx| Ok((Outcome::Commit, work(tx)?))).await?)
}

/// Reads the whole store back and compares.
async fn verify(store: &Arc<dyn Store>, content: &str, watch: &Arc<dyn Watch>) -> Result<()> {
    watch.say("Reading the storage back to verify it");
    let found =
        store.transact(Access::Scan, |tx| Ok((Outcome::Rollback, digest::of_store(tx, &|| {})?)));
    let found = found.await??;
    if found == content {
        return Ok(());
    }
    let reason = format!("its digest is {found}, that of the export is {content}");
    Err(Error::Unverified(reason))
}

struct Import<'a, R> {
    store: &'a Arc<dyn Store>,
    mode: Mode,
    watch: &'a Arc<dyn Watch>,
    reader: Reader<R>,
    names: Names,
    /// The list that objects belong to, and its timestamp.
    list: Option<(Arc<List>, Timestamp)>,
    /// What the next transaction is to do.
    steps: Vec<Step>,
    bytes: u64,
    /// What was met so far.
    seen: Trailer,
    counts: Counts,
}

impl<R: BufRead> Import<'_, R> {
    fn header(&mut self) -> Result<()> {
        let header = match self.reader.read()? {
            Some(Line::Header(header)) => Some(header),
            _ => None,
        };
        match header {
            Some(Header { format, version: VERSION, .. }) if format == NAME => Ok(()),
            Some(Header { format, version, .. }) if format == NAME => {
                let reason = format!("its format has version {version}, not {VERSION}");
                Err(self.reader.damaged(reason))
            }
            _ => Err(Error::Damaged { line: 1, reason: "this is not an export of Cumulo".into() }),
        }
    }

    /// Reads what is in the store already.
    fn skip(&mut self, mark: &Mark) -> Result<()> {
        while self.reader.number() < mark.lines {
            if self.next()?.is_some() {
                break;
            }
            self.steps.clear();
            self.bytes = 0;
        }
        if self.reader.number() != mark.lines || self.reader.digest() != mark.sha256 {
            return Err(Error::Unfinished("this is another export than it was begun with".into()));
        }
        Ok(())
    }

    /// Moves everything, up to the trailer.
    async fn rows(&mut self) -> Result<Trailer> {
        loop {
            let trailer = self.next()?;
            let is_full = self.steps.len() >= MAX_STEPS || self.bytes >= MAX_BYTES;
            if is_full || trailer.is_some() && !self.steps.is_empty() {
                self.flush(trailer.is_none()).await?;
            }
            if let Some(trailer) = trailer {
                self.check(&trailer)?;
                if self.reader.read()?.is_some() {
                    return Err(self.reader.damaged("there is a line after the trailer"));
                }
                return Ok(trailer);
            }
        }
    }

    /// Reads one line; returns the trailer when that was read.
    fn next(&mut self) -> Result<Option<Trailer>> {
        let Some(line) = self.reader.read()? else {
            let line = self.reader.number() + 1;
            let reason = "it is missing: the export is cut off".into();
            return Err(Error::Damaged { line, reason });
        };
        let step = match line {
            Line::Trailer(trailer) => return Ok(Some(trailer)),
            Line::List(line) => take_list(&mut self.names, &mut self.list, &line),
            Line::Object(line) => take_object(self.list.as_ref(), line),
            Line::Membership(line) => {
                Ok(Step::Join(Membership { member: line.member, group: line.group }))
            }
            Line::Header(_) => Err("a second header".to_owned()),
        };
        let step = step.map_err(|reason| self.reader.damaged(reason))?;
        match &step {
            Step::List(..) => self.seen.lists += 1,
            Step::Entry(_, object, _) if object.deleted => self.seen.tombstones += 1,
            Step::Entry(..) => self.seen.objects += 1,
            Step::Join(_) => self.seen.memberships += 1,
        }
        self.watch.advance(self.reader.len());
        self.bytes += self.reader.len();
        self.steps.push(step);
        Ok(None)
    }

    /// Takes the steps that wait, and writes down that they are taken.
    async fn flush(&mut self, goes_on: bool) -> Result<()> {
        // The trailer is not part of the digest, so a mark may stand before it.
        let lines = self.reader.number() - u64::from(!goes_on);
        let mark = Mark { lines, sha256: self.reader.digest(), mode: self.mode };
        let data = serde_json::to_string(&mark).expect("a mark is plain JSON");
        let steps = Arc::new(std::mem::take(&mut self.steps));
        self.bytes = 0;
        let (mode, taken) = (self.mode, Arc::clone(&steps));
        self.counts += write(self.store, move |tx| {
            mark::set(tx, MARK, &data)?;
            match mode {
                Mode::Empty => step::restore(tx, &taken),
                Mode::Merge => step::merge(tx, &taken),
            }
        })
        .await?;
        if self.mode == Mode::Merge {
            check_merged(self.store, steps).await?;
        }
        Ok(())
    }

    fn check(&self, trailer: &Trailer) -> Result<()> {
        let told = Trailer { content: String::new(), sha256: String::new(), ..trailer.clone() };
        if told != self.seen {
            return Err(self.reader.damaged("it counts other lines than those before it"));
        }
        if trailer.sha256 != self.reader.digest() {
            return Err(self.reader.damaged(
                "its digest is not that of the lines before it: one of them was changed",
            ));
        }
        Ok(())
    }
}

/// Fails if the store lacks what was just merged into it.
pub(crate) async fn check_merged(store: &Arc<dyn Store>, steps: Arc<Vec<Step>>) -> Result<()> {
    let missing =
        store.transact(Access::Scan, move |tx| Ok((Outcome::Rollback, step::missing(tx, &steps)?)));
    match missing.await? {
        Some(uri) => Err(Error::Unverified(format!("{uri} is not there, or another"))),
        None => Ok(()),
    }
}

fn take_list(
    names: &mut Names,
    current: &mut Option<(Arc<List>, Timestamp)>,
    line: &format::List,
) -> std::result::Result<Step, String> {
    if line.resource.is_empty() {
        return Err("the list has no resource".into());
    }
    let list = names.list(&line.parent, &line.resource);
    let list = Arc::new(list.ok_or("there are too many kinds of resources")?);
    let end = Timestamp(line.last_modified);
    *current = Some((Arc::clone(&list), end));
    Ok(Step::List(list, end))
}

fn take_object(
    current: Option<&(Arc<List>, Timestamp)>,
    line: format::Object<'_>,
) -> std::result::Result<Step, String> {
    let (list, end) = current.ok_or("the object comes before any list")?;
    let last_modified = Timestamp(line.last_modified);
    if last_modified > *end {
        return Err("the object is newer than its list".into());
    }
    let data = match line.data.map(serde_json::value::RawValue::get) {
        None if line.deleted => TOMBSTONE.to_owned(),
        Some(data) if data.starts_with('{') && !line.deleted => data.to_owned(),
        _ => return Err("the data is not an object".into()),
    };
    let id = line.id.into_owned();
    let object = Object { id, last_modified, deleted: line.deleted, data };
    Ok(Step::Entry(Arc::clone(list), object, Acl(line.permissions.into_owned())))
}
