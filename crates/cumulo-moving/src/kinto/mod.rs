//! From a Kinto server, over HTTP, into a store.
//!
//! Lists are read oldest first, from `_since` what is in the store already, so that what changes
//! meanwhile comes again at the end, and an interrupted pull goes on where it was. The tree is
//! walked until a walk finds nothing new and every list has the count and the timestamp that the
//! server tells. What the server shows with an object alone, its permissions, is asked for in
//! batches.

mod server;
mod wire;

use std::{collections::BTreeMap, sync::Arc};

use cumulo_client::{Auth, Basic, Bearer, Response, server::ServerInfo};
use cumulo_core::{
    object::{Acl, List, Object, Timestamp},
    query::Query,
    resource::plural,
    store::{Access, Outcome, Store},
};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};

use self::{
    server::Server,
    wire::{Listed, One},
};
use crate::{
    Counts, Error, Result, Watch,
    import::{Mode, check_merged, is_empty, write},
    mark,
    step::{self, Step},
};

/// How many objects are listed at once; the server may give fewer.
const PAGE: usize = 500;

/// How often the tree is walked before the source counts as never still.
const WALKS: usize = 10;

/// The name of the mark that says where a pull comes from.
const MARK: &str = "kinto";

/// Who asks: what stands in `Authorization`.
#[derive(Clone, Debug, Default)]
pub struct Credentials(Option<Arc<dyn Auth>>);

impl Credentials {
    /// Nobody: only what everyone may see.
    pub fn none() -> Self {
        Self(None)
    }

    /// A name and a password with a colon between them.
    pub fn basic(auth: &str) -> Self {
        let (user, password) = auth.split_once(':').unwrap_or((auth, ""));
        Self(Some(Arc::new(Basic::new(user, password))))
    }

    /// A bearer token, or a whole header value such as `Token abc`.
    pub fn token(token: &str) -> Self {
        let (scheme, token) = token.split_once(' ').unwrap_or(("Bearer", token));
        Self(Some(Arc::new(Bearer::with_scheme(scheme, token))))
    }
}

/// How to pull.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who asks.
    pub credentials: Credentials,
    /// What to do with a store that holds something.
    pub mode: Mode,
    /// How many requests may be under way at once.
    pub connections: usize,
    /// Whether to ask for the permissions of single records.
    pub record_permissions: bool,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lists that were read.
    pub lists: u64,
    /// Objects that were fetched; one that changed meanwhile counts again.
    pub objects: u64,
    /// Accounts, which don't count as objects here.
    pub accounts: u64,
    /// Tombstones that were fetched.
    pub tombstones: u64,
    /// What has come of them.
    pub counts: Counts,
    /// What could not be moved.
    pub remarks: Vec<String>,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Origin {
    url: String,
    mode: Mode,
}

/// How far a list has come.
#[derive(Serialize, Deserialize)]
struct Since {
    since: i64,
}

/// Moves what the server shows into `store`.
pub async fn pull(
    store: &Arc<dyn Store>,
    url: &str,
    options: Options,
    watch: &Arc<dyn Watch>,
) -> Result<Report> {
    let server = Server::new(url, &options.credentials)?;
    let info = server.client.server_info().await.map_err(|error| server.failure(&error))?;
    let Some(batch_size) = info.settings.batch_max_requests else {
        return Err(server.failed("/", "the answer is not that of a Kinto server"));
    };
    watch.say(&format!("Reading from {} ({})", server.url, info.project_name));
    begin(store, &Origin { url: server.url.clone(), mode: options.mode }).await?;
    let mut pull = Pull {
        store,
        server,
        options,
        watch,
        info,
        batch_size: if batch_size == 0 { PAGE } else { batch_size },
        report: Report::default(),
        remarks: BTreeMap::new(),
    };
    pull.walk_until_still().await?;
    write(store, |tx| mark::clear(tx)).await?;
    pull.remark_on_capabilities();
    pull.report.remarks =
        pull.remarks.into_iter().map(|(what, n)| format!("{what} ({n})")).collect();
    Ok(pull.report)
}

