//! `POST` to a list: creates an object.

use http::StatusCode;
use serde_json::Value;

use crate::{
    error::{ApiError, Result},
    event::Action,
    params::body::Payload,
    reply::Reply,
    store::Transaction,
};

use super::resource::{Context, require_holder};

pub(super) fn post(cx: &Context<'_>, tx: &mut dyn Transaction) -> Result<Reply> {
    let body = cx.call.body.as_ref().ok();
    let posted_id = body.and_then(|body| body.get("data")?.get("id")).and_then(Value::as_str);
    let existing = match posted_id {
        Some(id) => tx.get(&cx.target.list, id)?,
        None => None,
    };
    match &existing {
        Some(entry) => {
            cx.authorizer().require_on_object(cx.target, Some(&entry.acl), "read", tx)?;
        }
        None => {
            cx.authorizer().require_create(cx.target, tx)?;
            require_holder(cx.target, tx)?;
        }
    }
    let mut problems = Vec::new();
    let preconditions = cx.common(&mut problems);
    let payload = body.map(|body| Payload::parse(body, cx.resource(), &mut problems));
    if !problems.is_empty() {
        return Err(ApiError::invalid(problems));
    }
    cx.check_preconditions(preconditions, existing.as_ref(), tx)?;
    if let Some(entry) = existing {
        cx.tell(Action::Read, || cx.impact(&entry.object, None, &entry.acl), tx)?;
        return Ok(cx.object_reply(StatusCode::OK, &entry.object, &entry.acl));
    }
    let payload = payload.unwrap_or_default();
    let id = posted_id.map_or_else(|| cx.api.new_id(cx.resource()), str::to_owned);
    let acl = cx.next_acl(None, payload.permissions.as_ref(), true, false);
    let object = cx.store(&id, payload.data.unwrap_or_default(), &acl, None, tx)?;
    Ok(cx.object_reply(StatusCode::CREATED, &object, &acl))
}
