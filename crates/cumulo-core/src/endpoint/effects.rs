//! What a write brings along: schema validation before it, and after it the memberships of groups
//! and the end of what lay below a deleted object.

use serde_json::{Map, Value};

use crate::{
    cascade,
    error::Result,
    object::Object,
    render,
    resource::{Resource, Target},
    store::{Entry, Transaction},
};

use super::resource::Context;

/// Whether anything of what comes before a write may look at its data, or add to it.
pub(super) fn may_complete(cx: &Context<'_>) -> bool {
    let resource = cx.resource();
    validates(cx) || !resource.secrets.is_empty() || cx.api.owner(resource).is_some()
}

/// Whether data like this is validated.
fn validates(cx: &Context<'_>) -> bool {
    let is_on = cx.api.settings.experimental_collection_schema_validation;
    is_on && cx.resource().parent.is_some()
}

/// Validates data against the JSON schemas of its collection and bucket, if that is switched on.
/// Records are marked with the version of the schema that they satisfy.
pub(super) fn validate(
    cx: &Context<'_>,
    data: &mut Map<String, Value>,
    tx: &mut dyn Transaction,
) -> Result<()> {
    const IGNORED: [&str; 2] = ["last_modified", "schema"];
    if !validates(cx) {
        return Ok(());
    }
    let resource = cx.resource();
    let ignored = if resource.name == "record" { &IGNORED[..] } else { &IGNORED[..1] };
    if resource.name == "record"
        && let Some(collection) = ancestor(cx.target, "collection", tx)?
        && let Some(schema) = schema_in(&collection, "schema")
    {
        cx.api.schemas.validate(&schema, data, ignored)?;
        data.insert("schema".to_owned(), collection.object.last_modified.0.into());
    }
    if let Some(bucket) = ancestor(cx.target, "bucket", tx)?
        && let Some(schema) = schema_in(&bucket, &format!("{}:schema", resource.name))
    {
        cx.api.schemas.validate(&schema, data, ignored)?;
    }
    Ok(())
}

fn ancestor(target: &Target, kind: &str, tx: &mut dyn Transaction) -> Result<Option<Entry>> {
    match target.ancestors.iter().find(|ancestor| ancestor.resource.name == kind) {
        Some(ancestor) => Ok(tx.get(&ancestor.list, &ancestor.id)?),
        None => Ok(None),
    }
}

/// The schema under this name; most objects have none and are not parsed.
fn schema_in(entry: &Entry, name: &str) -> Option<Value> {
    if !entry.object.data.contains(name) {
        return None;
    }
    render::parse(&entry.object.data).remove(name)
}

/// Puts back the secrets in whose place a client sends the mask that it was shown.
pub(super) fn keep_secrets(
    resource: &Resource,
    data: &mut Map<String, Value>,
    existing: Option<&Entry>,
) {
    let is_masked = |secret: &&&str| data.get(**secret).is_some_and(|value| value == render::MASK);
    let masked: Vec<_> = resource.secrets.iter().filter(is_masked).collect();
    let Some(existing) = existing.filter(|_| !masked.is_empty()) else { return };
    let mut old = render::parse(&existing.object.data);
    for secret in masked {
        data.extend(old.remove_entry(*secret));
    }
}

/// Lets the plugin that has added this kind of objects complete the data of one.
pub(super) fn before_put(
    cx: &Context<'_>,
    id: &str,
    data: &mut Map<String, Value>,
    existing: Option<&Entry>,
) -> Result<()> {
    let Some(owner) = cx.api.owner(cx.resource()) else { return Ok(()) };
    let old = existing.map(|entry| render::parse(&entry.object.data));
    owner.before_put(cx.call, cx.target, id, data, old.as_ref())
}

/// Carries out what follows from a created or changed object.
pub(super) fn after_put(
    target: &Target,
    old: Option<&Object>,
    new: &Object,
    tx: &mut dyn Transaction,
) -> Result<()> {
    if target.resource.name != "group" {
        return Ok(());
    }
    let uri = target.object_uri(&new.id);
    let before = old.map(|old| cascade::members(&old.data)).unwrap_or_default();
    let after = cascade::members(&new.data);
    for member in after.difference(&before) {
        tx.join(member, &uri)?;
    }
    for member in before.difference(&after) {
        tx.leave(member, &uri)?;
    }
    Ok(())
}

/// Carries out what follows from a deleted object.
pub(super) fn after_delete(target: &Target, id: &str, tx: &mut dyn Transaction) -> Result<()> {
    Ok(cascade::after_delete(target.resource.name, &target.object_uri(id), tx)?)
}
