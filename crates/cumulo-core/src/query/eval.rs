//! Evaluation of queries, for stores that have no language of their own for a condition.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Field, Filter, Op, Query, Sort, key};
use crate::object::Row;

impl Query {
    /// Whether `row` satisfies the filters, the page and the ids.
    pub fn matches(&self, row: Row<'_>) -> bool {
        self.selects(row)
            && (self.page.is_empty()
                || self.page.iter().any(|all| all.iter().all(|filter| filter.matches(row))))
    }

    /// Whether `row` satisfies the filters and the ids; what [`count`] counts.
    ///
    /// [`count`]: crate::store::Transaction::count
    pub fn selects(&self, row: Row<'_>) -> bool {
        (self.tombstones || !row.deleted)
            && self.ids.as_ref().is_none_or(|ids| ids.iter().any(|id| id == row.id))
            && self.filters.iter().all(|filter| filter.matches(row))
    }

    /// Whether the order is the one in which stores keep lists: by time, latest first.
    pub fn is_newest_first(&self) -> bool {
        self.sort.first().is_none_or(|sort| sort.field == Field::LastModified && sort.descending)
    }

    /// Which of two rows comes first.
    pub fn compare(&self, a: Row<'_>, b: Row<'_>) -> Ordering {
        if self.sort.is_empty() {
            return b.last_modified.cmp(&a.last_modified);
        }
        self.sort
            .iter()
            .map(|sort| sort.compare(a, b))
            .find(|o| o.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

impl Sort {
    fn compare(&self, a: Row<'_>, b: Row<'_>) -> Ordering {
        let ascending = match &self.field {
            Field::Id => a.id.cmp(b.id),
            Field::LastModified => a.last_modified.cmp(&b.last_modified),
            Field::Data(path) => key::at(a.data, path).cmp(&key::at(b.data, path)),
        };
        if self.descending { ascending.reverse() } else { ascending }
    }
}

impl Filter {
    /// Whether `row` satisfies this condition.
    pub fn matches(&self, row: Row<'_>) -> bool {
        match &self.field {
            Field::Id => self.op.holds(&Some(Value::from(row.id))),
            Field::LastModified => self.op.holds(&Some(Value::from(row.last_modified.0))),
            Field::Data(path) => self.op.holds(&key::value_at(row.data, path)),
        }
    }
}

impl Op {
    /// Whether the condition holds for `value`, which may be missing.
    pub fn holds(&self, value: &Option<Value>) -> bool {
        let actual = value.as_ref().map_or_else(|| key::MISSING.to_vec(), key::of);
        match self {
            Op::Eq(wanted) => actual == key::of(wanted),
            Op::Not(other) => actual != key::of(other),
            Op::Lt(bound) => actual < key::of(bound),
            Op::Max(bound) => actual <= key::of(bound),
            Op::Gt(bound) => actual > key::of(bound),
            Op::Min(bound) => actual >= key::of(bound),
            Op::In(wanted) => wanted.iter().any(|wanted| actual == key::of(wanted)),
            Op::Exclude(others) => others.iter().all(|other| actual != key::of(other)),
            Op::Like(pattern) => value.as_ref().is_some_and(|value| like(value, pattern)),
            Op::Has(expected) => value.is_some() == *expected,
            Op::Contains(items) => value.as_ref().is_some_and(|value| {
                value.as_array().is_some_and(|array| contains_all(array, items))
            }),
            Op::ContainsAny(items) => {
                value.as_ref().and_then(Value::as_array).is_some_and(|array| {
                    let wanted: Vec<_> = items.iter().map(key::of).collect();
                    array.iter().any(|item| wanted.contains(&key::of(item)))
                })
            }
            Op::Missing => value.is_none(),
        }
    }
}

/// Whether `value`, as text, matches `pattern` as in [`Op::Like`].
fn like(value: &Value, pattern: &str) -> bool {
    let text = match value {
        Value::String(text) => text.to_lowercase(),
        other => spaced(other).to_lowercase(),
    };
    glob(&text, &pattern.to_lowercase())
}

/// JSON text with a space after commas and colons, as PostgreSQL and Python write it.
fn spaced(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(spaced).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let pairs = map
                .iter()
                .map(|(name, value)| format!("{}: {}", Value::from(name.as_str()), spaced(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        scalar => scalar.to_string(),
    }
}

/// Whether `pattern`, where `*` stands for any run of characters, matches all of `text`.
fn glob(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(start) => rest = &rest[start + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Containment as PostgreSQL's `jsonb @>` has it: each wanted item is in the array, objects and
/// arrays in part.
fn contains_all(array: &[Value], wanted: &[Value]) -> bool {
    wanted.iter().all(|wanted| array.iter().any(|item| contains(item, wanted)))
}

fn contains(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Object(value), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, wanted)| value.get(name).is_some_and(|value| contains(value, wanted))),
        (Value::Array(value), Value::Array(wanted)) => contains_all(value, wanted),
        _ => key::of(value) == key::of(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_star_is_special_in_patterns() {
        let cases = [
            ("*foo*", "a FOO b", true),
            ("foo*", "foobar", true),
            ("foo*", "barfoo", false),
            ("*foo", "barfoo", true),
            ("f*o*o", "fxoyo", true),
            ("f*o", "fo", true),
            ("fo*o", "fo", false),
            ("f_o", "fxo", false),
            ("*%*", "abc", false),
            ("*%*", "a%c", true),
            ("foo", "foo", true),
            ("foo", "foox", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(
                Op::Like(pattern.into()).holds(&Some(json!(text))),
                expected,
                "{pattern} {text}"
            );
        }
        assert!(Op::Like("*1*".into()).holds(&Some(json!(213))));
        assert!(!Op::Like("*".into()).holds(&None));
    }

    #[test]
    fn a_missing_value_is_larger_than_all() {
        let one = || json!(1);
        assert!(Op::Gt(one()).holds(&None));
        assert!(Op::Min(one()).holds(&None));
        assert!(Op::Not(one()).holds(&None));
        assert!(Op::Exclude(vec![one()]).holds(&None));
        assert!(!Op::Lt(one()).holds(&None));
        assert!(!Op::Max(one()).holds(&None));
        assert!(!Op::Eq(json!(null)).holds(&None));
        assert!(!Op::In(vec![one()]).holds(&None));
    }

    #[test]
    fn containment_is_partial_for_objects() {
        let value = Some(json!([{"k": 1, "m": 2}, "x"]));
        assert!(Op::Contains(vec![json!({"k": 1})]).holds(&value));
        assert!(Op::Contains(vec![json!("x"), json!({"m": 2})]).holds(&value));
        assert!(!Op::Contains(vec![json!("y")]).holds(&value));
        assert!(!Op::ContainsAny(vec![json!({"k": 1})]).holds(&value));
        assert!(Op::ContainsAny(vec![json!("y"), json!("x")]).holds(&value));
    }
}
