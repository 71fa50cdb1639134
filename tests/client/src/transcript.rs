//! What calls gave, without what differs each time: ids that are made up, and moments.

use std::collections::{BTreeSet, HashMap};

use cumulo_client::{
    Change, Error, Fresh, Object, Page, Permissions, Response, Results, Timestamp, Tombstone,
    history, permissions, server::ServerInfo,
};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// The results of calls, in their order.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    results: Vec<Value>,
    /// The numbers of the ids that were seen.
    ids: HashMap<String, usize>,
}

impl Transcript {
    pub(crate) fn add<T: Shown>(&mut self, result: &Result<T, Error>) {
        let mut shown = match result {
            Ok(value) => json!({ "ok": value.shown() }),
            Err(error) => json!({ "error": error.shown() }),
        };
        self.normalize(&mut shown);
        self.results.push(shown);
    }

    /// The results that are not the same in both: those of this, and those of the other.
    pub(crate) fn differences(&self, other: &Self) -> Vec<(Value, Value)> {
        let count = self.results.len().max(other.results.len());
        let result = |of: &Self, n| of.results.get(n).cloned().unwrap_or(Value::Null);
        let pairs = (0..count).map(|n| (result(self, n), result(other, n)));
        pairs.filter(|(one, other)| one != other).collect()
    }

    fn normalize(&mut self, value: &mut Value) {
        match value {
            Value::Number(number) if number.as_i64().is_some_and(is_now) => {
                *value = "<time>".into();
            }
            Value::String(text) => *text = self.normalize_text(text),
            Value::Array(items) => {
                items.iter_mut().for_each(|item| self.normalize(item));
                // Servers delete in any order.
                if items.iter().all(|item| item["deleted"] == true) {
                    items.sort_by_key(Value::to_string);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    if name == "permissions" {
                        sort_lists(member);
                    }
                    self.normalize(member);
                }
            }
            _ => {}
        }
    }

    /// Replaces ids and timestamps that are a whole text, or a part of a path or header.
    fn normalize_text(&mut self, text: &str) -> String {
        if text.contains('T') && text.starts_with("20") && text.contains('+') {
            return "<date>".to_owned();
        }
        if text.starts_with("$2b$") {
            return "<password hash>".to_owned();
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let mut normalized = String::new();
        let mut rest = text;
        while let Some(start) = rest.find(is_part) {
            let (before, tail) = rest.split_at(start);
            let (part, after) = tail.split_at(tail.find(|c| !is_part(c)).unwrap_or(tail.len()));
            normalized += before;
            if part.len() == 36 && Uuid::try_parse(part).is_ok() {
                let next = self.ids.len() + 1;
                let number = self.ids.entry(part.to_owned()).or_insert(next);
                normalized += "<id ";
                normalized += &number.to_string();
                normalized.push('>');
            } else if part.parse().is_ok_and(is_now) {
                normalized += "<time>";
            } else {
                normalized += part;
            }
            rest = after;
        }
        normalized + rest
    }
}

/// Whether it looks like milliseconds since 1970 in our days.
fn is_now(number: i64) -> bool {
    number > 1_500_000_000_000
}

/// Permissions are sets.
fn sort_lists(permissions: &mut Value) {
    for holders in permissions.as_object_mut().into_iter().flatten().map(|(_, it)| it) {
        if let Value::Array(holders) = holders {
            holders.sort_by_key(Value::to_string);
        }
    }
}

/// Where two results differ, and what each has there.
pub(crate) fn compare(one: &Value, other: &Value) -> String {
    let names: BTreeSet<String> = match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.keys().chain(other.keys()).cloned().collect()
        }
        (Value::Array(one), Value::Array(other)) => {
            (0..one.len().max(other.len())).map(|n| n.to_string()).collect()
        }
        _ => return format!(": {one}, {other}"),
    };
    let member = |of: &Value, name: &str| match of {
        Value::Array(items) => name.parse::<usize>().ok().and_then(|n| items.get(n)).cloned(),
        _ => of.get(name).cloned(),
    };
    let mut places = Vec::new();
    for name in &names {
        let (one, other) = (member(one, name), member(other, name));
        if one != other {
            let place = compare(&one.unwrap_or_default(), &other.unwrap_or_default());
            places.push(format!("/{name}{place}"));
        }
    }
    places.join(" and ")
}

/// A result, as transcripts have it.
pub(crate) trait Shown: Send + 'static {
    fn shown(&self) -> Value;
}

/// For what serializes to all that there is to tell.
macro_rules! shown_as_json {
    ($($type:ty),+) => {
        $(impl Shown for $type {
            fn shown(&self) -> Value {
                json!(self)
            }
        })+
    };
}

shown_as_json!((), u64, Timestamp, Value, Permissions);

impl Shown for Tombstone {
    fn shown(&self) -> Value {
        json!({ "id": self.id, "last_modified": self.last_modified, "deleted": true })
    }
}

impl<T: Shown> Shown for Option<T> {
    fn shown(&self) -> Value {
        self.as_ref().map(Shown::shown).into()
    }
}

impl<T: Shown> Shown for Vec<T> {
    fn shown(&self) -> Value {
        self.iter().map(Shown::shown).collect()
    }
}

