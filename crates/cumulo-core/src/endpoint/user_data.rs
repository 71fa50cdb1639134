//! `/__user_data__/{principal}`: removes all that a principal owns, and its name everywhere.

use std::sync::Arc;

use http::StatusCode;
use serde_json::json;

use crate::{
    api::Api,
    authorization,
    call::Call,
    error::Result,
    event::{Action, Event, Impact},
    object::{Acl, Object},
    render,
    reply::Reply,
    resource::uri_of,
    store::{Grant, Transaction},
};

use super::effects;

pub(crate) fn delete(
    api: &Api,
    call: &Call,
    principal: &str,
    tx: &mut dyn Transaction,
) -> Result<Reply> {
    let principals = authorization::principals(call.user.as_deref(), tx)?;
    let user = call.user.as_deref();
    authorization::require_named(&api.settings, "user-data_delete", &principals, user)?;
    let timestamp = tx.timestamp(&crate::object::List::new("", "userdata"))?;
    let events = delete_owned(api, call, principal, tx)?;
    tx.revoke(principal)?;
    tx.leave_all(principal)?;
    tx.disband(principal)?;
    let mut reply = Reply::json(StatusCode::OK, &json!({"data": {"principal": principal}}));
    reply.set_timestamp(timestamp);
    reply.events = events;
    Ok(reply)
}

/// Deletes the objects that only `principal` may write, topmost first. Returns what is to be told of
/// it.
fn delete_owned(
    api: &Api,
    call: &Call,
    principal: &str,
    tx: &mut dyn Transaction,
) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    let mut grants = tx.granted(&[principal.to_owned()], Some(&api.object_kinds()))?;
    grants.retain(|grant| grant.acl.is_written_by_only(principal));
    grants.sort_by_key(|grant| uri_of(&grant.list, &grant.id).matches('/').count());
    for grant in grants {
        // An object above it may have gone meanwhile, and this one with it.
        if tx.acl(&grant.list, &grant.id)?.is_some() {
            events.extend(delete_one(api, call, principal, &grant, tx)?);
        }
    }
    Ok(events)
}

/// Deletes an object. Returns what is to be told of it.
fn delete_one(
    api: &Api,
    call: &Call,
    principal: &str,
    grant: &Grant,
    tx: &mut dyn Transaction,
) -> Result<Option<Event>> {
    let uri = uri_of(&grant.list, &grant.id);
    let target = api.target(&uri);
    let tells = api.tells(Action::Delete);
    let old = if tells { tx.get(&grant.list, &grant.id)? } else { None };
    let deleted = tx.delete(&grant.list, &grant.id, None)?;
    if let Some(target) = &target {
        effects::after_delete(target, &grant.id, tx)?;
    }
    let (Some(timestamp), Some(target), Some(old)) = (deleted, target, old) else {
        return Ok(None);
    };
    // Nothing that is told names them any more.
    let (object, mut acl) = (old.object, Acl::clone(&old.acl));
    acl.remove_principal(principal);
    let data = render::masked(&object.data, target.resource.secrets).into_owned();
    let new = render::tombstone(&grant.id, timestamp);
    let impact = Impact { new, old: Some(Object { data, ..object }), acl: Arc::new(acl) };
    Ok(Some(Event::new(Action::Delete, call, &target, uri).with(impact)))
}
