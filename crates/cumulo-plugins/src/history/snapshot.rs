//! A collection as it once was: `/buckets/{id}/snapshot/collections/{id}@{timestamp}`.
//!
//! Records that have not changed since are as they are. The others are found in the history: of
//! each the latest version up to that moment, unless that was its end, or the end of its
//! collection. A page has the latest changes first, and tells where the next one is. Memory is
//! bounded by the page: the store sorts the history by records, and reads it row by row.

use std::{
    collections::{BTreeMap, HashSet},
    ops::ControlFlow,
};

use cumulo_core::{
    api::Api,
    authorization::{Authorizer, principals},
    call::Call,
    error::{ApiError, Invalid, Location, Result},
    object::{List, Timestamp},
    query::{Field, Filter, Op, Query, Sort},
    render,
    reply::{Reply, ascii},
    request::{PATH, encode_query, parse_query},
    resource::{COLLECTION, RECORD, Target},
    store::{self, Transaction},
};
use http::{HeaderName, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::entries;

/// The parts of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Path<'a> {
    bucket: &'a str,
    collection: &'a str,
    moment: &'a str,
}

impl<'a> Path<'a> {
    /// Reads a path without version prefix.
    pub(super) fn parse(path: &'a str) -> Option<Self> {
        let (bucket, rest) = path.strip_prefix("/buckets/")?.split_once('/')?;
        let (collection, moment) = rest.strip_prefix("snapshot/collections/")?.split_once('@')?;
        let is_path = ![bucket, collection, moment].contains(&"") && !moment.contains('/');
        is_path.then_some(Self { bucket, collection, moment })
    }
}

/// The place of a record in the order of a page, from the last to the first.
type Place = (Timestamp, String);

/// What a request asks.
struct Asked {
    records: Target,
    moment: Timestamp,
    /// Where the page begins, if it is not the first.
    from: Option<Place>,
    limit: usize,
}

pub(super) fn get(api: &Api, call: &Call, tx: &mut dyn Transaction) -> Result<Reply> {
    let asked = Asked::read(api, call)?;
    let user = call.user.as_deref();
    let authorizer = Authorizer {
        configured: &api.configured,
        principals: &principals(user, tx)?,
        authenticated: user.is_some(),
    };
    authorizer.require_on_list(&asked.records, "read", tx)?;
    let mut page = Page::new(&asked, api.settings.max_response_bytes);
    page.add_unchanged(&asked, tx)?;
    if has_changed(&asked, tx)? {
        let mut past = Page::new(&asked, api.settings.max_response_bytes);
        past.add_past(&asked, tx)?;
        past.forget_present(&asked, tx)?;
        page.merge(past);
    }
    let mut reply = Reply::raw_json(StatusCode::OK, page.body());
    if let Some(next) = &page.rest {
        reply.headers.insert(NEXT_PAGE, ascii(next_page(api, call, next)));
    }
    Ok(reply)
}

const NEXT_PAGE: HeaderName = HeaderName::from_static("next-page");

impl Asked {
    fn read(api: &Api, call: &Call) -> Result<Self> {
        let path = call.request.path.get(1 + api.prefix().len()..).and_then(Path::parse);
        let path = path.ok_or_else(ApiError::url_not_found)?;
        let moment = path.moment.parse().ok().filter(|moment| *moment >= 0).ok_or_else(|| {
            let problem = format!("Invalid timestamp '{}'", path.moment);
            Invalid::new(Location::Path, "timestamp", problem)
        })?;
        let Path { bucket, collection, .. } = path;
        let records = format!("/buckets/{bucket}/collections/{collection}/records");
        let records = Target::parse(&records).ok_or_else(ApiError::url_not_found)?;
        for ancestor in &records.ancestors {
            if !api.accepts_id(ancestor.resource, &ancestor.id) {
                return Err(ApiError::parent_not_found(ancestor.resource.name, &ancestor.id));
            }
        }
        let pairs = parse_query(&call.request.query)
            .ok_or_else(|| Invalid::unnamed(Location::Querystring, "The text must be UTF-8."))?;
        let asked = |name: &str| pairs.iter().find(|(other, _)| other == name).map(|it| &*it.1);
        let from = asked("_token").map(read_token).transpose()?;
        let bound = api.settings.storage_max_fetch_size;
        let limit = asked("_limit").map(read_limit).transpose()?.unwrap_or(bound).min(bound);
        Ok(Self { records, moment: Timestamp(moment), from, limit })
    }

