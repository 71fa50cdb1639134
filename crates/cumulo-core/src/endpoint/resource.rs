//! Lists and objects: what all verbs share.

use std::{borrow::Cow, cell::RefCell, ops::ControlFlow, sync::Arc};

use http::Method;
use serde_json::Value;

use crate::{
    api::Api,
    authorization::{self, Authorizer},
    caching::Caching,
    call::Call,
    cors,
    error::{ApiError, Invalid, Location, Result},
    event::{Action, Event, Impact},
    object::{Acl, List, Object, Timestamp},
    params::headers::{ContentType, Preconditions, require_json_accepted},
    query::Query,
    render,
    reply::Reply,
    resource::{Resource, Target},
    store::{Transaction, Visit},
};

use super::{create, delete, get, list, patch, put};

/// What a verb works with.
pub(super) struct Context<'a> {
    pub(super) api: &'a Api,
    pub(super) call: &'a Call,
    pub(super) target: &'a Target,
    pub(super) content_type: ContentType,
    pub(super) principals: Vec<String>,
    /// Who is named as the writer of what is written.
    pub(super) writer: Cow<'a, str>,
    /// What the verb has done so far, as far as somebody wants to be told.
    events: RefCell<Vec<Event>>,
}

/// Answers a request to a list or an object.
pub fn answer(api: &Api, call: &Call, target: &Target, tx: &mut dyn Transaction) -> Result<Reply> {
    let method = &call.request.method;
    if target.id.is_none() || !call.request.is_safe() {
        require_valid_parents(api, target)?;
    }
    if !call.request.is_safe() {
        if target.resource.name == "record" && is_write_of_object(target, method) {
            require_holder(target, tx)?;
        }
        check_posted_id(api, call, target)?;
    }
    require_json_accepted(&call.request.headers)?;
    let content_type =
        if has_body(method) { ContentType::parse(&call.request)? } else { ContentType::Json };
    let principals = authorization::principals(call.user.as_deref(), tx)?;
    let mut cx = Context {
        api,
        call,
        target,
        content_type,
        principals,
        writer: Cow::Borrowed(call.principal()),
        events: RefCell::default(),
    };
    let Some(owner) = api.owner(target.resource) else { return cx.answer(tx) };
    let place = owner.place(api, call, target, &cx.principals)?;
    let located = Target {
        everywhere: place.parent.is_none(),
        list: List::new(place.parent.unwrap_or_default(), target.resource.name),
        ..target.clone()
    };
    cx.target = &located;
    cx.writer = Cow::Owned(place.writer);
    cx.answer(tx)
}

/// Whether one object is written, rather than those of a list deleted.
fn is_write_of_object(target: &Target, method: &Method) -> bool {
    target.id.is_some() || *method == Method::POST
}

/// Whether the body of such a request means something.
fn has_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

/// Refuses lists under parents that can't be there because of their ids.
fn require_valid_parents(api: &Api, target: &Target) -> Result<()> {
    for ancestor in &target.ancestors {
        if !api.accepts_id(ancestor.resource, &ancestor.id) {
            return Err(ApiError::parent_not_found(ancestor.resource.name, &ancestor.id));
        }
    }
    Ok(())
}

/// Refuses if what directly holds the list is not there.
pub(super) fn require_holder(target: &Target, tx: &mut dyn Transaction) -> Result<()> {
    match target.holder() {
        Some(holder) if tx.acl(&holder.list, &holder.id)?.is_none() => {
            Err(ApiError::parent_not_found(holder.resource.name, &holder.id))
        }
        _ => Ok(()),
    }
}

/// A posted id must be valid, whoever posts it.
fn check_posted_id(api: &Api, call: &Call, target: &Target) -> Result<()> {
    if call.request.method != Method::POST || target.id.is_some() {
        return Ok(());
    }
    match call.body.as_ref().ok().and_then(|body| body.get("data")?.get("id")) {
        None => Ok(()),
        Some(Value::String(id)) if api.accepts_id(target.resource, id) => Ok(()),
        Some(_) => Err(invalid_id()),
    }
}

fn invalid_id() -> ApiError {
    Invalid::unnamed(Location::Path, "Invalid object id").into()
}