/// Makes sure that the store is ours to write to.
async fn begin(store: &Arc<dyn Store>, origin: &Origin) -> Result<()> {
    let (found, any, is_empty) = store
        .transact(Access::Scan, |tx| {
            let found = (mark::get(tx, MARK)?, mark::any(tx)?, is_empty(tx)?);
            Ok((Outcome::Rollback, found))
        })
        .await?;
    let found = found.and_then(|data| serde_json::from_str::<Origin>(&data).ok());
    match found {
        Some(found) if found == *origin => Ok(()),
        _ if any => Err(Error::Unfinished("finish it as it was begun".into())),
        _ if origin.mode == Mode::Empty && !is_empty => Err(Error::NotEmpty),
        _ => {
            let data = serde_json::to_string(origin).expect("an origin is plain JSON");
            write(store, move |tx| mark::set(tx, MARK, &data)).await
        }
    }
}

/// A list of the server.
struct Source {
    path: String,
    /// Where its objects go; accounts are each in a list of their own.
    list: Option<Arc<List>>,
    with_permissions: bool,
}

impl Source {
    fn new(parent: &str, resource: &'static str, with_permissions: bool) -> Self {
        let list = Some(Arc::new(List::new(parent, resource)));
        Self { path: format!("{parent}/{}", plural(resource)), list, with_permissions }
    }

    fn list_of(&self, id: &str) -> Arc<List> {
        self.list.clone().unwrap_or_else(|| Arc::new(List::new(id, "account")))
    }
}

struct Pull<'a> {
    store: &'a Arc<dyn Store>,
    server: Server,
    options: Options,
    watch: &'a Arc<dyn Watch>,
    info: ServerInfo,
    /// How many objects are asked for at once.
    batch_size: usize,
    report: Report,
    /// What could not be moved, and how often.
    remarks: BTreeMap<String, u64>,
}

