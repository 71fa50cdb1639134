//! The three ways to change a part of an object.

use std::collections::BTreeSet;

use json_patch::PatchOperation;
use serde_json::{Map, Value, json};

use crate::{
    error::{ApiError, Invalid, Location, Result},
    object::Acl,
};

/// Replaces top-level fields.
pub fn replace_fields(object: &mut Map<String, Value>, changes: &Map<String, Value>) {
    object.extend(changes.iter().map(|(name, value)| (name.clone(), value.clone())));
}

/// Merges as RFC 7396 says: objects recursively, null removes.
pub fn merge(object: &mut Map<String, Value>, changes: &Map<String, Value>) {
    let mut document = Value::Object(std::mem::take(object));
    json_patch::merge(&mut document, &Value::Object(changes.clone()));
    if let Value::Object(merged) = document {
        *object = merged;
    }
}

/// An object and its access control list after a JSON Patch (RFC 6902).
#[derive(Debug)]
pub struct Patched {
    /// The object.
    pub data: Map<String, Value>,
    /// The permissions.
    pub acl: Acl,
}

/// How many values the operations of one patch may move and copy, all together. Few operations
/// could make a document of any size, each one doubling it.
const MAX_MOVED: usize = 1_000_000;

/// Applies `operations` to `{"data": …, "permissions": {name: {principal: principal}}}`.
/// `max_depth` bounds how deep values may nest, as in a body.
pub fn apply(
    operations: &[Value],
    data: &Map<String, Value>,
    acl: &Acl,
    max_depth: usize,
) -> Result<Patched> {
    let operations: Vec<_> = operations.iter().map(with_principal_value).collect();
    let patch: json_patch::Patch = serde_json::from_value(Value::Array(operations))
        .map_err(|error| failed(&error.to_string()))?;
    let mut document = json!({"data": data, "permissions": permissions_document(acl)});
    let mut moved = 0;
    for (index, operation) in patch.iter().enumerate() {
        if depth_after(&document, operation, &mut moved) > max_depth {
            return Err(failed(&format!("nested deeper than {max_depth} levels")));
        }
        if moved > MAX_MOVED {
            return Err(failed("it moves and copies too much"));
        }
        json_patch::patch(&mut document, std::slice::from_ref(operation)).map_err(|error| {
            failed(&format!("operation {index} at '{}': {}", error.path, error.kind))
        })?;
    }
    let Some(Value::Object(data)) = document.get_mut("data").map(Value::take) else {
        return Err(failed("data must be an object"));
    };
    let Some(Value::Object(permissions)) = document.get_mut("permissions").map(Value::take) else {
        return Err(failed("permissions must be an object"));
    };
    Ok(Patched { data, acl: acl_from(&permissions)? })
}

/// How deep what `operation` puts into `document` will nest; adds to `moved` how many values that
/// were there it puts elsewhere.
fn depth_after(document: &Value, operation: &PatchOperation, moved: &mut usize) -> usize {
    let (path, value) = match operation {
        PatchOperation::Add(add) => return add.path.count() + measure(&add.value, &mut 0),
        PatchOperation::Replace(replace) => {
            return replace.path.count() + measure(&replace.value, &mut 0);
        }
        PatchOperation::Move(moving) => (&moving.path, moving.from.resolve(document)),
        PatchOperation::Copy(copying) => (&copying.path, copying.from.resolve(document)),
        PatchOperation::Remove(_) | PatchOperation::Test(_) => return 0,
    };
    path.count() + value.map_or(0, |value| measure(value, moved))
}

/// How deep `value` nests; adds to `count` how many values it is made of.
fn measure(value: &Value, count: &mut usize) -> usize {
    *count += 1;
    let mut deepest = |inner: &Value, depth: usize| depth.max(measure(inner, count));
    match value {
        Value::Array(items) => 1 + items.iter().fold(0, |depth, item| deepest(item, depth)),
        Value::Object(map) => 1 + map.values().fold(0, |depth, inner| deepest(inner, depth)),
        _ => 0,
    }
}

fn failed(reason: &str) -> ApiError {
    Invalid::unnamed(Location::Body, format!("JSON Patch operation failed: {reason}")).into()
}

/// Permissions with `read` and `write` always there, so that a patch can add to them.
fn permissions_document(acl: &Acl) -> Value {
    let mut document = json!({"read": {}, "write": {}});
    for (permission, holders) in &acl.0 {
        document[permission.as_str()] =
            holders.iter().map(|holder| (holder.clone(), Value::from(holder.as_str()))).collect();
    }
    document
}

