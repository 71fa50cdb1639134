//! `PUT` of an object: creates or replaces it.

use std::borrow::Cow;

use http::StatusCode;

use crate::{
    error::{ApiError, Result},
    params::body::Payload,
    render,
    reply::Reply,
    store::{Entry, Transaction},
};

use super::{
    resource::{Context, require_holder},
    write::is_safe_creation,
};

pub(super) fn put(cx: &Context<'_>, id: &str, tx: &mut dyn Transaction) -> Result<Reply> {
    let existing = tx.get(&cx.target.list, id)?;
    let mut problems = Vec::new();
    let preconditions = cx.common(&mut problems);
    require_permission(cx, existing.as_ref(), is_safe_creation(preconditions), tx)?;
    let body = cx.call.body.as_ref().ok();
    let payload = body.map(|body| Payload::parse(body, cx.resource(), &mut problems));
    if !problems.is_empty() {
        return Err(ApiError::invalid(problems));
    }
    cx.check_id(id)?;
    cx.check_preconditions(preconditions, existing.as_ref(), tx)?;
    let payload = payload.unwrap_or_default();
    let data = match (payload.data, &existing) {
        (Some(data), _) => data,
        (None, Some(entry)) => Cow::Owned(render::parse(&entry.object.data)),
        (None, None) => Cow::default(),
    };
    Context::check_same_id(&data, id)?;
    let old_acl = existing.as_ref().map(|entry| &*entry.acl);
    let acl = cx.next_acl(old_acl, payload.permissions.as_ref(), true, false);
    let object = cx.store(id, data, &acl, existing.as_ref(), tx)?;
    let status = if existing.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    Ok(cx.object_reply(status, &object, &acl))
}

/// To create takes the permission on the list, to replace that on the object. Who only wants to
/// create needs no more than the former, whether the object exists or not.
fn require_permission(
    cx: &Context<'_>,
    existing: Option<&Entry>,
    only_create: bool,
    tx: &mut dyn Transaction,
) -> Result<()> {
    match existing {
        Some(entry) if !only_create => {
            cx.authorizer().require_on_object(cx.target, Some(&entry.acl), "write", tx)
        }
        _ => {
            cx.authorizer().require_create(cx.target, tx)?;
            require_holder(cx.target, tx)
        }
    }
}
