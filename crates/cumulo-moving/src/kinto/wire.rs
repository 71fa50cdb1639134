//! What Kinto sends, as what a store keeps.

use std::{borrow::Cow, collections::BTreeMap};

use cumulo_client::Row;
use cumulo_core::object::{Acl, Object, TOMBSTONE, Timestamp};
use serde::{Deserialize, de::Error as _};
use serde_json::value::RawValue;

/// An object or tombstone in a list.
pub(super) struct Listed(pub(super) Object);

impl Row for Listed {
    fn from_json(json: &str) -> serde_json::Result<Self> {
        let without = || serde_json::Error::custom("an object without id or last_modified");
        object(serde_json::from_str(json)?).map(Self).ok_or_else(without)
    }
}

/// One object, with its permissions if they may be seen.
#[derive(Deserialize)]
pub(super) struct One<'a> {
    #[serde(borrow)]
    pub(super) data: Fields<'a>,
    pub(super) permissions: Option<BTreeMap<String, Vec<String>>>,
}

/// The fields of an object, unparsed.
pub(super) type Fields<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// The object or tombstone with these fields; `None` if it has no id or timestamp.
pub(super) fn object(mut fields: Fields<'_>) -> Option<Object> {
    let id: String = serde_json::from_str(fields.remove("id")?.get()).ok()?;
    let last_modified = serde_json::from_str(fields.remove("last_modified")?.get()).ok()?;
    // A live object may have a field of this name, but hardly nothing else.
    let deleted = fields.len() == 1 && fields.get("deleted").is_some_and(|it| it.get() == "true");
    let data = if deleted { TOMBSTONE.to_owned() } else { joined(&fields) };
    Some(Object { id, last_modified: Timestamp(last_modified), deleted, data })
}

/// The access control list that an object is shown with.
pub(super) fn acl(permissions: BTreeMap<String, Vec<String>>) -> Acl {
    let mut acl = Acl::default();
    for (permission, principals) in permissions {
        acl.set(&permission, principals.into_iter().collect());
    }
    acl
}

/// Fields as one compact object; their values are as they were sent.
fn joined(fields: &Fields<'_>) -> String {
    let mut text = String::from("{");
    for (name, value) in fields {
        if text.len() > 1 {
            text.push(',');
        }
        text += &serde_json::Value::from(name.as_ref()).to_string();
        text.push(':');
        compact(value.get(), &mut text);
    }
    text.push('}');
    text
}

/// Appends JSON without the spaces between its tokens.
fn compact(json: &str, out: &mut String) {
    let (mut in_text, mut escaped) = (false, false);
    for c in json.chars() {
        if in_text || !c.is_ascii_whitespace() {
            out.push(c);
        }
        in_text ^= c == '"' && !escaped;
        escaped = in_text && c == '\\' && !escaped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Option<Object> {
        object(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn objects_keep_the_spelling_of_their_values() {
        let json = r#"{"id": "a", "n": 1.50e3, "last_modified": 7,
                       "b": {"x": [1, "a \" b\\", "\u00e9"], "id": 2}, "\"": 123456789012345678901}"#;
        let object = of(json).unwrap();
        assert_eq!(
            (object.id.as_str(), object.last_modified, object.deleted),
            ("a", Timestamp(7), false)
        );
        assert_eq!(
            object.data,
            r#"{"\"":123456789012345678901,"b":{"x":[1,"a \" b\\","\u00e9"],"id":2},"n":1.50e3}"#
        );
        assert_eq!(of(r#"{"id":"a","last_modified":7}"#).unwrap().data, "{}");
    }

    #[test]
    fn tombstones_hold_nothing_else() {
        assert!(of(r#"{"id":"a","last_modified":7,"deleted":true}"#).unwrap().deleted);
        assert!(!of(r#"{"id":"a","last_modified":7,"deleted":true,"x":1}"#).unwrap().deleted);
        assert!(!of(r#"{"id":"a","last_modified":7,"deleted":false}"#).unwrap().deleted);
        assert!(of(r#"{"id":"a"}"#).is_none() && of(r#"{"last_modified":7}"#).is_none());
    }
}