/// A principal that is added needs no value: its name is in the path.
fn with_principal_value(operation: &Value) -> Value {
    let mut operation = operation.clone();
    let on_principal = operation["path"].as_str().is_some_and(|path| {
        path.strip_prefix("/permissions/").is_some_and(|rest| rest.contains('/'))
    });
    if on_principal
        && let Value::Object(fields) = &mut operation
        && !fields.contains_key("value")
        && fields
            .get("op")
            .is_some_and(|op| matches!(op.as_str(), Some("add" | "replace" | "test")))
    {
        let path = fields["path"].as_str().unwrap_or_default();
        let principal = path.splitn(4, '/').nth(3).unwrap_or_default();
        let principal = principal.replace("~1", "/").replace("~0", "~");
        fields.insert("value".into(), principal.into());
    }
    operation
}

fn acl_from(permissions: &Map<String, Value>) -> Result<Acl> {
    let mut acl = Acl::default();
    for (permission, holders) in permissions {
        let holders: BTreeSet<String> = match holders {
            Value::Object(map) => map.keys().cloned().collect(),
            Value::Array(items) if items.iter().all(Value::is_string) => {
                items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => return Err(failed(&format!("permissions.{permission} must hold principals"))),
        };
        acl.set(permission, holders);
    }
    Ok(acl)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("an object") };
        map
    }

    #[test]
    fn merging_recurses_and_removes() {
        let mut object = map(json!({"a": {"b": 1, "c": 2}, "d": 3, "e": 4}));
        merge(&mut object, &map(json!({"a": {"b": null, "x": 1}, "d": null, "e": {"f": null}})));
        assert_eq!(Value::Object(object), json!({"a": {"c": 2, "x": 1}, "e": {}}));
    }

    #[test]
    fn patches_reach_data_and_permissions() {
        let mut acl = Acl::default();
        acl.add("write", "alice");
        let operations = [
            json!({"op": "add", "path": "/data/a", "value": 1}),
            json!({"op": "add", "path": "/permissions/read/~1buckets~1b~1groups~1g"}),
            json!({"op": "remove", "path": "/permissions/write/alice"}),
            json!({"op": "add", "path": "/permissions/write/bob"}),
        ];
        let patched = apply(&operations, &Map::new(), &acl, 64).unwrap();
        assert_eq!(Value::Object(patched.data), json!({"a": 1}));
        let holders = |name: &str| patched.acl.0[name].iter().cloned().collect::<Vec<_>>();
        assert_eq!(holders("read"), ["/buckets/b/groups/g"]);
        assert_eq!(holders("write"), ["bob"]);
    }

    #[test]
    fn what_is_not_an_object_any_more_is_refused() {
        for operation in [
            json!({"op": "remove", "path": "/data"}),
            json!({"op": "replace", "path": "/data", "value": 1}),
            json!({"op": "remove", "path": "/permissions"}),
            json!({"op": "add", "path": "/permissions/read", "value": 1}),
            json!({"op": "test", "path": "/data/a", "value": 1}),
            json!({"op": "remove", "path": "/data/a"}),
        ] {
            assert!(
                apply(std::slice::from_ref(&operation), &Map::new(), &Acl::default(), 64).is_err(),
                "{operation}"
            );
        }
    }
    #[test]
    fn patches_grow_documents_within_bounds() {
        let apply = |operations: &[Value]| {
            apply(operations, &map(json!({"a": {}})), &Acl::default(), 8)
                .map(|patched| patched.data)
        };
        let deeper = json!({"op": "copy", "from": "/data", "path": "/data/a/b"});
        assert!(apply(&vec![deeper.clone(); 2]).is_ok());
        assert!(apply(&vec![deeper; 3]).is_err());
        let value = json!([[[[[[]]]]]]);
        assert!(apply(&[json!({"op": "add", "path": "/data/b", "value": value})]).is_ok());
        assert!(apply(&[json!({"op": "add", "path": "/data/a/b", "value": value})]).is_err());
        let double = |from: &str| json!({"op": "copy", "from": from, "path": "/data/l/-"});
        let mut operations =
            vec![json!({"op": "add", "path": "/data/l", "value": [vec![0; 100_000]]})];
        operations.resize(11, double("/data/l/0"));
        assert!(apply(&operations[..10]).is_ok());
        assert!(apply(&operations).is_err());
    }
}
