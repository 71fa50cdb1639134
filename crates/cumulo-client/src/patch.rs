//! Changes to a part of an object.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use crate::Permissions;

/// How a part of an object is changed. JSON data alone is [`Changes::basic`].
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    pub(crate) media_type: &'static str,
    pub(crate) body: Body,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    /// What is put in place of parts of `data` and `permissions`.
    Members { data: Result<Option<Value>, String>, permissions: Option<Permissions> },
    /// A list of operations.
    Operations(Value),
}

impl Changes {
    /// The fields that are given are replaced, the others stay.
    pub fn basic(data: impl Serialize) -> Self {
        Self::members("application/json", Some(data))
    }

    /// Fields are merged recursively, and `null` removes one (RFC 7396).
    pub fn merge(data: impl Serialize) -> Self {
        Self::members("application/merge-patch+json", Some(data))
    }

    /// Operations on `/data/…` and `/permissions/…`, one after the other (RFC 6902).
    pub fn json(operations: impl Serialize) -> Self {
        let operations = serde_json::to_value(operations).unwrap_or(Value::Null);
        let body = Body::Operations(operations);
        Self { media_type: "application/json-patch+json", body }
    }

    /// Lets `principal` have `permission`, such as `read`, whatever others have.
    pub fn grant(permission: &str, principal: &str) -> Self {
        Self::json(json!([{ "op": "add", "path": principal_path(permission, principal) }]))
    }

    /// Lets more principals have permissions: those in `permissions`. Others keep what they have.
    pub fn grant_all(permissions: &Permissions) -> Self {
        Self::on_principals("add", permissions)
    }

    /// Takes permissions from principals: those in `permissions`. Others keep what they have.
    pub fn revoke_all(permissions: &Permissions) -> Self {
        Self::on_principals("remove", permissions)
    }

    fn on_principals(operation: &str, permissions: &Permissions) -> Self {
        let each = |(permission, principals): (&String, &BTreeSet<String>)| {
            let paths = principals.iter().map(|principal| principal_path(permission, principal));
            paths.collect::<Vec<_>>()
        };
        let paths = permissions.0.iter().flat_map(each);
        Self::json(paths.map(|path| json!({"op": operation, "path": path})).collect::<Vec<_>>())
    }

    /// Takes `permission` from `principal`.
    pub fn revoke(permission: &str, principal: &str) -> Self {
        Self::json(json!([{ "op": "remove", "path": principal_path(permission, principal) }]))
    }

    fn members<T: Serialize>(media_type: &'static str, data: Option<T>) -> Self {
        let data = data.map(serde_json::to_value).transpose().map_err(|error| error.to_string());
        Self { media_type, body: Body::Members { data, permissions: None } }
    }
}

/// JSON data, as [`Changes::basic`].
impl From<Value> for Changes {
    fn from(data: Value) -> Self {
        Self::basic(data)
    }
}

/// Permissions alone: those that are named get other holders, the others stay.
impl From<Permissions> for Changes {
    fn from(permissions: Permissions) -> Self {
        let body = Body::Members { data: Ok(None), permissions: Some(permissions) };
        Self { media_type: "application/json", body }
    }
}

/// Principals are addressed as members of a set.
fn principal_path(permission: &str, principal: &str) -> String {
    let escaped = |text: &str| text.replace('~', "~0").replace('/', "~1");
    format!("/permissions/{}/{}", escaped(permission), escaped(principal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_are_escaped_in_paths() {
        let group = "/buckets/blog/groups/editors";
        let Body::Operations(operations) = Changes::grant("write", group).body else { panic!() };
        let path = "/permissions/write/~1buckets~1blog~1groups~1editors";
        assert_eq!(operations, json!([{ "op": "add", "path": path }]));
    }
}
