//! What is not the same on both sides.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::fields::{Fields, same};
use crate::{Object, Permissions, Timestamp};

/// An object as it is on one side.
#[derive(Clone, Debug, Serialize)]
pub struct Version {
    /// When it was changed last on that side.
    pub last_modified: Timestamp,
    /// Its data, without id and timestamp.
    pub data: Fields,
    /// Who may do what with it; `None` if that is not asked for, or not told to this user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Permissions>,
}

impl Version {
    /// One with nothing in it.
    pub(super) fn empty() -> Self {
        Self { last_modified: Timestamp::default(), data: Fields::default(), permissions: None }
    }
}

impl From<Object<Fields>> for Version {
    fn from(object: Object<Fields>) -> Self {
        let Object { last_modified, mut data, permissions, .. } = object;
        data.remove("id");
        data.remove("last_modified");
        // Who may not write an object is told that nobody may do anything.
        let permissions = permissions.filter(|it| !it.0.is_empty());
        Self { last_modified, data, permissions }
    }
}

/// What makes an object of the destination as it is in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is only in the source.
    Create,
    /// It is in both, and differs.
    Update,
    /// It is only in the destination.
    Delete,
}

/// An object that is not the same on both sides.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// Its path in the destination, such as `/buckets/blog/collections/articles/records/first`.
    pub path: String,
    /// What it is in the destination.
    pub before: Option<Version>,
    /// What it is in the source, and would become. Without permissions, those of the destination
    /// stay as they are.
    pub after: Option<Version>,
}

/// A field that is not the same on both sides.
#[derive(Clone, Debug, Serialize)]
pub struct FieldDifference {
    /// Its name; that of a permission begins with `permissions.`.
    pub name: String,
    /// What it is in the destination.
    pub before: Option<Box<RawValue>>,
    /// What it is in the source.
    pub after: Option<Box<RawValue>>,
}

impl Difference {
    /// What makes them the same.
    pub fn action(&self) -> Action {
        match (&self.before, &self.after) {
            (None, _) => Action::Create,
            (Some(_), Some(_)) => Action::Update,
            (Some(_), None) => Action::Delete,
        }
    }

    /// The fields that differ, of an object that is on both sides.
    pub fn fields(&self) -> Vec<FieldDifference> {
        let (Some(before), Some(after)) = (&self.before, &self.after) else { return Vec::new() };
        let mut fields: Vec<_> = names(&before.data, &after.data)
            .into_iter()
            .map(|name| (name, before.data.get(name), after.data.get(name)))
            .filter(|(_, before, after)| !both_same(*before, *after))
            .map(|(name, before, after)| FieldDifference {
                name: name.to_owned(),
                before: before.map(ToOwned::to_owned),
                after: after.map(ToOwned::to_owned),
            })
            .collect();
        if let Some(after) = &after.permissions {
            fields.extend(permissions(before.permissions.as_ref(), after));
        }
        fields
    }
}

/// The names of both, each once.
fn names<'a>(a: &'a Fields, b: &'a Fields) -> Vec<&'a str> {
    let more = b.iter().map(|(name, _)| name).filter(|name| a.get(name).is_none());
    a.iter().map(|(name, _)| name).chain(more).collect()
}

fn both_same(a: Option<&RawValue>, b: Option<&RawValue>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same(a, b),
        (None, None) => true,
        _ => false,
    }
}

/// The permissions that differ.
fn permissions(before: Option<&Permissions>, after: &Permissions) -> Vec<FieldDifference> {
    let empty = Permissions::new();
    let before = before.unwrap_or(&empty);
    let names: BTreeSet<_> = before.0.keys().chain(after.0.keys()).collect();
    let holders = |it: &Permissions, name| it.0.get(name).filter(|it| !it.is_empty()).cloned();
    let json = |it: Option<_>| it.and_then(|it| to_raw_value(&it).ok());
    names
        .into_iter()
        .map(|name| (name, holders(before, name), holders(after, name)))
        .filter(|(_, before, after)| before != after)
        .map(|(name, before, after)| FieldDifference {
            name: format!("permissions.{name}"),
            before: json(before),
            after: json(after),
        })
        .collect()
}

