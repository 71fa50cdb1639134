//! `PATCH` of an object: changes a part of it.

use std::borrow::Cow;

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::{
    error::{ApiError, Invalid, Location, Result},
    object::{Acl, Object},
    params::{
        body::{Payload, check_fields, not_a_mapping, quoted, unrecognized},
        headers::{Behavior, ContentType},
    },
    patch::{self, Patched},
    render,
    reply::Reply,
    store::{Entry, Transaction},
};

use super::resource::Context;

pub(super) fn patch(cx: &Context<'_>, id: &str, tx: &mut dyn Transaction) -> Result<Reply> {
    let existing = cx.get_to_write(id, tx)?;
    let mut problems = Vec::new();
    let preconditions = cx.common(&mut problems);
    let behavior = Behavior::parse(&cx.call.request.headers, &mut problems);
    let changes = Changes::parse(cx, &mut problems);
    if !problems.is_empty() {
        return Err(ApiError::invalid(problems));
    }
    cx.check_id(id)?;
    let Some(existing) = existing else { return Err(cx.not_found(id)) };
    cx.check_preconditions(preconditions, Some(&existing), tx)?;
    changes.require_any()?;
    let before = render::to_map(cx.shown(&existing.object).as_row());
    let mut patched = changes.apply(cx, before.clone(), &existing)?;
    patched.data.entry("id").or_insert_with(|| id.into());
    let candidates = changes.fields(&patched.data);
    let problems = check_fields(cx.resource(), &mut patched.data, "");
    if !problems.is_empty() {
        return Err(ApiError::invalid(problems));
    }
    Context::check_same_id(&patched.data, id)?;
    let object = cx.store(id, Cow::Owned(patched.data), &patched.acl, Some(&existing), tx)?;
    Ok(reply(cx, behavior, &before, &candidates, &object, &patched.acl))
}

/// What the body wants changed.
enum Changes<'a> {
    Fields(Payload<'a>),
    Operations(&'a [Value]),
}

impl<'a> Changes<'a> {
    fn parse(cx: &'a Context<'_>, problems: &mut Vec<Invalid>) -> Self {
        let Ok(body) = &cx.call.body else { return Self::Operations(&[]) };
        if cx.content_type == ContentType::JsonPatch {
            return match body {
                Value::Array(operations) => {
                    problems.extend(operation_problems(operations));
                    Self::Operations(operations)
                }
                other => {
                    let text = quoted(other);
                    let problem = format!("{text} is not iterable");
                    problems.push(Invalid::new(Location::Body, "", problem));
                    Self::Operations(&[])
                }
            };
        }
        Self::Fields(Payload::parse_patch(body, cx.resource(), problems))
    }

    /// Refuses a body without changes.
    fn require_any(&self) -> Result<()> {
        match self {
            Self::Fields(Payload { data: None, permissions: None }) => {
                let problem = "Provide at least one of data or permissions";
                Err(Invalid::new(Location::Body, "data", problem).into())
            }
            _ => Ok(()),
        }
    }

    fn apply(
        &self,
        cx: &Context<'_>,
        mut data: Map<String, Value>,
        existing: &Entry,
    ) -> Result<Patched> {
        match self {
            Self::Operations(operations) => {
                let mut patched =
                    patch::apply(operations, &data, &existing.acl, cx.api.settings.max_json_depth)?;
                cx.add_writer(&mut patched.acl);
                require_known_permissions(cx, &patched.acl)?;
                Ok(patched)
            }
            Self::Fields(payload) => {
                let merge = cx.content_type == ContentType::MergePatch;
                match &payload.data {
                    Some(changes) if merge => patch::merge(&mut data, changes),
                    Some(changes) => patch::replace_fields(&mut data, changes),
                    None => {}
                }
                let permissions = payload.permissions.as_ref();
                let acl = cx.next_acl(Some(&existing.acl), permissions, false, merge);
                Ok(Patched { data, acl })
            }
        }
    }

    /// Names of the fields that a light answer may have.
    fn fields(&self, patched: &Map<String, Value>) -> Map<String, Value> {
        match self {
            Self::Operations(_) => patched.clone(),
            Self::Fields(payload) => payload.data.as_deref().cloned().unwrap_or_default(),
        }
    }
}

fn require_known_permissions(cx: &Context<'_>, acl: &Acl) -> Result<()> {
    let known = cx.resource().permissions;
    match acl.0.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let problem = format!("\"{name}\" is not one of {}", known.join(", "));
            Err(Invalid::new(Location::Body, "permissions", problem).into())
        }
    }
}

/// The operations of JSON Patch.
pub(crate) const OPS: [&str; 6] = ["test", "add", "remove", "replace", "move", "copy"];

/// What is wrong with the form of JSON Patch operations.
fn operation_problems(operations: &[Value]) -> Vec<Invalid> {
    const FIELDS: [&str; 4] = ["op", "path", "from", "value"];
    let mut problems = Vec::new();
    for (index, operation) in operations.iter().enumerate() {
        let mut problem = |name: &str, text: String| {
            let name = if name.is_empty() { index.to_string() } else { format!("{index}.{name}") };
            problems.push(Invalid::new(Location::Body, name, text));
        };
        let Value::Object(fields) = operation else {
            problem("", not_a_mapping(operation));
            continue;
        };
        match fields.get("op").map(Value::as_str) {
            None => problem("op", "Required".into()),
            Some(Some(op)) if OPS.contains(&op) => {}
            Some(_) => {
                problem(
                    "op",
                    format!("{} is not one of {}", quoted(&fields["op"]), OPS.join(", ")),
                );
            }
        }
        match fields.get("path").map(Value::as_str) {
            None | Some(Some("")) => problem("path", "Required".into()),
            Some(Some(path)) if path.starts_with('/') => {}
            Some(_) => problem("path", "String does not match expected pattern".into()),
        }
        if fields
            .get("from")
            .is_some_and(|from| !from.as_str().is_some_and(|from| from.starts_with('/')))
        {
            problem("from", "String does not match expected pattern".into());
        }
        if let Some(text) = unrecognized(fields, &FIELDS) {
            problem("", text);
        }
    }
    problems
}

/// The answer, as much of it as the client wants.
fn reply(
    cx: &Context<'_>,
    behavior: Behavior,
    before: &Map<String, Value>,
    sent: &Map<String, Value>,
    object: &Object,
    acl: &Acl,
) -> Reply {
    if behavior == Behavior::Full {
        return cx.object_reply(StatusCode::OK, object, acl);
    }
    let after = render::to_map(cx.shown(object).as_row());
    let shown: Map<_, _> = sent
        .iter()
        .filter(|(name, _)| before.get(*name) != after.get(*name))
        .filter_map(|(name, sent)| Some((name, sent, after.get(name)?)))
        .filter(|(_, sent, now)| behavior == Behavior::Light || sent != now)
        .map(|(name, _, now)| (name.clone(), now.clone()))
        .collect();
    let mut reply = Reply::json(StatusCode::OK, &json!({"data": shown}));
    reply.set_timestamp(object.last_modified);
    reply
}
