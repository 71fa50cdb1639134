//! What is stored.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

use crate::{Result, Timestamp, response::Response};

/// An object: a bucket, group, collection, record or account.
///
/// `T` is what the caller makes of its data: any type that can be deserialized, or plain JSON. It
/// sees all fields, those of `id` and `last_modified` too.
#[derive(Clone, Debug, PartialEq)]
pub struct Object<T = Value> {
    /// Its id.
    pub id: String,
    /// When it was changed last.
    pub last_modified: Timestamp,
    /// Its data.
    pub data: T,
    /// Who may do what with it. Lists don't tell, nor do answers to those who may not write it.
    pub permissions: Option<Permissions>,
}

/// What is left of an object that was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The id that it had.
    pub id: String,
    /// When it was deleted.
    pub last_modified: Timestamp,
}

/// What happened to an object since some moment.
#[derive(Clone, Debug, PartialEq)]
pub enum Change<T = Value> {
    /// It was created or changed; this is what it is now.
    Changed(Object<T>),
    /// It was deleted.
    Deleted(Tombstone),
}

impl<T> Change<T> {
    /// The id of the object.
    pub fn id(&self) -> &str {
        match self {
            Self::Changed(object) => &object.id,
            Self::Deleted(tombstone) => &tombstone.id,
        }
    }

    /// When it happened.
    pub fn last_modified(&self) -> Timestamp {
        match self {
            Self::Changed(object) => object.last_modified,
            Self::Deleted(tombstone) => tombstone.last_modified,
        }
    }
}

/// An answer that may be the one that the caller has already.
#[derive(Clone, Debug, PartialEq)]
pub enum Fresh<T> {
    /// It has changed; this is what it is now.
    Modified(T),
    /// It is as it was at the timestamp that the caller named.
    NotModified,
}

/// Who may do what: permission, such as `read`, to principals, such as `system.Everyone`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Permissions(pub BTreeMap<String, BTreeSet<String>>);

impl Permissions {
    /// Nobody may do anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// With `principal` among those who hold `permission`.
    #[must_use]
    pub fn grant(mut self, permission: impl Into<String>, principal: impl Into<String>) -> Self {
        self.0.entry(permission.into()).or_default().insert(principal.into());
        self
    }

    /// Whether `principal` itself holds `permission`.
    pub fn has(&self, permission: &str, principal: &str) -> bool {
        self.0.get(permission).is_some_and(|holders| holders.contains(principal))
    }
}

/// What can stand in a list.
pub trait Row: Sized + Send + 'static {
    /// Reads it from the JSON of one entry.
    fn from_json(json: &str) -> serde_json::Result<Self>;
}

/// The fields that every object has.
#[derive(Deserialize)]
struct Meta {
    id: String,
    last_modified: Timestamp,
    #[serde(default)]
    deleted: Option<Value>,
}

impl<T: DeserializeOwned + Send + 'static> Row for Object<T> {
    fn from_json(json: &str) -> serde_json::Result<Self> {
        let Meta { id, last_modified, .. } = serde_json::from_str(json)?;
        let data = serde_json::from_str(json)?;
        Ok(Self { id, last_modified, data, permissions: None })
    }
}

impl<T: DeserializeOwned + Send + 'static> Row for Change<T> {
    fn from_json(json: &str) -> serde_json::Result<Self> {
        let Meta { id, last_modified, deleted } = serde_json::from_str(json)?;
        if deleted == Some(Value::Bool(true)) {
            return Ok(Self::Deleted(Tombstone { id, last_modified }));
        }
        let data = serde_json::from_str(json)?;
        Ok(Self::Changed(Object { id, last_modified, data, permissions: None }))
    }
}

/// As it came.
impl Row for Value {
    fn from_json(json: &str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }
}

impl Row for Tombstone {
    fn from_json(json: &str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }
}

impl Object {
    /// An object as it stands in a list or in the details of an error.
    pub(crate) fn from_value(data: Value) -> Option<Self> {
        let id = data.get("id")?.as_str()?.to_owned();
        let last_modified = Timestamp(data.get("last_modified")?.as_i64()?);
        Some(Self { id, last_modified, data, permissions: None })
    }
}

/// The body of an answer that has one object.
#[derive(Deserialize)]
struct One<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
    permissions: Option<Permissions>,
}

/// What a light answer to a change may lack.
#[derive(Deserialize)]
struct PartialMeta {
    id: Option<String>,
    last_modified: Option<Timestamp>,
}

/// Reads an answer with one object.
///
/// Answers to changes may be partial: then the id is that of the URL, and the timestamp that of
/// `ETag`.
pub(crate) fn one<T: DeserializeOwned>(response: &Response) -> Result<Object<T>> {
    let read = || {
        let One { data, permissions } = serde_json::from_slice(&response.body)?;
        let meta: PartialMeta = serde_json::from_str(data.get())?;
        let id = meta.id.unwrap_or_else(|| last_segment(&response.request.url));
        let timestamp = meta.last_modified.or_else(|| response.timestamp());
        let data = serde_json::from_str(data.get())?;
        let last_modified = timestamp.unwrap_or_default();
        Ok(Object { id, last_modified, data, permissions })
    };
    read().map_err(|error| response.not_understood(error))
}

fn last_segment(url: &str) -> String {
    let path = url.split('?').next().unwrap_or(url);
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// Reads an answer with one tombstone.
pub(crate) fn tombstone(response: &Response) -> Result<Tombstone> {
    #[derive(Deserialize)]
    struct Deleted {
        data: Tombstone,
    }
    response.json::<Deleted>().map(|it| it.data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Todo {
        id: String,
        title: String,
    }

    #[test]
    fn data_is_typed_or_plain() {
        let json = r#"{"id":"a","title":"Milk","last_modified":7}"#;
        let object = Object::<Todo>::from_json(json).unwrap();
        assert_eq!(object.data, Todo { id: "a".into(), title: "Milk".into() });
        assert_eq!((object.id.as_str(), object.last_modified), ("a", Timestamp(7)));
        let object = Object::<Value>::from_json(json).unwrap();
        assert_eq!(object.data["last_modified"], 7);
    }

    #[test]
    fn changes_tell_tombstones_from_objects() {
        let json = r#"{"id":"a","last_modified":7,"deleted":true}"#;
        let deleted = Change::<Todo>::from_json(json).unwrap();
        let tombstone = Tombstone { id: "a".into(), last_modified: Timestamp(7) };
        assert_eq!(deleted, Change::Deleted(tombstone));
        let json = r#"{"id":"a","title":"Milk","last_modified":7,"deleted":false}"#;
        assert!(matches!(Change::<Todo>::from_json(json).unwrap(), Change::Changed(_)));
    }

    #[test]
    fn permissions_are_built_and_asked() {
        let permissions = Permissions::new().grant("read", "system.Everyone").grant("read", "ann");
        assert!(permissions.has("read", "ann") && !permissions.has("write", "ann"));
        let json = serde_json::to_string(&permissions).unwrap();
        assert_eq!(json, r#"{"read":["ann","system.Everyone"]}"#);
    }
}
