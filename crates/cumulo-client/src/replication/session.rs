//! The two sides, and what is decided about their objects.

use std::collections::BTreeMap;

use futures_util::{TryStreamExt as _, future::try_join};
use http::{Method, StatusCode};

use super::{
    Options,
    difference::{Difference, Rules, Version},
    fields::Fields,
    state::{Manner, Marks, State},
};
use crate::{
    Bucket, Collection, EVERYONE, Error, Object, One, Permissions, Resource, Result, Timestamp,
    call::Call,
    object,
    response::Response,
    server::ServerInfo,
    transport::{Async, Connection, Direct},
};

/// A bucket or a collection on a server.
#[derive(Clone, Debug)]
pub(super) struct Place<X> {
    pub(super) transport: X,
    bucket: Bucket<Async>,
    collection: Option<Collection<Async>>,
}

impl<X: Direct> Place<X> {
    pub(super) fn bucket(bucket: &Bucket<X>) -> Self {
        let transport = bucket.transport().clone();
        let bucket = Bucket::new(Async(transport.connection().clone()), bucket.id());
        Self { transport, bucket, collection: None }
    }

    pub(super) fn collection(collection: &Collection<X>) -> Self {
        let transport = collection.transport().clone();
        let bucket = collection.path().split('/').nth(2).unwrap_or_default();
        let bucket = Bucket::new(Async(transport.connection().clone()), bucket);
        let collection = Some(bucket.collection(collection.id()));
        Self { transport, bucket, collection }
    }

    /// The same for those who await.
    pub(super) fn local(&self) -> Place<Async> {
        Place {
            transport: self.bucket.transport().clone(),
            bucket: self.bucket.clone(),
            collection: self.collection.clone(),
        }
    }
}

impl Place<Async> {
    pub(super) fn connection(&self) -> &Connection {
        &self.transport.0
    }

    fn url(&self) -> String {
        let path = self.collection.as_ref().map_or(self.bucket.path(), |it| it.path());
        format!("{}{path}", self.connection().config().server)
    }

    async fn info(&self) -> Result<ServerInfo> {
        ServerInfo::read(&self.connection().execute(&Call::get("/")).await?)
    }

    /// The bucket under its own id: `default` is another name for one of the user's.
    fn own_bucket(&self, info: &ServerInfo) -> Bucket<Async> {
        let own = info.user.as_ref().and_then(|user| user.bucket.as_deref());
        match self.bucket.id() {
            "default" => Bucket::new(self.transport.clone(), own.unwrap_or("default")),
            _ => self.bucket.clone(),
        }
    }
}

/// An object that is to be written.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) difference: Difference,
    pub(super) target: One<Async, Fields>,
}

/// What is decided about an object.
#[derive(Debug)]
pub(super) enum Verdict {
    Same,
    /// It differs, and stays.
    Kept,
    Found(Box<Found>),
}

/// A list on both sides, and what is done with it.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) source: Resource<Async, Fields>,
    /// `None` if the destination has not what the list would be in.
    pub(super) destination: Option<Resource<Async, Fields>>,
    pub(super) targets: Resource<Async, Fields>,
    pub(super) rules: Rules,
    pub(super) permissions: bool,
    pub(super) updates: bool,
    pub(super) deletes: bool,
    /// Where an earlier run ended.
    pub(super) since: Option<Marks>,
    /// How many objects are looked at.
    pub(super) total: Option<u64>,
}

impl Part {
    /// Whether so few objects have changed that to look them up on the other side is less work than
    /// to compare all: not after a run that has written most of them.
    async fn are_few(&self, since: Marks, total: Option<u64>) -> Result<bool> {
        let Some(destination) = &self.destination else { return Ok(false) };
        let (_, here) = head(&self.source, Some(since.source)).await?;
        let (_, there) = head(destination, Some(since.destination)).await?;
        let (Some(here), Some(there), Some(total)) = (here, there, total) else { return Ok(true) };
        Ok((here + there) * 4 <= total)
    }
}