    /// The list of the bucket's history, and the collection's id.
    fn history(&self) -> (List, &str) {
        let id = |name| self.records.ancestor_id(name).expect("records are in a collection");
        (entries::list(id("bucket")), id("collection"))
    }

    /// The last timestamp that a record of the page can have.
    fn last(&self) -> Timestamp {
        self.from.as_ref().map_or(self.moment, |(last, _)| self.moment.min(*last))
    }
}

fn read_limit(text: &str) -> Result<usize> {
    text.parse().ok().filter(|limit| *limit > 0).ok_or_else(|| {
        Invalid::new(Location::Querystring, "_limit", format!("\"{text}\" is not a number")).into()
    })
}

fn read_token(text: &str) -> Result<Place> {
    let place = text.split_once('.').and_then(|(at, id)| {
        let at = at.parse().ok()?;
        (!id.is_empty()).then(|| (Timestamp(at), id.to_owned()))
    });
    place
        .ok_or_else(|| Invalid::unnamed(Location::Querystring, "_token has invalid content").into())
}

fn next_page(api: &Api, call: &Call, (at, id): &Place) -> String {
    let token = format!("{at}.{id}");
    let pairs = parse_query(&call.request.query).unwrap_or_default();
    let kept = pairs.iter().filter(|(name, _)| name != "_token");
    let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
    let query = encode_query(kept.chain([("_token", token.as_str())]));
    let path = percent_encoding::utf8_percent_encode(&call.request.path, PATH);
    format!("{}{path}?{query}", api.origin(&call.request))
}

/// Whether something in the list of records is later than the moment, or it is empty, as it is if
/// its collection was deleted.
fn has_changed(asked: &Asked, tx: &mut dyn Transaction) -> Result<bool> {
    let query = Query { tombstones: true, limit: Some(1), ..Query::default() };
    let mut has_changed = true;
    tx.list(&asked.records.list, &query, &mut |row| {
        has_changed = row.last_modified > asked.moment;
        Ok(ControlFlow::Break(()))
    })?;
    Ok(has_changed)
}

/// Records in the order of their places, no more than fit: the last ones.
struct Page {
    records: BTreeMap<Place, Vec<u8>>,
    /// The first record that did not fit.
    rest: Option<Place>,
    from: Option<Place>,
    limit: usize,
    bytes: usize,
    max_bytes: usize,
}

impl Page {
    fn new(asked: &Asked, max_bytes: usize) -> Self {
        Self {
            records: BTreeMap::new(),
            rest: None,
            from: asked.from.clone(),
            limit: asked.limit,
            bytes: 0,
            max_bytes,
        }
    }

    /// Adds a record, unless it belongs to a page before. False if it came after all that fit.
    fn add(&mut self, place: &Place, json: Vec<u8>) -> bool {
        if self.from.as_ref().is_some_and(|from| place > from) {
            return true;
        }
        if self.rest.as_ref().is_some_and(|rest| place <= rest) {
            return false;
        }
        self.bytes += json.len();
        if let Some(before) = self.records.insert(place.clone(), json) {
            self.bytes -= before.len();
        }
        while self.records.len() > self.limit
            || (self.bytes > self.max_bytes && self.records.len() > 1)
        {
            let (place, json) = self.records.pop_first().expect("there is more than one");
            self.bytes -= json.len();
            self.rest = Some(place);
        }
        self.rest.as_ref().is_none_or(|rest| place > rest)
    }

