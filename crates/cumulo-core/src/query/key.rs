//! An order-preserving encoding of JSON values.
//!
//! Keys compare as bytes the way PostgreSQL compares `jsonb`: null, strings, numbers, booleans,
//! arrays (shorter first), objects (fewer pairs first), and at the end what is [`MISSING`]. Equal
//! values have equal keys (`1` and `1.0`, objects in any key order), so one comparison of bytes
//! serves equality, ranges, sorting and indexes.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

/// The key of a field that is not there: larger than any value's.
pub const MISSING: &[u8] = &[0xff];

const NULL: u8 = 0x10;
const STRING: u8 = 0x20;
const NUMBER: u8 = 0x30;
const FALSE: u8 = 0x40;
const TRUE: u8 = 0x41;
const ARRAY: u8 = 0x50;
const OBJECT: u8 = 0x60;

/// The key of `value`.
pub fn of(value: &Value) -> Vec<u8> {
    let mut key = Vec::with_capacity(16);
    encode(value, &mut key);
    key
}

/// The key of what lies at `path` in the JSON object `data`; [`MISSING`] if nothing does.
pub fn at(data: &str, path: &[String]) -> Vec<u8> {
    value_at(data, path).map_or_else(|| MISSING.to_vec(), |value| of(&value))
}

/// What lies at `path` in the JSON object `data`. Only the way there is parsed.
pub fn value_at(data: &str, path: &[String]) -> Option<Value> {
    let mut deserializer = serde_json::Deserializer::from_str(data);
    Path(path).deserialize(&mut deserializer).ok().flatten()
}

fn encode(value: &Value, key: &mut Vec<u8>) {
    match value {
        Value::Null => key.push(NULL),
        Value::Bool(false) => key.push(FALSE),
        Value::Bool(true) => key.push(TRUE),
        Value::Number(number) => {
            key.push(NUMBER);
            encode_number(number, key);
        }
        Value::String(text) => {
            key.push(STRING);
            encode_text(text, key);
        }
        Value::Array(items) => {
            key.push(ARRAY);
            encode_len(items.len(), key);
            for item in items {
                encode(item, key);
            }
        }
        Value::Object(map) => {
            key.push(OBJECT);
            encode_len(map.len(), key);
            let mut pairs: Vec<_> = map.iter().collect();
            // jsonb keeps keys by length first.
            pairs.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
            for (name, value) in pairs {
                encode_text(name, key);
                encode(value, key);
            }
        }
    }
}

/// Text ends with a zero byte, which stored JSON never holds, so that a prefix sorts first.
fn encode_text(text: &str, key: &mut Vec<u8>) {
    key.extend_from_slice(text.as_bytes());
    key.push(0);
}

fn encode_len(len: usize, key: &mut Vec<u8>) {
    key.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
}

/// The nearest double, made comparable as bytes, then how far an integer is from it: integers
/// beyond 2^53 keep their order.
fn encode_number(number: &Number, key: &mut Vec<u8>) {
    let exact = number.as_i128();
    #[expect(clippy::cast_precision_loss, reason = "the remainder is kept below")]
    let double = exact.map_or_else(|| number.as_f64().unwrap_or_default(), |n| n as f64) + 0.0;
    #[expect(clippy::cast_possible_truncation, reason = "an integral double of at most 2^64")]
    let remainder = exact.map_or(0, |n| n - double as i128);
    let bits = double.to_bits();
    let ordered = if bits >> 63 == 0 { bits ^ (1 << 63) } else { !bits };
    key.extend_from_slice(&ordered.to_be_bytes());
    let remainder = i16::try_from(remainder).expect("doubles are within 2^10 of 64-bit integers");
    key.extend_from_slice(&remainder.cast_unsigned().wrapping_add(1 << 15).to_be_bytes());
}

/// Follows a path through objects and yields what is there.
struct Path<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Path<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() {
            return serde::Deserialize::deserialize(deserializer).map(Some);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Path<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (name, rest) = self.0.split_first().expect("only followed while the path has names");
        let mut found = None;
        while let Some(is_it) = map.next_key_seed(Name(name))? {
            if is_it {
                found = map.next_value_seed(Path(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Whether an object key is the one that is looked for, without a copy of it.
struct Name<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object key")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_sort_like_jsonb() {
        let ascending = [
            json!(null),
            json!(""),
            json!("a"),
            json!("aa"),
            json!("b"),
            json!(i64::MIN),
            json!(-1.5),
            json!(-1),
            json!(0),
            json!(0.5),
            json!(1),
            json!((1u64 << 53)),
            json!((1u64 << 53) + 1),
            json!(u64::MAX - 1),
            json!(u64::MAX),
            json!(1e300),
            json!(false),
            json!(true),
            json!([]),
            json!([9]),
            json!([1, 2]),
            json!({}),
            json!({"a": 1}),
            json!({"a": 2}),
            json!({"a": 1, "b": 1}),
        ];
        for pair in ascending.windows(2) {
            assert!(of(&pair[0]) < of(&pair[1]), "{} < {}", pair[0], pair[1]);
        }
        assert!(of(&ascending[ascending.len() - 1]).as_slice() < MISSING);
    }

    #[test]
    fn equal_values_have_equal_keys() {
        assert_eq!(of(&json!(1)), of(&json!(1.0)));
        assert_eq!(of(&json!(0)), of(&json!(-0.0)));
        assert_eq!(of(&json!({"a": 1, "b": [2]})), of(&json!({"b": [2.0], "a": 1})));
        assert_ne!(of(&json!(1)), of(&json!("1")));
    }

    #[test]
    fn paths_lead_through_objects_only() {
        let data = r#"{"a":{"b":[1,{"c":2}],"d":null},"e":"x"}"#;
        let at =
            |path: &str| value_at(data, &path.split('.').map(String::from).collect::<Vec<_>>());
        assert_eq!(at("a.b"), Some(json!([1, {"c": 2}])));
        assert_eq!(at("a.d"), Some(json!(null)));
        assert_eq!(at("a.d.x"), None);
        assert_eq!(at("a.b.1"), None);
        assert_eq!(at("e"), Some(json!("x")));
        assert_eq!(at("f"), None);
    }
}