impl<T: Serialize + Send + 'static> Shown for Object<T> {
    fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "last_modified": self.last_modified,
            "data": self.data,
            "permissions": self.permissions,
        })
    }
}

impl<T: Serialize + Send + 'static> Shown for Change<T> {
    fn shown(&self) -> Value {
        match self {
            Self::Changed(object) => json!({ "changed": object.shown() }),
            Self::Deleted(tombstone) => json!({ "deleted": tombstone }),
        }
    }
}

impl<T: Shown> Shown for Fresh<T> {
    fn shown(&self) -> Value {
        match self {
            Self::Modified(value) => json!({ "modified": value.shown() }),
            Self::NotModified => "not modified".into(),
        }
    }
}

impl<T: Shown> Shown for Page<T> {
    fn shown(&self) -> Value {
        json!({
            "rows": self.rows.shown(),
            "timestamp": self.timestamp,
            "total": self.total,
            "more": self.next.is_some(),
        })
    }
}

impl Shown for history::Change {
    fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "last_modified": self.last_modified,
            "action": self.action,
            "date": self.date,
            "user_id": self.user_id,
            "resource_name": self.resource_name,
            "uri": self.uri,
            "bucket_id": self.bucket_id,
            "group_id": self.group_id,
            "collection_id": self.collection_id,
            "record_id": self.record_id,
            "target": { "data": self.target.data, "permissions": self.target.permissions },
        })
    }
}

impl Shown for permissions::Entry {
    fn shown(&self) -> Value {
        json!({
            "resource_name": self.resource_name,
            "uri": self.uri,
            "bucket_id": self.bucket_id,
            "group_id": self.group_id,
            "collection_id": self.collection_id,
            "record_id": self.record_id,
            "may": self.permissions,
        })
    }
}

/// Who the user is, and what clients depend on; servers may have more capabilities than others.
impl Shown for ServerInfo {
    fn shown(&self) -> Value {
        json!({
            "project_name": self.project_name,
            "http_api_version": self.http_api_version,
            "batch_max_requests": self.settings.batch_max_requests,
            "readonly": self.settings.readonly,
            "user": self.user.as_ref().map(|user| json!({
                "id": user.id,
                "principals": BTreeSet::from_iter(&user.principals),
                "bucket": user.bucket,
            })),
        })
    }
}

impl Shown for Response {
    fn shown(&self) -> Value {
        let headers = ["ETag", "Total-Objects", "Content-Type"];
        let headers = headers.map(|name| json!([name, self.header(name)]));
        let mut body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        if body.get("project_name").is_some() {
            body = self.json::<ServerInfo>().map(|it| it.shown()).unwrap_or_default();
        }
        json!({ "status": self.status.as_u16(), "headers": headers, "body": body })
    }
}

impl Shown for Results {
    fn shown(&self) -> Value {
        self.responses().map(|response| response.map(Shown::shown)).collect()
    }
}

impl Shown for Error {
    fn shown(&self) -> Value {
        let kind = format!("{self:?}");
        let kind = kind.split(|c: char| !c.is_alphanumeric()).next();
        match (self, self.refusal()) {
            (Self::Batch(failures), _) => {
                json!({ "kind": kind, "results": failures.results.shown() })
            }
            (_, Some(refusal)) => json!({
                "kind": kind,
                "status": refusal.response.status.as_u16(),
                "errno": refusal.number,
                "message": refusal.message,
                "details": refusal.details,
            }),
            (Self::Answer { .. }, _) => json!({ "kind": kind }),
            _ => json!({ "kind": kind, "words": self.to_string() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_each_time_is_left_out() {
        let mut transcript = Transcript::default();
        let id = "0199a0f0-0000-7000-8000-000000000001";
        let other = "0199a0f0-0000-7000-8000-000000000002";
        let value = json!({
            "id": id,
            "uri": format!("/buckets/{other}/collections/c"),
            "again": id,
            "last_modified": 1_763_757_169_000_i64,
            "etag": "\"1763757169000\"",
            "n": 12,
            "permissions": {"write": ["b", "a"]},
        });
        transcript.add(&Ok(value));
        let expected = json!({"ok": {
            "id": "<id 1>",
            "uri": "/buckets/<id 2>/collections/c",
            "again": "<id 1>",
            "last_modified": "<time>",
            "etag": "\"<time>\"",
            "n": 12,
            "permissions": {"write": ["a", "b"]},
        }});
        assert_eq!(transcript.results, [expected]);
    }

    #[test]
    fn the_places_of_differences_are_told() {
        let one = json!({"a": [1, {"b": 2}], "same": 0});
        let other = json!({"a": [1, {"b": 3}, 4], "same": 0});
        assert_eq!(compare(&one, &other), "/a/1/b: 2, 3 and /2: null, 4");
    }

    #[test]
    fn results_that_one_lacks_are_differences() {
        let (mut one, other) = (Transcript::default(), Transcript::default());
        one.add(&Ok(json!(1)));
        assert_eq!(one.differences(&other), [(json!({"ok": 1}), Value::Null)]);
        assert_eq!(other.differences(&other), []);
    }
}