/// The records of a collection.
#[derive(Debug)]
pub(super) struct Records {
    /// The id of the collection in the destination.
    pub(super) id: String,
    pub(super) part: Part,
    /// The timestamps of the lists before they are read.
    pub(super) marks: Marks,
}

/// The two sides.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) source: Place<Async>,
    pub(super) destination: Place<Async>,
    pub(super) options: Options,
    /// The principal of the user who writes.
    own: String,
    /// The buckets under their own ids, here and there. By these it is found out whether a
    /// collection is there: servers create those of `default` when they are read.
    buckets: (Bucket<Async>, Bucket<Async>),
    /// Whether the bucket of the destination must be created first.
    pub(super) is_missing: bool,
    /// The bucket or collection itself, and what it is in, as far as they differ.
    pub(super) heads: Vec<Found>,
    pub(super) kept_heads: usize,
    /// Where an earlier run ended.
    pub(super) state: State,
}

impl Session {
    pub(super) async fn open(
        source: Place<Async>,
        destination: Place<Async>,
        options: Options,
        state: Option<State>,
    ) -> Result<Self> {
        let state = usable(state, &source, &destination, &options)?;
        let (from, to) = try_join(source.info(), destination.info()).await?;
        let buckets = (source.own_bucket(&from), destination.own_bucket(&to));
        let own = to.user.map_or_else(|| EVERYONE.to_owned(), |user| user.id);
        let mut session = Self {
            source,
            destination,
            options,
            own,
            buckets,
            is_missing: false,
            heads: Vec::new(),
            kept_heads: 0,
            state,
        };
        match (session.source.collection.clone(), session.destination.collection.clone()) {
            (Some(source), Some(destination)) => {
                session.compare_collections(&source, &destination).await?;
            }
            _ => session.compare_buckets().await?,
        }
        Ok(session)
    }

    async fn compare_buckets(&mut self) -> Result<()> {
        let target = self.destination.bucket.of();
        let source = self.source.bucket.of().get().send().await?.into();
        let destination = self.look(&target).await?;
        self.is_missing = destination.is_none();
        self.judge_head(target, source, destination);
        Ok(())
    }

    async fn compare_collections(
        &mut self,
        source: &Collection<Async>,
        destination: &Collection<Async>,
    ) -> Result<()> {
        let target = destination.of();
        let source = self.buckets.0.collection(source.id()).of().get().send().await?.into();
        let destination = self.look_for_collection(destination.id()).await?;
        // A write to `default` creates it.
        if destination.is_none() && !self.is_alias() {
            let bucket = self.destination.bucket.of();
            self.is_missing = self.look(&bucket).await?.is_none();
            if self.is_missing {
                self.judge_head(bucket, Version::empty(), None);
            }
        }
        self.judge_head(target, source, destination);
        Ok(())
    }

    /// What an object of the destination is, if it is there.
    async fn look(&self, one: &One<Async, Fields>) -> Result<Option<Version>> {
        let found = look(one).await;
        if self.options.assumes_missing { allow_forbidden(found) } else { found }
    }

    /// The same for one of its collections.
    async fn look_for_collection(&self, id: &str) -> Result<Option<Version>> {
        let found = self.look(&self.buckets.1.collection(id).of()).await;
        // Users may see all of a bucket of their own, if it is there.
        if self.is_alias() { allow_forbidden(found) } else { found }
    }

    /// Whether the bucket of the destination has another id than it is called by.
    fn is_alias(&self) -> bool {
        self.buckets.1.id() != self.destination.bucket.id()
    }

    fn judge_head(
        &mut self,
        target: One<Async, Fields>,
        source: Version,
        destination: Option<Version>,
    ) {
        let rules = self.rules();
        let updates = self.options.updates && self.options.metadata;
        match self.judge(&rules, (updates, false), target, Some(source), destination) {
            Verdict::Same => {}
            Verdict::Kept => self.kept_heads += 1,
            Verdict::Found(found) => self.heads.push(*found),
        }
    }

