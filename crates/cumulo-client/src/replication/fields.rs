//! Data whose values stay as they came.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Values that are nested deeper are not looked into.
const MAX_DEPTH: usize = 100;

/// The fields of an object in their order, with values as the server wrote them: no digit of a
/// number is lost on the way to another server.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<(String, Box<RawValue>)>);

impl Fields {
    /// The value of a field, as JSON.
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), &**value))
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(other, _)| other != name);
    }

    pub(super) fn set(&mut self, name: &str, value: Box<RawValue>) {
        self.remove(name);
        self.0.push((name.to_owned(), value));
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// Whether two JSON values mean the same: whatever the order of fields, the spaces, and how text and
/// numbers are written. Large integers are the same only to their last digit.
pub(super) fn same(a: &RawValue, b: &RawValue) -> bool {
    same_at(a, b, 0)
}

fn same_at(a: &RawValue, b: &RawValue, depth: usize) -> bool {
    let (a, b) = (a.get(), b.get());
    if a == b {
        return true;
    }
    match (a.as_bytes().first(), b.as_bytes().first()) {
        _ if depth > MAX_DEPTH => false,
        (Some(b'{'), Some(b'{')) => match (object(a), object(b)) {
            (Some(a), Some(b)) => {
                let is_same = |(name, value): (&String, &&RawValue)| {
                    b.get(name).is_some_and(|other| same_at(value, other, depth + 1))
                };
                a.len() == b.len() && a.iter().all(is_same)
            }
            _ => false,
        },
        (Some(b'['), Some(b'[')) => match (array(a), array(b)) {
            (Some(a), Some(b)) => {
                a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| same_at(a, b, depth + 1))
            }
            _ => false,
        },
        (Some(b'"'), Some(b'"')) => text(a).is_some() && text(a) == text(b),
        (Some(b'-' | b'0'..=b'9'), Some(b'-' | b'0'..=b'9')) => same_number(a, b),
        _ => false,
    }
}

fn object(json: &str) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(json).ok()
}

fn array(json: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(json).ok()
}

fn text(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

/// Integers that a float can't tell apart must be written alike.
fn same_number(a: &str, b: &str) -> bool {
    let is_large =
        |text: &str| text.len() > 15 && text.bytes().all(|it| it.is_ascii_digit() || it == b'-');
    let float = |text: &str| text.parse::<f64>().ok().filter(|it| it.is_finite());
    !(is_large(a) && is_large(b)) && float(a).is_some() && float(a) == float(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn are_same(a: &str, b: &str) -> bool {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        same(&raw(a), &raw(b))
    }

    #[test]
    fn fields_keep_order_and_digits() {
        let json = r#"{"z":123456789012345678901234567890,"a":1.10,"m":{"b":[1, 2]}}"#;
        let fields: Fields = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&fields).unwrap(), json);
    }

    #[test]
    fn values_are_the_same_however_they_are_written() {
        for (a, b) in [
            (r#"{"a":1,"b":[2, "c"]}"#, r#"{"b":[2,"c"],"a":1.0}"#),
            (r#""\u00e9""#, "\"é\""),
            ("1e2", "100"),
            ("-0", "0"),
            ("null", "null"),
        ] {
            assert!(are_same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn values_differ_in_every_digit_and_kind() {
        for (a, b) in [
            ("123456789012345678901", "123456789012345678902"),
            ("9007199254740993", "9007199254740992"),
            ("1", "\"1\""),
            ("null", "false"),
            ("[1]", "[1,1]"),
            (r#"{"a":null}"#, "{}"),
            (r#"{"a":1}"#, r#"{"b":1}"#),
            ("1e400", "1e401"),
        ] {
            assert!(!are_same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn depth_does_not_matter() {
        let deep = |end: &str| format!("{}{end}{}", "[".repeat(50_000), "]".repeat(50_000));
        assert!(!are_same(&deep("1"), &deep("2")));
    }
}