/// What counts when two versions are compared; never their timestamps.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    /// Fields that may differ.
    pub(super) ignored: BTreeSet<String>,
    /// A group without `members` has none: servers write that out, or not.
    pub(super) is_group: bool,
}

impl Rules {
    pub(super) fn are_same(&self, before: &Version, after: &Version) -> bool {
        names(&before.data, &after.data).into_iter().all(|name| {
            self.ignored.contains(name)
                || both_same(before.data.get(name), after.data.get(name))
                || self.is_group && name == "members" && {
                    let is_empty = |it: &Version| {
                        it.data.get(name).is_none_or(|members| members.get() == "[]")
                    };
                    is_empty(before) && is_empty(after)
                }
        }) && after
            .permissions
            .as_ref()
            .is_none_or(|after| permissions(before.permissions.as_ref(), after).is_empty())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn version(data: &Value, permissions: Option<Permissions>) -> Version {
        let data = serde_json::from_value(data.clone()).unwrap();
        let id = "a".to_owned();
        Version::from(Object { id, last_modified: Timestamp(7), data, permissions })
    }

    fn are_same(rules: &Rules, a: &Value, b: &Value) -> bool {
        rules.are_same(&version(a, None), &version(b, None))
    }

    #[test]
    fn ids_and_timestamps_do_not_count() {
        let a = json!({"id": "a", "last_modified": 1, "title": "x"});
        let b = json!({"id": "b", "last_modified": 2, "title": "x"});
        assert!(are_same(&Rules::default(), &a, &b));
        assert!(!are_same(&Rules::default(), &a, &json!({"title": "y"})));
        assert!(!are_same(&Rules::default(), &a, &json!({"title": "x", "more": null})));
    }

    #[test]
    fn ignored_fields_do_not_count() {
        let rules = Rules { ignored: ["seen".to_owned()].into(), ..Rules::default() };
        assert!(are_same(&rules, &json!({"seen": 1, "a": 1}), &json!({"a": 1})));
        assert!(!are_same(&rules, &json!({"seen": 1, "a": 1}), &json!({"seen": 1})));
    }

    #[test]
    fn a_group_without_members_has_none() {
        let groups = Rules { is_group: true, ..Rules::default() };
        assert!(are_same(&groups, &json!({}), &json!({"members": []})));
        assert!(!are_same(&groups, &json!({}), &json!({"members": ["ann"]})));
        assert!(!are_same(&Rules::default(), &json!({}), &json!({"members": []})));
    }

    #[test]
    fn permissions_count_where_the_source_tells_them() {
        let rules = Rules::default();
        let ann = || Permissions::new().grant("read", "ann");
        let with = |permissions| version(&json!({}), permissions);
        assert!(rules.are_same(&with(Some(ann())), &with(None)));
        assert!(!rules.are_same(&with(None), &with(Some(ann()))));
        let mut wordy = ann();
        wordy.0.entry("write".to_owned()).or_default();
        assert!(rules.are_same(&with(Some(wordy)), &with(Some(ann()))));
    }

    #[test]
    fn differences_are_told_field_by_field() {
        let before = version(&json!({"same": 1, "old": 2, "changed": 3}), None);
        let after = version(
            &json!({"same": 1, "changed": 4, "new": 5}),
            Some(Permissions::new().grant("read", "ann")),
        );
        let path = "/buckets/a".to_owned();
        let difference = Difference { path, before: Some(before), after: Some(after) };
        let fields = serde_json::to_value(difference.fields()).unwrap();
        assert_eq!(
            fields,
            json!([
                {"name": "old", "before": 2, "after": null},
                {"name": "changed", "before": 3, "after": 4},
                {"name": "new", "before": null, "after": 5},
                {"name": "permissions.read", "before": null, "after": ["ann"]},
            ])
        );
    }
}
