//! `/permissions`: every object on which the user has been given a right, and which rights.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::{
    api::Api,
    authorization,
    caching::Caching,
    call::Call,
    cors,
    error::Result,
    object::{List, Row, Timestamp},
    paging::Token,
    params::{
        headers::{Preconditions, require_json_accepted},
        querystring::{Known, ListParams},
    },
    query::{Field, Filter, Query, Sort},
    reply::Reply,
    resource::{BUCKET, COLLECTION, GROUP, Resource, uri_of},
    store::Transaction,
};

use super::{
    list::{self, effective_limit},
    resource::check_list,
};

/// The fields of an entry.
pub(crate) const FIELDS: &[&str] =
    &["uri", "resource_name", "bucket_id", "collection_id", "group_id", "record_id", "permissions"];

/// The list whose timestamp is served.
pub(crate) fn list() -> List {
    List::new("", "permissions")
}

pub(crate) fn get(api: &Api, call: &Call, tx: &mut dyn Transaction) -> Result<Reply> {
    require_json_accepted(&call.request.headers)?;
    let principals = authorization::principals(call.user.as_deref(), tx)?;
    let user = call.user.as_deref();
    authorization::require_named(&api.settings, "permissions_read", &principals, user)?;
    let mut problems = Vec::new();
    problems.extend(cors::problem(&api.settings, &call.request.headers));
    problems.extend(call.body.as_ref().err().cloned());
    let preconditions = Preconditions::parse(&call.request.headers, &mut problems);
    let mut params = list::parse_parameters(api, call, Known::Only(FIELDS), problems)?;
    order_by_uri(&mut params);
    let timestamp = tx.timestamp(&list())?;
    // The timestamp does not follow the entries, so nothing is ever known to be unmodified.
    check_list(preconditions, timestamp)?;
    let entries = entries(api, &principals, tx)?;
    let mut reply = if call.request.method == Method::HEAD {
        count(&entries, &params.query)
    } else {
        page(api, call, &entries, &mut params)?
    };
    reply.set_timestamp(timestamp);
    Caching::Forbidden.apply(&mut reply.headers, api.clock.now());
    Ok(reply)
}

/// Entries have no timestamps: they are sorted by URI, and filters on timestamps are ignored.
fn order_by_uri(params: &mut ListParams) {
    let uri = || Field::Data(vec!["uri".to_owned()]);
    let sorts = std::mem::take(&mut params.query.sort);
    let names = std::mem::take(&mut params.sort_names);
    for (sort, name) in sorts.into_iter().zip(names) {
        if sort.field != Field::LastModified {
            params.query.sort.push(Sort { field: in_data(sort.field), ..sort });
            params.sort_names.push(name);
        }
    }
    if !params.sort_names.iter().any(|name| name == "uri") {
        params.query.sort.push(Sort { field: uri(), descending: true });
        params.sort_names.push("uri".to_owned());
    }
    let filters = std::mem::take(&mut params.query.filters);
    let filters = filters.into_iter().filter(|filter| filter.field != Field::LastModified);
    params.query.filters =
        filters.map(|filter| Filter { field: in_data(filter.field), ..filter }).collect();
}

/// Entries are plain data: their `id` is a field like the others.
fn in_data(field: Field) -> Field {
    if field == Field::Id { Field::Data(vec!["id".to_owned()]) } else { field }
}

/// An entry and its text, for the evaluation of queries.
struct Entry {
    map: Map<String, Value>,
    text: String,
}

impl Entry {
    fn row(&self) -> Row<'_> {
        Row { id: "", last_modified: Timestamp(0), deleted: false, data: &self.text }
    }
}

fn count(entries: &[Entry], query: &Query) -> Reply {
    let count = entries.iter().filter(|entry| query.selects(entry.row())).count();
    let mut reply = Reply::raw_json(StatusCode::OK, b"{\"data\":[]}".to_vec());
    list::add_totals(&mut reply, count as u64);
    reply
}

fn page(api: &Api, call: &Call, entries: &[Entry], params: &mut ListParams) -> Result<Reply> {
    let mut offset = 0;
    if let Some(token) = &params.token {
        let token = Token::decode(token, params)?;
        offset = token.offset;
        params.query.page = token.page(params);
    }
    let limit = effective_limit(api, params);
    let query = &params.query;
    let mut found: Vec<_> = entries.iter().filter(|entry| query.matches(entry.row())).collect();
    found.sort_by(|a, b| -> Ordering { query.compare(a.row(), b.row()) });
    let more = found.len() > limit;
    found.truncate(limit);
    let shown: Vec<_> = found.iter().map(|entry| project(&entry.map, &params.fields)).collect();
    let mut reply = Reply::json(StatusCode::OK, &json!({"data": shown}));
    if let Some(last) = found.last().filter(|_| more) {
        let token = Token::after(last.row(), params, offset + found.len() as u64);
        list::set_next_page(&mut reply, api, call, limit, &token);
    }
    Ok(reply)
}

