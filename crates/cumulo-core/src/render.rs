//! Objects as JSON: the stored text with `id` and `last_modified` spliced in.

use std::{borrow::Cow, io::Write};

use serde::Serializer as _;
use serde_json::{Map, Value};

use crate::object::{Acl, Object, Row, Timestamp};

/// Appends `row` as a JSON object to `out`.
pub fn write_row(row: Row<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"id\":");
    write_text(row.id, out);
    write!(out, ",\"last_modified\":{}", row.last_modified).expect("memory takes all");
    match row.data {
        "{}" => out.push(b'}'),
        data => {
            out.push(b',');
            out.extend_from_slice(&data.as_bytes()[1..]);
        }
    }
}

/// Appends `text` as a JSON string to `out`.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, text).expect("memory takes all");
    }
}

/// The row as a JSON value, with `id` and `last_modified` first.
pub fn to_value(row: Row<'_>) -> Value {
    Value::Object(to_map(row))
}

/// The row as a JSON map, with `id` and `last_modified` first.
pub fn to_map(row: Row<'_>) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("id".into(), row.id.into());
    map.insert("last_modified".into(), row.last_modified.0.into());
    map.extend(parse(row.data));
    map
}

/// The data of an object as a map.
pub fn parse(data: &str) -> Map<String, Value> {
    serde_json::from_str(data).expect("the store holds JSON objects only")
}

/// What clients see in the place of a secret. Who sends it back means the secret that is there.
pub const MASK: &str = "********";

/// The data of an object with a mask in the place of each secret.
pub fn masked<'a>(data: &'a str, secrets: &[&str]) -> Cow<'a, str> {
    if secrets.is_empty() {
        return Cow::Borrowed(data);
    }
    let mut map = parse(data);
    for secret in secrets {
        if let Some(value) = map.get_mut(*secret) {
            *value = MASK.into();
        }
    }
    Cow::Owned(to_data(&map))
}

/// The text that is stored for `map`: compact, without `id` and `last_modified`.
pub fn to_data(map: &Map<String, Value>) -> String {
    let kept = map.iter().filter(|(name, _)| !matches!(name.as_str(), "id" | "last_modified"));
    let mut out = Vec::with_capacity(128);
    serde_json::Serializer::new(&mut out)
        .collect_map(kept)
        .expect("a map of JSON values serializes");
    String::from_utf8(out).expect("JSON is UTF-8")
}

/// The body of an answer with one object: `{"data": …, "permissions": …}`.
pub fn object_body(object: &Object, permissions: Option<&Acl>) -> Vec<u8> {
    let mut out = Vec::with_capacity(object.data.len() + 160);
    out.extend_from_slice(b"{\"data\":");
    write_row(object.as_row(), &mut out);
    if let Some(acl) = permissions {
        out.extend_from_slice(b",\"permissions\":");
        serde_json::to_writer(&mut out, &acl.0).expect("memory takes all");
    }
    out.push(b'}');
    out
}

/// A tombstone.
pub fn tombstone(id: &str, last_modified: Timestamp) -> Object {
    Object {
        id: id.to_owned(),
        last_modified,
        deleted: true,
        data: crate::object::TOMBSTONE.to_owned(),
    }
}

/// Only the asked fields of `object`, each a path of names; `id` and `last_modified` always.
///
/// A path that leads into something that is not an object keeps the whole value there.
pub fn project(object: &Map<String, Value>, fields: &[Vec<String>]) -> Map<String, Value> {
    let always = [vec!["id".to_owned()], vec!["last_modified".to_owned()]];
    let mut kept = Map::new();
    for path in always.iter().chain(fields) {
        copy_path(object, path, &mut kept);
    }
    kept
}

fn copy_path(from: &Map<String, Value>, path: &[String], to: &mut Map<String, Value>) {
    let Some((name, rest)) = path.split_first() else { return };
    match from.get(name) {
        None => {}
        Some(Value::Object(inner)) if !rest.is_empty() => {
            let slot = to.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(slot) = slot {
                copy_path(inner, rest, slot);
            }
        }
        Some(value) => {
            to.insert(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(data: &str) -> Row<'_> {
        Row { id: "x", last_modified: Timestamp(5), deleted: false, data }
    }

    #[test]
    fn id_and_timestamp_are_spliced_in() {
        for data in ["{}", r#"{"a":1}"#] {
            let mut out = Vec::new();
            write_row(row(data), &mut out);
            assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), to_value(row(data)));
        }
    }

    #[test]
    fn projection_keeps_the_shape() {
        let object = to_map(row(r#"{"a":{"b":1,"c":2},"d":[1],"e":3}"#));
        let fields = ["a.b", "d.x", "missing"]
            .map(|path| path.split('.').map(String::from).collect::<Vec<_>>());
        assert_eq!(
            Value::Object(project(&object, &fields)),
            json!({"id": "x", "last_modified": 5, "a": {"b": 1}, "d": [1]})
        );
    }
}
