//! The body of a write: data and permissions.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde_json::{Map, Value};

use crate::{
    error::{Invalid, Location},
    resource::Resource,
    schema,
};

/// A JSON object.
pub type Data = Map<String, Value>;

/// What a body says of permissions: holders by permission; `None` where the body has null.
pub type Permissions = BTreeMap<String, Option<BTreeSet<String>>>;

/// A body `{"data": …, "permissions": …}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Payload<'a> {
    /// The data, if the body has any.
    pub data: Option<Cow<'a, Data>>,
    /// The permissions, if the body has any.
    pub permissions: Option<Permissions>,
}

impl<'a> Payload<'a> {
    /// Reads the body of a POST or PUT, with the fields that `resource` defines checked.
    pub fn parse(body: &'a Value, resource: &Resource, problems: &mut Vec<Invalid>) -> Self {
        let mut payload = Self::parse_patch(body, resource, problems);
        match &mut payload.data {
            Some(_) if resource.secrets.is_empty() && fields(resource).is_empty() => {}
            Some(data) => problems.extend(check_fields(resource, data.to_mut(), "data.")),
            None if !resource.secrets.is_empty() && body.get("data").is_none() => {
                problems.push(Invalid::new(Location::Body, "data", "Required"));
            }
            None => {}
        }
        payload
    }

    /// Reads the body of a PATCH; the fields are checked after it is applied.
    pub fn parse_patch(body: &'a Value, resource: &Resource, problems: &mut Vec<Invalid>) -> Self {
        let Value::Object(body) = body else {
            problems.push(Invalid::new(Location::Body, "", not_a_mapping(body)));
            return Self::default();
        };
        let unknown = unrecognized(body, &["data", "permissions"]);
        problems.extend(unknown.map(|problem| Invalid::new(Location::Body, "", problem)));
        Self {
            data: body.get("data").and_then(|data| parse_data(data, problems)),
            permissions: body
                .get("permissions")
                .map(|permissions| parse_permissions(permissions, resource, problems)),
        }
    }
}

fn parse_data<'a>(data: &'a Value, problems: &mut Vec<Invalid>) -> Option<Cow<'a, Data>> {
    if let Value::Object(data) = data {
        Some(Cow::Borrowed(data))
    } else {
        problems.push(Invalid::new(Location::Body, "data", not_a_mapping(data)));
        None
    }
}

fn parse_permissions(
    permissions: &Value,
    resource: &Resource,
    problems: &mut Vec<Invalid>,
) -> Permissions {
    let mut parsed = Permissions::new();
    let Value::Object(permissions) = permissions else {
        problems.push(Invalid::new(Location::Body, "permissions", not_a_mapping(permissions)));
        return parsed;
    };
    for (permission, holders) in permissions {
        if !resource.permissions.contains(&permission.as_str()) {
            let known = resource.permissions.join(", ");
            let problem = format!("\"{permission}\" is not one of {known}");
            problems.push(Invalid::new(Location::Body, "permissions", problem));
            continue;
        }
        let holders = match holders {
            Value::Null => None,
            Value::Array(items) => Some(parse_holders(permission, items, problems)),
            other => {
                let problem = format!("{} is not iterable", quoted(other));
                let name = format!("permissions.{permission}");
                problems.push(Invalid::new(Location::Body, name, problem));
                continue;
            }
        };
        parsed.insert(permission.clone(), holders);
    }
    parsed
}

fn parse_holders(
    permission: &str,
    items: &[Value],
    problems: &mut Vec<Invalid>,
) -> BTreeSet<String> {
    let mut holders = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        match item {
            Value::String(holder) if !holder.is_empty() => {
                holders.insert(holder.clone());
            }
            other => {
                let name = format!("permissions.{permission}.{index}");
                let problem = if other.as_str() == Some("") || other.is_null() {
                    "Required".to_owned()
                } else {
                    not_a_string(other, "")
                };
                problems.push(Invalid::new(Location::Body, name, problem));
            }
        }
    }
    holders
}

/// What a field that a resource defines holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A JSON schema.
    Schema,
    /// An integer, or nothing.
    Integer,
    /// The ids of users; there is always a list.
    Members,
}

/// The fields that `resource` defines, without its secrets; data may hold others, too.
pub fn fields(resource: &Resource) -> &'static [(&'static str, Kind)] {
    match resource.name {
        "bucket" => &[
            ("collection:schema", Kind::Schema),
            ("group:schema", Kind::Schema),
            ("record:schema", Kind::Schema),
        ],
        "collection" => &[("schema", Kind::Schema), ("cache_expires", Kind::Integer)],
        "group" => &[("members", Kind::Members)],
        _ => &[],
    }
}

/// Checks, and brings into shape, the fields of `data` that `resource` defines. `prefix` goes
/// before their names in problems.
pub fn check_fields(resource: &Resource, data: &mut Data, prefix: &str) -> Vec<Invalid> {
    let mut problems = Vec::new();
    let mut problem = |name: &str, description: String| {
        problems.push(Invalid::new(Location::Body, format!("{prefix}{name}"), description));
    };
    for secret in resource.secrets {
        match data.get(*secret) {
            None | Some(Value::Null) => problem(secret, "Required".to_owned()),
            Some(Value::String(text)) if text.is_empty() => problem(secret, "Required".to_owned()),
            Some(Value::String(_)) => {}
            Some(_) => problem(secret, format!("The value is not a string: {{'{secret}': ''}}")),
        }
    }
    for (name, kind) in fields(resource) {
        match kind {
            Kind::Schema => {
                let text = data.get(*name).and_then(schema_problem);
                text.into_iter().for_each(|text| problem(name, text));
            }
            Kind::Integer => match data.get(*name).map(as_integer) {
                None => {}
                Some(Ok(Some(number))) => {
                    data.insert((*name).into(), number.into());
                }
                Some(Ok(None)) => {
                    data.shift_remove(*name);
                }
                Some(Err(text)) => problem(name, text),
            },
            Kind::Members => {
                for (member, text) in check_members(name, data) {
                    problem(&member, text);
                }
            }
        }
    }
    problems
}

