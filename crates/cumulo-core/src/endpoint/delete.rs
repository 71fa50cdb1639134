//! `DELETE` of an object, and of all objects of a list that match.

use std::ops::ControlFlow;

use http::StatusCode;

use crate::{
    authorization::Visible,
    error::{ApiError, Invalid, Location, Result},
    event::Action,
    object::{Object, Timestamp},
    paging::{SingleUse, Token},
    params::querystring::native,
    query::Query,
    render,
    reply::Reply,
    request::parse_query,
    store::Transaction,
};

use super::{
    effects, list,
    resource::{Context, check_list, require_holder},
    write::TIMESTAMPS,
};

pub(super) fn delete_object(cx: &Context<'_>, id: &str, tx: &mut dyn Transaction) -> Result<Reply> {
    let existing = cx.get_to_write(id, tx)?;
    let mut problems = Vec::new();
    let preconditions = cx.common(&mut problems);
    let requested = requested_timestamp(cx, &mut problems);
    if !problems.is_empty() {
        return Err(ApiError::invalid(problems));
    }
    cx.check_id(id)?;
    let Some(existing) = existing else { return Err(cx.not_found(id)) };
    cx.check_preconditions(preconditions, Some(&existing), tx)?;
    let requested = requested.filter(|requested| *requested > existing.object.last_modified);
    let Some(timestamp) = tx.delete(&cx.target.list, id, requested)? else {
        return Err(cx.not_found(id));
    };
    effects::after_delete(cx.target, id, tx)?;
    let tombstone = render::tombstone(id, timestamp);
    let impact = || cx.impact(&tombstone, Some(&existing.object), &existing.acl);
    cx.tell(Action::Delete, impact, tx)?;
    let body = render::object_body(&tombstone, None);
    let mut reply = Reply::raw_json(StatusCode::OK, body);
    reply.set_timestamp(timestamp);
    Ok(reply)
}

/// `?last_modified=`, an integer that is a moment, quoted or not.
fn requested_timestamp(cx: &Context<'_>, problems: &mut Vec<Invalid>) -> Option<Timestamp> {
    let pairs = parse_query(&cx.call.request.query).unwrap_or_default();
    let (_, text) = pairs.into_iter().find(|(name, _)| name == "last_modified")?;
    let text = text.trim_matches('"');
    let number = native(text).as_i64();
    let problem = match number {
        Some(number) if TIMESTAMPS.contains(&number) => return Some(Timestamp(number)),
        Some(_) => "Timestamp out of range".to_owned(),
        None => format!("\"{text}\" is not a number"),
    };
    problems.push(Invalid::new(Location::Querystring, "last_modified", problem));
    None
}

pub(super) fn delete_list(cx: &Context<'_>, tx: &mut dyn Transaction) -> Result<Reply> {
    let visible = cx.authorizer().visible(cx.target, "write", tx)?;
    require_holder(cx.target, tx)?;
    let mut problems = Vec::new();
    let preconditions = cx.common(&mut problems);
    let params = list::parameters(cx, problems)?;
    let timestamp = cx.list_timestamp(tx)?;
    check_list(preconditions, timestamp)?;
    let limit = list::effective_limit(cx.api, &params);
    let mut query = params.query.clone();
    query.tombstones = false;
    query.limit = Some(limit.saturating_add(1));
    if let Visible::Shared(ids) = visible {
        query.ids = Some(ids);
    }
    let mut single_use = SingleUse::default();
    if let Some(token) = &params.token {
        let token = Token::decode(token, &params)?;
        // Both are of the client: the cache has compared.
        if cx.call.redeemed.as_ref() != Some(&token.nonce) {
            let problem = "_token was already used or has expired.";
            return Err(Invalid::unnamed(Location::Querystring, problem).into());
        }
        query.page = token.page(&params);
        single_use.used.push(token.nonce);
    }
    let (ids, last) = matching(cx, &query, limit, tx)?;
    let mut body = b"{\"data\":[".to_vec();
    let mut latest = None;
    let mut impacts = Vec::new();
    for id in &ids {
        let home = cx.target.list_of(id);
        let old = if cx.tells(Action::Delete) { tx.get(&home, id)? } else { None };
        let Some(timestamp) = tx.delete(&home, id, None)? else { continue };
        effects::after_delete(cx.target, id, tx)?;
        if latest.is_some() {
            body.push(b',');
        }
        let tombstone = render::tombstone(id, timestamp);
        render::write_row(tombstone.as_row(), &mut body);
        if let Some(old) = old {
            impacts.push(cx.impact(&tombstone, Some(&old.object), &old.acl));
        }
        latest = latest.max(Some(timestamp));
    }
    body.extend_from_slice(b"]}");
    // Who deletes nothing has only looked.
    let action = if latest.is_some() { Action::Delete } else { Action::Read };
    if cx.tells(action) {
        cx.tell_all(action, impacts, tx)?;
    }
    let mut reply = Reply::raw_json(StatusCode::OK, body);
    reply.set_timestamp(latest.unwrap_or(timestamp));
    if let Some(last) = last {
        let token = Token::after(last.as_row(), &params, 0);
        list::set_next_page(&mut reply, cx.api, cx.call, limit, &token);
        single_use.issued.push(token.nonce);
    }
    reply.single_use = single_use;
    Ok(reply)
}

/// The ids of what matches, up to `limit`; and the last of these objects, if there are more.
fn matching(
    cx: &Context<'_>,
    query: &Query,
    limit: usize,
    tx: &mut dyn Transaction,
) -> Result<(Vec<String>, Option<Object>)> {
    let (mut ids, mut last, mut more) = (Vec::new(), None, false);
    cx.list(query, tx, &mut |row| {
        if ids.len() == limit {
            more = true;
            return Ok(ControlFlow::Break(()));
        }
        ids.push(row.id.to_owned());
        if ids.len() == limit {
            last = Some(row.to_object());
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok((ids, last.filter(|_| more)))
}
