//! What is noted of a change.

use std::collections::{BTreeSet, HashMap, hash_map::Entry};

use cumulo_core::{
    api::Api,
    call::Call,
    error::Result,
    event::{Action, Event, Impact},
    object::{Acl, List},
    render,
    resource::{BUCKET, COLLECTION, RESOURCES, Target},
    settings::{IdGenerator, date},
    store::{Outlook, Transaction},
};
use http::Method;
use serde::Serialize;
use serde_json::Value;

use super::{HISTORY, rules::Rules};

/// Entries that are counted together when old ones are removed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Family {
    pub(super) list: List,
    pub(super) resource: &'static str,
    pub(super) user: Option<String>,
}

/// Where the entries of a bucket are.
pub(super) fn list(bucket: &str) -> List {
    List::new(format!("/buckets/{bucket}"), HISTORY.name)
}

/// Notes what is about to be written, for requests that tell which bucket they are about.
pub(super) fn foresee(rules: &Rules, call: &Call, target: &Target, outlook: &mut Outlook) {
    let is_bucket = target.resource == &BUCKET;
    // What is noted of a bucket ends with it.
    let is_end = is_bucket && call.request.method == Method::DELETE;
    if is_end || target.resource == &HISTORY || rules.excludes_user(call.user.as_deref()) {
        return;
    }
    let body = call.body.as_ref().ok();
    let posted = || body?.get("data")?.get("id").and_then(Value::as_str);
    let own = || target.id.as_deref().or_else(posted).filter(|_| is_bucket);
    let Some(bucket) = target.ancestor_id(BUCKET.name).or_else(own) else { return };
    let uri = target.id.as_deref().map_or_else(|| target.list_uri(), |id| target.object_uri(id));
    let list = list(bucket);
    if !rules.excludes(&uri) && !outlook.writes.contains(&list) {
        outlook.writes.push(list);
    }
}

/// A change that is to be noted.
struct Change<'a> {
    bucket: &'a str,
    uri: String,
    event: &'a Event,
    impact: &'a Impact,
}

/// Writes an entry for each object that was changed, in the order in which that was done. Returns
/// how many there are of each family.
pub(super) fn write(
    api: &Api,
    rules: &Rules,
    events: &[Event],
    tx: &mut dyn Transaction,
) -> Result<HashMap<Family, u64>> {
    let mut readers = Readers::default();
    let mut written = HashMap::new();
    for change in changes(rules, events) {
        let Some(above) = readers.above(&change, tx)? else { continue };
        let list = list(change.bucket);
        let acl = rules.has_permissions.then(|| readers_acl(above, &change.impact.acl));
        let data = change.entry(&(date::iso_micros(api.clock.now_micros()) + "+00:00"));
        // Time-ordered, so that entries are stored one beside the other.
        let id = IdGenerator::RelaxedUuid.generate();
        tx.put(&list, &id, None, &data, acl.as_ref())?;
        let resource = change.event.target.resource.name;
        let family = Family { list, resource, user: change.event.user.clone() };
        *written.entry(family).or_default() += 1;
    }
    Ok(written)
}

/// What is to be noted of all that was done: nothing of what ended with its bucket.
fn changes<'a>(rules: &Rules, events: &'a [Event]) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    for event in events {
        let target = &event.target;
        if event.action == Action::Read || !RESOURCES.contains(&target.resource) {
            continue;
        }
        for impact in &event.impacted {
            let bucket = target.ancestor_id(BUCKET.name).unwrap_or(&impact.new.id);
            if event.action == Action::Delete && target.resource == &BUCKET {
                changes.retain(|change: &Change<'_>| change.bucket != bucket);
                continue;
            }
            let uri = target.object_uri(&impact.new.id);
            if !rules.excludes_user(event.user.as_deref()) && !rules.excludes(&uri) {
                changes.push(Change { bucket, uri, event, impact });
            }
        }
    }
    changes
}

/// An entry up to its `target`.
#[derive(Serialize)]
struct Head<'a> {
    date: &'a str,
    uri: &'a str,
    action: &'static str,
    user_id: Option<&'a str>,
    resource_name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    collection_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_id: Option<&'a str>,
}

impl Change<'_> {
    /// The data of the entry. Only what a bucket is about names the bucket.
    fn entry(&self, date: &str) -> String {
        let (target, new) = (&self.event.target, &self.impact.new);
        let own = |name: &str| (target.resource.name == name).then_some(new.id.as_str());
        let head = Head {
            date,
            uri: &self.uri,
            action: self.event.action.as_str(),
            user_id: self.event.user.as_deref(),
            resource_name: target.resource.name,
            bucket_id: own("bucket"),
            collection_id: own("collection").or_else(|| target.ancestor_id("collection")),
            group_id: own("group"),
            record_id: own("record"),
        };
        let nothing = Acl::default();
        let is_gone = self.event.action == Action::Delete;
        let acl = if is_gone { &nothing } else { &*self.impact.acl };
        let version = render::object_body(new, Some(acl));
        let mut text = serde_json::to_vec(&head).expect("plain data serializes to memory");
        text.pop();
        text.extend_from_slice(b",\"target\":");
        text.extend_from_slice(&version);
        text.push(b'}');
        String::from_utf8(text).expect("JSON is UTF-8")
    }
}

/// Who may read the buckets and collections of what was changed.
#[derive(Default)]
struct Readers<'a>(HashMap<(&'a str, Option<&'a str>), Option<BTreeSet<String>>>);

impl<'a> Readers<'a> {
    /// Who may read what lies above an object; none if its bucket is not there.
    fn above(
        &mut self,
        change: &Change<'a>,
        tx: &mut dyn Transaction,
    ) -> Result<Option<&BTreeSet<String>>> {
        let collection = change.event.target.ancestor_id(COLLECTION.name);
        let readers = match self.0.entry((change.bucket, collection)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(Self::find(change.bucket, collection, tx)?),
        };
        Ok(readers.as_ref())
    }

    fn find(
        bucket: &str,
        collection: Option<&str>,
        tx: &mut dyn Transaction,
    ) -> Result<Option<BTreeSet<String>>> {
        let Some(acl) = tx.acl(&List::new("", BUCKET.name), bucket)? else { return Ok(None) };
        let mut readers = BTreeSet::new();
        add_readers(&acl, &mut readers);
        if let Some(id) = collection {
            let list = List::new(format!("/buckets/{bucket}"), COLLECTION.name);
            if let Some(acl) = tx.acl(&list, id)? {
                add_readers(&acl, &mut readers);
            }
        }
        Ok(Some(readers))
    }
}

/// Who writes may read.
fn add_readers(acl: &Acl, readers: &mut BTreeSet<String>) {
    for holders in ["read", "write"].into_iter().filter_map(|name| acl.0.get(name)) {
        readers.extend(holders.iter().cloned());
    }
}

/// The access control list of an entry: whoever may read the object may read it, also when that is
/// not so any more.
fn readers_acl(above: &BTreeSet<String>, own: &Acl) -> Acl {
    let mut readers = above.clone();
    add_readers(own, &mut readers);
    let mut acl = Acl::default();
    acl.set("read", readers);
    acl
}