fn project(entry: &Map<String, Value>, fields: &[Vec<String>]) -> Map<String, Value> {
    if fields.is_empty() { entry.clone() } else { crate::render::project(entry, fields) }
}

fn entries(api: &Api, principals: &[String], tx: &mut dyn Transaction) -> Result<Vec<Entry>> {
    let mut rights: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for grant in tx.granted(principals, Some(&api.object_kinds()))? {
        let held = grant.acl.0.keys().filter(|name| grant.acl.grants(name, principals));
        let uri = uri_of(&grant.list, &grant.id);
        rights.entry(uri).or_default().extend(held.cloned());
    }
    add_configured(api, principals, &mut rights, tx)?;
    let entries = rights.into_iter().filter_map(|(uri, held)| entry(api, &uri, &held));
    let root = root_entry(api, principals);
    let entries = entries.chain(root);
    Ok(entries
        .map(|map| Entry { text: serde_json::to_string(&map).expect("plain data"), map })
        .collect())
}

/// Adds every bucket, collection and group on which the settings give rights.
fn add_configured(
    api: &Api,
    principals: &[String],
    rights: &mut BTreeMap<String, BTreeSet<String>>,
    tx: &mut dyn Transaction,
) -> Result<()> {
    let configured = |resource: &Resource| api.configured.of(resource, principals);
    let (on_buckets, on_groups, on_collections) =
        (configured(&BUCKET), configured(&GROUP), configured(&COLLECTION));
    if on_buckets.is_empty() && on_groups.is_empty() && on_collections.is_empty() {
        return Ok(());
    }
    for bucket in ids(&List::new("", BUCKET.name), tx)? {
        let uri = format!("/buckets/{bucket}");
        for (resource, held) in [(&GROUP, &on_groups), (&COLLECTION, &on_collections)] {
            if held.is_empty() {
                continue;
            }
            let list = List::new(uri.clone(), resource.name);
            for id in ids(&list, tx)? {
                rights.entry(uri_of(&list, &id)).or_default().extend(held.iter().cloned());
            }
        }
        if !on_buckets.is_empty() {
            rights.entry(uri).or_default().extend(on_buckets.iter().cloned());
        }
    }
    Ok(())
}

fn ids(list: &List, tx: &mut dyn Transaction) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    tx.list(list, &Query::default(), &mut |row| {
        ids.push(row.id.to_owned());
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(ids)
}

/// What the settings allow at the root.
fn root_entry(api: &Api, principals: &[String]) -> Option<Map<String, Value>> {
    let creates: Vec<_> = api
        .added
        .iter()
        .copied()
        .chain([&BUCKET])
        .filter(|resource| api.configured.may_create(resource, principals))
        .map(|resource| format!("{}:create", resource.name))
        .collect();
    let Value::Object(entry) = json!({"uri": "/", "resource_name": "root", "permissions": creates})
    else {
        unreachable!("an object literal")
    };
    (!creates.is_empty()).then_some(entry)
}

/// The entry of an object; none for a URI that no object has.
fn entry(api: &Api, uri: &str, held: &BTreeSet<String>) -> Option<Map<String, Value>> {
    let target = api.target(uri)?;
    let id = target.id.clone()?;
    let mut entry = Map::new();
    entry.insert("uri".into(), uri.into());
    entry.insert("resource_name".into(), target.resource.name.into());
    let permissions = expand(target.resource, held);
    entry.insert("permissions".into(), permissions.into_iter().collect());
    for ancestor in &target.ancestors {
        entry.insert(format!("{}_id", ancestor.resource.name), ancestor.id.clone().into());
    }
    entry.insert(format!("{}_id", target.resource.name), id.clone().into());
    entry.insert("id".into(), id.into());
    Some(entry)
}

/// The permissions on the object itself that follow from those held on it.
fn expand(resource: &Resource, held: &BTreeSet<String>) -> BTreeSet<String> {
    let follows = |rights: &[crate::resource::Right]| {
        rights.iter().any(|right| right.on == resource.name && held.contains(right.permission))
    };
    let mut permissions = held.clone();
    for (permission, rights) in resource.rights {
        if follows(rights) {
            permissions.insert((*permission).to_owned());
        }
    }
    permissions
}