    fn rules(&self) -> Rules {
        Rules { ignored: self.options.ignored.clone(), is_group: false }
    }

    /// What is to be done with an object; `(updates, deletes)` says what may be.
    pub(super) fn judge(
        &self,
        rules: &Rules,
        (updates, deletes): (bool, bool),
        target: One<Async, Fields>,
        source: Option<Version>,
        destination: Option<Version>,
    ) -> Verdict {
        let after = source.map(|it| self.become_of(it, destination.as_ref()));
        let may = match (&destination, &after) {
            (None, None) => return Verdict::Same,
            (Some(before), Some(after)) if rules.are_same(before, after) => return Verdict::Same,
            (Some(_), Some(_)) => updates,
            (Some(_), None) => deletes,
            (None, Some(_)) => true,
        };
        if !may {
            return Verdict::Kept;
        }
        let path = target.path().to_owned();
        let difference = Difference { path, before: destination, after };
        Verdict::Found(Box::new(Found { difference, target }))
    }

    /// What a version of the source will be in the destination.
    fn become_of(&self, mut version: Version, before: Option<&Version>) -> Version {
        if !self.options.permissions {
            version.permissions = None;
        }
        if let Some(permissions) = &mut version.permissions {
            let (here, there) = &self.buckets;
            if here.id() != there.id() {
                rename_groups(permissions, here, there);
            }
            // Whoever writes an object may write it afterwards, whatever is sent.
            let held = before.and_then(|it| it.permissions.as_ref());
            if held.is_some_and(|it| it.has("write", &self.own)) {
                permissions.0.entry("write".to_owned()).or_default().insert(self.own.clone());
            }
        }
        version
    }

    /// The lists of groups and of collections, if it is a bucket that is replicated.
    pub(super) fn lists(&self) -> Vec<Part> {
        if self.source.collection.is_some() {
            return Vec::new();
        }
        let (source, destination) = (&self.source.bucket, &self.destination.bucket);
        let metadata = self.options.metadata;
        let groups = Part {
            rules: Rules { is_group: true, ..self.rules() },
            ..self.part(source.groups().of(), destination.groups().of(), !self.is_missing)
        };
        let collections = Part {
            updates: self.options.updates && metadata,
            deletes: self.options.deletes && metadata,
            ..self.part(source.collections().of(), destination.collections().of(), !self.is_missing)
        };
        if metadata { vec![groups, collections] } else { vec![collections] }
    }

    fn part(
        &self,
        source: Resource<Async, Fields>,
        targets: Resource<Async, Fields>,
        is_there: bool,
    ) -> Part {
        Part {
            source,
            destination: is_there.then(|| targets.clone()),
            targets,
            rules: self.rules(),
            permissions: self.options.permissions,
            updates: self.options.updates,
            deletes: self.options.deletes,
            since: None,
            total: None,
        }
    }

    /// The collections whose records are compared: their ids here and there.
    pub(super) async fn collections(&self) -> Result<Vec<(String, String)>> {
        if let (Some(source), Some(destination)) =
            (&self.source.collection, &self.destination.collection)
        {
            return Ok(vec![(source.id().to_owned(), destination.id().to_owned())]);
        }
        let list = self.source.bucket.collections().of::<Fields>().list();
        let ids = list.sort("id").fields(["id"]).rows();
        ids.map_ok(|object: Object<Fields>| (object.id.clone(), object.id)).try_collect().await
    }

