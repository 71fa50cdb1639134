//! `GET` and `HEAD` of an object.

use http::StatusCode;
use serde_json::json;

use crate::{
    error::{ApiError, Result},
    event::Action,
    params::querystring::{self, Known},
    render,
    reply::Reply,
    request::parse_query,
    store::Transaction,
};

use super::resource::{Context, not_modified, require_holder};

pub(super) fn get(cx: &Context<'_>, id: &str, tx: &mut dyn Transaction) -> Result<Reply> {
    let entry = tx.get(&cx.target.list, id)?;
    let acl = entry.as_ref().map(|entry| &entry.acl);
    cx.authorizer().require_on_object(cx.target, acl, "read", tx)?;
    let mut problems = Vec::new();
    let preconditions = cx.common(&mut problems);
    if entry.is_none() {
        require_holder(cx.target, tx)?;
    }
    if !problems.is_empty() {
        return Err(ApiError::invalid(problems));
    }
    cx.check_id(id)?;
    let Some(entry) = entry else { return Err(cx.not_found(id)) };
    let timestamp = entry.object.last_modified;
    if preconditions.is_not_modified(timestamp) {
        return Ok(not_modified(timestamp));
    }
    cx.check_preconditions(preconditions, Some(&entry), tx)?;
    let fields = fields(cx)?;
    cx.tell(Action::Read, || cx.impact(&entry.object, None, &entry.acl), tx)?;
    let mut reply = if fields.is_empty() {
        cx.object_reply(StatusCode::OK, &entry.object, &entry.acl)
    } else {
        let data = render::project(&render::to_map(cx.shown(&entry.object).as_row()), &fields);
        let mut reply = Reply::json(StatusCode::OK, &json!({"data": data}));
        reply.set_timestamp(timestamp);
        reply
    };
    cx.set_caching(&mut reply, tx)?;
    Ok(reply)
}

/// `_fields`, the only parameter of an object.
fn fields(cx: &Context<'_>) -> Result<Vec<Vec<String>>> {
    if cx.call.request.query.is_empty() {
        return Ok(Vec::new());
    }
    let mut pairs = parse_query(&cx.call.request.query).unwrap_or_default();
    pairs.retain(|(name, _)| name == "_fields");
    Ok(querystring::parse(&pairs, Known::AllBut(cx.resource().secrets), cx.api.clock.now())?.fields)
}
