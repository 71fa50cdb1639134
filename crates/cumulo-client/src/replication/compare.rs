//! Finds the differences of two lists.

use std::{collections::HashMap, sync::Arc};

use futures_util::{Stream, StreamExt as _, TryStreamExt as _, future::try_join, stream};
use http::{Method, StatusCode};

use super::{
    difference::{Difference, Version},
    fields::Fields,
    merge::{Pair, Side, Sorted, merge},
    report::Tally,
    session::{Found, Part, Session, Verdict, read},
};
use crate::{Error, Resource, Result, batch, query::field, transport::Async};

/// So many objects are judged together. If they must be looked up, their ids stand in one URL.
const CHUNK: usize = 100;

/// What came of comparing some objects.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) count: usize,
    /// How many differ, and stay as they are.
    pub(super) kept: usize,
    pub(super) found: Vec<Found>,
}

impl Session {
    /// Compares two lists.
    pub(super) fn compare(
        self: Arc<Self>,
        part: Part,
    ) -> impl Stream<Item = Result<Compared>> + Send {
        let concurrency = self.options.concurrency;
        let part = Arc::new(part);
        pairs(&part)
            .try_chunks(CHUNK)
            .map_err(|error| error.1)
            .map_ok(move |pairs| resolve(self.clone(), part.clone(), pairs))
            .try_buffered(concurrency)
    }

    /// All differences, in the order in which they would be written.
    pub(super) fn plan(mut self, tally: Tally) -> impl Stream<Item = Result<Difference>> + Send {
        let heads = std::mem::take(&mut self.heads);
        let session = Arc::new(self);
        let tally = Arc::new(tally);
        let lists = {
            let (session, tally) = (session.clone(), tally.clone());
            let parts = session.lists().into_iter().map(Ok);
            stream::iter(parts)
                .map_ok(move |part| session.clone().found(part, tally.clone()))
                .try_flatten()
        };
        let records = {
            let ids = session.clone();
            stream::once(async move { ids.collections().await })
                .map_ok(|ids| stream::iter(ids.into_iter().map(Ok)))
                .try_flatten()
                .try_filter_map({
                    let session = session.clone();
                    move |(here, there): (String, String)| {
                        let session = session.clone();
                        async move { session.records(&here, &there).await }
                    }
                })
                .map_ok(move |records| session.clone().found(records.part, tally.clone()))
                .try_flatten()
        };
        let heads = stream::iter(heads.into_iter().map(Ok));
        heads.chain(lists).chain(records).map_ok(|found: Found| found.difference)
    }

    /// What is to be written of a list.
    pub(super) fn found(
        self: Arc<Self>,
        part: Part,
        tally: Arc<Tally>,
    ) -> impl Stream<Item = Result<Found>> + Send {
        tally.begin(part.targets.path(), part.total);
        self.compare(part)
            .map_ok(move |Compared { count, kept, found }| {
                tally.compared(count, kept);
                stream::iter(found.into_iter().map(Ok))
            })
            .try_flatten()
    }
}

/// The objects of both lists, or those that have changed in one.
fn pairs(part: &Part) -> stream::BoxStream<'static, Result<Pair>> {
    let list = part.source.list();
    let path = part.source.path();
    match (&part.since, &part.destination) {
        (Some(since), Some(destination)) => {
            let source = Sorted::changes(path, list.since(since.source));
            let changes = destination.list().since(since.destination);
            let destination = Sorted::changes(destination.path(), changes);
            merge(source, destination, Side::Unknown).boxed()
        }
        (_, destination) => {
            let source = Sorted::all(path, list);
            let destination = match destination {
                Some(destination) => Sorted::all(destination.path(), destination.list()),
                None => Sorted::empty(),
            };
            merge(source, destination, Side::Known(None)).boxed()
        }
    }
}

/// Completes what is known of some objects, and judges them.
async fn resolve(session: Arc<Session>, part: Arc<Part>, pairs: Vec<Pair>) -> Result<Compared> {
    let count = pairs.len();
    let is_needed = |side: &Side| match side {
        Side::Unknown => true,
        Side::Known(version) => part.permissions && version.is_some(),
    };
    let here = pairs.iter().filter(|it| is_needed(&it.source)).map(|it| it.id.clone()).collect();
    // What is to be deleted needs no permissions.
    let is_compared =
        |it: &Pair| !matches!(it.source, Side::Known(None)) && is_needed(&it.destination);
    let there = pairs.iter().filter(|it| is_compared(it)).map(|it| it.id.clone()).collect();
    let (mut here, mut there) = try_join(
        look_up(&part.source, here, part.permissions),
        look_up(&part.targets, there, part.permissions),
    )
    .await?;
    let mut compared = Compared { count, ..Compared::default() };
    for Pair { id, source, destination } in pairs {
        let source = complete(&mut here, &id, source);
        let destination = complete(&mut there, &id, destination);
        let (rules, may) = (&part.rules, (part.updates, part.deletes));
        match session.judge(rules, may, part.targets.one(&id), source, destination) {
            Verdict::Same => {}
            Verdict::Kept => compared.kept += 1,
            Verdict::Found(found) => compared.found.push(*found),
        }
    }
    Ok(compared)
}

/// Objects that were looked up: `None` if they are not there.
type LookedUp = HashMap<String, Option<Version>>;

fn complete(looked_up: &mut LookedUp, id: &str, side: Side) -> Option<Version> {
    match (looked_up.remove(id), side) {
        (Some(found), _) => found,
        (None, Side::Known(known)) => known,
        (None, Side::Unknown) => None,
    }
}

async fn look_up(
    list: &Resource<Async, Fields>,
    ids: Vec<String>,
    permissions: bool,
) -> Result<LookedUp> {
    if ids.is_empty() {
        Ok(HashMap::new())
    } else if permissions {
        look_up_each(list, ids).await
    } else {
        let objects = list.list().filter(field("id").any_of(&ids)).all().await?;
        let mut found: LookedUp = ids.into_iter().map(|id| (id, None)).collect();
        found.extend(objects.into_iter().map(|it| (it.id.clone(), Some(it.into()))));
        Ok(found)
    }
}

/// Lists don't tell permissions.
async fn look_up_each(list: &Resource<Async, Fields>, ids: Vec<String>) -> Result<LookedUp> {
    let get = |id: &String| {
        let mut call = list.one(id).call(Method::GET, "");
        call.accepted = &[StatusCode::NOT_FOUND];
        call
    };
    let calls = ids.iter().map(get).collect();
    let (results, cause) = batch::send(&list.transport().0, calls).await?;
    if let Some(error) = cause.or_else(|| results.failures().next().map(|it| it.error)) {
        return Err(error);
    }
    let versions = results.responses().map(|it| it.map_or(Err(Error::NotSent), read));
    ids.into_iter().zip(versions).map(|(id, version)| Ok((id, version?))).collect()
}