    /// The records of a collection; `None` if it is no longer in the source.
    pub(super) async fn records(&self, here: &str, there: &str) -> Result<Option<Records>> {
        let source = self.source.bucket.collection(here);
        let target = self.destination.bucket.collection(there);
        let Some(before) = look(&self.buckets.0.collection(here).of()).await? else {
            return Ok(None);
        };
        let after = if self.is_missing { None } else { self.look_for_collection(there).await? };
        let is_there = after.is_some();
        let mut part = self.part(source.records().of(), target.records().of(), is_there);
        part.permissions = self.options.record_permissions;
        let has_schema = |version: &Version| version.data.get("schema").is_some();
        if has_schema(&before) || after.as_ref().is_some_and(has_schema) {
            // Servers that validate stamp records with the timestamp of their schema.
            part.rules.ignored.insert("schema".to_owned());
        }
        let (source, total) = head(&part.source, None).await?;
        let destination = match &part.destination {
            Some(list) => head(list, None).await?.0,
            None => Timestamp::default(),
        };
        let marks = Marks { source, destination };
        let earlier = self.state.records.get(there).copied();
        let earlier = earlier.filter(|it| it.source <= source && it.destination <= destination);
        part.since = match earlier {
            Some(earlier) if part.are_few(earlier, total).await? => Some(earlier),
            _ => None,
        };
        part.total = if part.since.is_some() { None } else { total };
        Ok(Some(Records { id: there.to_owned(), part, marks }))
    }
}

/// The state that a run may begin from: none of what was done in another manner.
fn usable(
    state: Option<State>,
    source: &Place<Async>,
    destination: &Place<Async>,
    options: &Options,
) -> Result<State> {
    let fresh = State {
        source: source.url(),
        destination: destination.url(),
        manner: Manner::of(options),
        records: BTreeMap::new(),
    };
    match state {
        Some(state)
            if (&state.source, &state.destination) != (&fresh.source, &fresh.destination) =>
        {
            let problem = format!(
                "the state is that of a replication from {} to {}, not from {} to {}",
                state.source, state.destination, fresh.source, fresh.destination
            );
            Err(Error::Argument(problem))
        }
        Some(state) if state.manner == fresh.manner => Ok(state),
        _ => Ok(fresh),
    }
}

/// What an object is, if it is there.
async fn look(one: &One<Async, Fields>) -> Result<Option<Version>> {
    let mut call = one.call(Method::GET, "");
    call.accepted = &[StatusCode::NOT_FOUND];
    let response = one.transport().0.execute(&call).await?;
    read(&response)
}

pub(super) fn read(response: &Response) -> Result<Option<Version>> {
    if response.status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    object::one(response).map(|object: Object<Fields>| Some(object.into()))
}

/// To those who may not list buckets, servers answer 403 for one that does not exist.
fn allow_forbidden(found: Result<Option<Version>>) -> Result<Option<Version>> {
    match found {
        Err(Error::Forbidden(_)) => Ok(None),
        found => found,
    }
}

/// The timestamp of a list, and how many objects it has, or how many have changed.
pub(super) async fn head(
    list: &Resource<Async, Fields>,
    since: Option<Timestamp>,
) -> Result<(Timestamp, Option<u64>)> {
    let mut call = list.call(Method::HEAD);
    if let Some(since) = since {
        call.param("_since", &since.etag());
    }
    let response = list.transport().0.execute(&call).await?;
    let total = response.parsed("Total-Objects").or_else(|| response.parsed("Total-Records"));
    Ok((response.timestamp().unwrap_or_default(), total))
}

/// Makes groups of one bucket those of the other.
fn rename_groups(permissions: &mut Permissions, here: &Bucket<Async>, there: &Bucket<Async>) {
    let groups = |bucket: &Bucket<Async>| format!("/buckets/{}/groups/", bucket.id());
    let (here, there) = (groups(here), groups(there));
    for principals in permissions.0.values_mut() {
        let renamed = principals.iter().map(|principal| match principal.strip_prefix(&here) {
            Some(group) => format!("{there}{group}"),
            None => principal.clone(),
        });
        *principals = renamed.collect();
    }
}