    /// Adds the records that are as they were.
    fn add_unchanged(&mut self, asked: &Asked, tx: &mut dyn Transaction) -> Result<()> {
        let filter = Filter { field: Field::LastModified, op: Op::Max(asked.last().0.into()) };
        let query = Query { filters: vec![filter], ..Query::default() };
        tx.list(&asked.records.list, &query, &mut |row| {
            let mut json = Vec::with_capacity(row.data.len() + 80);
            render::write_row(row, &mut json);
            let fits = self.add(&(row.last_modified, row.id.to_owned()), json);
            Ok(if fits { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        Ok(())
    }

    /// Adds the latest version of each record in the history.
    fn add_past(&mut self, asked: &Asked, tx: &mut dyn Transaction) -> Result<()> {
        let (history, collection) = asked.history();
        let mut query = versions(collection, RECORD.name, asked.moment);
        if let Some(end) = last_deletion(asked, tx)? {
            query.filters.push(Filter { field: Field::LastModified, op: Op::Gt(end.0.into()) });
        }
        let by_record = Sort { field: data(&["record_id"]), descending: false };
        query.sort.insert(0, by_record);
        let mut record = String::new();
        tx.list(&history, &query, &mut |row| {
            let entry: Entry<'_> = parse(row.data)?;
            if *entry.record_id == record {
                return Ok(ControlFlow::Continue(()));
            }
            record.clear();
            record.push_str(&entry.record_id);
            if entry.action != "delete" {
                let json = entry.target.data.get();
                let place = (Timestamp(parse::<Version>(json)?.last_modified), record.clone());
                self.add(&place, json.as_bytes().to_vec());
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(())
    }

    /// Removes records that the list itself tells about: it is right if the history has gaps.
    fn forget_present(&mut self, asked: &Asked, tx: &mut dyn Transaction) -> Result<()> {
        let ids = self.records.keys().map(|(_, id)| id.clone()).collect();
        let filter = Filter { field: Field::LastModified, op: Op::Max(asked.moment.0.into()) };
        let query =
            Query { filters: vec![filter], ids: Some(ids), tombstones: true, ..Query::default() };
        let mut present = HashSet::new();
        tx.list(&asked.records.list, &query, &mut |row| {
            present.insert(row.id.to_owned());
            Ok(ControlFlow::Continue(()))
        })?;
        self.records.retain(|(_, id), _| !present.contains(id));
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        // What the other has left out would be missing after this.
        if let Some(rest) = other.rest.filter(|rest| self.rest.as_ref().is_none_or(|it| it < rest))
        {
            self.records = self.records.split_off(&rest);
            self.records.remove(&rest);
            self.bytes = self.records.values().map(Vec::len).sum();
            self.rest = Some(rest);
        }
        for (place, json) in other.records {
            self.add(&place, json);
        }
    }

    fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.bytes + self.records.len() + 16);
        body.extend_from_slice(b"{\"data\":[");
        for (index, json) in self.records.values().rev().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(json);
        }
        body.extend_from_slice(b"]}");
        body
    }
}

/// When the collection was last deleted up to the moment: a timestamp of the history.
fn last_deletion(asked: &Asked, tx: &mut dyn Transaction) -> Result<Option<Timestamp>> {
    let (history, collection) = asked.history();
    let mut query = versions(collection, COLLECTION.name, asked.moment);
    query.filters.push(Filter { field: data(&["action"]), op: Op::Eq("delete".into()) });
    query.limit = Some(1);
    let mut deletion = None;
    tx.list(&history, &query, &mut |row| {
        deletion = Some(row.last_modified);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(deletion)
}

/// Entries about a collection, or about its records, up to a moment; the latest first.
fn versions(collection: &str, resource: &str, moment: Timestamp) -> Query {
    let at = || data(&["target", "data", "last_modified"]);
    let equals = |name: &str, text: &str| Filter { field: data(&[name]), op: Op::Eq(text.into()) };
    Query {
        filters: vec![
            equals("resource_name", resource),
            equals("collection_id", collection),
            Filter { field: at(), op: Op::Max(moment.0.into()) },
        ],
        sort: vec![
            Sort { field: at(), descending: true },
            Sort { field: Field::LastModified, descending: true },
        ],
        ..Query::default()
    }
}

fn data(path: &[&str]) -> Field {
    Field::Data(path.iter().map(ToString::to_string).collect())
}

/// What matters of an entry.
#[derive(Deserialize)]
struct Entry<'a> {
    record_id: String,
    action: String,
    #[serde(borrow)]
    target: Past<'a>,
}

#[derive(Deserialize)]
struct Past<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct Version {
    last_modified: i64,
}

/// Reads an entry, or a part of it.
fn parse<'a, T: Deserialize<'a>>(json: &'a str) -> store::Result<T> {
    serde_json::from_str(json).map_err(|error| store::Error::Internal(Box::new(error)))
}
