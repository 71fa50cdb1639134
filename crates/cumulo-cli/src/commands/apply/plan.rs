//! What has to be done so that all is as the file says.

use std::{collections::BTreeSet, fmt};

use cumulo_client::{Object, Permissions, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    super::number,
    file::{Place, Wanted},
};

/// What has to be done with one object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) place: Place,
    pub(super) action: Action,
    /// What will be different, line by line, for people.
    pub(super) differences: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    Create {
        data: Map<String, Value>,
        permissions: Permissions,
    },
    /// By a JSON patch of what it was at a timestamp.
    Change {
        operations: Vec<Value>,
        since: Timestamp,
    },
    Delete {
        since: Timestamp,
    },
}

impl Action {
    fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Change { .. } => "change",
            Self::Delete { .. } => "delete",
        }
    }

    fn sign(&self) -> char {
        match self {
            Self::Create { .. } => '+',
            Self::Change { .. } => '~',
            Self::Delete { .. } => '-',
        }
    }
}

/// All that has to be done.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// How many objects are as they shall be.
    pub(super) unchanged: usize,
}

impl Plan {
    /// Adds what has to be done for one object, if anything. `user` is the principal of who does
    /// it: they may always write what they create.
    pub(super) fn add(&mut self, wanted: Wanted, actual: Option<&Object>, user: Option<&str>) {
        match step(wanted, actual, user) {
            Some(step) => self.steps.push(step),
            None => self.unchanged += 1,
        }
    }

    /// Adds the deletion of what the file does not name.
    pub(super) fn delete(&mut self, place: Place, since: Timestamp, holds: Option<u64>) {
        let differences = holds.map(|count| format!("with {}", number(count, "record", "records")));
        let differences = differences.into_iter().collect();
        self.steps.push(Step { place, action: Action::Delete { since }, differences });
    }

    /// The plan for programs.
    pub(super) fn to_json(&self) -> Value {
        let step = |step: &Step| {
            json!({
                "object": step.place.to_string(),
                "action": step.action.name(),
                "differences": step.differences,
            })
        };
        json!({ "steps": self.steps.iter().map(step).collect::<Vec<_>>(), "unchanged": self.unchanged })
    }
}

/// The plan for people.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Step { place, action, differences } in &self.steps {
            writeln!(f, "{} {} {place}", action.sign(), action.name())?;
            for line in differences {
                writeln!(f, "      {line}")?;
            }
        }
        let count = |name| self.steps.iter().filter(|it| it.action.name() == name).count();
        let (create, change, delete) = (count("create"), count("change"), count("delete"));
        write!(f, "{create} to create, {change} to change, {delete} to delete, ")?;
        write!(f, "{} as they should be.", self.unchanged)
    }
}

fn step(wanted: Wanted, actual: Option<&Object>, user: Option<&str>) -> Option<Step> {
    let Wanted { place, data, permissions } = wanted;
    let Some(actual) = actual else {
        let data: Map<_, _> = data.into_iter().filter(|(_, value)| !value.is_null()).collect();
        let mut differences = Vec::new();
        for (name, value) in &data {
            differences.push(format!("{name}: {}", shortened(value)));
        }
        for (name, holders) in &permissions.0 {
            differences.extend(holders.iter().map(|holder| format!("{name}: + {holder}")));
        }
        return Some(Step { place, action: Action::Create { data, permissions }, differences });
    };
    let mut operations = Vec::new();
    let mut differences = Vec::new();
    for (name, value) in &data {
        let now = actual.data.get(name);
        if now.unwrap_or(&Value::Null) == value {
            continue;
        }
        let path = format!("/data/{}", escaped(name));
        operations.push(if value.is_null() {
            json!({ "op": "remove", "path": path })
        } else {
            json!({ "op": "add", "path": path, "value": value })
        });
        compare(name, now, value, &mut differences);
    }
    let none = BTreeSet::new();
    for (name, holders) in &permissions.0 {
        let now = actual.permissions.as_ref().and_then(|it| it.0.get(name)).unwrap_or(&none);
        let path = |holder| format!("/permissions/{}/{}", escaped(name), escaped(holder));
        for holder in holders.difference(now) {
            operations.push(json!({ "op": "add", "path": path(holder) }));
            differences.push(format!("{name}: + {holder}"));
        }
        let stays = |holder: &&String| name == "write" && user == Some(holder.as_str());
        for holder in now.difference(holders).filter(|it| !stays(it)) {
            operations.push(json!({ "op": "remove", "path": path(holder) }));
            differences.push(format!("{name}: - {holder}"));
        }
    }
    if operations.is_empty() {
        return None;
    }
    let action = Action::Change { operations, since: actual.last_modified };
    Some(Step { place, action, differences })
}