impl Context<'_> {
    fn answer(self, tx: &mut dyn Transaction) -> Result<Reply> {
        let mut reply = self.verb(tx)?;
        reply.events = self.events.into_inner();
        Ok(reply)
    }

    fn verb(&self, tx: &mut dyn Transaction) -> Result<Reply> {
        match (&self.target.id, &self.call.request.method) {
            (None, &Method::GET) => list::get(self, tx),
            (None, &Method::HEAD) => list::head(self, tx),
            (None, &Method::POST) => create::post(self, tx),
            (None, _) => delete::delete_list(self, tx),
            (Some(id), &Method::GET | &Method::HEAD) => get::get(self, id, tx),
            (Some(id), &Method::PUT) => put::put(self, id, tx),
            (Some(id), &Method::PATCH) => patch::patch(self, id, tx),
            (Some(id), _) => delete::delete_object(self, id, tx),
        }
    }

    pub(super) fn authorizer(&self) -> Authorizer<'_> {
        Authorizer {
            configured: &self.api.configured,
            principals: &self.principals,
            authenticated: self.call.user.is_some(),
        }
    }

    /// Whether somebody wants to be told of this action.
    pub(super) fn tells(&self, action: Action) -> bool {
        self.api.tells(action)
    }

    /// Tells what was done to an object, if somebody wants to know.
    pub(super) fn tell(
        &self,
        action: Action,
        impact: impl FnOnce() -> Impact,
        tx: &mut dyn Transaction,
    ) -> Result<()> {
        if self.tells(action) { self.tell_all(action, [impact()], tx) } else { Ok(()) }
    }

    /// An object that something was done to, as those who are told may see it.
    pub(super) fn impact(&self, new: &Object, old: Option<&Object>, acl: &Arc<Acl>) -> Impact {
        let shown = |object: &Object| self.shown(object).into_owned();
        Impact { new: shown(new), old: old.map(shown), acl: Arc::clone(acl) }
    }

    /// Tells what was done to some objects, or to none; call it only if somebody wants to know.
    pub(super) fn tell_all(
        &self,
        action: Action,
        impacts: impl IntoIterator<Item = Impact>,
        tx: &mut dyn Transaction,
    ) -> Result<()> {
        let path = &self.call.request.path;
        let uri = path.get(1 + self.api.prefix().len()..).unwrap_or_default();
        let mut event = Event::new(action, self.call, self.target, uri);
        for impact in impacts {
            event = event.with(impact);
        }
        // Not always that of the newest object told of: one may be written into the past.
        event.timestamp = event.timestamp.max(self.list_timestamp(tx)?);
        self.events.borrow_mut().push(event);
        Ok(())
    }

    pub(super) fn resource(&self) -> &'static Resource {
        self.target.resource
    }

    /// Refuses an id in the path that no object can have.
    pub(super) fn check_id(&self, id: &str) -> Result<()> {
        if self.api.accepts_id(self.resource(), id) { Ok(()) } else { Err(invalid_id()) }
    }

    /// The problems that every request can have: its origin, the JSON of its body, and its
    /// preconditions, which are returned.
    pub(super) fn common(&self, problems: &mut Vec<Invalid>) -> Preconditions {
        let headers = &self.call.request.headers;
        problems.extend(cors::problem(&self.api.settings, headers));
        if let Err(problem) = &self.call.body {
            problems.push(problem.clone());
            if has_body(&self.call.request.method) {
                problems.push(Invalid::new(Location::Body, "", "Required"));
            }
        }
        Preconditions::parse(headers, problems)
    }

    /// Sets the cache headers of something that is read.
    pub(super) fn set_caching(&self, reply: &mut Reply, tx: &mut dyn Transaction) -> Result<()> {
        let caching = if self.call.user.is_some() {
            Caching::Forbidden
        } else {
            let expires = self.collection_cache_expires(tx)?;
            Caching::of(&self.api.settings, self.target, expires)
        };
        caching.apply(&mut reply.headers, self.api.clock.now());
        Ok(())
    }

    /// For how long the collection of these records lets anonymous readers cache them.
    fn collection_cache_expires(&self, tx: &mut dyn Transaction) -> Result<Option<i64>> {
        let holder = self.target.holder().filter(|holder| holder.resource.name == "collection");
        let Some(holder) = holder else { return Ok(None) };
        let Some(collection) = tx.get(&holder.list, &holder.id)? else { return Ok(None) };
        Ok(render::parse(&collection.object.data).get("cache_expires").and_then(Value::as_i64))
    }

    /// What of an object's access control list the user sees: all of it for who is named as a
    /// writer, nothing for others.
    pub(super) fn visible_acl<'a>(&self, acl: &'a Acl) -> &'a Acl {
        const NOTHING: &Acl = &Acl(std::collections::BTreeMap::new());
        let writes = acl.0.get("write").is_some_and(|writers| writers.contains(&*self.writer));
        if writes || acl.grants("write", &self.principals) { acl } else { NOTHING }
    }

    /// The object as clients see it: with masks in the place of its secrets.
    pub(super) fn shown<'a>(&self, object: &'a Object) -> Cow<'a, Object> {
        match render::masked(&object.data, self.resource().secrets) {
            Cow::Borrowed(_) => Cow::Borrowed(object),
            Cow::Owned(data) => Cow::Owned(Object { data, ..object.clone() }),
        }
    }

    /// The timestamp of the list, or of the newest object if many lists are meant.
    pub(super) fn list_timestamp(&self, tx: &mut dyn Transaction) -> Result<Timestamp> {
        if !self.target.everywhere {
            return Ok(tx.timestamp(&self.target.list)?);
        }
        let query = Query { tombstones: true, limit: Some(1), ..Query::default() };
        let mut newest = Timestamp::default();
        tx.list_all(self.resource().name, &query, &mut |row| {
            newest = row.last_modified;
            Ok(ControlFlow::Break(()))
        })?;
        Ok(newest)
    }

    /// Calls `visit` for each object that matches.
    pub(super) fn list(
        &self,
        query: &Query,
        tx: &mut dyn Transaction,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        if self.target.everywhere {
            tx.list_all(self.resource().name, query, visit)?;
        } else {
            tx.list(&self.target.list, query, visit)?;
        }
        Ok(())
    }

    /// The 404 of this object.
    pub(super) fn not_found(&self, id: &str) -> ApiError {
        ApiError::object_not_found(self.resource().name, id)
    }
}

/// The 304 for something with this timestamp.
pub(super) fn not_modified(timestamp: Timestamp) -> Reply {
    let mut reply = Reply::empty(http::StatusCode::NOT_MODIFIED);
    reply.set_timestamp(timestamp);
    reply
}

/// Refuses if the preconditions don't hold for a list, which always exists.
pub(super) fn check_list(preconditions: Preconditions, timestamp: Timestamp) -> Result<()> {
    if preconditions.fails(Some(timestamp)) {
        return Err(precondition_failed(ApiError::modified_meanwhile(None), timestamp));
    }
    Ok(())
}

/// The 412 for something with this timestamp.
pub(super) fn precondition_failed(error: ApiError, timestamp: Timestamp) -> ApiError {
    let [etag, last_modified] = crate::reply::timestamp_headers(timestamp);
    error.with_header(etag.0, etag.1).with_header(last_modified.0, last_modified.1)
}