fn schema_problem(schema: &Value) -> Option<String> {
    if schema.is_object() { schema::check(schema).err() } else { Some(not_a_mapping(schema)) }
}

fn check_members(name: &str, data: &mut Data) -> Vec<(String, String)> {
    let members = data.entry(name).or_insert_with(|| Value::Array(Vec::new()));
    if members.is_null() {
        *members = Value::Array(Vec::new());
    }
    let Value::Array(members) = members else {
        return vec![(name.to_owned(), format!("{} is not iterable", quoted(members)))];
    };
    let check = |member: &Value| match member.as_str() {
        None => Some(not_a_string(member, "")),
        Some("") => Some("Required".to_owned()),
        Some(user) if user.starts_with("/buckets/") || user == "system.Everyone" => {
            Some(format!("'{user}' is not a valid user ID."))
        }
        Some(_) => None,
    };
    let problems = members.iter().enumerate();
    problems
        .filter_map(|(index, member)| Some((format!("{name}.{index}"), check(member)?)))
        .collect()
}

/// An integer, also from text, a fraction or a boolean; nothing from null and empty text.
fn as_integer(value: &Value) -> Result<Option<i64>, String> {
    #[expect(clippy::cast_possible_truncation, reason = "fractions are dropped")]
    let number = match value {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::Bool(flag) => Some(i64::from(*flag)),
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|f| f as i64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.map(Some).ok_or_else(|| format!("{} is not a number", quoted(value)))
}

/// `Unrecognized keys…`, if `map` has other keys than those that are known.
pub fn unrecognized(map: &Map<String, Value>, known: &[&str]) -> Option<String> {
    let unknown: Vec<_> = map
        .iter()
        .filter(|(name, _)| !known.contains(&name.as_str()))
        .map(|(name, value)| format!("'{name}': {}", python_repr(value)))
        .collect();
    let keys = unknown.join(", ");
    (!unknown.is_empty()).then(|| format!("Unrecognized keys in mapping: \"{{{keys}}}\""))
}

/// `"value" is not a mapping…`, as the reference server says it.
pub fn not_a_mapping(value: &Value) -> String {
    format!("{} is not a mapping type: Does not implement dict-like functionality.", quoted(value))
}

/// `value is not a string…`, as the reference server says it of a field; items of lists have no
/// name.
pub fn not_a_string(value: &Value, name: &str) -> String {
    format!("{} is not a string: {{'{name}': ''}}", python_repr(value))
}

/// The value between double quotes, as messages have it.
pub fn quoted(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{text}\""),
        other => format!("\"{}\"", python_repr(other)),
    }
}

/// A value in the notation that clients of the reference server know from its messages.
pub fn python_repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.contains('\'') && !text.contains('"') => format!("\"{text}\""),
        Value::String(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(python_repr).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let pairs: Vec<_> = map
                .iter()
                .map(|(name, value)| format!("'{name}': {}", python_repr(value)))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{BUCKET, COLLECTION, GROUP, RECORD};
    use serde_json::json;

    fn problems(resource: &Resource, body: &Value) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        Payload::parse(body, resource, &mut problems);
        problems.into_iter().map(|p| (p.name.unwrap_or_default(), p.description)).collect()
    }

    #[test]
    fn only_data_and_permissions_are_taken() {
        assert_eq!(problems(&RECORD, &json!({"data": {"a": 1}})), []);
        assert_eq!(problems(&RECORD, &json!({"data": 1})).len(), 1);
        assert_eq!(problems(&RECORD, &json!([])).len(), 1);
        let (name, text) = problems(&RECORD, &json!({"foo": 1})).remove(0);
        assert_eq!(
            (name.as_str(), text.as_str()),
            ("", "Unrecognized keys in mapping: \"{'foo': 1}\"")
        );
    }

    #[test]
    fn permissions_are_known_lists_of_text() {
        assert_eq!(problems(&RECORD, &json!({"permissions": {"read": ["a"], "write": null}})), []);
        assert_eq!(
            problems(&RECORD, &json!({"permissions": {"foo": []}})),
            [("permissions".into(), "\"foo\" is not one of read, write".into())]
        );
        assert_eq!(
            problems(&RECORD, &json!({"permissions": {"read": "book"}})),
            [("permissions.read".into(), "\"book\" is not iterable".into())]
        );
        assert_eq!(
            problems(&RECORD, &json!({"permissions": {"read": [1]}}))[0].0,
            "permissions.read.0"
        );
    }

    #[test]
    fn defined_fields_are_checked() {
        let group = |members: Value| problems(&GROUP, &json!({"data": {"members": members}}));
        assert_eq!(group(json!(["a", "system.Authenticated"])), []);
        assert_eq!(group(json!(["system.Everyone"]))[0].0, "data.members.0");
        assert_eq!(group(json!("a"))[0].0, "data.members");
        let collection = |data: Value| problems(&COLLECTION, &json!({"data": data}));
        assert_eq!(collection(json!({"cache_expires": "60"})), []);
        assert_eq!(collection(json!({"cache_expires": "x"}))[0].0, "data.cache_expires");
        assert_eq!(collection(json!({"schema": null}))[0].0, "data.schema");
        assert_eq!(collection(json!({"schema": {"type": "foo"}}))[0].0, "data.schema");
        assert_eq!(
            problems(&BUCKET, &json!({"data": {"record:schema": 1}}))[0].0,
            "data.record:schema"
        );
    }
}