/// Tells how a value becomes another, down to where they differ.
fn compare(path: &str, old: Option<&Value>, new: &Value, out: &mut Vec<String>) {
    if old == Some(new) {
        return;
    }
    if let (Some(Value::Object(old)), Value::Object(new)) = (old, new) {
        for (name, value) in new {
            compare(&format!("{path}.{name}"), old.get(name), value, out);
        }
        let gone = old.keys().filter(|name| !new.contains_key(*name));
        out.extend(gone.map(|name| format!("{path}.{name}: {} → nothing", shortened(&old[name]))));
        return;
    }
    let shown = |value: Option<&Value>| match value {
        None | Some(Value::Null) => "nothing".to_owned(),
        Some(value) => shortened(value),
    };
    out.push(format!("{path}: {} → {}", shown(old), shown(Some(new))));
}

/// A value on one line that is not too long.
fn shortened(value: &impl Serialize) -> String {
    const LONGEST: usize = 60;
    let text = serde_json::to_string(value).unwrap_or_default();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// RFC 6901.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(data: Value, permissions: Permissions) -> Wanted {
        let Value::Object(data) = data else { panic!() };
        Wanted { place: Place::Bucket("blog".into()), data, permissions }
    }

    fn actual(data: Value, permissions: Permissions) -> Object {
        let last_modified = Timestamp(7);
        Object { id: "blog".into(), last_modified, data, permissions: Some(permissions) }
    }

    #[test]
    fn what_is_missing_is_created_without_the_fields_that_must_not_be_there() {
        let wanted = wanted(json!({"a": 1, "b": null}), Permissions::new());
        let step = step(wanted, None, None).unwrap();
        let Action::Create { data, .. } = step.action else { panic!() };
        assert_eq!(Value::Object(data), json!({"a": 1}));
        assert_eq!(step.differences, ["a: 1"]);
    }

    #[test]
    fn what_is_as_it_shall_be_is_left_alone() {
        let permissions = Permissions::new().grant("read", "system.Everyone");
        let found = permissions.clone().grant("write", "account:me").grant("group:create", "bob");
        let actual = actual(json!({"a": 1, "other": 2}), found);
        let same = wanted(json!({"a": 1, "b": null}), permissions.clone());
        assert_eq!(step(same, Some(&actual), Some("account:me")), None);
        let mine = wanted(json!({}), Permissions::new().grant("write", "account:ann"));
        let step = step(mine, Some(&actual), Some("account:me")).unwrap();
        assert_eq!(step.differences, ["write: + account:ann"], "who does it still may");
    }

    #[test]
    fn a_change_is_a_patch_of_what_differs() {
        let permissions = Permissions::new().grant("read", "/buckets/a/groups/b");
        let actual = actual(
            json!({"s": {"x": 1, "y": [1], "z": 0}, "gone": true}),
            Permissions::new().grant("read", "bob"),
        );
        let wanted = wanted(json!({"s": {"x": 2, "y": [1]}, "gone": null}), permissions);
        let step = step(wanted, Some(&actual), None).unwrap();
        let expected = [
            "gone: true → nothing",
            "read: + /buckets/a/groups/b",
            "read: - bob",
            "s.x: 1 → 2",
            "s.z: 0 → nothing",
        ];
        let mut differences = step.differences;
        differences.sort();
        assert_eq!(differences, expected);
        let Action::Change { operations, since } = step.action else { panic!() };
        assert_eq!(since, Timestamp(7));
        let path = "/permissions/read/~1buckets~1a~1groups~1b";
        assert!(operations.contains(&json!({"op": "add", "path": path})));
        assert!(operations.contains(&json!({"op": "remove", "path": "/data/gone"})));
    }
}