impl Pull<'_> {
    async fn walk_until_still(&mut self) -> Result<()> {
        let mut unlike = String::new();
        for walk in 0..WALKS {
            self.remarks.retain(|remark, _| walk == 0 || !remark.starts_with("not shown"));
            self.report.lists = 0;
            let before = self.report.objects + self.report.tombstones;
            unlike = self.walk().await?.unwrap_or_default();
            let is_still = before == self.report.objects + self.report.tombstones;
            if is_still && unlike.is_empty() {
                return Ok(());
            }
        }
        Err(Error::Unverified(match unlike.as_str() {
            "" => "the server changes all the time; make it read-only".into(),
            _ => unlike,
        }))
    }

    /// Reads what is new in all lists. Returns one that is not as the server tells it.
    async fn walk(&mut self) -> Result<Option<String>> {
        if self.info.has("accounts") {
            self.accounts().await?;
        }
        let mut unlike = None;
        let buckets = Source::new("", "bucket", true);
        if self.pull(&buckets).await? == Readable::No {
            return Err(self.server.failed("/buckets", "this user may not list the buckets"));
        }
        unlike = unlike.or(self.compare(&buckets).await?);
        for bucket in self.ids("/buckets").await? {
            let bucket = format!("/buckets/{bucket}");
            let groups = Source::new(&bucket, "group", true);
            let collections = Source::new(&bucket, "collection", true);
            unlike = unlike.or(self.pull_and_compare(&groups).await?);
            unlike = unlike.or(self.pull_and_compare(&collections).await?);
            for collection in self.ids(&collections.path).await? {
                let collection = format!("{bucket}/collections/{collection}");
                let with_permissions = self.options.record_permissions;
                let records = Source::new(&collection, "record", with_permissions);
                unlike = unlike.or(self.pull_and_compare(&records).await?);
            }
        }
        Ok(unlike)
    }

    async fn pull_and_compare(&mut self, source: &Source) -> Result<Option<String>> {
        match self.pull(source).await? {
            Readable::Yes => self.compare(source).await,
            Readable::No => Ok(None),
        }
    }

    /// All accounts anew: they have no timestamps in common.
    async fn accounts(&mut self) -> Result<()> {
        let before = self.report.clone();
        let accounts = Source { path: "/accounts".into(), list: None, with_permissions: true };
        self.pull(&accounts).await?;
        // They do not tell whether anything is new.
        self.report.accounts = self.report.objects - before.objects;
        self.report.objects = before.objects;
        self.report.tombstones = before.tombstones;
        Ok(())
    }

    /// Reads what is new in a list.
    async fn pull(&mut self, source: &Source) -> Result<Readable> {
        let since = self.since(source).await?;
        // Tombstones are only listed with a filter on the timestamp. This one leaves out nothing,
        // not even timestamps before 1970, which `_since` can't express.
        let (name, value) = match since {
            Some(since) if since > 0 => ("_since", since.to_string()),
            _ => ("has_last_modified", "1".to_owned()),
        };
        let list = self.server.client.list(&source.path).of::<Listed>();
        let mut list = list.param(name, &value).sort("last_modified").page_size(PAGE);
        loop {
            let page = match list.page().await {
                Ok(page) => page,
                Err(error) if is_hidden(&error) => {
                    self.remark(format!("not shown to this user: {}", source.path));
                    return Ok(Readable::No);
                }
                Err(error) => return Err(self.server.failure(&error)),
            };
            // 0 where the server tells none.
            let is_told = page.next.is_none() && page.timestamp.0 != 0;
            let end = is_told.then_some(page.timestamp.0);
            let objects = page.rows.into_iter().map(|Listed(object)| object).collect();
            self.store_page(source, objects, end).await?;
            let Some(next) = page.next else { break };
            list = self.server.client.list(&source.path).of().resume(next);
        }
        self.report.lists += 1;
        Ok(Readable::Yes)
    }

    async fn since(&self, source: &Source) -> Result<Option<i64>> {
        let path = source.path.clone();
        let found = self
            .store
            .transact(Access::Scan, move |tx| Ok((Outcome::Rollback, mark::get(tx, &path)?)));
        let since = found.await?.and_then(|data| serde_json::from_str::<Since>(&data).ok());
        Ok(since.map(|mark| mark.since))
    }

    /// Writes a page of a list and how far the list has come. `end` is the list timestamp, after
    /// the last page.
    async fn store_page(
        &mut self,
        source: &Source,
        listed: Vec<Object>,
        end: Option<i64>,
    ) -> Result<()> {
        let since = listed.last().map(|last| last.last_modified.0);
        let tombstones = listed.iter().filter(|object| object.deleted).count() as u64;
        self.report.tombstones += tombstones;
        self.report.objects += listed.len() as u64 - tombstones;
        self.watch.advance(listed.len() as u64);
        let entries = self.with_permissions(source, listed).await?;
        let mut steps: Vec<_> = entries
            .into_iter()
            .map(|(object, acl)| Step::Entry(source.list_of(&object.id), object, acl))
            .collect();
        if let (Some(list), Some(end)) = (&source.list, end) {
            steps.push(Step::List(Arc::clone(list), Timestamp(end)));
        }
        let steps = Arc::new(steps);
        let mark = since.filter(|_| source.list.is_some());
        let mark = mark.map(|since| (source.path.clone(), format!(r#"{{"since":{since}}}"#)));
        let taken = Arc::clone(&steps);
        self.report.counts += write(self.store, move |tx| {
            if let Some((path, data)) = &mark {
                mark::set(tx, path, data)?;
            }
            step::merge(tx, &taken)
        })
        .await?;
        check_merged(self.store, steps).await
    }

    /// Asks for the permissions of objects, and takes their data of the same moment.
    async fn with_permissions(
        &mut self,
        source: &Source,
        listed: Vec<Object>,
    ) -> Result<Vec<(Object, Acl)>> {
        if !source.with_permissions {
            return Ok(listed.into_iter().map(|object| (object, Acl::default())).collect());
        }
        let paths: Vec<_> = listed
            .iter()
            .filter(|object| !object.deleted)
            .map(|object| format!("{}/{}", source.path, object.id))
            .collect();
        let batches = paths.chunks(self.batch_size).map(|paths| self.server.get_all(paths));
        let answers: Vec<Vec<Response>> =
            stream::iter(batches).buffered(self.options.connections).try_collect().await?;
        let mut answers = answers.into_iter().flatten();
        let mut entries = Vec::with_capacity(listed.len());
        for object in listed {
            if object.deleted {
                entries.push((object, Acl::default()));
            } else if let Some(answer) = answers.next() {
                entries.extend(self.entry(source, object, &answer)?);
            }
        }
        Ok(entries)
    }

    /// An object as it was answered alone; `None` if it was deleted since it was listed.
    fn entry(
        &mut self,
        source: &Source,
        listed: Object,
        answer: &Response,
    ) -> Result<Option<(Object, Acl)>> {
        match answer.status.as_u16() {
            200 => {}
            404 | 410 => return Ok(None),
            401 | 403 => {
                self.remark(format!("permissions not shown to this user: in {}", source.path));
                return Ok(Some((listed, Acl::default())));
            }
            _ => {
                let path = format!("{}/{}", source.path, listed.id);
                return Err(self.server.failed(&path, format!("the answer is {}", answer.status)));
            }
        }
        let one: One<'_> = serde_json::from_slice(&answer.body)
            .map_err(|error| self.server.failed(&source.path, error.to_string()))?;
        if source.list.is_none() && !one.data.contains_key("password") {
            self.remark("accounts came without password hashes: they need new passwords".into());
        }
        if one.permissions.is_none() {
            self.remark(format!("permissions not shown to this user: in {}", source.path));
        }
        let object = wire::object(one.data).filter(|object| !object.deleted).unwrap_or(listed);
        Ok(Some((object, wire::acl(one.permissions.unwrap_or_default()))))
    }

    /// The ids in a list of the server.
    async fn ids(&self, path: &str) -> Result<Vec<String>> {
        let list = self.server.client.list(path).of::<Listed>();
        match list.fields(["id"]).page_size(PAGE).all().await {
            Ok(listed) => Ok(listed.into_iter().map(|Listed(object)| object.id).collect()),
            Err(error) if is_hidden(&error) => Ok(Vec::new()),
            Err(error) => Err(self.server.failure(&error)),
        }
    }

    /// Compares a list with the server's; returns what is different.
    async fn compare(&self, source: &Source) -> Result<Option<String>> {
        let Some(list) = source.list.clone().filter(|_| self.options.mode == Mode::Empty) else {
            return Ok(None);
        };
        let answer = match self.server.client.list(&source.path).head().await {
            Ok(answer) => answer,
            Err(error) => match error.status() {
                Some(status) if status.is_client_error() => {
                    return Ok(Some(format!("{} answers {status}", source.path)));
                }
                _ => return Err(self.server.failure(&error)),
            },
        };
        let (count, end) = write(self.store, move |tx| {
            Ok((tx.count(&list, &Query::default())?, tx.timestamp(&list)?))
        })
        .await?;
        if let Some(total) = answer.total().filter(|total| *total != count) {
            return Ok(Some(format!("{} has {total} objects there and {count} here", source.path)));
        }
        if answer.timestamp().is_some_and(|there| there.0 > end.0) {
            return Ok(Some(format!("{} has changed meanwhile", source.path)));
        }
        Ok(None)
    }

    fn remark(&mut self, remark: String) {
        *self.remarks.entry(remark).or_default() += 1;
    }

    fn remark_on_capabilities(&mut self) {
        for (capability, remark) in [
            ("history", "the history of buckets is not moved"),
            (
                "attachments",
                "the files of attachments are not moved, only what records say of them",
            ),
        ] {
            if self.info.has(capability) {
                self.remark(remark.into());
            }
        }
    }
}

/// Whether the user may read a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readable {
    Yes,
    No,
}

/// Whether the server does not show this to the user.
fn is_hidden(error: &cumulo_client::Error) -> bool {
    error.status().is_some_and(|status| matches!(status.as_u16(), 401 | 403 | 404))
}
